/* Telling a command what happens: in order, one at a time, and never in anybody's way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log_fs.h"
#include "tlsa-sync/events_uv.h"

static char path[64];

static int setup(void **state)
{
	(void)state;
	strcpy(path, "/tmp/danegate-events-XXXXXX");
	int fd = mkstemp(path);
	return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state)
{
	(void)state;
	return unlink(path);
}

static struct config_list list(char **items, size_t num)
{
	return (struct config_list){ .items = items, .num = num };
}

/* A command that appends its input, and a line's end, to the file. */
static struct config_list appender(char *items[4])
{
	static char shell[] = "/bin/sh", dash[] = "-c", script[] = "cat >> \"$0\"; echo >> \"$0\"";
	items[0] = shell;
	items[1] = dash;
	items[2] = script;
	items[3] = path;
	return list(items, 4);
}

static void in_order_and_bounded(void **state)
{
	(void)state;
	uv_loop_t loop;
	struct mishaps mishaps = { 0 };
	struct events *e = NULL;
	char *items[4];
	struct config_list command = appender(items);
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(events_new(&loop, &command, &mishaps, &e), EC_OK);
	/* the first is told at once, EVENTS_QUEUE can wait, of the rest the oldest go */
	enum { NUM = EVENTS_QUEUE + 4 };
	for (int i = 1; i <= NUM; i++)
		events_tell(e, "state", "mx.test", "AGEING", i == 1 ? "one \"quoted\"\n\xff" : "more", (struct wall){ i });
	uv_run(&loop, UV_RUN_DEFAULT);
	struct events_counts c = events_count(e);
	assert_int_equal(c.told, EVENTS_QUEUE + 1);
	assert_int_equal(c.dropped, 3);
	assert_int_equal(c.failed, 0);
	assert_int_equal(mishaps.num, 1);
	FILE *f = fopen(path, "r");
	char line[256];
	for (int i = 1; i <= NUM; i = i == 1 ? 5 : i + 1) {
		assert_non_null(fgets(line, sizeof line, f));
		json_t *j = json_loads(line, 0, NULL);
		assert_non_null(j);
		assert_int_equal(json_integer_value(json_object_get(j, "at")), i);
		assert_string_equal(json_string_value(json_object_get(j, "event")), "state");
		assert_string_equal(json_string_value(json_object_get(j, "identity")), "mx.test");
		assert_string_equal(json_string_value(json_object_get(j, "words")), i == 1 ? "(not text)" : "more");
		json_decref(j);
	}
	assert_null(fgets(line, sizeof line, f));
	fclose(f);
	events_free(e);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
}

static void failures_are_counted(void **state)
{
	(void)state;
	static char no[] = "/bin/false", missing[] = "/nonexistent/tell";
	char *programs[] = { no, missing };
	for (size_t i = 0; i < 2; i++) {
		uv_loop_t loop;
		struct mishaps mishaps = { 0 };
		struct events *e = NULL;
		struct config_list command = list(&programs[i], 1);
		assert_int_equal(uv_loop_init(&loop), 0);
		assert_int_equal(events_new(&loop, &command, &mishaps, &e), EC_OK);
		for (int n = 0; n < 3; n++)
			events_tell(e, "alarm", "mx.test", "STEADY", "words", (struct wall){ 1 });
		uv_run(&loop, UV_RUN_DEFAULT);
		assert_int_equal(events_count(e).failed, 3);
		assert_int_equal(events_count(e).told, 0);
		assert_int_equal(mishaps.total, 3);
		assert_int_equal(mishaps.num, 1); /* one entry: they are alike */
		assert_string_equal(mishaps_at(&mishaps, 0)->where, programs[i]);
		events_free(e);
		uv_run(&loop, UV_RUN_DEFAULT);
		assert_int_equal(uv_loop_close(&loop), 0);
	}
}

/* The end does not wait for a command that hangs, nor leave it behind. */
static void the_end_is_prompt(void **state)
{
	(void)state;
	static char sleeper[] = "/bin/sleep", long_time[] = "600";
	char *items[] = { sleeper, long_time };
	uv_loop_t loop;
	struct mishaps mishaps = { 0 };
	struct events *e = NULL;
	struct config_list command = list(items, 2);
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(events_new(&loop, &command, &mishaps, &e), EC_OK);
	events_tell(e, "state", "mx.test", "AGEING", "one", (struct wall){ 1 });
	events_tell(e, "state", "mx.test", "AGEING", "two", (struct wall){ 2 });
	events_free(e);
	uint64_t before = uv_now(&loop);
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_update_time(&loop);
	assert_true(uv_now(&loop) - before < 60000);
	assert_int_equal(uv_loop_close(&loop), 0);
}

static void nobody_to_tell(void **state)
{
	(void)state;
	struct config_list none = { 0 };
	struct events *e = (struct events *)&none;
	assert_int_equal(events_new(NULL, &none, NULL, &e), EC_OK);
	assert_null(e);
	events_tell(e, "state", "mx.test", "AGEING", "one", (struct wall){ 1 });
	assert_int_equal(events_count(e).told, 0);
	events_free(e);
}

int main(void)
{
	(void)signal(SIGPIPE, SIG_IGN);
	log_setup(LOG_LOGFMT, LOG_ERROR, "test");
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(in_order_and_bounded, setup, teardown),
		cmocka_unit_test(failures_are_counted),
		cmocka_unit_test(the_end_is_prompt),
		cmocka_unit_test(nobody_to_tell),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
