/* The dump reads back to an equal configuration; config_diff tells what changed. */
#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/schema.h"
#include "config/value.h"

static struct config *parse_ok(struct slice text)
{
	struct config *cfg = NULL;
	struct config_errors errs = { 0 };
	enum ec ec = config_parse(text, "t", &cfg, &errs);
	if (ec != EC_OK)
		print_error("%s\nin:\n%.*s", errs.items[0], (int)text.len, (const char *)text.p);
	assert_int_equal(ec, EC_OK);
	return cfg;
}

static void print_change(void *arg, const char *key, bool reloadable)
{
	(void)arg;
	(void)reloadable;
	print_error("differs: %s\n", key);
}

static void count_change(void *arg, const char *key, bool reloadable)
{
	(void)key;
	(void)reloadable;
	++*(unsigned *)arg;
}

static void round_trip(const struct config *cfg)
{
	struct bytes out = { 0 }, again = { 0 };
	unsigned changes = 0;
	assert_int_equal(config_dump(cfg, &out), EC_OK);
	struct config *back = parse_ok(bytes_slice(&out));
	(void)config_diff(cfg, back, print_change, NULL);
	(void)config_diff(cfg, back, count_change, &changes);
	assert_int_equal(changes, 0);
	assert_int_equal(config_dump(back, &again), EC_OK);
	assert_true(slice_eq(bytes_slice(&out), bytes_slice(&again)));
	config_free(back);
	bytes_fini(&again);
	bytes_fini(&out);
}

static const char rich[] =
	"user: 'a \"quoted\" \\ ä: #x'\n"
	"dns: {root_hints: '/with space', resolver: [192.0.2.1]}\n"
	"proxy: {hostname: mx.example.org, listen: [\"[::1]:2525\", 127.0.0.1:1]}\n"
	"identities:\n"
	"  - {name: a.b, algorithms: [rsa-3072, ecdsa-p256], certificate_life: 1d1h1m1s}\n"
	"  - {name: c.d, issuer: files, files: [{chain: '/a: b', key: \"/'\"}]}\n"
	"  - {name: e.f, issuer: command, command: [/x, 'a: b', '', ''], command_timeout: 2s, command_retry: 9s, renew_before: 7d}\n"
	"backend: {idle_timeout: 1s1ms}\n"
	"connectors:\n"
	"  - {name: a, domains: [bücher.example, '*.b.example'], next_hops: [{to: mx}, {to: 'mx.b.example:26', priority: 1, weight: 9}]}\n"
	"  - {name: c, domains: ['*'], next_hops: [{to: 'unix:/a \"b\"'}], protocol: lmtp, tls: none, dane: none, mta_sts: none, until: 2027-01-31,\n"
	"     reason: 'x: \"y\"', client_info: proxy-v2, max_connections: 3, max_recipients: 4}\n"
	"  - {name: d, domains: [d.example], next_hops: [{to: '[::1]:25'}], tls: require, tls_name: d.example, tls_ca: '/d e', dane: none}\n"
	"  - {name: e, domains: [e.example], next_hops: [{to: 'e.example:25'}], tls: require, dane: mandatory,\n"
	"     tls_pins: [0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef]}\n"
	"smtp: {max_message_size: 1000001}\n"
	"tlsa_sync: {rotate_every: 0, instances: [/a, /b]}\n";

static void samples(void **state)
{
	(void)state;
	struct config *cfg = NULL;
	assert_int_equal(config_defaults(&cfg), EC_OK);
	round_trip(cfg);
	config_free(cfg);
	cfg = parse_ok(SLICE_LIT("identities: [{name: a.b}]\n"));
	round_trip(cfg);
	config_free(cfg);
	cfg = parse_ok(slice_str(rich));
	round_trip(cfg);
	config_free(cfg);
}

static uint32_t rng_state;

static uint32_t rng(void)
{
	rng_state = rng_state * 1664525u + 1013904223u;
	return rng_state >> 8;
}

/* Every number in the table at random values within its bounds. */
static void random_numbers(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 200; seed++) {
		rng_state = seed;
		struct config *cfg = parse_ok(SLICE_LIT("identities: [{name: a.b}]\n"));
		for (size_t i = 0; i < schema_num_rows; i++) {
			const struct schema_row *row = &schema_rows[i];
			char text[64];
			bool duration = row->type == SCHEMA_DURATION;
			if (row->scope != SCHEMA_IN_CONFIG ||
			    (!duration && row->type != SCHEMA_SIZE && row->type != SCHEMA_COUNT))
				continue;
			int64_t step = duration ? row->step : 1;
			uint64_t range = (uint64_t)((row->max - row->min) / step) + 1;
			uint64_t pick = ((uint64_t)rng() << 24 | rng()) % range;
			/* Round numbers take other paths than odd ones. */
			if (rng() % 2 == 0)
				pick -= pick % 1024;
			int64_t n = row->min + (int64_t)pick * step;
			(void)snprintf(text, sizeof text, "%lld%s", (long long)n, duration ? "ms" : "");
			struct why why = { 0 };
			assert_int_equal(value_set(row, cfg, slice_str(text), (struct config_mark){ 0 }, &why), EC_OK);
		}
		/* Out of the rules between settings. */
		cfg->tlsa_sync.rotate_every_ms = 0;
		cfg->smtp.greeting_delay_ms = 0;
		round_trip(cfg);
		config_free(cfg);
	}
}

struct changes {
	char text[512];
};

static void note(void *arg, const char *key, bool reloadable)
{
	struct changes *c = arg;
	size_t len = strlen(c->text);
	(void)snprintf(c->text + len, sizeof c->text - len, "%s%s ", key, reloadable ? "" : "!");
}

static void diffs(void **state)
{
	(void)state;
	static const struct {
		const char *a, *b, *want;
		size_t restarts;
	} cases[] = {
		{ "log: {level: info}\n", "log: {}\n", "", 0 },
		{ "log: {}\n", "log: {level: debug}\n", "log.level ", 0 },
		{ "log: {}\n", "proxy: {listen: [127.0.0.1:25], hostname: a.b}\n", "proxy.hostname proxy.listen! ", 1 },
		{ "log: {}\n", "state_dir: /x\nuser: y\nlimits: {sessions: 5}\n", "state_dir! user! limits.sessions ", 2 },
		{ "identities: [{name: a.b}]\n", "identities: [{name: a.b}, {name: c.d}]\n", "identities ", 0 },
		{ "identities: [{name: a.b}]\n", "identities: [{name: a.b, algorithms: [rsa-3072]}]\n", "identities ", 0 },
		{ "identities: [{name: a.b, issuer: files, files: [{chain: /a, key: /b}]}]\n",
		  "identities: [{name: a.b, issuer: files, files: [{chain: /a, key: /c}]}]\n", "identities ", 0 },
		{ "tlsa_sync: {instances: [/a, /b]}\n", "tlsa_sync: {instances: [/b, /a]}\n", "tlsa_sync.instances ", 0 },
		{ "connectors: []\n", "log: {}\n", "", 0 },
		{ "log: {}\n", "connectors: [{name: a, domains: [a.b], next_hops: [{to: mx}]}]\n", "connectors ", 0 },
		{ "connectors: [{name: a, domains: [a.b, c.d], next_hops: [{to: mx}]}]\n",
		  "connectors: [{name: a, domains: [c.d, a.b], next_hops: [{to: mx}]}]\n", "connectors ", 0 },
		{ "connectors: [{name: a, domains: [a.b], next_hops: [{to: mx}]}]\n",
		  "connectors: [{name: a, domains: [a.b], next_hops: [{to: mx, weight: 2}]}]\n", "connectors ", 0 },
		{ "connectors: [{name: a, domains: [a.b], next_hops: [{to: mx}], dane: none, until: 2027-01-31, reason: x}]\n",
		  "connectors: [{name: a, domains: [a.b], next_hops: [{to: mx}], dane: none, until: 2027-02-01, reason: x}]\n",
		  "connectors ", 0 },
		{ "connectors: [{name: a, domains: [a.b], next_hops: [{to: mx, priority: 10}], tls: opportunistic}]\n",
		  "\nconnectors: [{next_hops: [{weight: 1, to: mx}], name: a, domains: [a.b]}]\n", "", 0 },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct config *a = parse_ok(slice_str(cases[i].a)), *b = parse_ok(slice_str(cases[i].b));
		struct changes c = { "" };
		assert_int_equal(config_diff(a, b, note, &c), cases[i].restarts);
		assert_string_equal(c.text, cases[i].want);
		config_free(a);
		config_free(b);
	}
}

/* A program restarts, or refuses to reload, only for what it reads itself. */
static void diffs_of_a_program(void **state)
{
	(void)state;
	struct config *a = parse_ok(SLICE_LIT("log: {}\n"));
	struct config *b = parse_ok(SLICE_LIT("log: {level: debug}\nproxy: {workers: 2}\ntlsa_sync: {journal: /j, poll: 1s}\n"));
	static const struct {
		unsigned programs;
		const char *want;
		size_t restarts;
	} cases[] = { { 1u << CONFIG_FOR_DANEGATE, "log.level proxy.workers! ", 1 },
		      { 1u << CONFIG_FOR_TLSA_SYNC, "log.level tlsa_sync.journal! tlsa_sync.poll ", 1 },
		      { 3, "log.level proxy.workers! tlsa_sync.journal! tlsa_sync.poll ", 2 } };
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct changes c = { "" };
		b->programs = cases[i].programs;
		assert_int_equal(config_diff(a, b, note, &c), cases[i].restarts);
		assert_string_equal(c.text, cases[i].want);
	}
	config_free(a);
	config_free(b);
}

static void durations_and_sizes(void **state)
{
	(void)state;
	static const struct {
		int64_t n;
		const char *duration, *size;
	} cases[] = { { 0, "0s", "0" },          { 1, "1ms", "1" },           { 1000, "1s", "1000" },
		      { 1024, "1s24ms", "1K" },  { 90000, "1m30s", "90000" }, { 86400000, "1d", "84375K" },
		      { 3600000, "1h", "3600000" }, { 1 << 30, "298h15m41s824ms", "1G" } };
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char text[VALUE_TEXT_SIZE];
		value_print_duration(text, cases[i].n);
		assert_string_equal(text, cases[i].duration);
		value_print_size(text, (uint64_t)cases[i].n);
		assert_string_equal(text, cases[i].size);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(samples),
		cmocka_unit_test(random_numbers),
		cmocka_unit_test(diffs),
		cmocka_unit_test(diffs_of_a_program),
		cmocka_unit_test(durations_and_sizes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
