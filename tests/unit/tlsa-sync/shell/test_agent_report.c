#include "tlsa-sync/agent_report.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/unit.h"

#define HEX "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define KEY(alg, digest) "{\"algorithm\":\"" alg "\",\"spki_sha256\":\"" digest "\",\"not_before\":10,\"not_after\":20," \
	                 "\"issuer\":\"self-signed\",\"certified\":true}"
#define GEN(n, keys) "{\"number\":" n ",\"role\":\"active\",\"created\":5,\"keys\":[" keys "]}"
#define IDENTITY(name, active, gens) "{\"name\":\"" name "\",\"active\":" active ",\"presented\":7,\"guard\":\"allowed\"," \
	                             "\"why\":\"\",\"generations\":[" gens "]}"
#define REPORT(identities) "{\"ok\":true,\"identities\":[" identities "]}"

static enum ec read_text(const char *text, const char *identity, struct agent_report *out, struct why *why)
{
	json_error_t error;
	json_t *answer = json_loads(text, 0, &error);
	if (answer == NULL)
		fail_msg("the test's own JSON: %s in %s", error.text, text);
	enum ec ec = agent_report_read(answer, identity, out, why);
	json_decref(answer);
	return ec;
}

static void test_good(void **state)
{
	(void)state;
	struct agent_report r;
	struct why why = { 0 };
	static const char text[] = REPORT(IDENTITY("other.test", "1", GEN("1", KEY("ecdsa-p256", HEX))) "," IDENTITY(
		"MX1.Example.test", "7", GEN("7", KEY("ecdsa-p256", HEX) "," KEY("rsa-3072", HEX)) "," GEN("8", KEY("ecdsa-p256", HEX)) "," GEN("6", KEY("ecdsa-p256", HEX))));
	assert_int_equal(read_text(text, "mx1.example.TEST", &r, &why), EC_OK);
	assert_int_equal(r.report.active, 7);
	assert_int_equal(r.report.presented, 7);
	assert_null(r.report.words);
	assert_int_equal(r.report.num_generations, 3);
	const struct generation *g = r.report.generations;
	assert_int_equal(g[0].role, GENERATION_ACTIVE);
	assert_int_equal(g[1].role, GENERATION_STANDBY);
	assert_int_equal(g[2].role, GENERATION_RETIRED);
	assert_int_equal(g[0].created.s, 5);
	assert_int_equal(g[0].num_keys, 2);
	const struct key_info *rsa = generation_key(&g[0], KEY_RSA_3072);
	assert_non_null(rsa);
	assert_true(rsa->certified);
	assert_int_equal(rsa->not_before.s, 10);
	assert_int_equal(rsa->not_after.s, 20);
	static const uint8_t start[4] = { 0x00, 0x11, 0x22, 0x33 };
	assert_memory_equal(rsa->chain[0].spki_sha256, start, 4);
}

static void test_guard_words(void **state)
{
	(void)state;
	struct agent_report r;
	struct why why = { 0 };
	static const char text[] =
		"{\"ok\":true,\"identities\":[{\"name\":\"a\",\"active\":1,\"presented\":0,\"guard\":\"refused\",\"why\":\"no pin\","
		"\"generations\":[" GEN("1", KEY("ecdsa-p256", HEX)) "]}]}";
	assert_int_equal(read_text(text, "a", &r, &why), EC_OK);
	assert_non_null(r.report.words);
	assert_non_null(strstr(r.report.words, "no pin"));
}

static const struct bad_case {
	const char *name;
	const char *text;
	enum ec ec;
} bad[] = {
	{ "not served", REPORT(IDENTITY("b", "1", GEN("1", KEY("ecdsa-p256", HEX)))), EC_NOT_FOUND },
	{ "no identities", "{\"ok\":true}", EC_NOT_FOUND },
	{ "identities is a number", "{\"ok\":true,\"identities\":7}", EC_NOT_FOUND },
	{ "identity without a name", "{\"ok\":true,\"identities\":[{}]}", EC_NOT_FOUND },
	{ "active is a string", REPORT(IDENTITY("a", "\"1\"", GEN("1", KEY("ecdsa-p256", HEX)))), EC_SYNTAX },
	{ "active is negative", REPORT(IDENTITY("a", "-1", GEN("1", KEY("ecdsa-p256", HEX)))), EC_SYNTAX },
	{ "short digest", REPORT(IDENTITY("a", "1", GEN("1", KEY("ecdsa-p256", "00")))), EC_SYNTAX },
	{ "digest is no hex", REPORT(IDENTITY("a", "1", GEN("1", KEY("ecdsa-p256", "zz112233445566778899aabbccddeeff00112233445566778899aabbccddeeff")))), EC_SYNTAX },
	{ "unknown algorithm", REPORT(IDENTITY("a", "1", GEN("1", KEY("dsa-512", HEX)))), EC_SYNTAX },
	{ "the same algorithm twice", REPORT(IDENTITY("a", "1", GEN("1", KEY("ecdsa-p256", HEX) "," KEY("ecdsa-p256", HEX)))), EC_SYNTAX },
	{ "no keys", REPORT(IDENTITY("a", "1", GEN("1", ""))), EC_SYNTAX },
	{ "generation 0", REPORT(IDENTITY("a", "1", GEN("0", KEY("ecdsa-p256", HEX)))), EC_SYNTAX },
	{ "a generation twice", REPORT(IDENTITY("a", "1", GEN("1", KEY("ecdsa-p256", HEX)) "," GEN("1", KEY("ecdsa-p256", HEX)))), EC_SYNTAX },
	{ "generation is a string", REPORT(IDENTITY("a", "1", "\"x\"")), EC_SYNTAX },
	{ "an array", "[]", EC_NOT_FOUND },
};

static void test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < NUM(bad); i++) {
		struct agent_report r;
		struct why why = { 0 };
		enum ec ec = read_text(bad[i].text, "a", &r, &why);
		if (ec != bad[i].ec || why.text[0] == '\0')
			fail_msg("%s: %s (\"%s\")", bad[i].name, ec_name(ec), why.text);
	}
}

static void test_too_many(void **state)
{
	(void)state;
	json_t *generations = json_array();
	for (int i = 1; i <= AGENT_GENERATIONS_MAX + 1; i++)
		json_array_append_new(generations, json_pack("{s:i}", "number", i));
	json_t *answer = json_pack("{s:[{s:s,s:i,s:i,s:o}]}", "identities", "name", "a", "active", 1, "presented", 1, "generations",
	                           generations);
	struct agent_report r;
	struct why why = { 0 };
	assert_int_equal(agent_report_read(answer, "a", &r, &why), EC_LIMIT);
	json_decref(answer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_guard_words),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_too_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
