/* Real processes: this same program, which acts as its first argument says. */
#include "proxy/super/child_uv.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/unit.h"

enum { DEADLINE_MS = 20000, LIFE_S = 60, STATUS = 7 };

/* --- what the processes do ----------------------------------------------------------- */

static void say(const char *line)
{
	if (write(CHILD_FD_WIRE, line, strlen(line)) < 0)
		_exit(90);
}

/* echo sends back what comes, until the wire ends. */
static void echo(void)
{
	char buf[4096];
	ssize_t n;
	while ((n = read(CHILD_FD_WIRE, buf, sizeof buf)) > 0)
		if (write(CHILD_FD_WIRE, buf, (size_t)n) != n)
			_exit(91);
}

static int act(const char *what)
{
	char byte = 0;
	(void)alarm(LIFE_S); /* should the test fail */
	if (strcmp(what, "crash") == 0)
		_exit(STATUS);
	say("{\"hello\":1}\n");
	if (strcmp(what, "echo") == 0 || strcmp(what, "fail at the end") == 0)
		echo();
	if (strcmp(what, "fail at the end") == 0)
		_exit(STATUS);
	if (strcmp(what, "noise") == 0) {
		say("this is no JSON\n{\"and\":\n\n{\"bye\":1}\n");
		echo();
	}
	if (strcmp(what, "descriptor") == 0) {
		if (read(CHILD_FD_FIRST + 1, &byte, 1) != 1 || byte != 'x' || fcntl(CHILD_FD_FIRST + 2, F_GETFD) != -1)
			_exit(92);
		say("{\"bye\":1}\n");
		echo();
	}
	if (strcmp(what, "drop the wire") == 0)
		close(CHILD_FD_WIRE);
	while (strcmp(what, "deaf") == 0 || strcmp(what, "drop the wire") == 0)
		pause();
	_exit(0);
}

/* --- the rig -------------------------------------------------------------------------- */

struct rig {
	uv_loop_t loop;
	uv_timer_t deadline;
	struct child child;
	int ups, downs, lines, drains, mishaps, freed;
	char last_line[100];
	char why[WHY_SIZE]; /* the last mishap */
	uint64_t up_ms, down_ms;
	struct backoff model; /* how long it must have waited */
	int64_t pause_ms;
};

static void on_up(void *arg)
{
	struct rig *r = arg;
	r->up_ms = uv_now(&r->loop);
	if (r->ups++ > 0)
		assert_true(r->up_ms >= r->down_ms + (uint64_t)r->pause_ms);
	assert_true(child_is_up(&r->child));
	assert_false(child_is_gone(&r->child));
}

static void on_line(void *arg, json_t *line)
{
	struct rig *r = arg;
	char *text = json_dumps(line, JSON_COMPACT);
	r->lines++;
	(void)snprintf(r->last_line, sizeof r->last_line, "%s", text);
	free(text);
}

static void on_drained(void *arg)
{
	((struct rig *)arg)->drains++;
}

static void on_down(void *arg)
{
	struct rig *r = arg;
	r->downs++;
	r->down_ms = uv_now(&r->loop);
	r->pause_ms = r->ups == 0 ? 0 : backoff_after_crash(&r->model, (int64_t)(r->down_ms - r->up_ms), 1000);
	assert_true(child_is_gone(&r->child));
	assert_int_equal(child_pid(&r->child), 0);
}

static void on_mishap(void *arg, const char *why)
{
	struct rig *r = arg;
	r->mishaps++;
	(void)snprintf(r->why, sizeof r->why, "%s", why);
}

static void on_deadline(uv_timer_t *t)
{
	(void)t;
	fail_msg("what is waited for does not come");
}

/* The plan's arrays are static: a child borrows them. */
static void rig_init(struct rig *r, const char *what, int fd)
{
	static const struct child_events events = { .on_up = on_up, .on_line = on_line, .on_drained = on_drained,
	                                            .on_down = on_down, .on_mishap = on_mishap };
	static const char *args[3];
	static int fds[2];
	args[0] = "test";
	args[1] = what;
	fds[0] = fds[1] = fd;
	*r = (struct rig){ .model = { .first_ms = 100, .max_ms = 30000 } };
	assert_int_equal(uv_loop_init(&r->loop), 0);
	uv_timer_init(&r->loop, &r->deadline);
	uv_timer_start(&r->deadline, on_deadline, DEADLINE_MS, 0);
	child_init(&r->child, &r->loop, (struct child_plan){
		.args = args, .fds = fds, .num_fds = fd < 0 ? 0 : 2, .events = &events, .arg = r,
	});
}

/* until runs the loop until `*count` is `num`. */
static void until(struct rig *r, const int *count, int num)
{
	while (*count < num)
		uv_run(&r->loop, UV_RUN_ONCE);
	assert_int_equal(*count, num);
}

static void on_freed(void *arg)
{
	((struct rig *)arg)->freed++;
}

/* rig_fini ends what there is; nothing of it is left over. */
static void rig_fini(struct rig *r)
{
	child_stop(&r->child);
	child_kill(&r->child);
	while (!child_is_gone(&r->child))
		uv_run(&r->loop, UV_RUN_ONCE);
	child_fini(&r->child, on_freed, r);
	uv_close((uv_handle_t *)&r->deadline, NULL);
	uv_run(&r->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&r->loop), 0);
	assert_int_equal(r->freed, 1);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* not even a zombie */
}

/* stays_down runs the loop dry: with the deadline out of the way, nothing is under way any more. */
static void stays_down(struct rig *r)
{
	uv_unref((uv_handle_t *)&r->deadline);
	uv_run(&r->loop, UV_RUN_DEFAULT);
	assert_true(child_is_gone(&r->child));
}

/* --- the tests --------------------------------------------------------------------------- */

static void lines_go_both_ways(void **state)
{
	(void)state;
	struct rig r;
	rig_init(&r, "echo", -1);
	assert_true(child_is_gone(&r.child));
	child_send_json(&r.child, json_pack("{s:i}", "nobody", 1)); /* it is down: dropped */
	child_start(&r.child);
	until(&r, &r.lines, 1);
	assert_string_equal(r.last_line, "{\"hello\":1}");
	assert_true(child_pid(&r.child) > 0);
	assert_int_equal(kill((pid_t)child_pid(&r.child), 0), 0);
	child_send_json(&r.child, json_pack("{s:i}", "n", 2));
	until(&r, &r.lines, 2);
	assert_string_equal(r.last_line, "{\"n\":2}");
	child_send(&r.child, slice_str("{\"n\":3}"));
	until(&r, &r.lines, 3);
	assert_string_equal(r.last_line, "{\"n\":3}");
	assert_true(r.drains > 0);
	child_stop(&r.child);
	until(&r, &r.downs, 1);
	stays_down(&r);
	assert_int_equal(r.ups, 1);
	assert_int_equal(r.downs, 1);
	assert_int_equal(r.mishaps, 0);
	assert_int_equal(r.child.restarts, 0);
	rig_fini(&r);
}

static void what_is_no_json_is_passed_over(void **state)
{
	(void)state;
	struct rig r;
	rig_init(&r, "noise", -1);
	child_start(&r.child);
	until(&r, &r.lines, 2);
	assert_string_equal(r.last_line, "{\"bye\":1}");
	rig_fini(&r);
}

static void its_descriptors(void **state)
{
	(void)state;
	struct rig r;
	int fds[2];
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(write(fds[1], "x", 1), 1);
	rig_init(&r, "descriptor", fds[0]);
	child_start(&r.child);
	until(&r, &r.lines, 2);
	assert_string_equal(r.last_line, "{\"bye\":1}");
	rig_fini(&r);
	close(fds[0]);
	close(fds[1]);
}

/* on_up looks at the pauses. */
static void one_that_crashes_is_started_anew(void **state)
{
	(void)state;
	struct rig r;
	rig_init(&r, "crash", -1);
	child_start(&r.child);
	until(&r, &r.ups, 4);
	assert_int_equal(r.child.restarts, 3);
	assert_int_equal(r.mishaps, 3);
	assert_non_null(strstr(r.why, "exited with status 7"));
	/* The end of a pause need not be waited for. */
	until(&r, &r.downs, 4);
	r.pause_ms = 0;
	child_start(&r.child);
	assert_true(child_is_up(&r.child));
	assert_int_equal(r.child.restarts, r.ups - 1);
	/* Nor does one that is not wanted begin again after it. */
	until(&r, &r.downs, 5);
	int ups = r.ups;
	child_retire(&r.child);
	stays_down(&r);
	assert_int_equal(r.ups, ups);
	rig_fini(&r);
}

static void killed(void **state)
{
	(void)state;
	struct rig r;
	rig_init(&r, "echo", -1);
	child_start(&r.child);
	until(&r, &r.lines, 1);
	child_kill(&r.child);
	until(&r, &r.lines, 2);
	assert_int_equal(r.mishaps, 1);
	assert_non_null(strstr(r.why, "was ended by signal 9"));
	assert_int_equal(r.child.restarts, 1);
	rig_fini(&r);
}

/* Without its wire it is of no use. */
static void one_that_loses_its_wire_is_killed(void **state)
{
	(void)state;
	struct rig r;
	rig_init(&r, "drop the wire", -1);
	child_start(&r.child);
	until(&r, &r.ups, 2);
	assert_int_equal(r.mishaps, 1);
	assert_non_null(strstr(r.why, "was ended by signal 9"));
	rig_fini(&r);
}

static void stopped(void **state)
{
	(void)state;
	static const struct {
		const char *what;
		int mishaps;
	} cases[] = { { "echo", 0 }, { "deaf", 0 }, { "fail at the end", 1 } };
	for (size_t i = 0; i < NUM(cases); i++) {
		struct rig r;
		rig_init(&r, cases[i].what, -1);
		child_start(&r.child);
		until(&r, &r.lines, 1);
		child_stop(&r.child);
		assert_false(r.child.wanted);
		until(&r, &r.downs, 1);
		stays_down(&r);
		assert_int_equal(r.ups, 1);
		assert_int_equal(r.mishaps, cases[i].mishaps);
		rig_fini(&r);
	}
}

/* How to end is left to itself; here it is helped. */
static void retired(void **state)
{
	(void)state;
	struct rig r;
	rig_init(&r, "echo", -1);
	child_start(&r.child);
	until(&r, &r.lines, 1);
	child_retire(&r.child);
	child_send(&r.child, slice_str("{\"last\":1}"));
	until(&r, &r.lines, 2);
	assert_string_equal(r.last_line, "{\"last\":1}");
	assert_int_equal(r.mishaps, 0);
	child_kill(&r.child);
	until(&r, &r.downs, 1);
	stays_down(&r);
	assert_int_equal(r.ups, 1);
	assert_int_equal(r.mishaps, 1); /* for nobody has closed its wire */
	rig_fini(&r);
}

static void wanted_again_while_it_ends(void **state)
{
	(void)state;
	struct rig r;
	rig_init(&r, "echo", -1);
	child_start(&r.child);
	until(&r, &r.lines, 1);
	child_stop(&r.child);
	child_start(&r.child);
	assert_int_equal(r.ups, 1);
	until(&r, &r.lines, 2);
	assert_int_equal(r.downs, 1);
	assert_int_equal(r.child.restarts, 1);
	rig_fini(&r);
}

/* leave lets no more than so many descriptors (0 or 2) be opened. */
static void leave(int num, const struct rlimit *limit)
{
	int first = dup(0), second = dup(0);
	close(first);
	close(second);
	struct rlimit low = { .rlim_cur = (rlim_t)(num == 0 ? first : second + 1), .rlim_max = limit->rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
}

/* With no descriptor left no socket pair is made; with two, no process. */
static void it_can_not_be_started(void **state)
{
	(void)state;
	for (int spare = 0; spare <= 2; spare += 2) {
		struct rig r;
		struct rlimit limit;
		rig_init(&r, "echo", -1);
		assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
		leave(spare, &limit);
		child_start(&r.child);
		assert_false(child_is_up(&r.child));
		until(&r, &r.downs, 2);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
		assert_int_equal(r.ups, 0);
		assert_int_equal(r.mishaps, r.downs);
		assert_string_equal(r.why, spare == 0 ? strerror(EMFILE) : uv_strerror(UV_EMFILE));
		until(&r, &r.lines, 1);
		assert_int_equal(r.child.restarts, r.mishaps);
		rig_fini(&r);
	}
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return act(argv[1]);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_go_both_ways),
		cmocka_unit_test(what_is_no_json_is_passed_over),
		cmocka_unit_test(its_descriptors),
		cmocka_unit_test(one_that_crashes_is_started_anew),
		cmocka_unit_test(killed),
		cmocka_unit_test(one_that_loses_its_wire_is_killed),
		cmocka_unit_test(stopped),
		cmocka_unit_test(retired),
		cmocka_unit_test(wanted_again_while_it_ends),
		cmocka_unit_test(it_can_not_be_started),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
