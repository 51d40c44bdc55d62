#include "base/command_uv.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/unit.h"

struct seen {
	int calls;
	enum ec ec;
	int status;
	int signal;
	char out[4096];
	size_t out_len;
	size_t errors_len;
	char errors_end[64];
	char why[WHY_SIZE];
};

static void on_done(void *arg, const struct command_result *r, const struct why *why)
{
	struct seen *s = arg;
	s->calls++;
	s->ec = r->ec;
	s->status = r->status;
	s->signal = r->signal;
	s->out_len = r->out.len;
	if (r->out.len > 0 && r->out.len < sizeof s->out)
		memcpy(s->out, r->out.p, r->out.len);
	s->errors_len = r->errors.len;
	size_t tail = r->errors.len < sizeof s->errors_end ? r->errors.len : sizeof s->errors_end - 1;
	if (tail > 0)
		memcpy(s->errors_end, r->errors.p + r->errors.len - tail, tail);
	memcpy(s->why, why->text, sizeof s->why);
}

/* Runs a plan to its end on a loop of its own; nothing of it is left over. */
static struct seen run(const struct command_plan *plan)
{
	struct seen s = { 0 };
	struct why why = { 0 };
	uv_loop_t loop;
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(command_start(&loop, plan, on_done, &s, NULL, &why), EC_OK);
	assert_int_equal(s.calls, 0);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	assert_int_equal(s.calls, 1);
	return s;
}

static struct seen run_script(const char *script, struct slice input, size_t out_max, int timeout_ms)
{
	const char *const argv[] = { "/bin/sh", "-c", script, NULL };
	struct command_plan plan = { .argv = argv, .input = input, .out_max = out_max, .timeout_ms = timeout_ms };
	return run(&plan);
}

static void how_it_ends(void **state)
{
	(void)state;
	static const struct {
		const char *name, *script, *input;
		size_t out_max;
		int timeout_ms;
		enum ec ec;
		int status, signal;
		const char *out; /* NULL: not looked at */
		const char *why; /* part of it */
	} cases[] = { /* those that are killed for being slow first have the time to do what they are for */
		{ "input comes back", "cat", "hello\n", 0, 0, EC_OK, 0, 0, "hello\n", "" },
		{ "no input", "wc -c | tr -d ' \\n'", "", 0, 0, EC_OK, 0, 0, "0", "" },
		{ "input by name", "cat /dev/stdin >/dev/stdout", "by name", 0, 0, EC_OK, 0, 0, "by name", "" },
		{ "input is not read", "exit 0", "nobody reads it", 0, 0, EC_OK, 0, 0, "", "" },
		{ "status", "echo out; echo first >&2; echo 'the reason ' >&2; echo >&2; exit 3", "", 0, 0, EC_IO, 3, 0, "out\n",
		  "/bin/sh exited with status 3: the reason" },
		{ "status, nothing said", "exit 1", "", 0, 0, EC_IO, 1, 0, "", "/bin/sh exited with status 1" },
		{ "a signal", "kill -SEGV $$", "", 0, 0, EC_IO, 0, SIGSEGV, "", "signal 11" },
		{ "exactly as much as allowed", "printf 12345678", "", 8, 0, EC_OK, 0, 0, "12345678", "" },
		{ "an octet more", "printf 123456789; sleep 60", "", 8, 60000, EC_LIMIT, 0, SIGTERM, "12345678", "more than 8 octets" },
		{ "an endless printer", "while :; do echo 0123456789abcdef; done", "", 100, 60000, EC_LIMIT, 0, SIGTERM, NULL, "more than 100" },
		{ "too slow", "echo so far; echo stuck >&2; sleep 60", "", 0, 2000, EC_TIMEOUT, 0, SIGTERM, "so far\n",
		  "had not finished after 2000 ms and was killed: stuck" },
		{ "too slow, then well-behaved", "trap 'exit 0' TERM; sleep 60 & wait", "", 0, 2000, EC_TIMEOUT, 0, 0, "", "2000 ms" },
		{ "deaf to SIGTERM", "trap '' TERM; while :; do sleep 1; done", "", 0, 2000, EC_TIMEOUT, 0, SIGKILL, "", "2000 ms" },
		{ "odd characters", "printf 'a\\033[31m\\001\\377b' >&2; exit 1", "", 0, 0, EC_IO, 1, 0, "", "status 1: a?[31m??b" },
	};
	for (size_t i = 0; i < NUM(cases); i++) {
		struct seen s = run_script(cases[i].script, slice_str(cases[i].input), cases[i].out_max, cases[i].timeout_ms);
		if (s.ec != cases[i].ec || s.status != cases[i].status || s.signal != cases[i].signal ||
		    (cases[i].out != NULL && strcmp(s.out, cases[i].out) != 0) || strstr(s.why, cases[i].why) == NULL)
			fail_msg("%s: %s, status %d, signal %d, out \"%s\", why \"%s\"", cases[i].name, ec_name(s.ec), s.status,
			         s.signal, s.out, s.why);
		assert_true(cases[i].ec != EC_OK || s.why[0] == '\0');
	}
}

/* More than a pipe holds, both ways at once: neither side may wait for the other. */
static void much_goes_through(void **state)
{
	(void)state;
	enum { MUCH = 700000 };
	char *input = malloc(MUCH);
	assert_non_null(input);
	memset(input, 'x', MUCH);
	struct seen s = run_script("cat", slice_of(input, MUCH), 0, 0);
	assert_int_equal(s.ec, EC_OK);
	assert_int_equal(s.out_len, MUCH);
	free(input);
}

static void the_end_of_a_long_complaint_is_kept(void **state)
{
	(void)state;
	/* A little more than is kept, and much more. */
	static const char *const nums[] = { "600", "3000" };
	for (size_t i = 0; i < NUM(nums); i++) {
		char script[200];
		(void)snprintf(script, sizeof script,
		               "i=0; while [ $i -lt %s ]; do echo 'noise noise noise' >&2; i=$((i+1)); done;"
		               "echo the point >&2; exit 1",
		               nums[i]);
		struct seen s = run_script(script, slice_str(""), 0, 0);
		assert_int_equal(s.errors_len, COMMAND_ERRORS_MAX);
		assert_non_null(strstr(s.errors_end, "noise\nthe point\n"));
		assert_non_null(strstr(s.why, "status 1: the point"));
	}
}

/* Waits until process `pid` is gone. (A zombie whose new parent has not looked yet counts as gone.) */
static bool gone(pid_t pid)
{
	for (int i = 0; i < 6000; i++) {
		char path[64], line[256] = { 0 };
		(void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
		FILE *f = fopen(path, "r");
		if (f == NULL)
			return true;
		bool read = fgets(line, sizeof line, f) != NULL;
		fclose(f);
		const char *paren = strrchr(line, ')');
		if (!read || (paren != NULL && paren[2] == 'Z'))
			return true;
		usleep(10000);
	}
	return false;
}

/* A grandchild that ignores SIGTERM and holds the output open goes too. */
static void the_whole_group_is_killed(void **state)
{
	(void)state;
	struct seen s = run_script("sh -c 'trap \"\" TERM; echo $$; while :; do sleep 1; done' & wait", slice_str(""), 0, 2000);
	assert_int_equal(s.ec, EC_TIMEOUT);
	pid_t grandchild = (pid_t)atoi(s.out);
	assert_true(grandchild > 1);
	assert_true(gone(grandchild));
}

/* What a command starts on purpose outlives it, and is not waited for. */
static void what_is_left_behind_is_not_waited_for(void **state)
{
	(void)state;
	struct seen s = run_script("sleep 600 & echo $!", slice_str(""), 0, 60000);
	assert_int_equal(s.ec, EC_OK);
	pid_t child = (pid_t)atoi(s.out);
	assert_int_equal(kill(child, 0), 0);
	assert_int_equal(kill(child, SIGKILL), 0);
}

static void what_cannot_be_run_is_told_at_once(void **state)
{
	(void)state;
	static const struct {
		const char *program;
		enum ec ec;
	} cases[] = { { "/no/such/program", EC_NOT_FOUND }, { "/etc/passwd", EC_PERMISSION }, { "/etc", EC_PERMISSION } };
	uv_loop_t loop;
	assert_int_equal(uv_loop_init(&loop), 0);
	for (size_t i = 0; i < NUM(cases); i++) {
		struct seen s = { 0 };
		struct why why = { 0 };
		struct command_run *c = NULL;
		const char *const argv[] = { cases[i].program, NULL };
		struct command_plan plan = { .argv = argv, .input = SLICE_LIT("x") };
		assert_int_equal(command_start(&loop, &plan, on_done, &s, &c, &why), cases[i].ec);
		assert_null(c);
		assert_non_null(strstr(why.text, cases[i].program));
		uv_run(&loop, UV_RUN_DEFAULT);
		assert_int_equal(s.calls, 0);
	}
	assert_int_equal(uv_loop_close(&loop), 0);
}

static void it_gets_our_environment_and_what_is_added(void **state)
{
	(void)state;
	const char *const argv[] = { "sh", "-c", "printf '%s|%s|%s' \"$KEPT\" \"$CHANGED\" \"$CHANGED_NOT\"", NULL };
	const char *const env[] = { "CHANGED=new", NULL };
	setenv("KEPT", "kept", 1);
	setenv("CHANGED", "old", 1);
	setenv("CHANGED_NOT", "same", 1);
	struct command_plan plan = { .argv = argv, .env = env };
	struct seen s = run(&plan);
	assert_string_equal(s.out, "kept|new|same");
}

/* Nothing of ours is open in it, not even what a library opened without care. */
static void no_descriptor_of_ours_is_inherited(void **state)
{
	(void)state;
	int careless = open("/dev/null", O_RDONLY);
	assert_true(careless > 2);
	struct seen s = run_script("ls /proc/self/fd | tr '\\n' ' '", slice_str(""), 0, 0);
	/* 3 is ls's own, for the directory. */
	assert_string_equal(s.out, "0 1 2 3 ");
	close(careless);
}

/* Its signals are as in a fresh process: ours ignores SIGPIPE. */
static void signals_are_reset(void **state)
{
	(void)state;
	struct seen s = run_script("grep SigIgn /proc/self/status", slice_str(""), 0, 0);
	assert_non_null(strstr(s.out, "0000000000000000"));
}

static void on_stop(uv_timer_t *t)
{
	struct command_run **c = t->data;
	command_cancel(*c);
	command_cancel(NULL);
	uv_close((uv_handle_t *)t, NULL);
}

static void cancelling_kills_and_says_nothing(void **state)
{
	(void)state;
	char name[] = "/tmp/danegate-command-XXXXXX";
	int fd = mkstemp(name);
	assert_true(fd >= 0);
	const char *const argv[] = { "/bin/sh", "-c", "trap '' TERM; echo $$ >\"$0\"; while :; do sleep 1; done", name, NULL };
	struct command_plan plan = { .argv = argv };
	struct seen s = { 0 };
	struct why why = { 0 };
	struct command_run *c = NULL;
	uv_loop_t loop;
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(command_start(&loop, &plan, on_done, &s, &c, &why), EC_OK);
	struct stat st = { 0 };
	for (int i = 0; i < 6000 && st.st_size == 0; i++) {
		uv_run(&loop, UV_RUN_NOWAIT);
		usleep(10000);
		assert_int_equal(fstat(fd, &st), 0);
	}
	char text[32] = { 0 };
	assert_true(pread(fd, text, sizeof text - 1, 0) > 0);
	uv_timer_t timer;
	uv_timer_init(&loop, &timer);
	timer.data = &c;
	uv_timer_start(&timer, on_stop, 1, 0);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	assert_int_equal(s.calls, 0);
	/* Reaped too: not even a zombie is left. */
	assert_int_equal(kill((pid_t)atoi(text), 0), -1);
	assert_int_equal(errno, ESRCH);
	close(fd);
	unlink(name);
}

int main(void)
{
	(void)signal(SIGPIPE, SIG_IGN);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(how_it_ends),
		cmocka_unit_test(much_goes_through),
		cmocka_unit_test(the_end_of_a_long_complaint_is_kept),
		cmocka_unit_test(the_whole_group_is_killed),
		cmocka_unit_test(what_is_left_behind_is_not_waited_for),
		cmocka_unit_test(what_cannot_be_run_is_told_at_once),
		cmocka_unit_test(it_gets_our_environment_and_what_is_added),
		cmocka_unit_test(no_descriptor_of_ours_is_inherited),
		cmocka_unit_test(signals_are_reset),
		cmocka_unit_test(cancelling_kills_and_says_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
