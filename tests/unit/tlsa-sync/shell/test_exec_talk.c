#include "tlsa-sync/exec_talk.h"

#include <jansson.h>

#include "tests/unit/unit.h"

static struct tlsa filled(uint8_t octet)
{
	uint8_t digest[32];
	memset(digest, octet, sizeof digest);
	return tlsa_311(digest);
}

static void a_change_is_said_in_json(void **state)
{
	(void)state;
	struct tlsa_set adds = { 0 }, deletes = { 0 }, wanted = { 0 };
	struct tlsa a = filled(0xaa), b = filled(0xbb), c = filled(0xcc);
	assert_int_equal(tlsa_set_add(&adds, &a), EC_OK);
	assert_int_equal(tlsa_set_add(&deletes, &b), EC_OK);
	assert_int_equal(tlsa_set_add(&wanted, &a), EC_OK);
	assert_int_equal(tlsa_set_add(&wanted, &c), EC_OK);
	struct dns_name zone, owner;
	assert_int_equal(dns_name_parse(SLICE_LIT("example.org"), &zone, NULL), EC_OK);
	assert_int_equal(dns_name_parse(SLICE_LIT("_25._tcp.MX1.example.org"), &owner, NULL), EC_OK);
	struct exec_request r = { "mx1.example.org", &zone, &owner, 3600, &adds, &deletes, &wanted, true };
	struct bytes out = { 0 };
	assert_int_equal(exec_request_print(&r, &out), EC_OK);
	struct slice s = bytes_slice(&out);
	assert_ptr_equal(memchr(s.p, '\n', s.len), s.p + s.len - 1); /* one line */
	json_t *got = json_loadb((const char *)s.p, s.len, 0, NULL);
#define FOUR(x) x x x x
#define HEX(digit) FOUR(FOUR(FOUR(digit)))
	json_t *want = json_pack("{s:i, s:b, s:s, s:s, s:s, s:i, s:[s], s:[s], s:[s,s]}", "protocol", 1, "dry_run", 1, "identity",
	                         "mx1.example.org", "zone", "example.org.", "owner", "_25._tcp.mx1.example.org.", "ttl", 3600,
	                         "add", "3 1 1 " HEX("a"), "delete", "3 1 1 " HEX("b"), "wanted", "3 1 1 " HEX("a"),
	                         "3 1 1 " HEX("c"));
	assert_non_null(want);
	assert_true(json_equal(got, want));
	json_decref(got);
	json_decref(want);
	bytes_fini(&out);
}

static void answers_are_judged(void **state)
{
	(void)state;
	static const struct {
		const char *answer;
		bool succeeded;
		enum outcome real, dry;
		const char *words; /* part of them, of the real one */
	} cases[] = {
		{ "{\"ok\":true}", true, OUTCOME_OK, OUTCOME_OK, "" },
		{ "{\"ok\":true,\"applied\":true}", true, OUTCOME_OK, OUTCOME_UNKNOWN, "" },
		{ " {\"ok\" : true , \"why\":\"3 records\", \"extra\":[1]}\n\n", true, OUTCOME_OK, OUTCOME_OK, "3 records" },
		{ "{\"ok\":true,\"applied\":false}", true, OUTCOME_UNKNOWN, OUTCOME_OK, "applied nothing" },
		{ "{\"ok\":true}", false, OUTCOME_UNKNOWN, OUTCOME_UNKNOWN, "exits with an error" },
		{ "{\"ok\":false,\"applied\":false,\"why\":\"no such zone\"}", false, OUTCOME_FAILED, OUTCOME_FAILED, "no such zone" },
		{ "{\"ok\":false,\"applied\":false,\"why\":\"no such zone\"}", true, OUTCOME_FAILED, OUTCOME_FAILED, "no such zone" },
		{ "{\"ok\":false,\"applied\":false}", true, OUTCOME_FAILED, OUTCOME_FAILED, "without a reason" },
		{ "{\"ok\":false,\"why\":\"lost it\"}", true, OUTCOME_UNKNOWN, OUTCOME_FAILED, "lost it" },
		{ "{\"ok\":false,\"applied\":true,\"why\":\"lost it\"}", true, OUTCOME_UNKNOWN, OUTCOME_FAILED, "lost it" },
		{ "{\"ok\":false,\"applied\":false,\"why\":\"a\\nb\\u001b[31m\\u00e9\"}", true, OUTCOME_FAILED, OUTCOME_FAILED, "a?b?[31m?" },
		{ "{\"ok\":false,\"applied\":false,\"why\":7}", true, OUTCOME_FAILED, OUTCOME_FAILED, "without a reason" },
		{ "{\"ok\":1}", true, OUTCOME_UNKNOWN, OUTCOME_UNKNOWN, "lacks \"ok\"" },
		{ "{\"ok\":\"true\"}", true, OUTCOME_UNKNOWN, OUTCOME_UNKNOWN, "lacks \"ok\"" },
		{ "{\"OK\":true}", true, OUTCOME_UNKNOWN, OUTCOME_UNKNOWN, "lacks \"ok\"" },
		{ "{\"ok\":false,\"applied\":\"no\"}", true, OUTCOME_UNKNOWN, OUTCOME_UNKNOWN, "\"applied\"" },
		{ "{}", true, OUTCOME_UNKNOWN, OUTCOME_UNKNOWN, "lacks \"ok\"" },
		{ "", true, OUTCOME_UNKNOWN, OUTCOME_FAILED, "no answer" },
		{ "done", true, OUTCOME_UNKNOWN, OUTCOME_FAILED, "no JSON" },
		{ "[true]", true, OUTCOME_UNKNOWN, OUTCOME_FAILED, "no JSON" },
		{ "true", true, OUTCOME_UNKNOWN, OUTCOME_FAILED, "no JSON" },
		{ "{\"ok\":true", true, OUTCOME_UNKNOWN, OUTCOME_FAILED, "no JSON" },
		{ "{\"ok\":true}{\"ok\":false}", true, OUTCOME_UNKNOWN, OUTCOME_FAILED, "no JSON" },
		{ "{\"ok\":false,\"ok\":true}", true, OUTCOME_UNKNOWN, OUTCOME_FAILED, "no JSON" },
		{ "warning\n{\"ok\":true}", true, OUTCOME_UNKNOWN, OUTCOME_FAILED, "no JSON" },
	};
	for (size_t i = 0; i < NUM(cases); i++) {
		struct why why = { 0 }, dry_why = { 0 };
		enum outcome real = exec_answer_read(slice_str(cases[i].answer), cases[i].succeeded, false, &why);
		enum outcome dry = exec_answer_read(slice_str(cases[i].answer), cases[i].succeeded, true, &dry_why);
		if (real != cases[i].real || dry != cases[i].dry || strstr(why.text, cases[i].words) == NULL ||
		    (real != OUTCOME_OK && why.text[0] == '\0'))
			fail_msg("%s: %d, dry %d: %s", cases[i].answer, real, dry, why.text);
	}
	static const uint8_t nul[] = "{\"ok\":true}\0{\"ok\":true}";
	assert_int_equal(exec_answer_read(slice_of(nul, sizeof nul - 1), true, false, NULL), OUTCOME_UNKNOWN);
}

/* A long complaint is cut, and the room is not overrun. */
static void long_words_are_cut(void **state)
{
	(void)state;
	static char answer[5000];
	struct writer w = writer_of(answer, sizeof answer);
	writer_str(&w, "{\"ok\":false,\"applied\":false,\"why\":\"");
	for (int i = 0; i < 4000; i++)
		writer_str(&w, "x");
	writer_str(&w, "\"}");
	assert_false(w.bad);
	struct why why = { 0 };
	assert_int_equal(exec_answer_read(writer_slice(&w), true, false, &why), OUTCOME_FAILED);
	assert_int_equal(strlen(why.text), WHY_SIZE - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_change_is_said_in_json),
		cmocka_unit_test(answers_are_judged),
		cmocka_unit_test(long_words_are_cut),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
