/* Every row of the table: a wrong value of each kind must give an error that
 * names the place and the key. */
#include "config/schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/scope.h"
#include "config/value.h"

enum { TEXT_SIZE = 1024 };

#define EACH_ROW(row) for (const struct schema_row *row = schema_rows; row < schema_rows + schema_num_rows; row++)

/* A whole connector in which `row`, in it or in its hop, has `value` on the last line. */
static void connector_with(const struct schema_row *row, const char *value, struct writer *w, unsigned *out_line)
{
	static const char *const others[][2] = { { "name", "a" }, { "domains", "[x.y]" }, { "next_hops", "[{to: mx}]" } };
	const char *leaf = schema_leaf(row);
	bool hop = row->scope == SCHEMA_IN_HOP;
	writer_str(w, "connectors:\n");
	*out_line = 2;
	for (size_t i = 0; i < (hop ? 2 : 3); i++) {
		if (strcmp(others[i][0], leaf) == 0)
			continue;
		writer_format(w, "  %s %s: %s\n", *out_line == 2 ? "-" : " ", others[i][0], others[i][1]);
		++*out_line;
	}
	if (hop && strcmp(leaf, "to") == 0) {
		writer_format(w, "    next_hops:\n      - to: %s\n", value);
		*out_line += 1;
	} else if (hop) {
		writer_format(w, "    next_hops:\n      - to: mx\n        %s: %s\n", leaf, value);
		*out_line += 2;
	} else {
		writer_format(w, "    %s: %s\n", leaf, value);
	}
}

/* A file in which `row` has `value`, alone on the line that `*out_line` counts. */
static void file_with(const struct schema_row *row, const char *value, char *out, size_t size, unsigned *out_line)
{
	struct writer w = writer_of(out, size);
	unsigned depth = 0;
	*out_line = 1;
	if (row->scope == SCHEMA_IN_CONNECTOR || row->scope == SCHEMA_IN_HOP) {
		connector_with(row, value, &w, out_line);
		return;
	}
	if (row->scope != SCHEMA_IN_CONFIG && strcmp(row->key, "identities.name") != 0) {
		writer_str(&w, "identities:\n  - name: a.b\n");
		*out_line = 3;
		if (row->scope == SCHEMA_IN_FILES) {
			bool chain = strcmp(schema_leaf(row), "chain") == 0;
			writer_format(&w, "    issuer: files\n    files:\n      - %s: /x\n        %s: %s\n",
			              chain ? "key" : "chain", schema_leaf(row), value);
			*out_line = 6;
			return;
		}
		writer_format(&w, "    %s: %s\n", schema_leaf(row), value);
		return;
	}
	if (row->scope == SCHEMA_IN_IDENTITY) {
		writer_format(&w, "identities:\n  - name: %s\n", value);
		*out_line = 2;
		return;
	}
	char key[128];
	(void)snprintf(key, sizeof key, "%s", row->key);
	for (char *part = strtok(key, "."); part != NULL;) {
		char *next = strtok(NULL, ".");
		writer_format(&w, "%*s%s:%s", (int)(2 * depth), "", part, next == NULL ? "" : "\n");
		*out_line += next != NULL;
		depth++;
		part = next;
	}
	writer_format(&w, " %s\n", value);
}

/* parse_with reads a file in which `row` has `value`, on line `*out_line` of `text`. */
static enum ec parse_with(const struct schema_row *row, const char *value, char text[TEXT_SIZE], unsigned *out_line,
                          struct config **out, struct config_errors *errs)
{
	*out = NULL;
	*errs = (struct config_errors){ 0 };
	file_with(row, value, text, TEXT_SIZE, out_line);
	return config_parse(slice_str(text), "f.yaml", out, errs);
}

static void expect_error(const struct schema_row *row, const char *value, enum ec want)
{
	char text[TEXT_SIZE], start[200];
	unsigned line = 0;
	struct config *cfg;
	struct config_errors errs;
	enum ec ec = parse_with(row, value, text, &line, &cfg, &errs);
	if (ec == EC_OK)
		print_error("accepted:\n%s", text);
	assert_int_not_equal(ec, EC_OK);
	assert_null(cfg);
	if (ec != want)
		print_error("%s: %s: %s\n", row->key, value, errs.items[0]);
	assert_int_equal(ec, want);
	/* f.yaml:LINE:COL: key: what is wrong; what would be right */
	unsigned at_line = 0, at_col = 0;
	int n = 0;
	assert_int_equal(sscanf(errs.items[0], "f.yaml:%u:%u: %n", &at_line, &at_col, &n), 2);
	assert_int_equal(at_line, line);
	const char *in_line = text;
	for (unsigned i = 1; i < line; i++)
		in_line = strchr(in_line, '\n') + 1;
	/* The column is that of the value, or of an item in it; an empty one is
	 * found right after the colon. */
	const char *place = strstr(in_line, ": ") + 2;
	assert_true(at_col >= (unsigned)(place - in_line) + (*value != '\0'));
	(void)snprintf(start, sizeof start, "%s: ", row->key);
	assert_memory_equal(errs.items[0] + n, start, strlen(start));
	assert_non_null(strstr(errs.items[0] + n, "; "));
}

static void expect_ok(const struct schema_row *row, const char *value)
{
	char text[TEXT_SIZE];
	unsigned line = 0;
	struct config *cfg;
	struct config_errors errs;
	enum ec ec = parse_with(row, value, text, &line, &cfg, &errs);
	/* Rules between settings are another matter. */
	if (ec != EC_OK && strstr(errs.items[0], "would be due") == NULL && strstr(errs.items[0], "session would end") == NULL)
		fail_msg("%s: %s: %s", row->key, value, errs.items[0]);
	config_free(cfg);
}

static void every_wrong_type(void **state)
{
	(void)state;
	EACH_ROW (row) {
		bool sequence = schema_is_list(row->type) || row->type == SCHEMA_SET || row->type == SCHEMA_MAPPINGS;
		if (!sequence)
			expect_error(row, "[x]", EC_SYNTAX);
		else
			expect_error(row, "x", EC_SYNTAX);
		if (row->type == SCHEMA_SECTION)
			expect_error(row, "x", EC_SYNTAX);
		else if (sequence)
			expect_error(row, row->type == SCHEMA_MAPPINGS ? "[[z]]" : "[{x: y}]", EC_SYNTAX);
		else
			expect_error(row, "{x: y}", EC_SYNTAX);
		expect_error(row, "~", EC_SYNTAX);
		expect_error(row, "", EC_SYNTAX);
		if (!row->empty && !sequence)
			expect_error(row, "\"\"", EC_SYNTAX);
	}
}

/* What a value of each kind must not be; with EC_OK, what it may be. */
static const struct {
	enum schema_type type;
	enum ec want;
	const char *values[11]; /* up to NULL */
} values_table[] = {
	{ SCHEMA_PATH, EC_SYNTAX, { "relative/path" } },
	{ SCHEMA_SOCKET, EC_SYNTAX, { "relative/path" } },
	{ SCHEMA_HOST, EC_SYNTAX, { "mx1", "\"a b.c\"" } },
	{ SCHEMA_NAME, EC_SYNTAX, { "a..b" } },
	{ SCHEMA_ADDRESS, EC_SYNTAX, { "mail.example.org:25" } },
	{ SCHEMA_ADDRESS, EC_RANGE, { "192.0.2.1:65536" } },
	{ SCHEMA_ADDRESS, EC_MISSING, { "192.0.2.1" } },
	{ SCHEMA_NEXT_HOP, EC_SYNTAX, { "mail.example.org:25" } },
	{ SCHEMA_NEXT_HOP, EC_RANGE, { "192.0.2.1:65536" } },
	{ SCHEMA_NEXT_HOP, EC_MISSING, { "192.0.2.1" } },
	{ SCHEMA_ADDRESSES, EC_SYNTAX, { "[mail.example.org:25]", "[192.0.2.256]" } },
	{ SCHEMA_SOCKETS, EC_SYNTAX, { "[run/x]" } },
	{ SCHEMA_SOCKETS, EC_RANGE, { "[]" } },
	{ SCHEMA_COMMAND, EC_SYNTAX, { "[rndc, reload]", "[\"\"]" } },
	{ SCHEMA_COMMAND, EC_OK, { "[/usr/sbin/rndc, \"\", a b, a b]" } },
	{ SCHEMA_LABEL, EC_SYNTAX, { "Store" } },
	{ SCHEMA_LABEL, EC_OK, { "store-2" } },
	{ SCHEMA_HOP, EC_MISSING, { "mail.example.org" } },
	{ SCHEMA_HOP, EC_RANGE, { "mail.example.org:65536" } },
	{ SCHEMA_HOP, EC_OK, { "mail.example.org:65535" } },
	{ SCHEMA_DATE, EC_RANGE, { "2027-02-29" } },
	{ SCHEMA_DATE, EC_SYNTAX, { "tomorrow" } },
	{ SCHEMA_PATTERNS, EC_SYNTAX, { "[\"*x.y\"]" } },
	{ SCHEMA_PATTERNS, EC_RANGE, { "[]" } },
	{ SCHEMA_PATTERNS, EC_OK, { "[\"*.x.y\", x.y, \"*\"]" } },
	{ SCHEMA_PINS, EC_SYNTAX, { "[00]" } },
	{ SCHEMA_BOOL, EC_SYNTAX, { "1", "True" } },
	{ SCHEMA_WORD, EC_UNKNOWN_KEY, { "no-such-word" } },
	{ SCHEMA_SET, EC_UNKNOWN_KEY, { "[no-such-word]" } },
	{ SCHEMA_SET, EC_RANGE, { "[]" } },
	{ SCHEMA_DURATION, EC_SYNTAX, { "30x", "30", "s", "1s1h", "1h1h", "1.5h", "-1s", "0x10s", "1 s", "1S" } },
	{ SCHEMA_SIZE, EC_SYNTAX, { "30x", "K", "1KB", "1k", "1.5M", "-1K", "1 K", "0x10" } },
	{ SCHEMA_COUNT, EC_SYNTAX, { "30x", "1K", "1s", "-1", "1.0", "0x10", "1e3", "1 2" } },
};

static void every_value(void **state)
{
	(void)state;
	for (size_t k = 0; k < sizeof values_table / sizeof *values_table; k++) {
		unsigned num = 0;
		EACH_ROW (row) {
			enum ec want = values_table[k].want;
			if (row->type != values_table[k].type)
				continue;
			num++;
			/* A port that has a default may be missing; a command of an identity also needs its issuer. */
			bool other = (want == EC_MISSING && row->port != 0) || (want == EC_OK && row->scope == SCHEMA_IN_IDENTITY);
			for (const char *const *v = values_table[k].values; *v != NULL && !other; v++)
				want == EC_OK ? expect_ok(row, *v) : expect_error(row, *v, want);
		}
		assert_true(num > 0);
	}
}

static void number_text(const struct schema_row *row, int64_t n, char *out, size_t size)
{
	(void)snprintf(out, size, "%lld%s", (long long)n, row->type == SCHEMA_DURATION ? "ms" : "");
}

/* The bounds themselves are allowed; one step beyond is not. */
static void every_bound(void **state)
{
	(void)state;
	unsigned num = 0;
	EACH_ROW (row) {
		if (row->type != SCHEMA_DURATION && row->type != SCHEMA_SIZE && row->type != SCHEMA_COUNT)
			continue;
		int64_t step = row->type == SCHEMA_DURATION ? row->step : 1;
		char text[64];
		assert_true(row->min < row->max);
		number_text(row, row->max, text, sizeof text);
		expect_ok(row, text);
		number_text(row, row->max + step, text, sizeof text);
		expect_error(row, text, EC_RANGE);
		number_text(row, row->min, text, sizeof text);
		expect_ok(row, text);
		if (row->min > 0) {
			number_text(row, row->min - 1, text, sizeof text);
			expect_error(row, text, EC_RANGE);
		}
		expect_error(row, row->type == SCHEMA_DURATION ? "99999999999999999999s" : "99999999999999999999", EC_RANGE);
		num++;
	}
	assert_true(num > 30);
}

static void list_lengths(void **state)
{
	(void)state;
	char value[1000];
	EACH_ROW (row) {
		if (row->type != SCHEMA_ADDRESSES)
			continue;
		struct writer w = writer_of(value, sizeof value);
		for (int64_t j = 0; j <= row->max; j++)
			writer_format(&w, "%s1.1.1.%d:1", j == 0 ? "[" : ",", (int)j);
		writer_str(&w, "]");
		assert_false(w.bad);
		expect_error(row, value, EC_RANGE);
	}
}

/* The table itself. */
static void the_table(void **state)
{
	(void)state;
	EACH_ROW (row) {
		assert_ptr_equal(schema_find(slice_str(row->key)), row); /* no key twice */
		size_t len = strlen(row->doc);
		assert_true(len > 5 && row->doc[len - 1] == '.');
		/* Its section stands before it. */
		if (schema_leaf(row) != row->key) {
			struct slice section = slice_first(slice_str(row->key), (size_t)(schema_leaf(row) - row->key) - 1);
			const struct schema_row *above = schema_find(section);
			assert_non_null(above);
			assert_true(above < row);
			assert_true(above->type == SCHEMA_SECTION || above->type == SCHEMA_MAPPINGS);
		}
		if (row->type == SCHEMA_SECTION || row->type == SCHEMA_MAPPINGS)
			continue;
		assert_true((row->fallback == NULL) == (row->needed_by != 0));
		assert_true((row->type == SCHEMA_WORD || row->type == SCHEMA_SET) == (row->words != NULL));
		/* The default is a value its own row accepts. */
		if (row->fallback != NULL && *row->fallback != '\0' && !schema_is_list(row->type)) {
			struct why why = { 0 };
			assert_int_equal(value_check(row, slice_str(row->fallback), &why), EC_OK);
		}
	}
}

/* Each row has memory of its own: changing one by the file changes no other. */
static void offsets(void **state)
{
	(void)state;
	struct config *base = NULL;
	assert_int_equal(config_defaults(&base), EC_OK);
	EACH_ROW (row) {
		if (row->scope != SCHEMA_IN_CONFIG || row->type == SCHEMA_SECTION || row->type == SCHEMA_MAPPINGS)
			continue;
		char value[64] = "";
		switch (row->type) {
		case SCHEMA_DURATION:
		case SCHEMA_SIZE:
		case SCHEMA_COUNT:
			number_text(row, row->max, value, sizeof value);
			break;
		case SCHEMA_BOOL:
			(void)snprintf(value, sizeof value, "true");
			break;
		case SCHEMA_SET:
		case SCHEMA_WORD: {
			/* The last word, unless that is the default. */
			size_t n = 0;
			while (row->words[n + 1] != NULL)
				n++;
			(void)snprintf(value, sizeof value, "%s", row->words[n]);
			break;
		}
		case SCHEMA_HOST:
		case SCHEMA_NAME:
			(void)snprintf(value, sizeof value, "z.z");
			break;
		case SCHEMA_ADDRESS:
		case SCHEMA_ADDRESSES:
		case SCHEMA_NEXT_HOP:
			(void)snprintf(value, sizeof value, "192.0.2.9:99");
			break;
		case SCHEMA_NETWORKS:
			(void)snprintf(value, sizeof value, "192.0.2.8/29");
			break;
		default:
			(void)snprintf(value, sizeof value, "/z");
			break;
		}
		struct config *cfg = NULL;
		assert_int_equal(config_defaults(&cfg), EC_OK);
		struct why why = { 0 };
		assert_int_equal(value_set(row, cfg, slice_str(value), (struct config_mark){ 0 }, &why), EC_OK);
		unsigned changed = 0;
		for (size_t j = 0; j < schema_num_rows; j++)
			if (schema_rows[j].scope == SCHEMA_IN_CONFIG && schema_rows[j].type != SCHEMA_SECTION &&
			    !scope_row_eq(&schema_rows[j], base, cfg)) {
				assert_ptr_equal(&schema_rows[j], row);
				changed++;
			}
		/* A list of one word (publisher) has nothing to change to. */
		assert_int_equal(changed, row->type == SCHEMA_WORD && row->words[1] == NULL ? 0 : 1);
		config_free(cfg);
	}
	config_free(base);
}

static void nearest(void **state)
{
	(void)state;
	static const struct {
		const char *prefix, *key, *want;
	} cases[] = {
		{ "proxy", "hostnmae", "proxy.hostname" },
		{ "proxy", "stats_sock", "proxy.stats_socket" },
		{ "smtp", "max_recipient", "smtp.max_recipients" },
		{ "tlsa_sync", "tll", "tlsa_sync.ttl" },
		{ "", "identites", "identities" },
		{ "identities", "algorithm", "identities.algorithms" },
		{ "", "tsig_name", "tlsa_sync.rfc2136.tsig_name" },
		{ "proxy", "zzzzzz", NULL },
		{ "", "", NULL },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const struct schema_row *row = schema_nearest(cases[i].prefix, slice_str(cases[i].key));
		if (cases[i].want == NULL) {
			assert_null(row);
			continue;
		}
		assert_non_null(row);
		assert_string_equal(row->key, cases[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_wrong_type), cmocka_unit_test(every_value), cmocka_unit_test(every_bound),
		cmocka_unit_test(list_lengths),     cmocka_unit_test(the_table),   cmocka_unit_test(offsets),
		cmocka_unit_test(nearest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
