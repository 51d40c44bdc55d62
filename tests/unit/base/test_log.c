#include "base/log_fs.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/unit.h"

/* capture runs `emit` with standard error in a file and returns what it wrote. */
static char text[8192];

static void capture(void (*emit)(void))
{
	FILE *f = tmpfile();
	assert_non_null(f);
	int saved = dup(STDERR_FILENO);
	assert_true(dup2(fileno(f), STDERR_FILENO) >= 0);
	emit();
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	close(saved);
	rewind(f);
	size_t len = fread(text, 1, sizeof text - 1, f);
	text[len] = '\0';
	fclose(f);
}

static void emit_hostile(void)
{
	struct log_line l;
	log_begin(&l, LOG_WARNING, "refused");
	log_bytes(&l, "helo", slice_of("a\r\nlevel=error \"x\\\xff\0z", 22));
	log_int(&l, "count", -7);
	log_end(&l);
}

static void emit_long(void)
{
	char big[5000];
	memset(big, '"', sizeof big - 1);
	big[sizeof big - 1] = '\0';
	struct log_line l;
	log_begin(&l, LOG_WARNING, "long");
	log_str(&l, "big", big);
	log_int(&l, "after", 1);
	log_end(&l);
}

static void emit_quiet(void)
{
	log_why(LOG_DEBUG, "quiet", NULL, "not wanted");
}

static size_t lines_in(const char *s)
{
	size_t n = 0;
	for (; *s != '\0'; s++)
		n += *s == '\n';
	return n;
}

static void a_peer_can_not_forge_a_line(void **state)
{
	(void)state;
	log_setup(LOG_LOGFMT, LOG_INFO, "t");
	capture(emit_hostile);
	assert_int_equal(lines_in(text), 1);
	assert_null(strchr(text, '\r'));
	assert_non_null(strstr(text, " count=-7\n"));
	for (const char *p = text; *p != '\0'; p++)
		assert_true(*p == '\n' || (*p >= ' ' && *p < 0x7f));
}

static void json_lines_are_json(void **state)
{
	(void)state;
	void (*const emits[])(void) = { emit_hostile, emit_long };
	log_setup(LOG_JSON, LOG_INFO, "t");
	for (size_t i = 0; i < NUM(emits); i++) {
		capture(emits[i]);
		json_t *j = json_loads(text, JSON_ALLOW_NUL, NULL);
		assert_non_null(j);
		assert_string_equal(json_string_value(json_object_get(j, "level")), "warning");
		json_decref(j);
	}
	log_setup(LOG_LOGFMT, LOG_INFO, "t");
}

static void the_level_is_kept(void **state)
{
	(void)state;
	capture(emit_quiet);
	assert_string_equal(text, "");
	log_setup(LOG_LOGFMT, LOG_DEBUG, "t");
	capture(emit_quiet);
	assert_non_null(strstr(text, "why=\"not wanted\""));
	log_setup(LOG_LOGFMT, LOG_INFO, "t");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_peer_can_not_forge_a_line),
		cmocka_unit_test(json_lines_are_json),
		cmocka_unit_test(the_level_is_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
