#include "tlsa-sync/agent_uv.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/wire_uv.h"
#include "tests/unit/unit.h"

/* A stand-in for danegate on the same loop. What it does with a request is said
 * in the request: {"do":"echo"|"refuse"|"hold"|"hang up"|"garbage", "n":N}. */
struct rig {
	uv_loop_t loop;
	uv_timer_t limit;
	struct wire_listener *listener;
	struct wire *wires[8];
	struct agent *agent;
	char path[64];
	int num_done;
	int order[16];
	enum ec ecs[16];
	bool answered[16];
	struct why why;
	int ask_again;
};

static void on_line(void *arg, struct wire *w, char *line, size_t len)
{
	(void)arg;
	json_t *r = json_loadb(line, len, 0, NULL);
	const char *verb = json_string_value(json_object_get(r, "do"));
	if (strcmp(verb, "echo") == 0)
		wire_send_json(w, json_pack("{s:b, s:O}", "ok", 1, "n", json_object_get(r, "n")));
	else if (strcmp(verb, "refuse") == 0)
		wire_send_json(w, json_pack("{s:b, s:s, s:s}", "ok", 0, "ec", "EC_PIN_MISMATCH", "why", "not pinned"));
	else if (strcmp(verb, "hang up") == 0)
		wire_close(w);
	else if (strcmp(verb, "garbage") == 0)
		wire_send(w, SLICE_LIT("what?"));
	json_decref(r);
}

static void *on_open(void *arg, struct wire *w)
{
	struct rig *rig = arg;
	for (size_t i = 0; i < NUM(rig->wires); i++) {
		if (rig->wires[i] == NULL) {
			rig->wires[i] = w;
			return rig;
		}
	}
	return rig;
}

static void on_close(void *arg, struct wire *w, const char *why)
{
	struct rig *rig = arg;
	(void)why;
	for (size_t i = 0; i < NUM(rig->wires); i++)
		if (rig->wires[i] == w)
			rig->wires[i] = NULL;
}

static void on_limit(uv_timer_t *t)
{
	(void)t;
	fail_msg("the loop did not end in time");
}

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof *rig);
	assert_non_null(rig);
	(void)snprintf(rig->path, sizeof rig->path, "/tmp/test-agent-%d.sock", (int)getpid());
	assert_int_equal(uv_loop_init(&rig->loop), 0);
	uv_timer_init(&rig->loop, &rig->limit);
	uv_timer_start(&rig->limit, on_limit, 120000, 0);
	uv_unref((uv_handle_t *)&rig->limit);
	struct wire_events events = { .on_line = on_line, .on_close = on_close };
	struct why why = { 0 };
	assert_int_equal(wire_listen(&rig->loop, rig->path, 0600, 4096, events, on_open, rig, &rig->listener, &why), EC_OK);
	assert_int_equal(agent_new(&rig->loop, rig->path, &rig->agent), EC_OK);
	*state = rig;
	return 0;
}

static void rig_end(struct rig *rig)
{
	agent_free(rig->agent);
	rig->agent = NULL;
	wire_listener_close(rig->listener);
	rig->listener = NULL;
	for (size_t i = 0; i < NUM(rig->wires); i++)
		wire_close(rig->wires[i]);
}

static int teardown(void **state)
{
	struct rig *rig = *state;
	if (rig->agent != NULL)
		rig_end(rig);
	uv_close((uv_handle_t *)&rig->limit, NULL);
	uv_run(&rig->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&rig->loop), 0); /* every handle was closed */
	free(rig);
	return 0;
}

static void run_until(struct rig *rig, int num_done)
{
	while (rig->num_done < num_done)
		uv_run(&rig->loop, UV_RUN_ONCE);
}

static void on_done(void *arg, enum ec ec, const json_t *answer, const struct why *why)
{
	struct rig *rig = arg;
	int i = rig->num_done++;
	rig->ecs[i] = ec;
	rig->answered[i] = agent_answered(answer);
	rig->order[i] = (int)json_integer_value(json_object_get(answer, "n"));
	rig->why = *why;
	if (rig->ask_again-- > 0)
		assert_int_equal(agent_ask(rig->agent, json_pack("{s:s, s:i}", "do", "echo", "n", 100), 60000, on_done, rig, NULL), EC_OK);
}

static struct agent_call *ask(struct rig *rig, const char *verb, int n, int timeout_ms)
{
	struct agent_call *call = NULL;
	assert_int_equal(agent_ask(rig->agent, json_pack("{s:s, s:i}", "do", verb, "n", n), timeout_ms, on_done, rig, &call), EC_OK);
	return call;
}

static void test_answers_in_order(void **state)
{
	struct rig *rig = *state;
	for (int i = 0; i < 5; i++)
		(void)ask(rig, "echo", i, 60000);
	assert_int_equal(rig->num_done, 0); /* never from inside agent_ask */
	run_until(rig, 5);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(rig->ecs[i], EC_OK);
		assert_int_equal(rig->order[i], i);
	}
}

static void test_refusal(void **state)
{
	struct rig *rig = *state;
	(void)ask(rig, "refuse", 1, 60000);
	run_until(rig, 1);
	assert_int_equal(rig->ecs[0], EC_PIN_MISMATCH);
	assert_true(rig->answered[0]);
	assert_string_equal(rig->why.text, "not pinned");
}

/* Without an answer all that wait fail, and the next request connects anew. */
static void test_timeout_and_reconnect(void **state)
{
	struct rig *rig = *state;
	(void)ask(rig, "hold", 1, 50);
	(void)ask(rig, "hold", 2, 60000);
	run_until(rig, 2);
	assert_int_equal(rig->ecs[0], EC_TIMEOUT);
	assert_false(rig->answered[0]);
	assert_false(rig->answered[1]);
	(void)ask(rig, "echo", 3, 60000);
	run_until(rig, 3);
	assert_int_equal(rig->ecs[2], EC_OK);
	assert_int_equal(rig->order[2], 3);
}

static void test_hang_up(void **state)
{
	struct rig *rig = *state;
	(void)ask(rig, "hang up", 1, 60000);
	run_until(rig, 1);
	assert_int_equal(rig->ecs[0], EC_CLOSED);
	assert_false(rig->answered[0]);
	(void)ask(rig, "garbage", 1, 60000);
	run_until(rig, 2);
	assert_int_equal(rig->ecs[1], EC_SYNTAX);
	assert_false(rig->answered[1]);
	(void)ask(rig, "echo", 9, 60000);
	run_until(rig, 3);
	assert_int_equal(rig->ecs[2], EC_OK);
}

static void test_nobody_there(void **state)
{
	struct rig *rig = *state;
	wire_listener_close(rig->listener);
	rig->listener = NULL;
	(void)ask(rig, "echo", 1, 60000);
	assert_int_equal(rig->num_done, 0);
	run_until(rig, 1);
	assert_int_equal(rig->ecs[0], EC_CLOSED);
	assert_non_null(strstr(rig->why.text, rig->path));
}

static void test_cancel(void **state)
{
	struct rig *rig = *state;
	struct agent_call *first = ask(rig, "echo", 1, 60000);
	(void)ask(rig, "echo", 2, 60000);
	agent_cancel(first);
	agent_cancel(NULL);
	run_until(rig, 1);
	assert_int_equal(rig->order[0], 2); /* its own answer, not the cancelled one's */
}

static void test_ask_again_in_a_callback(void **state)
{
	struct rig *rig = *state;
	rig->ask_again = 2;
	(void)ask(rig, "hang up", 1, 60000);
	run_until(rig, 3);
	assert_int_equal(rig->order[1], 100);
	assert_int_equal(rig->order[2], 100);
}

static void test_free_with_calls_under_way(void **state)
{
	struct rig *rig = *state;
	(void)ask(rig, "hold", 1, 60000);
	(void)ask(rig, "echo", 2, 60000);
	uv_run(&rig->loop, UV_RUN_NOWAIT);
	rig_end(rig);
	uv_run(&rig->loop, UV_RUN_DEFAULT);
	assert_int_equal(rig->num_done, 0);
}

int main(void)
{
#define RIG(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		RIG(test_answers_in_order), RIG(test_refusal),     RIG(test_timeout_and_reconnect),   RIG(test_hang_up),
		RIG(test_nobody_there),     RIG(test_cancel),      RIG(test_ask_again_in_a_callback), RIG(test_free_with_calls_under_way),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
