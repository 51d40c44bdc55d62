#include "proxy/super/control.h"

#include <stdio.h>
#include <stdlib.h>

#include "proxy/relay/health.h"
#include "tests/unit/unit.h"

#define DRAIN(hop) "{\"do\":\"drain\",\"hop\":" hop "}"
#define PEM "-----BEGIN CERTIFICATE-----\nMA==\n"

/* Every form of a request, and what is read of it. */
static const struct {
	const char *line;
	enum control_command command;
	const char *identity;
	uint64_t generation;
	enum key_algorithm algorithm;
	const char *chain;
	uint64_t from;
} good[] = {
	{ "{\"do\":\"hello\"}", CONTROL_HELLO, NULL, 0, 0, NULL, 0 },
	{ " { \"do\" : \"report\" } ", CONTROL_REPORT, NULL, 0, 0, NULL, 0 },
	{ "{\"do\":\"report\",\"identity\":\"a\"}", CONTROL_REPORT, "a", 0, 0, NULL, 0 },
	{ "{\"do\":\"report\",\"from\":500}", CONTROL_REPORT, NULL, 0, 0, NULL, 500 },
	{ "{\"do\":\"reload\"}", CONTROL_RELOAD, NULL, 0, 0, NULL, 0 },
	{ "{\"identity\":\"mx1.example.org\",\"do\":\"prepare\"}", CONTROL_PREPARE, "mx1.example.org", 0, 0, NULL, 0 },
	{ "{\"do\":\"csr\",\"identity\":\"a\",\"generation\":7,\"algorithm\":\"ecdsa-p256\"}", CONTROL_CSR, "a", 7, KEY_ECDSA_P256, NULL, 0 },
	{ "{\"do\":\"csr\",\"identity\":\"a\",\"generation\":1,\"algorithm\":\"rsa-3072\"}", CONTROL_CSR, "a", 1, KEY_RSA_3072, NULL, 0 },
	{ "{\"do\":\"install\",\"identity\":\"a\",\"generation\":2,\"algorithm\":\"rsa-3072\","
	  "\"chain\":\"-----BEGIN CERTIFICATE-----\\nMA==\\n\"}",
	  CONTROL_INSTALL, "a", 2, KEY_RSA_3072, PEM, 0 },
	{ "{\"do\":\"renew\",\"identity\":\"a\",\"generation\":4,\"algorithm\":\"ecdsa-p256\"}", CONTROL_RENEW, "a", 4, KEY_ECDSA_P256, NULL, 0 },
	{ "{\"do\":\"swap\",\"identity\":\"a\",\"generation\":9223372036854775807}", CONTROL_SWAP, "a", INT64_MAX, 0, NULL, 0 },
	{ "{\"do\":\"retire\",\"identity\":\"a\",\"generation\":3}", CONTROL_RETIRE, "a", 3, 0, NULL, 0 },
	/* What a command does not take is passed over, whatever it is. */
	{ "{\"do\":\"hello\",\"identity\":7,\"generation\":-1,\"chain\":null,\"new\":[{}]}", CONTROL_HELLO, NULL, 0, 0, NULL, 0 },
	{ "{\"do\":\"prepare\",\"identity\":\"a\",\"generation\":\"x\",\"algorithm\":\"dsa\"}", CONTROL_PREPARE, "a", 0, 0, NULL, 0 },
	{ "{\"do\":\"\\u0068ello\"}", CONTROL_HELLO, NULL, 0, 0, NULL, 0 },
};

static void assert_text(const char *got, const char *want)
{
	if (want == NULL)
		assert_null(got);
	else
		assert_string_equal(got, want);
}

static const struct {
	const char *line;
	enum control_command command;
	const char *hop;
} hops[] = {
	{ DRAIN("\"mx1.example.org:25\""), CONTROL_DRAIN, "mx1.example.org:25" },
	{ DRAIN("\"unix:/run/dovecot/lmtp\""), CONTROL_DRAIN, "unix:/run/dovecot/lmtp" },
	{ "{\"do\":\"undrain\",\"hop\":\"[2001:db8::1]:25\"}", CONTROL_UNDRAIN, "[2001:db8::1]:25" },
};

static void test_hops(void **state)
{
	(void)state;
	for (size_t i = 0; i < NUM(hops); i++) {
		struct control_request r;
		assert_int_equal(control_parse(slice_str(hops[i].line), &r, NULL), EC_OK);
		assert_int_equal(r.command, hops[i].command);
		assert_text(r.hop, hops[i].hop);
		control_fini(&r);
	}
}

static void test_every_request(void **state)
{
	(void)state;
	for (size_t i = 0; i < NUM(good); i++) {
		struct control_request r;
		struct why why = { 0 };
		if (control_parse(slice_str(good[i].line), &r, &why) != EC_OK)
			fail_msg("%s: %s", good[i].line, why.text);
		assert_int_equal(r.command, good[i].command);
		assert_text(r.identity, good[i].identity);
		assert_true(r.generation == good[i].generation);
		assert_true(r.from == good[i].from);
		assert_int_equal(r.algorithm, good[i].algorithm);
		assert_text(r.chain, good[i].chain);
		assert_null(r.hop);
		control_fini(&r);
		assert_null(r.json);
	}
}

#define CSR(rest) "{\"do\":\"csr\",\"identity\":\"a\"" rest "}"
#define SWAP(generation) "{\"do\":\"swap\",\"identity\":\"a\",\"generation\":" generation "}"
#define PREPARE(identity) "{\"do\":\"prepare\",\"identity\":" identity "}"

static const struct {
	const char *line;
	enum ec ec;
	const char *words; /* among what the answer says */
} bad[] = {
	{ "", EC_SYNTAX, "not JSON" },
	{ "report", EC_SYNTAX, "not JSON" },
	{ "{\"do\":\"report\"", EC_SYNTAX, "not JSON" },
	{ "{\"do\":\"report\"} {\"do\":\"report\"}", EC_SYNTAX, "not JSON" },
	{ "{'do':'report'}", EC_SYNTAX, "not JSON" },
	{ "{\"do\":\"report\",}", EC_SYNTAX, "not JSON" },
	{ "{\"do\":\"report\",\"do\":\"swap\"}", EC_SYNTAX, "duplicate" },
	{ "{\"do\":\"report\\u0000\"}", EC_SYNTAX, "not JSON" },
	{ "{\"do\":\"r\xc3\xa4port\xff\"}", EC_SYNTAX, "not JSON" },
	{ "{\"do\":\"r\xc3\xa4port\"} x", EC_SYNTAX, "not JSON" },
	{ "{\"do\":\"\x1b[2J\"}", EC_SYNTAX, "not JSON" },
	{ "[]", EC_SYNTAX, "with \"do\"" },
	{ "[\"do\",\"report\"]", EC_SYNTAX, "with \"do\"" },
	{ "{}", EC_SYNTAX, "with \"do\"" },
	{ "{\"DO\":\"report\"}", EC_SYNTAX, "with \"do\"" },
	{ "{\"do\":null}", EC_SYNTAX, "\"do\" is not a text" },
	{ "{\"do\":7}", EC_SYNTAX, "\"do\" is not a text" },
	{ "{\"do\":[\"report\"]}", EC_SYNTAX, "\"do\" is not a text" },
	{ "{\"do\":\"\"}", EC_SYNTAX, "\"do\" is not a text" },
	{ "{\"do\":\"Report\"}", EC_UNKNOWN_KEY, "there are hello, report, prepare, csr, install, renew, swap, retire, reload, drain, undrain" },
	{ "{\"do\":\"report \"}", EC_UNKNOWN_KEY, "unknown \"do\"" },
	{ "{\"do\":\"shutdown\"}", EC_UNKNOWN_KEY, "unknown \"do\"" },
	{ "{\"do\":\"prepare\"}", EC_MISSING, "\"identity\" is missing" },
	{ PREPARE("null"), EC_SYNTAX, "\"identity\" is not a text" },
	{ PREPARE("7"), EC_SYNTAX, "\"identity\" is not a text" },
	{ PREPARE("{}"), EC_SYNTAX, "\"identity\" is not a text" },
	{ PREPARE("\"\""), EC_SYNTAX, "\"identity\" is not a text" },
	{ PREPARE("\"a b\""), EC_SYNTAX, "not a host name" },
	{ PREPARE("\"m\xc3\xa4x\""), EC_SYNTAX, "not a host name" },
	{ PREPARE("\"a\\u007f\""), EC_SYNTAX, "not a host name" },
	{ PREPARE("\"a\\n\""), EC_SYNTAX, "not a host name" },
	{ "{\"do\":\"report\",\"identity\":7}", EC_SYNTAX, "\"identity\" is not a text" },
	{ "{\"do\":\"report\",\"from\":\"x\"}", EC_SYNTAX, "\"from\" is not a whole number" },
	{ "{\"do\":\"report\",\"from\":-1}", EC_RANGE, "\"from\" is negative" },
	{ CSR(""), EC_MISSING, "\"generation\" is missing" },
	{ CSR(",\"generation\":1"), EC_MISSING, "\"algorithm\" is missing" },
	{ CSR(",\"generation\":1,\"algorithm\":1"), EC_SYNTAX, "\"algorithm\" is not a text" },
	{ CSR(",\"generation\":1,\"algorithm\":\"ECDSA-P256\""), EC_SYNTAX, "there are ecdsa-p256 and rsa-3072" },
	{ CSR(",\"generation\":1,\"algorithm\":\"ed25519\""), EC_SYNTAX, "there are ecdsa-p256 and rsa-3072" },
	{ "{\"do\":\"install\",\"identity\":\"a\",\"generation\":1,\"algorithm\":\"rsa-3072\"}", EC_MISSING, "\"chain\" is missing" },
	{ "{\"do\":\"install\",\"identity\":\"a\",\"generation\":1,\"algorithm\":\"rsa-3072\",\"chain\":[]}", EC_SYNTAX,
	  "\"chain\" is not a text" },
	{ "{\"do\":\"install\",\"identity\":\"a\",\"generation\":1,\"algorithm\":\"rsa-3072\",\"chain\":\"\"}", EC_SYNTAX,
	  "\"chain\" is not a text" },
	{ "{\"do\":\"drain\"}", EC_MISSING, "\"hop\" is missing" },
	{ "{\"do\":\"undrain\",\"identity\":\"a\"}", EC_MISSING, "\"hop\" is missing" },
	{ DRAIN("7"), EC_SYNTAX, "\"hop\" is not a text" },
	{ DRAIN("\"\""), EC_SYNTAX, "\"hop\" is not a text" },
	{ DRAIN("\"a b:25\""), EC_SYNTAX, "not a next hop" },
	{ DRAIN("\"a:25\\n\""), EC_SYNTAX, "not a next hop" },
	{ DRAIN("\"\\u001b[2J\""), EC_SYNTAX, "not a next hop" },
	{ DRAIN("\"m\xc3\xa4x:25\""), EC_SYNTAX, "not a next hop" },
	{ SWAP("\"7\""), EC_SYNTAX, "not a whole number" },
	{ SWAP("7.0"), EC_SYNTAX, "not a whole number" },
	{ SWAP("true"), EC_SYNTAX, "not a whole number" },
	{ SWAP("null"), EC_SYNTAX, "not a whole number" },
	{ SWAP("0"), EC_RANGE, "not positive" },
	{ SWAP("-0"), EC_RANGE, "not positive" },
	{ SWAP("-1"), EC_RANGE, "not positive" },
	{ SWAP("-9223372036854775808"), EC_RANGE, "not positive" },
	{ SWAP("9223372036854775808"), EC_SYNTAX, "not JSON" },
	{ SWAP("99999999999999999999999999"), EC_SYNTAX, "not JSON" },
	{ SWAP("1e999"), EC_SYNTAX, "not JSON" },
	{ SWAP("07"), EC_SYNTAX, "not JSON" },
	{ SWAP("0x7"), EC_SYNTAX, "not JSON" },
};

static void refused(struct slice line, enum ec ec, const char *words)
{
	struct control_request r;
	struct why why = { 0 };
	enum ec got = control_parse(line, &r, &why);
	if (got != ec || strstr(why.text, words) == NULL)
		fail_msg("%.*s: %s %s, not %s %s", (int)line.len, (const char *)line.p, ec_name(got), why.text, ec_name(ec), words);
	assert_null(r.json);
	for (const char *p = why.text; *p != '\0'; p++)
		assert_true(*p >= 0x20 && *p < 0x7f);
}

static void test_every_refusal(void **state)
{
	(void)state;
	for (size_t i = 0; i < NUM(bad); i++)
		refused(slice_str(bad[i].line), bad[i].ec, bad[i].words);
	refused(slice_of("{\"do\":\"hello\"}\0", 15), EC_SYNTAX, "not JSON");
}

/* A line is not text that ends with a NUL: exactly `len` octets are read. */
static void test_reads_no_further(void **state)
{
	(void)state;
	static const char line[] = "{\"do\":\"hello\"}";
	char *copy = malloc(sizeof line - 1);
	struct control_request r;
	assert_non_null(copy);
	memcpy(copy, line, sizeof line - 1);
	assert_int_equal(control_parse(slice_of(copy, sizeof line - 1), &r, NULL), EC_OK);
	free(copy);
	assert_int_equal(r.command, CONTROL_HELLO);
	control_fini(&r);
}

/* 253 octets are a host name, 254 are none; the longest is quoted whole in an answer. */
static void test_length_of_identity(void **state)
{
	(void)state;
	char line[400], name[255];
	struct control_request r;
	memset(name, 'x', sizeof name);
	name[253] = '\0';
	(void)snprintf(line, sizeof line, PREPARE("\"%s\""), name);
	assert_int_equal(control_parse(slice_str(line), &r, NULL), EC_OK);
	assert_string_equal(r.identity, name);
	control_fini(&r);
	name[253] = 'x';
	name[254] = '\0';
	(void)snprintf(line, sizeof line, PREPARE("\"%s\""), name);
	refused(slice_str(line), EC_RANGE, "longer than a host name");
}

/* 263 octets are the longest name of a hop: tries.h writes no longer ones. */
static void test_length_of_hop(void **state)
{
	(void)state;
	char line[400], name[HEALTH_NAME_SIZE + 1];
	struct control_request r;
	memset(name, 'x', sizeof name);
	name[HEALTH_NAME_SIZE - 1] = '\0';
	(void)snprintf(line, sizeof line, DRAIN("\"%s\""), name);
	assert_int_equal(control_parse(slice_str(line), &r, NULL), EC_OK);
	assert_string_equal(r.hop, name);
	control_fini(&r);
	name[HEALTH_NAME_SIZE - 1] = 'x';
	name[HEALTH_NAME_SIZE] = '\0';
	(void)snprintf(line, sizeof line, DRAIN("\"%s\""), name);
	refused(slice_str(line), EC_RANGE, "longer than a next hop");
}

/* Arrays in arrays without end are refused, not followed down to the end of the stack. */
static void test_depth(void **state)
{
	(void)state;
	enum { DEPTH = 100000 };
	char *line = malloc(DEPTH);
	assert_non_null(line);
	memset(line, '[', DEPTH);
	refused(slice_of(line, DEPTH), EC_SYNTAX, "not JSON");
	free(line);
}

static void test_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < CONTROL_NUM; i++) {
		char line[200];
		struct control_request r;
		(void)snprintf(line, sizeof line,
		               "{\"do\":\"%s\",\"identity\":\"a\",\"generation\":1,\"algorithm\":\"rsa-3072\",\"chain\":\"x\","
		               "\"hop\":\"192.0.2.1:25\"}",
		               control_word((enum control_command)i));
		assert_int_equal(control_parse(slice_str(line), &r, NULL), EC_OK);
		assert_int_equal(r.command, i);
		control_fini(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_request),      cmocka_unit_test(test_every_refusal), cmocka_unit_test(test_reads_no_further),
		cmocka_unit_test(test_length_of_identity), cmocka_unit_test(test_length_of_hop), cmocka_unit_test(test_depth),
		cmocka_unit_test(test_words),              cmocka_unit_test(test_hops),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
