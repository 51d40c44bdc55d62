/* Which connector a domain goes by. */
#include "proxy/smtp/connectors.h"

#include <stdio.h>
#include <stdlib.h>

#include "config/config.h"
#include "tests/unit/unit.h"

/* Allocations are counted, and the one numbered `fail_at` fails. */
static unsigned allocations, fail_at;

void *__real_calloc(size_t n, size_t size);
char *__real_strdup(const char *s);
void *__real_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
char *__wrap_strdup(const char *s);
void *__wrap_malloc(size_t size);

void *__wrap_calloc(size_t n, size_t size)
{
	return ++allocations == fail_at ? NULL : __real_calloc(n, size);
}

char *__wrap_strdup(const char *s)
{
	return ++allocations == fail_at ? NULL : __real_strdup(s);
}

void *__wrap_malloc(size_t size)
{
	return ++allocations == fail_at ? NULL : __real_malloc(size);
}

static struct config *config_of(const char *yaml)
{
	struct config *cfg = NULL;
	static struct config_errors errs;
	errs = (struct config_errors){ 0 };
	if (config_parse(slice_str(yaml), "t", &cfg, &errs) != EC_OK)
		fail_msg("%s", errs.items[0]);
	return cfg;
}

static struct connectors *table_of(const char *yaml)
{
	struct connectors *t = NULL;
	struct config *cfg = config_of(yaml);
	assert_int_equal(connectors_new(cfg, &t), EC_OK);
	config_free(cfg); /* the table stands alone */
	return t;
}

static const char *name_of(const struct connectors *t, const char *domain)
{
	/* Exactly as large as the text, for the address sanitizer. */
	size_t len = strlen(domain);
	char *exact = malloc(len == 0 ? 1 : len);
	assert_non_null(exact);
	memcpy(exact, domain, len);
	size_t i = connectors_find(t, slice_of(exact, len));
	free(exact);
	return i == CONNECTOR_NONE ? "-" : connectors_name(t, i);
}

static const char rich[] = "connectors:\n"
			   "  - {name: exact, domains: [example.org, deep.a.example.net, xn--bcher-kva.example], next_hops: [{to: mx}]}\n"
			   "  - {name: below, domains: ['*.example.org', '*.example.net', '*.BÜCHER.example', '*.bücher.example'], next_hops: [{to: 'unix:/x'}]}\n"
			   "  - {name: deeper, domains: ['*.a.example.net', '*.org.example.org'], next_hops: [{to: 'unix:/x'}]}\n"
			   "  - {name: tld, domains: ['*.test', lan], next_hops: [{to: 'unix:/x'}]}\n";

static const struct {
	const char *domain, *name;
} finds[] = {
	{ "example.org", "exact" },
	{ "EXAMPLE.Org", "exact" },
	{ "a.example.org", "below" },
	{ "a.b.c.EXAMPLE.org", "below" },
	/* The dot counts. */
	{ "anexample.org", "-" },
	{ "example.org.evil.example", "-" },
	{ "org", "-" },
	{ "xorg", "-" },
	/* A suffix needs a label in front. */
	{ "example.net", "-" },
	{ "b.example.net", "below" },
	/* The longest suffix; and the exact name before it. */
	{ "a.example.net", "below" },
	{ "x.a.example.net", "deeper" },
	{ "deep.a.example.net", "exact" },
	{ "x.deep.a.example.net", "deeper" },
	{ "aa.example.net", "below" },
	{ "org.example.org", "below" },
	{ "x.org.example.org", "deeper" },
	{ "lan", "tld" },
	{ "x.lan", "-" },
	{ "test", "-" },
	{ "a.test", "tld" },
	/* However an internationalized label is written. */
	{ "bücher.example", "exact" },
	{ "XN--BCHER-KVA.example", "exact" },
	{ "a.bücher.example", "below" },
	{ "a.xn--bcher-kva.example", "below" },
	{ "ü.example.org", "below" },
	/* A capital makes another name, as in DNS; it has a pattern of its own here. */
	{ "BÜCHER.example", "-" },
	{ "x.BÜCHER.example", "below" },
	/* Nothing of these is anybody's. */
	{ "", "-" },
	{ "[192.0.2.1]", "-" },
	{ "[IPv6:2001:db8::1]", "-" },
	{ ".example.org", "-" },
	{ "a..example.org", "-" },
	{ "example.org.", "-" },
	{ "*.example.org", "below" },
	{ "*", "-" },
	{ ".", "-" },
	{ "\xff.example.org", "-" },
};

static void patterns(void **state)
{
	(void)state;
	struct connectors *t = table_of(rich);
	for (size_t i = 0; i < NUM(finds); i++)
		assert_string_equal(name_of(t, finds[i].domain), finds[i].name);
	connectors_free(t);
}

/* With a "*", or the section backend, nobody is left over and nothing else changes. */
static void all_others(void **state)
{
	(void)state;
	static const char *const rest[] = { "  - {name: rest, domains: ['*'], next_hops: [{to: mx}]}\n",
		                            "backend: {address: '127.0.0.1:25'}\n" };
	static const char *const names[] = { "rest", "backend" };
	for (size_t r = 0; r < 2; r++) {
		char yaml[2000];
		(void)snprintf(yaml, sizeof yaml, "%s%s", rich, rest[r]);
		struct connectors *t = table_of(yaml);
		for (size_t i = 0; i < NUM(finds); i++)
			assert_string_equal(name_of(t, finds[i].domain),
			                    *finds[i].name == '-' ? names[r] : finds[i].name);
		assert_int_equal(connectors_num(t), 5);
		connectors_free(t);
	}
}

static void what_connectors_are(void **state)
{
	(void)state;
	struct connectors *t = table_of("backend: {address: 'unix:/b'}\n"
	                                "connectors:\n"
	                                "  - {name: a, domains: [a.example], next_hops: [{to: '192.0.2.1:25'}, {to: mx}], max_recipients: 7}\n"
	                                "  - {name: b, domains: [b.example], next_hops: [{to: 'unix:/x'}], protocol: lmtp}\n"
	                                "  - {name: c, domains: [c.example], next_hops: [{to: 'mx.example.org:25'}]}\n"
	                                "  - {name: d, domains: [d.example], next_hops: [{to: mx}, {to: 'mx.example.org:25'}]}\n");
	static const struct {
		const char *name;
		bool per_domain, lmtp;
		uint64_t max_recipients;
	} want[] = { { "a", true, false, 7 }, { "b", false, true, 0 }, { "c", false, false, 0 }, { "d", true, false, 0 }, { "backend", false, false, 0 } };
	assert_int_equal(connectors_num(t), NUM(want));
	for (size_t i = 0; i < NUM(want); i++) {
		assert_string_equal(connectors_name(t, i), want[i].name);
		assert_int_equal(connectors_per_domain(t, i), want[i].per_domain);
		assert_int_equal(connectors_lmtp(t, i), want[i].lmtp);
		assert_int_equal(connectors_max_recipients(t, i), want[i].max_recipients);
	}
	connectors_free(t);
	/* As before there were connectors. */
	t = table_of("backend: {address: '127.0.0.1:25'}\n");
	assert_int_equal(connectors_num(t), 1);
	assert_string_equal(name_of(t, "any.example"), "backend");
	connectors_free(t);
	/* And nothing at all. */
	t = table_of("log: {}\n");
	assert_int_equal(connectors_num(t), 0);
	assert_string_equal(name_of(t, "any.example"), "-");
	connectors_free(t);
	connectors_free(NULL);
}

/* `num` connectors by hand, each with `each` exact names and as many suffixes. */
static struct config *many(size_t num, size_t each)
{
	struct config *cfg = config_of("log: {}\n");
	cfg->connectors = calloc(num, sizeof *cfg->connectors);
	assert_non_null(cfg->connectors);
	for (size_t i = 0; i < num; i++) {
		struct config_connector *c = &cfg->connectors[cfg->num_connectors++];
		char text[64];
		(void)snprintf(text, sizeof text, "c%zu", i);
		c->name = strdup(text);
		c->domains.items = calloc(2 * each, sizeof *c->domains.items);
		for (size_t j = 0; j < each; j++) {
			(void)snprintf(text, sizeof text, "d%zu.x%zu.example", i, j);
			c->domains.items[c->domains.num++] = strdup(text);
			(void)snprintf(text, sizeof text, "*.d%zu.x%zu.example", i, j);
			c->domains.items[c->domains.num++] = strdup(text);
		}
	}
	return cfg;
}

static void a_hundred_thousand(void **state)
{
	(void)state;
	enum { NUM_CONNECTORS = 100, EACH = 500 };
	struct config *cfg = many(NUM_CONNECTORS, EACH);
	struct connectors *t = NULL;
	assert_int_equal(connectors_new(cfg, &t), EC_OK);
	config_free(cfg);
	unsigned before = allocations;
	for (size_t i = 0; i < NUM_CONNECTORS; i++)
		for (size_t j = 0; j < EACH; j++) {
			char text[64];
			(void)snprintf(text, sizeof text, "d%zu.x%zu.example", i, j);
			assert_int_equal(connectors_find(t, slice_str(text)), i);
			(void)snprintf(text, sizeof text, "a.b.d%zu.x%zu.example", i, j);
			assert_int_equal(connectors_find(t, slice_str(text)), i);
			(void)snprintf(text, sizeof text, "d%zu.x%zu.examples", i, j);
			assert_int_equal(connectors_find(t, slice_str(text)), CONNECTOR_NONE);
		}
	assert_int_equal(connectors_find(t, slice_str("ü.d9.x9.example")), 9);
	/* Looking up takes no memory. */
	assert_int_equal(allocations, before);
	connectors_free(t);
}

static void the_longest_domain(void **state)
{
	(void)state;
	struct connectors *t = table_of("connectors: [{name: a, domains: ['*.a', 'b.a'], next_hops: [{to: mx}]}]\n");
	char text[300] = "";
	/* 127 labels of one letter are 253 octets. */
	for (size_t i = 0; i < 127; i++)
		(void)snprintf(text + strlen(text), 4, "%sa", i == 0 ? "" : ".");
	assert_int_equal(strlen(text), 253);
	assert_string_equal(name_of(t, text), "a");
	memcpy(text + strlen(text), ".a", 3);
	assert_string_equal(name_of(t, text), "-");
	connectors_free(t);
}

static void out_of_memory(void **state)
{
	(void)state;
	struct config *cfg = config_of(rich);
	struct connectors *t = NULL;
	enum ec ec = EC_NO_MEMORY;
	unsigned n = 0;
	for (; ec == EC_NO_MEMORY; n++) {
		allocations = 0;
		fail_at = n + 1;
		ec = connectors_new(cfg, &t);
		assert_true((t == NULL) == (ec == EC_NO_MEMORY));
	}
	fail_at = 0;
	assert_int_equal(ec, EC_OK);
	assert_true(n > 10);
	connectors_free(t);
	config_free(cfg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(patterns),           cmocka_unit_test(all_others),         cmocka_unit_test(what_connectors_are),
		cmocka_unit_test(a_hundred_thousand), cmocka_unit_test(the_longest_domain), cmocka_unit_test(out_of_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
