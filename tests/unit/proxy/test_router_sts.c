/* RFC 8461: the record, the policy file, the names, and what is kept for how long. */
#include "proxy/router/sts.h"
#include "proxy/router/sts_cache.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/unit.h"

/* A TXT record of one string, or of several when `text` has bars in it. */
static struct slice txt(const char *text, uint8_t room[1024])
{
	size_t len = 0;
	for (const char *p = text;;) {
		size_t part = strcspn(p, "|");
		room[len++] = (uint8_t)part;
		memcpy(room + len, p, part);
		len += part;
		if (p[part] == '\0')
			return slice_of(room, len);
		p += part + 1;
	}
}

static void records(void **state)
{
	(void)state;
	static const struct {
		const char *texts[3];
		enum ec ec;
		const char *id;
	} cases[] = {
		{ { "v=STSv1; id=20160831085700Z;" }, EC_OK, "20160831085700Z" }, /* RFC 8461 3.1's own */
		{ { "v=STSv1; id=1" }, EC_OK, "1" },
		{ { "v=STSv1;id=a1" }, EC_OK, "a1" },
		{ { "v=STSv1 \t;\tid=a1 ; " }, EC_OK, "a1" },
		{ { "v=STS|v1; i|d=x|yz;" }, EC_OK, "xyz" },
		{ { "v=STSv1; id=1; ext=some thing;" }, EC_OK, "1" },
		{ { "v=STSv1; ext.a_b-c=1; id=2;" }, EC_OK, "2" },
		{ { "v=spf1 -all", "v=STSv1; id=1;", "v=STSv10; id=2;" }, EC_OK, "1" },
		{ { "v=STSv1; id=1; id=2;" }, EC_OK, "1" },
		{ { "v=STSv1; id=12345678901234567890123456789012" }, EC_OK, "12345678901234567890123456789012" },
		{ { "v=STSv1; id=123456789012345678901234567890123" }, EC_SYNTAX, "" },
		{ { "v=STSv1; id=;" }, EC_SYNTAX, "" },
		{ { "v=STSv1; id=a-b;" }, EC_SYNTAX, "" },
		{ { "v=STSv1; id;" }, EC_SYNTAX, "" },
		{ { "v=STSv1; ID=1;" }, EC_SYNTAX, "" },
		{ { "v=STSv1;" }, EC_SYNTAX, "" },
		{ { "v=STSv1; id=1;; ext=2" }, EC_SYNTAX, "" },
		{ { "v=STSv1; id=1; _ext=2" }, EC_SYNTAX, "" },
		{ { "v=STSv1; id=1;", "v=STSv1; id=1;" }, EC_DUPLICATE, "" },
		{ { "v=STSv1; id=1;", "v=STSv1; nonsense" }, EC_DUPLICATE, "" },
		{ { "v=STSv1" }, EC_NOT_FOUND, "" },
		{ { "V=STSv1; id=1;" }, EC_NOT_FOUND, "" },
		{ { " v=STSv1; id=1;" }, EC_NOT_FOUND, "" },
		{ { "" }, EC_NOT_FOUND, "" },
		{ { NULL }, EC_NOT_FOUND, "" },
	};
	for (size_t i = 0; i < NUM(cases); i++) {
		uint8_t room[3][1024];
		struct slice rdata[3];
		size_t num = 0;
		char id[STS_ID_MAX + 1];
		while (num < 3 && cases[i].texts[num] != NULL) {
			rdata[num] = txt(cases[i].texts[num], room[num]);
			num++;
		}
		enum ec ec = sts_txt_parse(rdata, num, id, NULL);
		if (ec != cases[i].ec || strcmp(id, cases[i].id) != 0)
			fail_msg("%s: %s, id %s", cases[i].texts[0], ec_name(ec), id);
	}
	/* A string that says it is longer than the record. */
	static const uint8_t cut[] = "\x20v=STSv1; id=1;";
	char id[STS_ID_MAX + 1];
	const struct slice damaged = slice_of(cut, sizeof cut - 1);
	assert_int_not_equal(sts_txt_parse(&damaged, 1, id, NULL), EC_OK);
}

#define GOOD "version: STSv1\nmode: enforce\nmx: mail.example.com\nmx: *.example.net\nmax_age: 604800\n"

static const struct {
	const char *text;
	enum ec ec;
	enum route_sts mode;
	uint32_t max_age_s;
	unsigned num_mx;
} policies[] = {
	{ GOOD, EC_OK, ROUTE_STS_ENFORCE, 604800, 2 },
	{ "version: STSv1\r\nmode: enforce\r\nmx: a.test\r\nmax_age: 1\r\n", EC_OK, ROUTE_STS_ENFORCE, 1, 1 },
	{ "version:STSv1\nmode:testing\nmx:a.test\nmax_age:1", EC_OK, ROUTE_STS_TESTING, 1, 1 },
	{ "max_age: 0\nmode: none\nversion: STSv1\n", EC_OK, ROUTE_STS_NONE, 0, 0 },
	{ "version: STSv1  \nmode: \t enforce\nmx: a.test \nmax_age: 1\n\n", EC_OK, ROUTE_STS_ENFORCE, 1, 1 },
	{ GOOD "x-more: anything: \xc3\xa9\n", EC_OK, ROUTE_STS_ENFORCE, 604800, 2 },
	{ GOOD "mode: none\nmax_age: 5\nversion: STSv2\n", EC_OK, ROUTE_STS_ENFORCE, 604800, 2 },
	{ "version: STSv1\nmode: enforce\nmx: a.test\nmax_age: 9999999999\n", EC_OK, ROUTE_STS_ENFORCE, 31557600, 1 },
	{ "version: STSv1\nmode: enforce\nmx: a.test\nmax_age: 31557600\n", EC_OK, ROUTE_STS_ENFORCE, 31557600, 1 },
	{ "version: STSv1\nmode: enforce\nmx: A.Test.\nmax_age: 1\n", EC_OK, ROUTE_STS_ENFORCE, 1, 1 },
	{ "version: STSv1\nmode: enforce\nmx: a.test\nmax_age: 10000000000\n", EC_SYNTAX, 0, 0, 0 },
	{ "version: STSv1\nmode: enforce\nmx: a.test\nmax_age: -1\n", EC_SYNTAX, 0, 0, 0 },
	{ "version: STSv1\nmode: enforce\nmx: a.test\nmax_age: 1d\n", EC_SYNTAX, 0, 0, 0 },
	{ "version: STSv1\nmode: enforce\nmx: a.test\nmax_age:\n", EC_SYNTAX, 0, 0, 0 },
	{ "version: STSv2\nmode: enforce\nmx: a.test\nmax_age: 1\n", EC_UNSUPPORTED, 0, 0, 0 },
	{ "version: STSv1\nmode: strict\nmx: a.test\nmax_age: 1\n", EC_SYNTAX, 0, 0, 0 },
	{ "version: STSv1\nmode: Enforce\nmx: a.test\nmax_age: 1\n", EC_SYNTAX, 0, 0, 0 },
	{ "mode: enforce\nmx: a.test\nmax_age: 1\n", EC_MISSING, 0, 0, 0 },
	{ "version: STSv1\nmx: a.test\nmax_age: 1\n", EC_MISSING, 0, 0, 0 },
	{ "version: STSv1\nmode: enforce\nmx: a.test\n", EC_MISSING, 0, 0, 0 },
	{ "version: STSv1\nmode: enforce\nmax_age: 1\n", EC_MISSING, 0, 0, 0 },
	{ "version: STSv1\nmode: testing\nmax_age: 1\n", EC_MISSING, 0, 0, 0 },
	{ "version: STSv1\nmode: enforce\nmx: a..test\nmax_age: 1\n", EC_SYNTAX, 0, 0, 0 },
	{ "version: STSv1\nmode: enforce\nmx: *\nmax_age: 1\n", EC_SYNTAX, 0, 0, 0 },
	{ "version: STSv1\nmode: enforce\nmx: *.\nmax_age: 1\n", EC_SYNTAX, 0, 0, 0 },
	{ "version: STSv1\nmode: enforce\nmx: a.*.test\nmax_age: 1\n", EC_SYNTAX, 0, 0, 0 },
	{ "version: STSv1\nmode: enforce\nmx: .a.test\nmax_age: 1\n", EC_SYNTAX, 0, 0, 0 },
	{ "version: STSv1\nmode: enforce\nmx: a.test, b.test\nmax_age: 1\n", EC_SYNTAX, 0, 0, 0 },
	{ "<html>\nversion: STSv1\nmode: none\nmax_age: 1\n", EC_SYNTAX, 0, 0, 0 },
	{ "", EC_MISSING, 0, 0, 0 },
};

static void policy_files(void **state)
{
	(void)state;
	static struct sts_policy p, again;
	for (size_t i = 0; i < NUM(policies); i++) {
		enum ec ec = sts_policy_parse(slice_str(policies[i].text), &p, NULL);
		if (ec != policies[i].ec)
			fail_msg("%s: %s", policies[i].text, ec_name(ec));
		assert_int_equal(p.mode, policies[i].mode);
		assert_int_equal(p.max_age_s, policies[i].max_age_s);
		assert_int_equal(p.num_mx, policies[i].num_mx);
		if (ec != EC_OK)
			continue;
		static char text[STS_PRINT_MAX];
		struct writer w = writer_of(text, sizeof text);
		assert_int_equal(sts_policy_print(&p, &w), EC_OK);
		assert_int_equal(sts_policy_parse(writer_slice(&w), &again, NULL), EC_OK);
		assert_memory_equal(&p, &again, sizeof p);
	}
}

static void policy_bounds(void **state)
{
	(void)state;
	static char text[STS_POLICY_MAX + 100];
	static struct sts_policy p;
	int len = snprintf(text, sizeof text, "version: STSv1\nmode: enforce\nmax_age: 1\n");
	for (unsigned i = 0; i < STS_MX_MAX; i++)
		len += snprintf(text + len, sizeof text - (size_t)len, "mx: h%u.test\n", i);
	assert_int_equal(sts_policy_parse(slice_of(text, (size_t)len), &p, NULL), EC_OK);
	assert_int_equal(p.num_mx, STS_MX_MAX);
	len += snprintf(text + len, sizeof text - (size_t)len, "mx: more.test\n");
	assert_int_equal(sts_policy_parse(slice_of(text, (size_t)len), &p, NULL), EC_LIMIT);
	memset(text, '\n', sizeof text);
	len = snprintf(text, sizeof text, "%s", GOOD);
	text[len] = '\n';
	assert_int_equal(sts_policy_parse(slice_of(text, STS_POLICY_MAX), &p, NULL), EC_OK);
	assert_int_equal(sts_policy_parse(slice_of(text, STS_POLICY_MAX + 1), &p, NULL), EC_LIMIT);
}

static void names(void **state)
{
	(void)state;
	static const struct {
		const char *pattern, *host;
		bool lists;
	} cases[] = {
		{ "mail.example.com", "mail.example.com", true },
		{ "mail.example.com", "MAIL.example.com", true },
		{ "mail.example.com", "mail.example.com.", true },
		{ "mail.example.com", "mail.example.org", false },
		{ "mail.example.com", "x.mail.example.com", false },
		{ "mail.example.com", "example.com", false },
		/* RFC 8461 4.1: *.example.net matches one label */
		{ "*.example.net", "mx1.example.net", true },
		{ "*.Example.net", "mx1.eXample.net", true },
		{ "*.example.net", "a.b.example.net", false },
		{ "*.example.net", "example.net", false },
		{ "*.example.net", "mx1example.net", false },
		{ "*.example.net", ".example.net", true }, /* no such host: DNS has no empty label */
		{ "*.net", "mx1.example.net", false },
	};
	for (size_t i = 0; i < NUM(cases); i++) {
		static struct sts_policy p;
		char text[200];
		(void)snprintf(text, sizeof text, "version: STSv1\nmode: enforce\nmx: other.test\nmx: %s\nmax_age: 1\n", cases[i].pattern);
		assert_int_equal(sts_policy_parse(slice_str(text), &p, NULL), EC_OK);
		if (sts_policy_lists(&p, cases[i].host) != cases[i].lists)
			fail_msg("%s, %s", cases[i].pattern, cases[i].host);
	}
}

/* --- the cache ------------------------------------------------------------------------------ */

static struct wall at(int64_t s)
{
	return (struct wall){ 1800000000 + s };
}

static struct sts_policy policy_of(uint32_t max_age_s)
{
	struct sts_policy p = { .mode = ROUTE_STS_ENFORCE, .max_age_s = max_age_s, .num_mx = 1 };
	(void)snprintf(p.mx[0], STS_MX_SIZE, "mx.test");
	return p;
}

static enum sts_step decide(struct sts_cache *c, enum sts_txt what, const char *id, int64_t now)
{
	static struct sts_policy p;
	return sts_cache_decide(c, "a.test", what, id, at(now), true, &p);
}

static void a_policy_holds(void **state)
{
	(void)state;
	struct sts_cache *c = sts_cache_new();
	struct sts_policy week = policy_of(604800);
	assert_int_equal(decide(c, STS_TXT_NONE, "", 0), STS_STEP_NONE);
	assert_int_equal(decide(c, STS_TXT_FAILED, "", 0), STS_STEP_NONE);
	assert_int_equal(decide(c, STS_TXT_FOUND, "1", 0), STS_STEP_FETCH);
	assert_int_equal(sts_cache_store(c, "a.test", "1", &week, at(0)), EC_OK);
	assert_int_equal(decide(c, STS_TXT_FOUND, "1", 1), STS_STEP_USE);
	/* RFC 8461 5.1, 10.2: neither a record that is gone nor one that can't be read end it */
	assert_int_equal(decide(c, STS_TXT_NONE, "", 604799), STS_STEP_USE);
	assert_int_equal(decide(c, STS_TXT_FAILED, "", 604799), STS_STEP_USE);
	assert_int_equal(decide(c, STS_TXT_NONE, "", 604800), STS_STEP_NONE);
	assert_int_equal(decide(c, STS_TXT_FAILED, "", 604800), STS_STEP_NONE);
	assert_int_equal(decide(c, STS_TXT_FOUND, "1", 604800), STS_STEP_FETCH);
	/* a new id, though the old policy is fresh */
	assert_int_equal(decide(c, STS_TXT_FOUND, "2", 1), STS_STEP_FETCH);
	static struct sts_policy found;
	assert_true(sts_cache_get(c, "a.test", at(2), &found));
	assert_memory_equal(&found, &week, sizeof week);
	assert_false(sts_cache_get(c, "b.test", at(2), &found));
	/* a clock that was set back by more than a day */
	assert_true(sts_cache_get(c, "a.test", at(-86400), &found));
	assert_false(sts_cache_get(c, "a.test", at(-86401), &found));
	sts_cache_free(c);
}

static void failures_wait(void **state)
{
	(void)state;
	struct sts_cache *c = sts_cache_new();
	static const int64_t waits[] = { 300, 600, 1200, 2400, 3600, 3600 };
	int64_t now = 0;
	for (size_t i = 0; i < NUM(waits); i++) {
		assert_int_equal(decide(c, STS_TXT_FOUND, "1", now), STS_STEP_FETCH);
		sts_cache_failed(c, "a.test", "1", at(now));
		assert_int_equal(decide(c, STS_TXT_FOUND, "1", now), STS_STEP_NONE);
		now += waits[i];
		assert_int_equal(decide(c, STS_TXT_FOUND, "1", now - 1), STS_STEP_NONE);
	}
	/* another id does not wait, and its first failure is a first one */
	sts_cache_failed(c, "a.test", "1", at(now));
	assert_int_equal(decide(c, STS_TXT_FOUND, "2", now), STS_STEP_FETCH);
	sts_cache_failed(c, "a.test", "2", at(now));
	assert_int_equal(decide(c, STS_TXT_FOUND, "2", now + 299), STS_STEP_NONE);
	assert_int_equal(decide(c, STS_TXT_FOUND, "2", now + 300), STS_STEP_FETCH);
	/* with a policy that holds, that one is used meanwhile */
	struct sts_policy week = policy_of(604800);
	assert_int_equal(sts_cache_store(c, "a.test", "2", &week, at(now)), EC_OK);
	sts_cache_failed(c, "a.test", "3", at(now));
	assert_int_equal(decide(c, STS_TXT_FOUND, "3", now + 1), STS_STEP_USE);
	assert_int_equal(decide(c, STS_TXT_FOUND, "3", now + 300), STS_STEP_FETCH);
	sts_cache_free(c);
}

static void refreshed_in_time(void **state)
{
	(void)state;
	static struct sts_policy p;
	struct sts_cache *c = sts_cache_new();
	struct sts_policy hour = policy_of(3600), year = policy_of(31557600);
	assert_int_equal(sts_cache_store(c, "a.test", "1", &hour, at(0)), EC_OK);
	assert_int_equal(decide(c, STS_TXT_FOUND, "1", 1799), STS_STEP_USE);
	assert_null(sts_cache_due(c, at(1799)));
	assert_string_equal(sts_cache_due(c, at(1800)), "a.test");
	assert_null(sts_cache_due(c, at(1801))); /* it is being looked at */
	assert_int_equal(decide(c, STS_TXT_FOUND, "1", 1800), STS_STEP_USE_AND_FETCH);
	assert_int_equal(decide(c, STS_TXT_FOUND, "1", 1801), STS_STEP_USE); /* that fetch is under way */
	assert_int_equal(decide(c, STS_TXT_FOUND, "1", 1860), STS_STEP_USE_AND_FETCH);
	/* one of a year after a day */
	assert_int_equal(sts_cache_store(c, "a.test", "1", &year, at(5000)), EC_OK);
	assert_int_equal(decide(c, STS_TXT_FOUND, "1", 5000 + 86399), STS_STEP_USE);
	assert_int_equal(decide(c, STS_TXT_FOUND, "1", 5000 + 86400), STS_STEP_USE_AND_FETCH);
	/* what nobody uses is not kept fresh: looks in the background don't count */
	assert_int_equal(sts_cache_store(c, "a.test", "1", &hour, at(200000)), EC_OK);
	assert_null(sts_cache_due(c, at(202000)));
	assert_int_equal(sts_cache_decide(c, "a.test", STS_TXT_FOUND, "1", at(202000), false, &p), STS_STEP_USE_AND_FETCH);
	assert_null(sts_cache_due(c, at(202001)));
	sts_cache_free(c);
}

static void bounded(void **state)
{
	(void)state;
	struct sts_cache *c = sts_cache_new();
	struct sts_policy p = policy_of(100000);
	char name[40];
	for (int i = 0; i < STS_CACHE_MAX + 10; i++) {
		(void)snprintf(name, sizeof name, "d%d.test", i);
		assert_int_equal(sts_cache_store(c, name, "1", &p, at(i)), EC_OK);
	}
	assert_int_equal(sts_cache_num(c), STS_CACHE_MAX);
	static struct sts_policy found;
	assert_false(sts_cache_get(c, "d9.test", at(5000), &found)); /* the oldest went */
	assert_true(sts_cache_get(c, "d10.test", at(5000), &found));
	assert_int_equal(sts_cache_store(c, "", "1", &p, at(0)), EC_RANGE);
	char longer[300];
	memset(longer, 'a', sizeof longer);
	longer[254] = '\0';
	assert_int_equal(sts_cache_store(c, longer, "1", &p, at(0)), EC_RANGE);
	sts_cache_failed(c, longer, "1", at(0));
	assert_int_equal(sts_cache_num(c), STS_CACHE_MAX);
	sts_cache_free(c);
}

static void files(void **state)
{
	(void)state;
	struct sts_cache *c = sts_cache_new(), *d = sts_cache_new();
	struct sts_policy p = policy_of(3600);
	struct bytes text = { 0 };
	static struct sts_policy found;
	assert_int_equal(sts_cache_store(c, "a.test", "abc1", &p, at(0)), EC_OK);
	assert_int_equal(sts_cache_print(c, "b.test", &text), EC_NOT_FOUND);
	assert_int_equal(sts_cache_print(c, "a.test", &text), EC_OK);
	struct slice s = bytes_slice(&text);
	assert_int_equal(sts_cache_load(d, "a.test", s, at(10), NULL), EC_OK);
	assert_true(sts_cache_get(d, "a.test", at(3599), &found));
	assert_false(sts_cache_get(d, "a.test", at(3600), &found)); /* from when it was fetched, not from the loading */
	assert_int_equal(decide(d, STS_TXT_FOUND, "abc1", 20), STS_STEP_USE);
	sts_cache_free(d);
	d = sts_cache_new();
	assert_int_equal(sts_cache_load(d, "b.test", s, at(10), NULL), EC_CORRUPT); /* another's */
	assert_int_equal(sts_cache_load(d, "a.test", s, at(3600), NULL), EC_EXPIRED);
	for (size_t cut = 0; cut < s.len - 2; cut++)
		assert_int_equal(sts_cache_load(d, "a.test", slice_first(s, cut), at(10), NULL), EC_CORRUPT);
	static const char *const bad[] = {
		"[]", "{}", "{\"domain\":\"a.test\"}",
		"{\"domain\":\"a.test\",\"id\":\"a b\",\"fetched\":1800000000,\"policy\":\"" "version: STSv1\\nmode: none\\nmax_age: 9\\n\"}",
		"{\"domain\":\"a.test\",\"id\":\"1\",\"fetched\":\"now\",\"policy\":\"" "version: STSv1\\nmode: none\\nmax_age: 9\\n\"}",
		"{\"domain\":\"a.test\",\"id\":\"1\",\"fetched\":1800000000,\"policy\":\"mode: none\\nmax_age: 9\\n\"}",
		"{\"domain\":\"a.test\",\"id\":\"1\",\"fetched\":9223372036854775807,\"policy\":\"" "version: STSv1\\nmode: none\\nmax_age: 9\\n\"}",
	};
	for (size_t i = 0; i < NUM(bad); i++)
		assert_int_equal(sts_cache_load(d, "a.test", slice_str(bad[i]), at(1), NULL), EC_CORRUPT);
	assert_int_equal(sts_cache_num(d), 0);
	/* Read while the clock was years behind, as at a start without a clock that runs on: it holds once the clock is right. */
	assert_int_equal(sts_cache_load(d, "a.test", s, (struct wall){ 0 }, NULL), EC_OK);
	assert_false(sts_cache_get(d, "a.test", (struct wall){ 0 }, &found));
	assert_true(sts_cache_get(d, "a.test", at(10), &found));
	bytes_fini(&text);
	sts_cache_free(c);
	sts_cache_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records),        cmocka_unit_test(policy_files),  cmocka_unit_test(policy_bounds),
		cmocka_unit_test(names),          cmocka_unit_test(a_policy_holds), cmocka_unit_test(failures_wait),
		cmocka_unit_test(refreshed_in_time), cmocka_unit_test(bounded),    cmocka_unit_test(files),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
