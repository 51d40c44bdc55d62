/* A route as JSON is read as if a stranger had written it, and a static one says what the connector demands. */
#include "proxy/relay/route.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/address.h"
#include "tests/unit/unit.h"

#define HOP(more)                                                                                                             \
	"{\"name\":\"mx.test\",\"port\":25,\"path\":\"\",\"priority\":10,\"preference\":5,\"weight\":1,\"mx\":true,\"tls\":\"must\"," \
	"\"verify\":\"dane\",\"sts\":false,\"sts_listed\":false,\"addresses\":[\"192.0.2.1\",\"2001:db8::1\"],"               \
	"\"names\":[\"mx.test\",\"test\"],\"records\":[\"03010100ff\"]" more "}"
#define ROUTE(hops) "{\"do\":\"route\",\"route\":7,\"ttl_ms\":300000,\"sts_mode\":\"none\",\"hops\":[" hops "]}"

static json_t *json_of(const char *text)
{
	json_error_t error;
	json_t *json = json_loads(text, 0, &error);
	if (json == NULL)
		fail_msg("%s: %s", text, error.text);
	return json;
}

static void reads_all(void **state)
{
	(void)state;
	json_t *json = json_of(ROUTE(HOP("")));
	struct route *r = NULL;
	uint64_t id = 0;
	assert_int_equal(route_parse(json, &r, NULL), EC_OK);
	assert_int_equal(route_answer_id(json, &id), EC_OK);
	assert_int_equal(id, 7);
	assert_int_equal(r->ttl_ms, 300000);
	assert_int_equal(r->num_hops, 1);
	const struct route_hop *h = &r->hops[0];
	assert_string_equal(h->name, "mx.test");
	assert_true(h->mx);
	assert_int_equal(h->num_addresses, 2);
	char text[ADDRESS_TEXT_SIZE];
	address_print(text, &h->addresses[1]);
	assert_string_equal(text, "[2001:db8::1]:25");
	assert_int_equal(h->num_records, 1);
	assert_true(slice_eq(h->records[0], SLICE_LIT("\x03\x01\x01\x00\xff")));
	assert_string_equal(h->names[1], "test");
	assert_int_equal(route_refused(r, NULL), SMTP_R_NONE);
	/* and writes it again */
	json_t *again = route_json(r, 7);
	json_object_del(json, "do");
	assert_true(json_equal(json, again));
	json_decref(again);
	struct route *second = route_share(r);
	route_free(r);
	assert_string_equal(second->hops[0].name, "mx.test");
	route_free(second);
	json_decref(json);
}

/* One change each, by replacing a part of the good one. */
static const struct {
	const char *old, *new;
	enum ec ec;
} breaks[] = {
	{ "\"ttl_ms\":300000", "\"ttl_ms\":0", EC_SYNTAX },
	{ "\"ttl_ms\":300000", "\"ttl_ms\":-1", EC_SYNTAX },
	{ "\"ttl_ms\":300000", "\"ttl_ms\":3600001", EC_LIMIT },
	{ "\"ttl_ms\":300000", "\"ttl_ms\":\"300000\"", EC_SYNTAX },
	{ "\"ttl_ms\":300000,", "", EC_SYNTAX },
	{ "\"sts_mode\":\"none\"", "\"sts_mode\":\"maybe\"", EC_SYNTAX },
	{ "\"sts_mode\":\"none\",", "", EC_SYNTAX },
	{ "\"sts_mode\"", "\"refused\":\"HOP_DNS\",\"why\":\"x\",\"sts_mode\"", EC_SYNTAX }, /* refused, and hops */
	{ "\"sts_mode\"", "\"refused\":\"HOP_DNS\",\"sts_mode\"", EC_SYNTAX },
	{ "\"sts_mode\"", "\"why\":\"x\",\"sts_mode\"", EC_SYNTAX },
	{ "\"sts_mode\"", "\"refused\":\"BYE\",\"why\":\"x\",\"sts_mode\"", EC_SYNTAX }, /* not a reply of hops */
	{ "\"hops\"", "\"hop\"", EC_SYNTAX },
	{ "\"name\":\"mx.test\"", "\"name\":\"\"", EC_SYNTAX },
	{ "\"name\":\"mx.test\"", "\"name\":\"mx\\r\\n.test\"", EC_SYNTAX },
	{ "\"name\":\"mx.test\"", "\"name\":\"m\\u00fc.test\"", EC_SYNTAX },
	{ "\"name\":\"mx.test\"", "\"name\":5", EC_SYNTAX },
	{ "\"port\":25", "\"port\":0", EC_SYNTAX },
	{ "\"mx\":true,", "", EC_SYNTAX },
	{ "\"mx\":true", "\"mx\":1", EC_SYNTAX },
	{ "\"port\":25", "\"port\":65536", EC_LIMIT },
	{ "\"port\":25", "\"port\":25.0", EC_SYNTAX },
	{ "\"path\":\"\"", "\"path\":\"/run/x\"", EC_SYNTAX }, /* a socket with a port and addresses */
	{ "\"path\":\"\"", "\"path\":\"run/x\"", EC_SYNTAX },
	{ "\"priority\":10", "\"priority\":4294967296", EC_LIMIT },
	{ "\"preference\":5", "\"preference\":65536", EC_LIMIT },
	{ "\"weight\":1", "\"weight\":0", EC_SYNTAX },
	{ "\"tls\":\"must\"", "\"tls\":\"may\"", EC_SYNTAX }, /* a proof, but no TLS */
	{ "\"tls\":\"must\"", "\"tls\":\"none\"", EC_SYNTAX },
	{ "\"tls\":\"must\"", "\"tls\":\"always\"", EC_SYNTAX },
	{ "\"verify\":\"dane\"", "\"verify\":\"any\"", EC_SYNTAX }, /* records for nothing */
	{ "\"verify\":\"dane\"", "\"verify\":\"names\"", EC_SYNTAX },
	{ "\"records\":[\"03010100ff\"]", "\"records\":[]", EC_SYNTAX }, /* DANE without records must not pass as anything */
	{ "\"records\":[\"03010100ff\"]", "\"records\":[\"030101\"]", EC_SYNTAX },
	{ "\"records\":[\"03010100ff\"]", "\"records\":[\"03010100f\"]", EC_SYNTAX },
	{ "\"records\":[\"03010100ff\"]", "\"records\":[\"0301010zff\"]", EC_SYNTAX },
	{ "\"records\":[\"03010100ff\"]", "\"records\":\"03010100ff\"", EC_SYNTAX },
	{ "\"names\":[\"mx.test\",\"test\"]", "\"names\":[]", EC_SYNTAX },
	{ "\"names\":[\"mx.test\",\"test\"]", "\"names\":[\"\"]", EC_SYNTAX },
	{ "\"names\":[\"mx.test\",\"test\"]", "\"names\":[\"a\",\"b\",\"c\",\"d\"]", EC_LIMIT },
	{ "\"sts\":false", "\"sts\":true", EC_SYNTAX }, /* MTA-STS proves names */
	{ "\"sts\":false", "\"sts\":0", EC_SYNTAX },
	{ "\"addresses\":[\"192.0.2.1\",\"2001:db8::1\"]", "\"addresses\":[]", EC_SYNTAX },
	{ "\"addresses\":[\"192.0.2.1\",\"2001:db8::1\"]", "\"addresses\":[\"mx.test\"]", EC_SYNTAX },
	{ "\"addresses\":[\"192.0.2.1\",\"2001:db8::1\"]", "\"addresses\":[\"192.0.2.1:26\"]", EC_SYNTAX },
	{ "\"addresses\":[\"192.0.2.1\",\"2001:db8::1\"]", "\"addresses\":[\"[2001:db8::1]\"]", EC_SYNTAX },
	{ "\"addresses\":[\"192.0.2.1\",\"2001:db8::1\"]", "\"addresses\":[\"1.1.1.1\",\"1.1.1.2\",\"1.1.1.3\",\"1.1.1.4\",\"1.1.1.5\",\"1.1.1.6\",\"1.1.1.7\",\"1.1.1.8\",\"1.1.1.9\"]", EC_LIMIT },
	{ "\"records\":[\"03010100ff\"]", "\"records\":[\"03010100ff\"],\"refused\":\"HOP_TLSA\",\"why\":\"x\"", EC_SYNTAX }, /* with addresses */
	{ "\"do\":\"route\"", "\"do\":\"route\",\"unknown\":1", EC_OK },
};

static void refused_whole(void **state)
{
	(void)state;
	for (size_t i = 0; i < NUM(breaks); i++) {
		static const char good[] = ROUTE(HOP(""));
		char text[4096];
		const char *at = strstr(good, breaks[i].old);
		assert_non_null(at);
		(void)snprintf(text, sizeof text, "%.*s%s%s", (int)(at - good), good, breaks[i].new, at + strlen(breaks[i].old));
		json_t *json = json_of(text);
		struct route *r = NULL;
		struct why why = { 0 };
		enum ec ec = route_parse(json, &r, &why);
		if (ec != breaks[i].ec || (ec == EC_OK) != (r != NULL) || (ec != EC_OK && why.text[0] == '\0'))
			fail_msg("%s -> %s: %s", breaks[i].old, breaks[i].new, ec_name(ec));
		route_free(r);
		json_decref(json);
	}
}

static enum ec parse_text(const char *text)
{
	json_t *json = json_of(text);
	struct route *r = NULL;
	enum ec ec = route_parse(json, &r, NULL);
	route_free(r);
	json_decref(json);
	return ec;
}

static void bounds(void **state)
{
	(void)state;
	char *text = malloc(6 << 20), *record = malloc(2 * ROUTE_RDATA_MAX + 3);
	assert_non_null(text);
	assert_non_null(record);
	for (unsigned extra = 0; extra < 2; extra++) {
		size_t len = (size_t)snprintf(text, 6 << 20, "{\"route\":7,\"ttl_ms\":1,\"sts_mode\":\"none\",\"hops\":[");
		for (unsigned i = 0; i < ROUTE_HOPS_MAX + extra; i++)
			len += (size_t)snprintf(text + len, (6 << 20) - len, "%s%s", i > 0 ? "," : "", HOP(""));
		(void)snprintf(text + len, (6 << 20) - len, "]}");
		assert_int_equal(parse_text(text), extra == 0 ? EC_OK : EC_LIMIT);
	}
	/* one record, then all records of a route */
	memset(record, 'a', 2 * ROUTE_RDATA_MAX + 2);
	for (unsigned octets = ROUTE_RDATA_MAX; octets <= ROUTE_RDATA_MAX + 1; octets++) {
		json_t *json = json_of(ROUTE(HOP("")));
		record[2 * octets] = '\0';
		json_t *records = json_object_get(json_array_get(json_object_get(json, "hops"), 0), "records");
		json_array_set_new(records, 0, json_string(record));
		struct route *r = NULL;
		assert_int_equal(route_parse(json, &r, NULL), octets == ROUTE_RDATA_MAX ? EC_OK : EC_LIMIT);
		route_free(r);
		json_decref(json);
		record[2 * octets] = 'a';
	}
	record[2 * ROUTE_RDATA_MAX] = '\0';
	for (unsigned num = ROUTE_RDATA_TOTAL / ROUTE_RDATA_MAX; num <= ROUTE_RDATA_TOTAL / ROUTE_RDATA_MAX + 1; num++) {
		json_t *json = json_of(ROUTE(HOP("") "," HOP("") "," HOP("")));
		for (unsigned i = 0; i < num; i++) {
			json_t *records = json_object_get(json_array_get(json_object_get(json, "hops"), i / ROUTE_RECORDS_MAX), "records");
			if (i % ROUTE_RECORDS_MAX == 0)
				json_array_clear(records);
			json_array_append_new(records, json_string(record));
		}
		/* the third hop has its short one, unless it has a long one */
		struct route *r = NULL;
		json_array_remove(json_object_get(json, "hops"), num > 32 ? 3 : 2);
		assert_int_equal(route_parse(json, &r, NULL), num == 32 ? EC_OK : EC_LIMIT);
		route_free(r);
		json_decref(json);
	}
	free(record);
	free(text);
}

static void order(void **state)
{
	(void)state;
	static const char first[] = "\"preference\":5", later[] = "\"preference\":6";
	char a[1024], text[4096];
	const char *hop = HOP("");
	const char *at = strstr(hop, first);
	(void)snprintf(a, sizeof a, "%.*s%s%s", (int)(at - hop), hop, later, at + strlen(first));
	(void)snprintf(text, sizeof text, "{\"route\":7,\"ttl_ms\":1,\"sts_mode\":\"none\",\"hops\":[%s,%s]}", hop, a);
	assert_int_equal(parse_text(text), EC_OK);
	(void)snprintf(text, sizeof text, "{\"route\":7,\"ttl_ms\":1,\"sts_mode\":\"none\",\"hops\":[%s,%s]}", a, hop);
	assert_int_equal(parse_text(text), EC_SYNTAX);
	assert_int_equal(parse_text("{\"route\":7,\"ttl_ms\":1,\"sts_mode\":\"none\",\"hops\":[]}"), EC_SYNTAX);
	assert_int_equal(parse_text("[]"), EC_SYNTAX);
}

static void refusals(void **state)
{
	(void)state;
	static const enum smtp_reply_id ids[] = {
		SMTP_R_HOP_NO_STARTTLS, SMTP_R_HOP_EXPIRED, SMTP_R_HOP_TLSA, SMTP_R_HOP_DNSSEC, SMTP_R_HOP_NAME, SMTP_R_HOP_TRUST,
		SMTP_R_HOP_STS, SMTP_R_HOP_DNS, SMTP_R_HOP_BUSY, SMTP_R_HOP_NO_HOST, SMTP_R_HOP_NULL_MX, SMTP_R_NO_ROUTE,
		SMTP_R_HOP_LOOP,
	};
	for (size_t i = 0; i < NUM(ids); i++) {
		struct route *r = NULL, *again = NULL;
		const char *why = NULL;
		assert_int_equal(route_refusal(ids[i], "because\r\n\xff", 0, &r), EC_OK);
		assert_int_equal(r->ttl_ms, 1);
		json_t *json = route_json(r, UINT32_MAX);
		assert_int_equal(route_parse(json, &again, NULL), EC_OK);
		assert_int_equal(route_refused(again, &why), ids[i]);
		assert_string_equal(why, "because???"); /* nothing that could forge a line */
		json_decref(json);
		route_free(again);
		route_free(r);
	}
}

/* Of hops that are all refused, one that says "later" speaks for the route: the message may still arrive. */
static void which_refusal(void **state)
{
	(void)state;
	struct route *r = NULL;
	assert_int_equal(route_make(3, 0, &r), EC_OK);
	route_hop_refuse(&r->hops[0], SMTP_R_HOP_NO_HOST, "a");
	route_hop_refuse(&r->hops[1], SMTP_R_HOP_TLSA, "b");
	route_hop_refuse(&r->hops[2], SMTP_R_HOP_DNS, "c");
	const char *why = NULL;
	assert_int_equal(route_refused(r, &why), SMTP_R_HOP_TLSA);
	assert_string_equal(why, "b");
	r->hops[1].refused = SMTP_R_NONE;
	assert_int_equal(route_refused(r, &why), SMTP_R_NONE);
	r->hops[1].refused = r->hops[2].refused = SMTP_R_HOP_NO_HOST;
	assert_int_equal(route_refused(r, &why), SMTP_R_HOP_NO_HOST);
	assert_string_equal(why, "a");
	route_free(r);
}

static void questions(void **state)
{
	(void)state;
	const struct route_question q = { .id = 12, .connector = "store", .domain = "example.org" };
	struct route_question again;
	json_t *json = route_question_json(&q);
	assert_int_equal(route_question_parse(json, &again, NULL), EC_OK);
	assert_memory_equal(&q, &again, sizeof q);
	json_decref(json);
	static const struct {
		const char *text;
		enum ec ec;
	} bad[] = {
		{ "[]", EC_SYNTAX },
		{ "{\"connector\":\"a\",\"domain\":\"\"}", EC_SYNTAX },
		{ "{\"route\":-1,\"connector\":\"a\",\"domain\":\"\"}", EC_SYNTAX },
		{ "{\"route\":1,\"connector\":\"a\"}", EC_SYNTAX },
		{ "{\"route\":1,\"domain\":\"\"}", EC_SYNTAX },
		{ "{\"route\":1,\"connector\":\"a\",\"domain\":\"a\\u0000b\"}", EC_SYNTAX },
		{ "{\"route\":1,\"connector\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\",\"domain\":\"\"}", EC_LIMIT },
	};
	for (size_t i = 0; i < NUM(bad); i++) {
		json_error_t error;
		json = json_loads(bad[i].text, JSON_ALLOW_NUL, &error);
		assert_int_equal(route_question_parse(json, &again, NULL), bad[i].ec);
		json_decref(json);
	}
}

/* --- static routes --------------------------------------------------------------------------- */

static char empty[] = "";

static struct config_connector connector(struct config_next_hop *hops, size_t num)
{
	return (struct config_connector){
		.name = empty, .next_hops = hops, .num_next_hops = num, .tls_ca = empty, .tls_name = empty, .until = empty, .reason = empty,
		.tls = CONFIG_TLS_OPPORTUNISTIC, .dane = CONFIG_DANE_OPPORTUNISTIC, .mta_sts = CONFIG_MTA_STS_OPPORTUNISTIC,
	};
}

static void static_routes(void **state)
{
	(void)state;
	static char a[] = "192.0.2.1:25", b[] = "[2001:db8::1]:2525", u[] = "unix:/run/lmtp", host[] = "mx.test:25", mx[] = "mx";
	static char name[] = "store.test", *pins[] = { name }, today[] = "2027-01-15", yesterday[] = "2027-01-14";
	struct config_next_hop hops[] = { { .to = u, .priority = 30, .weight = 5 }, { .to = a, .priority = 10, .weight = 1 }, { .to = b, .priority = 20, .weight = 1 } };
	struct config_connector c = connector(hops, 3);
	const struct wall now = { 1800000000 }; /* 2027-01-15T08:00Z */
	struct route *r = NULL;
	assert_true(route_is_static(&c));
	assert_false(route_is_per_domain(&c));
	assert_int_equal(route_static(&c, now, &r, NULL), EC_OK);
	assert_int_equal(r->ttl_ms, ROUTE_TTL_MAX_MS);
	assert_string_equal(r->hops[0].name, "192.0.2.1");
	assert_string_equal(r->hops[1].name, "2001:db8::1");
	assert_int_equal(r->hops[1].port, 2525);
	assert_string_equal(r->hops[2].path, "/run/lmtp");
	assert_int_equal(r->hops[2].weight, 5);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(r->hops[i].tls, ROUTE_TLS_MAY);
		assert_int_equal(r->hops[i].verify, ROUTE_VERIFY_ANY);
		assert_int_equal(r->hops[i].refused, SMTP_R_NONE);
	}
	json_t *json = route_json(r, 1);
	struct route *again = NULL;
	assert_int_equal(route_parse(json, &again, NULL), EC_OK);
	json_decref(json);
	route_free(again);
	route_free(r);

	c.tls = CONFIG_TLS_REQUIRE;
	assert_int_equal(route_static(&c, now, &r, NULL), EC_OK);
	assert_int_equal(r->hops[0].verify, ROUTE_VERIFY_NAMES);
	assert_string_equal(r->hops[0].names[0], "192.0.2.1");
	assert_int_equal(r->hops[2].refused, SMTP_R_HOP_TRUST); /* a socket has no name */
	route_free(r);
	c.tls_name = name;
	assert_int_equal(route_static(&c, now, &r, NULL), EC_OK);
	assert_string_equal(r->hops[2].names[0], "store.test");
	assert_int_equal(r->hops[2].refused, SMTP_R_NONE);
	route_free(r);
	c.tls_pins = (struct config_list){ .items = pins, .num = 1 };
	assert_int_equal(route_static(&c, now, &r, NULL), EC_OK);
	assert_int_equal(r->hops[0].verify, ROUTE_VERIFY_PINS);
	route_free(r);
	c.dane = CONFIG_DANE_MANDATORY;
	assert_int_equal(route_static(&c, now, &r, NULL), EC_OK);
	assert_int_equal(route_refused(r, NULL), SMTP_R_HOP_TLSA);
	route_free(r);

	/* An exception, and the last minute of it: the route is no better for longer. */
	c = connector(hops, 3);
	c.tls = CONFIG_TLS_NONE;
	c.until = today;
	assert_int_equal(route_static(&c, now, &r, NULL), EC_OK);
	assert_int_equal(r->hops[0].tls, ROUTE_TLS_NONE);
	assert_int_equal(r->ttl_ms, ROUTE_TTL_MAX_MS);
	route_free(r);
	const struct wall late = { 1800000000 + 16 * 3600 - 60 };
	assert_int_equal(route_static(&c, late, &r, NULL), EC_OK);
	assert_int_equal(r->hops[0].tls, ROUTE_TLS_NONE);
	assert_int_equal(r->ttl_ms, 60000);
	route_free(r);
	c.until = yesterday;
	assert_int_equal(route_static(&c, now, &r, NULL), EC_OK);
	assert_int_equal(r->hops[0].tls, ROUTE_TLS_MAY);
	route_free(r);

	hops[1].to = host;
	assert_false(route_is_static(&c));
	assert_int_equal(route_static(&c, now, &r, NULL), EC_UNSUPPORTED);
	assert_false(route_is_per_domain(&c));
	hops[1].to = mx;
	assert_true(route_is_per_domain(&c));
	assert_false(route_is_static(&c));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_all),     cmocka_unit_test(refused_whole), cmocka_unit_test(bounds),
		cmocka_unit_test(order),         cmocka_unit_test(refusals),      cmocka_unit_test(which_refusal),
		cmocka_unit_test(questions),     cmocka_unit_test(static_routes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
