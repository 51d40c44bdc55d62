#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/smtp/line.h"

#define IN(s) { (const uint8_t *)(s), sizeof(s) - 1 }

struct row {
	const char *name;
	struct slice in;
	enum ec ec;
	size_t used;
	const char *line;
};

/* With a limit of 10 octets, CRLF included. */
static const struct row rows[] = {
	{ "nothing", IN(""), EC_AGAIN, 0, NULL },
	{ "half a line", IN("NOOP"), EC_AGAIN, 0, NULL },
	{ "without LF", IN("NOOP\r"), EC_AGAIN, 0, NULL },
	{ "a line", IN("NOOP\r\nRSET\r\n"), EC_OK, 6, "NOOP" },
	{ "an empty line", IN("\r\n"), EC_OK, 2, "" },
	{ "exactly the limit", IN("12345678\r\n"), EC_OK, 10, "12345678" },
	{ "one over", IN("123456789\r\n"), EC_LINE_LONG, 9, NULL },
	{ "two over", IN("1234567890\r\n"), EC_LINE_LONG, 10, NULL },
	{ "the limit without an end", IN("1234567890"), EC_LINE_LONG, 10, NULL },
	{ "LF alone", IN("\n"), EC_BARE_LF, 1, NULL },
	{ "bare LF", IN("NO\nOP\r\n"), EC_BARE_LF, 3, NULL },
	{ "LF CR", IN("NO\n\rOP\r\n"), EC_BARE_LF, 3, NULL },
	{ "bare CR", IN("NO\rOP\r\n"), EC_BARE_CR, 7, NULL },
	{ "CR CR LF", IN("NO\r\r\n"), EC_BARE_CR, 5, NULL },
	{ "NUL", IN("NO\0P\r\n"), EC_NUL, 6, NULL },
};

static void test_take(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct row *row = &rows[i];
		struct slice line = { 0 };
		size_t used = 99;
		enum ec ec = smtp_line_take(row->in, 10, &line, &used);
		if (ec != row->ec || used != row->used)
			fail_msg("%s: %s, %zu taken", row->name, ec_name(ec), used);
		if (row->line != NULL)
			assert_true(slice_eq(line, slice_str(row->line)));
	}
}

static void test_skip(void **state)
{
	static const struct row skips[] = {
		{ "no end", IN("abc"), EC_AGAIN, 3, NULL },
		{ "a CR at the edge stays", IN("abc\r"), EC_AGAIN, 3, NULL },
		{ "an end", IN("abc\r\nd"), EC_OK, 5, NULL },
		{ "bare ones are no end", IN("a\nb\rc\r\r\nd"), EC_OK, 8, NULL },
		{ "at once", IN("\r\n"), EC_OK, 2, NULL },
	};
	(void)state;
	for (size_t i = 0; i < sizeof skips / sizeof *skips; i++) {
		size_t used = 99;
		enum ec ec = smtp_line_skip(skips[i].in, &used);
		if (ec != skips[i].ec || used != skips[i].used)
			fail_msg("%s: %s, %zu taken", skips[i].name, ec_name(ec), used);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_take), cmocka_unit_test(test_skip) };
	return cmocka_run_group_tests_name("smtp/line", tests, NULL, NULL);
}
