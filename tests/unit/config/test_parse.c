/* Golden pairs: cases/N.in gives exactly the lines of N.err, worked out by hand,
 * or, with N.ok, none. A line that ends in "…" fixes only how it starts. */
#include "config/config.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *read_text(const char *path, size_t *out_len)
{
	FILE *f = fopen(path, "rb");
	if (f == NULL)
		return NULL;
	char *text = calloc(1, 1 << 16);
	assert_non_null(text);
	*out_len = fread(text, 1, (1 << 16) - 1, f);
	(void)fclose(f);
	return text;
}

static bool line_fits(const char *want, size_t want_len, const char *got)
{
	static const char any[] = "…";
	size_t any_len = sizeof any - 1;
	if (want_len >= any_len && memcmp(want + want_len - any_len, any, any_len) == 0)
		return strncmp(want, got, want_len - any_len) == 0;
	return strlen(got) == want_len && memcmp(want, got, want_len) == 0;
}

static unsigned compare(const char *name, const char *want, const struct config_errors *errs)
{
	unsigned failed = 0;
	size_t i = 0;
	for (; *want != '\0'; i++) {
		size_t len = strcspn(want, "\n");
		const char *got = i < errs->num ? errs->items[i] : "(nothing)";
		if (!line_fits(want, len, got)) {
			print_error("%s: want: %.*s\n%s: got:  %s\n", name, (int)len, want, name, got);
			failed++;
		}
		want += len + (want[len] == '\n');
	}
	for (; i < errs->num; i++) {
		print_error("%s: more than wanted: %s\n", name, errs->items[i]);
		failed++;
	}
	return failed;
}

static unsigned run_case(const char *dir, const char *name)
{
	char path[512];
	size_t len = 0, want_len = 0;
	char stem[128];
	(void)snprintf(stem, sizeof stem, "%.*s", (int)(strlen(name) - 3), name);
	(void)snprintf(path, sizeof path, "%s/%s", dir, name);
	char *text = read_text(path, &len);
	assert_non_null(text);
	(void)snprintf(path, sizeof path, "%s/%s.err", dir, stem);
	char *want = read_text(path, &want_len);
	struct config *cfg = NULL;
	struct config_errors errs = { 0 };
	/* Exactly as large as the text, for the address sanitizer. */
	uint8_t *exact = malloc(len == 0 ? 1 : len);
	assert_non_null(exact);
	memcpy(exact, text, len);
	enum ec ec = config_parse(slice_of(exact, len), name, &cfg, &errs);
	unsigned failed = compare(name, want == NULL ? "" : want, &errs);
	if ((ec == EC_OK) != (want == NULL) || (cfg != NULL) != (ec == EC_OK) || (want != NULL && ec != errs.ec)) {
		print_error("%s: returned %s\n", name, ec_name(ec));
		failed++;
	}
	config_free(cfg);
	free(exact);
	free(want);
	free(text);
	return failed;
}

static void golden_pairs(void **state)
{
	(void)state;
	static const char dir[] = TREE "/tests/unit/config/cases";
	DIR *d = opendir(dir);
	assert_non_null(d);
	unsigned num = 0, failed = 0;
	const struct dirent *e = NULL;
	while ((e = readdir(d)) != NULL) {
		size_t len = strlen(e->d_name);
		if (len > 3 && strcmp(e->d_name + len - 3, ".in") == 0) {
			failed += run_case(dir, e->d_name);
			num++;
		}
	}
	(void)closedir(d);
	assert_true(num >= 60);
	assert_int_equal(failed, 0);
}

static struct config *parse_ok(const char *text)
{
	struct config *cfg = NULL;
	struct config_errors errs = { 0 };
	enum ec ec = config_parse(slice_str(text), "t", &cfg, &errs);
	if (ec != EC_OK)
		print_error("%s\n", errs.items[0]);
	assert_int_equal(ec, EC_OK);
	return cfg;
}

static void values_arrive(void **state)
{
	(void)state;
	struct config *cfg = parse_ok("state_dir: /s\nuser: mail\n"
	                              "log: {format: json, level: error}\n"
	                              "dns: {resolver: [192.0.2.1, \"[2001:db8::1]:5353\"], timeout: 1m30s, keep_test_tld: yes}\n"
	                              "proxy: {hostname: a.b, listen: [127.0.0.1:25], workers: 3, proxy_protocol_from: [192.0.2.0/24, \"2001:db8::/32\"],"
	                              "  proxy_protocol_timeout: 3s}\n"
	                              "identities:\n"
	                              "  - {name: A.b, algorithms: [rsa-3072], certificate_life: 36h}\n"
	                              "  - name: c.d\n    algorithms: [rsa-3072, ecdsa-p256]\n    issuer: files\n"
	                              "    files: [{chain: /c1, key: /k1}, {chain: /c2, key: /k2}]\n"
	                              "backend: {address: unix:/b, client_info: proxy-v2, idle_timeout: 250ms}\n"
	                              "smtp: {bare_newline: normalize, bare_newline_exempt: [192.0.2.7], max_message_size: 1G}\n"
	                              "limits: {queue_bytes: 8192, tiny_tls_records: 500}\n"
	                              "tlsa_sync: {wait: signatures, rotate_every: 0, rfc2136: {tsig_algorithm: hmac-sha512, tsig_name: k.}}\n");
	assert_string_equal(cfg->state_dir, "/s");
	assert_string_equal(cfg->user, "mail");
	assert_int_equal(cfg->log.format, CONFIG_LOG_JSON);
	assert_int_equal(cfg->log.level, CONFIG_LOG_ERROR);
	assert_int_equal(cfg->dns.resolver.num, 2);
	assert_string_equal(cfg->dns.resolver.items[1], "[2001:db8::1]:5353");
	assert_int_equal(cfg->dns.resolver.marks[0].line, 4);
	assert_int_equal(cfg->dns.resolver.marks[0].col, 18);
	assert_int_equal(cfg->dns.timeout_ms, 90000);
	assert_true(cfg->dns.keep_test_tld);
	assert_int_equal(cfg->proxy.listen.num, 1);
	assert_int_equal(cfg->proxy.workers, 3);
	assert_int_equal(cfg->proxy.proxy_protocol_from.num, 2);
	assert_string_equal(cfg->proxy.proxy_protocol_from.items[1], "2001:db8::/32");
	assert_int_equal(cfg->proxy.proxy_protocol_timeout_ms, 3000);
	assert_int_equal(cfg->num_identities, 2);
	assert_string_equal(cfg->identities[0].name, "A.b");
	assert_int_equal(cfg->identities[0].algorithms, 1u << CONFIG_RSA_3072);
	assert_int_equal(cfg->identities[0].certificate_life_ms, 36 * 3600000);
	assert_int_equal(cfg->identities[0].issuer, CONFIG_SELF_SIGNED);
	assert_int_equal(cfg->identities[1].algorithms, 3);
	assert_int_equal(cfg->identities[1].issuer, CONFIG_FILES);
	assert_int_equal(cfg->identities[1].num_files, 2);
	assert_string_equal(cfg->identities[1].files[1].key, "/k2");
	assert_int_equal(cfg->identities[1].files[1].key_mark.line, 11);
	assert_int_equal(cfg->identities[1].mark.line, 8);
	assert_string_equal(cfg->backend.address, "unix:/b");
	assert_int_equal(cfg->backend.client_info, CONFIG_CLIENT_PROXY_V2);
	assert_int_equal(cfg->backend.idle_timeout_ms, 250);
	assert_int_equal(cfg->smtp.bare_newline, CONFIG_BARE_NORMALIZE);
	assert_int_equal(cfg->smtp.max_message_size, 1 << 30);
	assert_int_equal(cfg->limits.queue_bytes, 8192);
	assert_int_equal(cfg->limits.tiny_tls_records, 500);
	assert_string_equal(cfg->smtp.bare_newline_exempt.items[0], "192.0.2.7");
	assert_int_equal(cfg->tlsa_sync.wait, CONFIG_WAIT_SIGNATURES);
	assert_int_equal(cfg->tlsa_sync.rotate_every_ms, 0);
	assert_int_equal(cfg->tlsa_sync.rfc2136.tsig_algorithm, CONFIG_HMAC_SHA512);
	assert_int_equal(config_mark_of(cfg, "backend.address").line, 12);
	assert_int_equal(config_mark_of(cfg, "backend.address").col, 20);
	assert_int_equal(config_mark_of(cfg, "backend.reply_timeout").line, 0);
	config_free(cfg);
}

static void connectors_arrive(void **state)
{
	(void)state;
	struct config *cfg = parse_ok("connectors:\n"
	                              "  - name: a\n    domains: [A.example, '*']\n    next_hops:\n      - {to: mx}\n"
	                              "      - {to: 'b.example:26', priority: 3, weight: 4}\n"
	                              "  - {name: b-2, domains: [b.example], next_hops: [{to: 'unix:/b'}], protocol: lmtp, tls: none,\n"
	                              "     dane: none, mta_sts: none, until: 2027-01-31, reason: why not, client_info: xforward,\n"
	                              "     max_connections: 5, max_recipients: 6}\n"
	                              "  - {name: c, domains: [c.example], next_hops: [{to: mx}], tls: require, tls_ca: /c,\n"
	                              "     tls_name: d.example, dane: mandatory}\n"
	                              "  - {name: d, domains: [d.example], next_hops: [{to: mx}], tls: require, tls_pins:\n"
	                              "     [0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef]}\n");
	assert_int_equal(cfg->num_connectors, 4);
	const struct config_connector *c = cfg->connectors;
	assert_string_equal(c[0].name, "a");
	assert_int_equal(c[0].mark.line, 2);
	assert_int_equal(c[0].mark.col, 11);
	assert_int_equal(c[0].domains.num, 2);
	assert_string_equal(c[0].domains.items[0], "A.example");
	assert_string_equal(c[0].domains.items[1], "*");
	assert_int_equal(c[0].domains.marks[1].col, 26);
	assert_int_equal(c[0].num_next_hops, 2);
	assert_string_equal(c[0].next_hops[0].to, "mx");
	assert_int_equal(c[0].next_hops[0].priority, 10);
	assert_int_equal(c[0].next_hops[0].weight, 1);
	assert_string_equal(c[0].next_hops[1].to, "b.example:26");
	assert_int_equal(c[0].next_hops[1].mark.line, 6);
	assert_int_equal(c[0].next_hops[1].priority, 3);
	assert_int_equal(c[0].next_hops[1].weight, 4);
	assert_int_equal(c[0].protocol, CONFIG_SMTP);
	assert_int_equal(c[0].tls, CONFIG_TLS_OPPORTUNISTIC);
	assert_int_equal(c[0].dane, CONFIG_DANE_OPPORTUNISTIC);
	assert_int_equal(c[0].mta_sts, CONFIG_MTA_STS_OPPORTUNISTIC);
	assert_int_equal(c[0].client_info, CONFIG_CLIENT_NONE);
	assert_int_equal(c[0].max_connections, 100);
	assert_int_equal(c[0].max_recipients, 0);
	assert_string_equal(c[0].until, "");
	assert_string_equal(c[0].tls_ca, "");
	assert_int_equal(c[0].tls_mark.line, 0);
	assert_string_equal(c[1].name, "b-2");
	assert_int_equal(c[1].protocol, CONFIG_LMTP);
	assert_int_equal(c[1].tls, CONFIG_TLS_NONE);
	assert_int_equal(c[1].dane, CONFIG_DANE_NONE);
	assert_int_equal(c[1].mta_sts, CONFIG_MTA_STS_NONE);
	assert_string_equal(c[1].until, "2027-01-31");
	assert_string_equal(c[1].reason, "why not");
	assert_int_equal(c[1].client_info, CONFIG_CLIENT_XFORWARD);
	assert_int_equal(c[1].max_connections, 5);
	assert_int_equal(c[1].max_recipients, 6);
	assert_int_equal(c[2].tls, CONFIG_TLS_REQUIRE);
	assert_string_equal(c[2].tls_ca, "/c");
	assert_int_equal(c[2].tls_ca_mark.line, 10);
	assert_string_equal(c[2].tls_name, "d.example");
	assert_int_equal(c[2].dane, CONFIG_DANE_MANDATORY);
	assert_int_equal(c[3].tls_pins.num, 1);
	/* With connectors nothing else need be there for mail to go on. */
	struct config_errors errs = { 0 };
	assert_int_equal(config_check_for(cfg, CONFIG_FOR_DANEGATE, &errs), EC_MISSING);
	assert_int_equal(errs.num, 2);
	assert_non_null(strstr(errs.items[0], "proxy.hostname: is missing"));
	assert_non_null(strstr(errs.items[1], "identities: is missing"));
	config_free(cfg);
}

/* Many patterns take their time once each, not once for each other. */
static void a_hundred_thousand_patterns(void **state)
{
	(void)state;
	enum { PATTERNS = 100000 };
	struct bytes text = { 0 };
	assert_int_equal(bytes_append(&text, SLICE_LIT("connectors:\n  - name: a\n    next_hops: [{to: mx}]\n    domains:\n")), EC_OK);
	for (unsigned i = 0; i < PATTERNS; i++) {
		char line[64];
		(void)snprintf(line, sizeof line, "      - d%u.example\n", i);
		assert_int_equal(bytes_append(&text, slice_str(line)), EC_OK);
	}
	struct config *cfg = NULL;
	struct config_errors errs = { 0 };
	assert_int_equal(config_parse(bytes_slice(&text), "t", &cfg, &errs), EC_OK);
	assert_int_equal(cfg->connectors[0].domains.num, PATTERNS);
	config_free(cfg);
	/* The last one again, in another spelling. */
	assert_int_equal(bytes_append(&text, SLICE_LIT("  - {name: b, next_hops: [{to: mx}], domains: [D99999.Example]}\n")), EC_OK);
	assert_int_equal(config_parse(bytes_slice(&text), "t", &cfg, &errs), EC_DUPLICATE);
	assert_string_equal(errs.items[0], "t:100005:48: connectors.domains: D99999.Example is already a pattern of connector a, "
	                                   "at line 100004; keep one of them");
	bytes_fini(&text);
}

/* What the text gives as defaults. */
static void defaults(void **state)
{
	(void)state;
	struct config *cfg = parse_ok("log: {}\n");
	assert_string_equal(cfg->state_dir, "/var/lib/danegate");
	assert_int_equal(cfg->proxy.listen.num, 2);
	assert_string_equal(cfg->proxy.listen.items[1], "[::]:25");
	assert_int_equal(cfg->backend.data_timeout_ms, 600000);
	assert_int_equal(cfg->smtp.max_message_size, 150 * 1024 * 1024);
	assert_int_equal(cfg->backend.connect_timeout_ms, 1000);
	assert_int_equal(cfg->smtp.max_recipients, 1000);
	assert_int_equal(cfg->smtp.greeting_delay_ms, 0);
	assert_int_equal(cfg->limits.queue_bytes, 65536);
	assert_int_equal(cfg->tlsa_sync.ttl_ms, 3600000);
	assert_int_equal(cfg->tlsa_sync.confirmations, 3);
	assert_int_equal(cfg->tlsa_sync.rotate_every_ms, INT64_C(90) * 86400000);
	assert_int_equal(cfg->tlsa_sync.instances.num, 1);
	assert_int_equal(cfg->tlsa_sync.probe.port, 25);
	assert_string_equal(cfg->tlsa_sync.rfc2136.tsig_name, "");
	assert_int_equal(cfg->num_identities, 0);
	config_free(cfg);
}

static void what_a_program_needs(void **state)
{
	(void)state;
	struct config_errors errs = { 0 };
	struct config *cfg = parse_ok("log: {}\nproxy:\n  workers: 1\n");
	assert_int_equal(config_check_for(cfg, CONFIG_FOR_DANEGATE, &errs), EC_MISSING);
	assert_int_equal(errs.num, 3);
	assert_string_equal(errs.items[0], "t:2:1: proxy.hostname: is missing, and danegate needs it; write a host name "
	                                   "such as mx1.example.org");
	assert_string_equal(errs.items[1], "t:1:1: identities: is missing, and danegate needs it; write a list with at "
	                                   "least one \"- name: mx1.example.org\"");
	assert_non_null(strstr(errs.items[2], "t:1:1: backend.address: "));
	errs = (struct config_errors){ 0 };
	assert_int_equal(config_check_for(cfg, CONFIG_FOR_TLSA_SYNC, &errs), EC_MISSING);
	assert_int_equal(errs.num, 2);
	assert_non_null(strstr(errs.items[0], "tlsa_sync.rfc2136.tsig_name: is missing, and tlsa-sync needs it"));
	assert_non_null(strstr(errs.items[1], "tlsa_sync.rfc2136.tsig_key_file: "));
	config_free(cfg);
}

/* Only the section of the publisher that is chosen has to be filled in. */
static void what_a_publisher_needs(void **state)
{
	(void)state;
	static const struct {
		const char *publisher, *missing[2], *enough;
	} cases[] = {
		{ "rfc2136", { "rfc2136.tsig_name", "rfc2136.tsig_key_file" }, "rfc2136: {tsig_name: k, tsig_key_file: /k}" },
		{ "exec", { "exec.command", NULL }, "exec: {command: [/bin/true, \"\", a, a]}" },
		{ "zonefile", { "zonefile.directory", NULL }, "zonefile: {directory: /z}" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct config_errors errs = { 0 };
		char text[200];
		(void)snprintf(text, sizeof text, "tlsa_sync:\n  publisher: %s\n", cases[i].publisher);
		struct config *cfg = parse_ok(text);
		assert_int_equal(config_check_for(cfg, CONFIG_FOR_TLSA_SYNC, &errs), EC_MISSING);
		assert_int_equal(errs.num, cases[i].missing[1] == NULL ? 1 : 2);
		for (size_t k = 0; k < errs.num; k++)
			assert_non_null(strstr(errs.items[k], cases[i].missing[k]));
		config_free(cfg);
		errs = (struct config_errors){ 0 };
		(void)snprintf(text, sizeof text, "tlsa_sync:\n  publisher: %s\n  %s\n", cases[i].publisher, cases[i].enough);
		cfg = parse_ok(text);
		assert_int_equal(config_check_for(cfg, CONFIG_FOR_TLSA_SYNC, &errs), EC_OK);
		if (i == 1) { /* an argument may be empty, and come twice */
			assert_int_equal(cfg->tlsa_sync.exec.command.num, 4);
			assert_string_equal(cfg->tlsa_sync.exec.command.items[1], "");
			assert_string_equal(cfg->tlsa_sync.exec.command.items[3], "a");
		}
		config_free(cfg);
	}
}

static void sample_is_good(void **state)
{
	(void)state;
	size_t len = 0;
	char *text = read_text(TREE "/config/danegate.yaml", &len);
	assert_non_null(text);
	struct config *cfg = parse_ok(text);
	struct config_errors errs = { 0 };
	assert_int_equal(config_check_for(cfg, CONFIG_FOR_DANEGATE, &errs), EC_OK);
	assert_int_equal(config_check_for(cfg, CONFIG_FOR_TLSA_SYNC, &errs), EC_OK);
	/* It is what it says it is: commented lines show the defaults. */
	for (char *p = text; (p = strstr(p, "\n  # ")) != NULL; p++) {
		size_t line = strcspn(p + 5, "\n");
		if (memchr(p + 5, ':', line) != NULL && p[5] != '-' && p[5] != ' ')
			memmove(p + 3, p + 5, strlen(p + 5) + 1);
	}
	char *extra = strstr(text, "\n  resolver:");
	assert_non_null(extra);
	extra[1] = '#';
	struct config *more = parse_ok(text);
	assert_int_equal(config_diff(cfg, more, NULL, NULL), 0);
	config_free(more);
	config_free(cfg);
	free(text);
}

static void at_most_fifty(void **state)
{
	(void)state;
	char text[2000] = "";
	for (int i = 0; i < 70; i++)
		(void)snprintf(text + strlen(text), 30, "unknown_%02d: 1\n", i);
	struct config *cfg = NULL;
	struct config_errors errs = { 0 };
	assert_int_equal(config_parse(slice_str(text), "t", &cfg, &errs), EC_UNKNOWN_KEY);
	assert_int_equal(errs.num, 50);
	assert_int_equal(errs.more, 20);
	struct bytes out = { 0 };
	assert_int_equal(config_errors_text(&errs, &out), EC_OK);
	assert_int_equal(bytes_append(&out, SLICE_LIT("")), EC_OK);
	struct slice s = bytes_slice(&out);
	assert_true(s.len > 12 && memcmp(s.p + s.len - 12, "and 20 more\n", 12) == 0);
	bytes_fini(&out);
}

static void too_large(void **state)
{
	(void)state;
	size_t len = CONFIG_TEXT_MAX + 1;
	char *text = malloc(len);
	assert_non_null(text);
	memset(text, '\n', len);
	memcpy(text, "log: {}", 7);
	struct config *cfg = NULL;
	struct config_errors errs = { 0 };
	assert_int_equal(config_parse(slice_of(text, len), "t", &cfg, &errs), EC_LIMIT);
	errs = (struct config_errors){ 0 };
	assert_int_equal(config_parse(slice_of(text, len - 1), "t", &cfg, &errs), EC_OK);
	config_free(cfg);
	free(text);
}

/* A file cut off anywhere is never taken for another valid one, unless the cut
 * falls between two lines, where nothing can tell. */
static void cut_anywhere(void **state)
{
	(void)state;
	size_t len = 0;
	char *text = read_text(TREE "/config/danegate.yaml", &len);
	assert_non_null(text);
	for (size_t i = 0; i < len; i++) {
		struct config *cfg = NULL;
		struct config_errors errs = { 0 };
		enum ec ec = config_parse(slice_of(text, i), "t", &cfg, &errs);
		if (i == 0 || text[i - 1] != '\n')
			assert_int_not_equal(ec, EC_OK);
		config_free(cfg);
	}
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_pairs),  cmocka_unit_test(values_arrive), cmocka_unit_test(defaults),
		cmocka_unit_test(connectors_arrive), cmocka_unit_test(a_hundred_thousand_patterns),
		cmocka_unit_test(what_a_program_needs), cmocka_unit_test(what_a_publisher_needs),
		cmocka_unit_test(sample_is_good), cmocka_unit_test(at_most_fifty),
		cmocka_unit_test(too_large),     cmocka_unit_test(cut_anywhere),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
