/* What may be asked over the control socket, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "tlsa-sync/request.h"

struct good {
	const char *line;
	struct request want;
};

static void what_is_asked_is_read(void **state)
{
	(void)state;
	static const struct good cases[] = {
		{ "{\"do\":\"hello\"}", { .verb = REQUEST_HELLO } },
		{ "{\"do\":\"status\"}", { .verb = REQUEST_STATUS } },
		{ " { \"colour\" : true , \"do\" : \"status\" } ", { .verb = REQUEST_STATUS, .colour = true } },
		{ "{\"do\":\"status\",\"identity\":\"\"}", { .verb = REQUEST_STATUS } },
		{ "{\"do\":\"roll\",\"identity\":\"MX1.example.org\"}", { .verb = REQUEST_ROLL, .identity = "MX1.example.org" } },
		{ "{\"do\":\"plan\",\"rotate\":true}", { .verb = REQUEST_PLAN, .rotate = true } },
		{ "{\"do\":\"plan\",\"rotate\":false}", { .verb = REQUEST_PLAN } },
		{ "{\"do\":\"plan\",\"emergency\":true}", { .verb = REQUEST_PLAN, .emergency = true } },
		{ "{\"do\":\"explain\"}", { .verb = REQUEST_EXPLAIN } },
		{ "{\"do\":\"history\"}", { .verb = REQUEST_HISTORY, .num = 20 } },
		{ "{\"do\":\"history\",\"num\":1}", { .verb = REQUEST_HISTORY, .num = 1 } },
		{ "{\"do\":\"history\",\"num\":99999}", { .verb = REQUEST_HISTORY, .num = 99999 } },
		{ "{\"do\":\"rotate\"}", { .verb = REQUEST_ROTATE } },
		{ "{\"do\":\"rotate\",\"emergency\":true}", { .verb = REQUEST_ROTATE, .emergency = true } },
		{ "{\"do\":\"rotate\",\"force\":true,\"emergency\":true}",
		  { .verb = REQUEST_ROTATE, .emergency = true, .force = true } },
		{ "{\"do\":\"rollback\",\"identity\":\"a_b-c.d\"}", { .verb = REQUEST_ROLLBACK, .identity = "a_b-c.d" } },
		{ "{\"do\":\"abort\"}", { .verb = REQUEST_ABORT } },
		{ "{\"do\":\"disable\"}", { .verb = REQUEST_DISABLE } },
		{ "{\"do\":\"enable\"}", { .verb = REQUEST_ENABLE } },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct request r, again;
		struct why why = { 0 };
		if (request_parse(slice_str(cases[i].line), &r, &why) != EC_OK)
			fail_msg("%s: %s", cases[i].line, why.text);
		if (memcmp(&r, &cases[i].want, sizeof r) != 0)
			fail_msg("%s: read as something else", cases[i].line);
		json_t *back = request_json(&r);
		char *line = json_dumps(back, 0);
		assert_int_equal(request_parse(slice_str(line), &again, &why), EC_OK);
		assert_memory_equal(&r, &again, sizeof r);
		free(line);
		json_decref(back);
	}
}

static void the_rest_is_refused_with_words(void **state)
{
	(void)state;
	static const struct {
		const char *line;
		enum ec ec;
		const char *words; /* a part of them */
	} cases[] = {
		{ "", EC_SYNTAX, "not a request" },
		{ "rotate", EC_SYNTAX, "not a request" },
		{ "[\"do\"]", EC_SYNTAX, "object" },
		{ "{\"do\":\"rotate\"} x", EC_SYNTAX, "not a request" },
		{ "{}", EC_MISSING, "\"do\"" },
		{ "{\"do\":null}", EC_SYNTAX, "string" },
		{ "{\"do\":\"Rotate\"}", EC_UNSUPPORTED, "Rotate" },
		{ "{\"do\":\"rotate\",\"do\":\"abort\"}", EC_SYNTAX, "duplicate" },
		{ "{\"do\":\"rotate\",\"wait\":true}", EC_UNKNOWN_KEY, "wait" },
		{ "{\"do\":\"abort\",\"force\":true}", EC_UNKNOWN_KEY, "force" },
		{ "{\"do\":\"hello\",\"identity\":\"a\"}", EC_UNKNOWN_KEY, "identity" },
		{ "{\"do\":\"status\",\"colour\":1}", EC_SYNTAX, "true or false" },
		{ "{\"do\":\"rotate\",\"emergency\":\"yes\"}", EC_SYNTAX, "true or false" },
		{ "{\"do\":\"rotate\",\"identity\":7}", EC_SYNTAX, "string" },
		{ "{\"do\":\"rotate\",\"identity\":\"mx1 example\"}", EC_SYNTAX, "host name" },
		{ "{\"do\":\"rotate\",\"identity\":\"mx1\\nexample\"}", EC_SYNTAX, "host name" },
		{ "{\"do\":\"rotate\",\"identity\":\"m\\u00fcller.example\"}", EC_SYNTAX, "host name" },
		{ "{\"do\":\"rotate\",\"force\":true}", EC_MISSING, "emergency" },
		{ "{\"do\":\"plan\",\"emergency\":true,\"rotate\":true}", EC_DUPLICATE, "one of them" },
		{ "{\"do\":\"history\",\"num\":0}", EC_RANGE, "from 1" },
		{ "{\"do\":\"history\",\"num\":100000}", EC_RANGE, "99999" },
		{ "{\"do\":\"history\",\"num\":-1}", EC_RANGE, "from 1" },
		{ "{\"do\":\"history\",\"num\":1.0}", EC_SYNTAX, "number" },
		{ "{\"do\":\"history\",\"num\":18446744073709551616}", EC_SYNTAX, "not a request" },
	};
	static const struct request nothing;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct request r;
		struct why why = { 0 };
		enum ec ec = request_parse(slice_str(cases[i].line), &r, &why);
		if (ec != cases[i].ec || strstr(why.text, cases[i].words) == NULL)
			fail_msg("%s: %s, %s", cases[i].line, ec_name(ec), why.text);
		assert_memory_equal(&r, &nothing, sizeof r);
	}
}

static void a_long_name_fits_or_not(void **state)
{
	(void)state;
	for (size_t len = 254; len <= 257; len++) {
		char line[400], name[300];
		struct request r;
		struct why why = { 0 };
		memset(name, 'a', len);
		name[len] = '\0';
		(void)snprintf(line, sizeof line, "{\"do\":\"abort\",\"identity\":\"%s\"}", name);
		assert_int_equal(request_parse(slice_str(line), &r, &why), len <= 255 ? EC_OK : EC_SYNTAX);
		assert_int_equal(strlen(r.identity), len <= 255 ? len : 0);
	}
}

/* A terminal must not be steered by what is quoted of a peer's words. */
static void words_are_printable(void **state)
{
	(void)state;
	static const char *const lines[] = { "{\"do\":\"\\u001b[2Jrotate\"}", "\x1b[2J", "{\"do\":\"abort\",\"\\u001b[31m\":1}",
		                             "{\"do\":\"\xc3\xa9\"}", "{\x01" };
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		struct request r;
		struct why why = { 0 };
		assert_int_not_equal(request_parse(slice_str(lines[i]), &r, &why), EC_OK);
		for (const char *p = why.text; *p != '\0'; p++)
			assert_true(*p >= ' ' && *p < 127);
	}
}

static void only_some_change_anything(void **state)
{
	(void)state;
	static const char *const changing[] = { "rotate", "rollback", "abort", "disable", "enable", "renew" };
	enum { NUM_CHANGING = sizeof changing / sizeof changing[0] };
	unsigned num = 0;
	for (int v = 0; v < REQUEST_NUM_VERBS; v++) {
		bool in = false;
		for (size_t i = 0; i < NUM_CHANGING; i++)
			in = in || strcmp(changing[i], request_name((enum request_verb)v)) == 0;
		assert_int_equal(request_changes((enum request_verb)v), in);
		num += in;
	}
	assert_int_equal(num, NUM_CHANGING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_asked_is_read),
		cmocka_unit_test(the_rest_is_refused_with_words),
		cmocka_unit_test(a_long_name_fits_or_not),
		cmocka_unit_test(words_are_printable),
		cmocka_unit_test(only_some_change_anything),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
