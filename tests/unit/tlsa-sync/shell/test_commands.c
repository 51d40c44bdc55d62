/* The table of subcommands, and how words on the command line are read by it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "tlsa-sync/commands.h"

enum { WORDS = 8 };

static enum ec parse(enum command_id id, const char *const words[WORDS], struct options *out, struct why *why)
{
	char *argv[WORDS];
	int argc = 0;
	for (; argc < WORDS && words[argc] != NULL; argc++)
		argv[argc] = (char *)(uintptr_t)words[argc];
	return command_parse(id, argc, argv, out, why);
}

static void words_are_read(void **state)
{
	(void)state;
	static const struct {
		enum command_id id;
		const char *words[WORDS];
		struct options want;
		const char *identity;
	} cases[] = {
		{ COMMAND_STATUS, { NULL }, { .lines = 20 }, NULL },
		{ COMMAND_STATUS, { "--json", "mx1.example.org" }, { .json = true, .lines = 20 }, "mx1.example.org" },
		{ COMMAND_STATUS, { "mx1.example.org", "--watch" }, { .watch = true, .lines = 20 }, "mx1.example.org" },
		{ COMMAND_STATUS, { "--", "--json" }, { .lines = 20 }, "--json" },
		{ COMMAND_HISTORY, { "-n", "5" }, { .lines = 5 }, NULL },
		{ COMMAND_HISTORY, { "-n5", "a" }, { .lines = 5 }, "a" },
		{ COMMAND_HISTORY, { "--lines=99999" }, { .lines = 99999 }, NULL },
		{ COMMAND_ROTATE, { "--wait", "--emergency", "--force" },
		  { .wait = true, .emergency = true, .force = true, .lines = 20 }, NULL },
		{ COMMAND_ROTATE, { "-h" }, { .help = true, .lines = 20 }, NULL },
		{ COMMAND_ROTATE, { "--force", "--help" }, { .force = true, .help = true, .lines = 20 }, NULL },
		{ COMMAND_PLAN, { "--emergency" }, { .emergency = true, .lines = 20 }, NULL },
		{ COMMAND_RUN, { "--help" }, { .help = true, .lines = 20 }, NULL },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct options o;
		struct why why = { 0 };
		if (parse(cases[i].id, cases[i].words, &o, &why) != EC_OK)
			fail_msg("case %zu: %s", i, why.text);
		if (cases[i].identity == NULL)
			assert_null(o.identity);
		else
			assert_string_equal(o.identity, cases[i].identity);
		const struct options *w = &cases[i].want;
		assert_true(o.json == w->json && o.watch == w->watch && o.wait == w->wait && o.emergency == w->emergency &&
		            o.force == w->force && o.help == w->help && o.lines == w->lines && o.rotate == w->rotate);
	}
}

static void other_words_are_refused(void **state)
{
	(void)state;
	static const struct {
		enum command_id id;
		const char *words[WORDS];
		enum ec ec;
		const char *part;
	} cases[] = {
		{ COMMAND_STATUS, { "--wait" }, EC_UNKNOWN_KEY, "--wait" },
		{ COMMAND_STATUS, { "--jso" }, EC_UNKNOWN_KEY, "--jso" },
		{ COMMAND_STATUS, { "--json=yes" }, EC_SYNTAX, "no argument" },
		{ COMMAND_STATUS, { "-x" }, EC_UNKNOWN_KEY, "-x" },
		{ COMMAND_STATUS, { "a", "b" }, EC_DUPLICATE, "\"b\"" },
		{ COMMAND_RUN, { "mx1" }, EC_UNKNOWN_KEY, "mx1" },
		{ COMMAND_HISTORY, { "-n" }, EC_MISSING, "NUMBER" },
		{ COMMAND_HISTORY, { "-n", "0" }, EC_RANGE, "99999" },
		{ COMMAND_HISTORY, { "-n", "100000" }, EC_RANGE, "99999" },
		{ COMMAND_HISTORY, { "-n", "5x" }, EC_SYNTAX, "5x" },
		{ COMMAND_ROTATE, { "--force" }, EC_MISSING, "--emergency" },
		{ COMMAND_ABORT, { "--wait" }, EC_UNKNOWN_KEY, "--wait" },
		{ COMMAND_PLAN, { "--rotate", "--emergency" }, EC_DUPLICATE, "one of them" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct options o;
		struct why why = { 0 };
		enum ec ec = parse(cases[i].id, cases[i].words, &o, &why);
		if (ec != cases[i].ec || strstr(why.text, cases[i].part) == NULL)
			fail_msg("case %zu: %s, %s", i, ec_name(ec), why.text);
	}
}

/* Every option of the table can be given, every flag sets exactly one thing, and the help of
 * each command names its options and says what its exit statuses mean. */
static void table_and_parser_agree(void **state)
{
	(void)state;
	for (unsigned c = 0; c < COMMAND_NUM; c++) {
		enum command_id id;
		struct bytes help = { 0 };
		assert_true(command_find(command_rows[c].name, &id));
		assert_int_equal(id, c);
		assert_int_equal(command_help(id, &help), EC_OK);
		assert_int_equal(bytes_append(&help, slice_of("", 1)), EC_OK);
		const char *text = (const char *)bytes_slice(&help).p;
		assert_non_null(strstr(text, "Exit status: 0 "));
		for (unsigned o = 0; o < command_num_options; o++) {
			const struct command_option *row = &command_options[o];
			struct options parsed;
			struct why why = { 0 };
			const char *words[WORDS] = { row->name, row->argument != NULL ? "7" : NULL };
			bool mine = (row->commands & (1u << c)) != 0;
			if (strcmp(row->name, "--force") == 0)
				words[1] = "--emergency";
			assert_int_equal(parse(id, words, &parsed, &why) == EC_OK, mine);
			if (mine)
				assert_non_null(strstr(text, row->name));
		}
		bytes_fini(&help);
	}
}

static void no_such_command(void **state)
{
	(void)state;
	enum command_id id;
	assert_false(command_find("rotat", &id));
	assert_false(command_find("rotatee", &id));
	assert_false(command_find("", &id));
	struct bytes out = { 0 };
	assert_int_equal(command_completion("fish", &out), EC_UNSUPPORTED);
	bytes_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_read),
		cmocka_unit_test(other_words_are_refused),
		cmocka_unit_test(table_and_parser_agree),
		cmocka_unit_test(no_such_command),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
