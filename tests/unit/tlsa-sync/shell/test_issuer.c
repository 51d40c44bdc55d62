/* One certificate's way, with real commands and a stand-in for danegate on the same loop. */
#include "tlsa-sync/issuer_uv.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/wire_uv.h"
#include "tests/unit/unit.h"

#define CSR "-----BEGIN CERTIFICATE REQUEST-----\nQ1NS\n-----END CERTIFICATE REQUEST-----\n"
#define CERT "-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n"
#define CA "-----BEGIN CERTIFICATE-----\nREVG\n-----END CERTIFICATE-----\n"

/* What the stand-in does with each request. */
enum manner { ANSWERS, REFUSES, HANGS_UP };

struct rig {
	uv_loop_t loop;
	uv_timer_t limit;
	struct wire_listener *listener;
	struct wire *wire;
	struct agent *agent;
	char dir[64];
	char path[80];
	enum manner csr, install;
	char installed[1024]; /* the chain it was given */
	char asked[256];      /* the last request but for its chain */
	int timeout_ms;
	unsigned num_done;
	enum outcome outcome;
	struct why why;
};

static void answer(struct wire *w, enum manner manner, const char *what, json_t *good)
{
	if (manner == ANSWERS)
		wire_send_json(w, good);
	else
		json_decref(good);
	if (manner == REFUSES)
		wire_send_json(w, json_pack("{s:b, s:s, s:s}", "ok", 0, "ec", "EC_KEY_MISMATCH", "why", what));
	if (manner == HANGS_UP)
		wire_close(w);
}

static void on_line(void *arg, struct wire *w, char *line, size_t len)
{
	struct rig *rig = arg;
	json_t *r = json_loadb(line, len, 0, NULL);
	const char *verb = json_string_value(json_object_get(r, "do"));
	const char *chain = json_string_value(json_object_get(r, "chain"));
	(void)snprintf(rig->asked, sizeof rig->asked, "%s %s %lld %s", verb, json_string_value(json_object_get(r, "identity")),
	               (long long)json_integer_value(json_object_get(r, "generation")),
	               json_string_value(json_object_get(r, "algorithm")));
	if (strcmp(verb, "csr") == 0) {
		answer(w, rig->csr, "no such generation", json_pack("{s:b, s:s}", "ok", 1, "csr", CSR));
	} else {
		(void)snprintf(rig->installed, sizeof rig->installed, "%s", chain == NULL ? "?" : chain);
		answer(w, rig->install, "not of this key", json_pack("{s:b}", "ok", 1));
	}
	json_decref(r);
}

static void *on_open(void *arg, struct wire *w)
{
	struct rig *rig = arg;
	rig->wire = w;
	return rig;
}

static void on_close(void *arg, struct wire *w, const char *why)
{
	struct rig *rig = arg;
	(void)why;
	if (rig != NULL && rig->wire == w)
		rig->wire = NULL;
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
	(void)signal(SIGPIPE, SIG_IGN);
	(void)snprintf(rig->dir, sizeof rig->dir, "/tmp/test-issuer-XXXXXX");
	assert_non_null(mkdtemp(rig->dir));
	assert_int_equal(setenv("DIR", rig->dir, 1), 0);
	(void)snprintf(rig->path, sizeof rig->path, "%s/sock", rig->dir);
	assert_int_equal(uv_loop_init(&rig->loop), 0);
	uv_timer_init(&rig->loop, &rig->limit);
	uv_timer_start(&rig->limit, on_limit, 200000, 0);
	uv_unref((uv_handle_t *)&rig->limit);
	struct wire_events events = { .on_line = on_line, .on_close = on_close };
	struct why why = { 0 };
	assert_int_equal(wire_listen(&rig->loop, rig->path, 0600, 1 << 20, events, on_open, rig, &rig->listener, &why), EC_OK);
	assert_int_equal(agent_new(&rig->loop, rig->path, &rig->agent), EC_OK);
	rig->timeout_ms = 60000;
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;
	char command[128];
	agent_free(rig->agent);
	wire_listener_close(rig->listener);
	if (rig->wire != NULL)
		wire_close(rig->wire);
	uv_close((uv_handle_t *)&rig->limit, NULL);
	uv_run(&rig->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&rig->loop), 0); /* every handle was closed */
	(void)snprintf(command, sizeof command, "rm -rf %s", rig->dir);
	assert_int_equal(system(command), 0);
	free(rig);
	return 0;
}

static void on_done(void *arg, enum outcome outcome, const struct why *why)
{
	struct rig *rig = arg;
	rig->num_done++;
	rig->outcome = outcome;
	rig->why = *why;
}

static struct issuer_run *begin(struct rig *rig, const struct config_list *command)
{
	struct issuer_run *run = NULL;
	const struct issuer_job job = { "mx1.example.org", 7, KEY_ECDSA_P256, command, rig->timeout_ms };
	rig->num_done = 0;
	rig->installed[0] = '\0';
	rig->why.text[0] = '\0';
	assert_int_equal(issuer_start(&rig->loop, rig->agent, &job, on_done, rig, &run), EC_OK);
	assert_int_equal(rig->num_done, 0);
	return run;
}

static struct config_list argv_of(char *items[], size_t num)
{
	return (struct config_list){ .items = items, .num = num };
}

static void run_script(struct rig *rig, const char *script)
{
	char sh[] = "/bin/sh", option[] = "-c", body[1024];
	(void)snprintf(body, sizeof body, "%s", script);
	struct config_list command = argv_of((char *[]){ sh, option, body }, 3);
	(void)begin(rig, &command);
	while (rig->num_done == 0)
		uv_run(&rig->loop, UV_RUN_ONCE);
	assert_int_equal(rig->num_done, 1);
}

static void read_file(const struct rig *rig, const char *name, char *out, size_t size)
{
	char path[128];
	(void)snprintf(path, sizeof path, "%s/%s", rig->dir, name);
	FILE *f = fopen(path, "r");
	size_t n = f == NULL ? 0 : fread(out, 1, size - 1, f);
	out[n] = '\0';
	if (f != NULL)
		(void)fclose(f);
}

static void request_in_chain_out(void **state)
{
	struct rig *rig = *state;
	run_script(rig, "cat > $DIR/in; echo \"$TLSA_SYNC_IDENTITY $TLSA_SYNC_ALGORITHM $TLSA_SYNC_GENERATION\" > $DIR/env;"
	                "echo 'getting it' >&2; echo 'Certificate:'; printf %s '" CERT "and:\n" CA "'; echo bye");
	assert_int_equal(rig->outcome, OUTCOME_OK);
	assert_string_equal(rig->why.text, "");
	assert_string_equal(rig->installed, CERT CA);
	assert_string_equal(rig->asked, "install mx1.example.org 7 ecdsa-p256");
	char text[512];
	read_file(rig, "in", text, sizeof text);
	assert_string_equal(text, CSR);
	read_file(rig, "env", text, sizeof text);
	assert_string_equal(text, "mx1.example.org ecdsa-p256 7\n");
}

static void every_failure_has_its_words(void **state)
{
	struct rig *rig = *state;
	static const struct {
		const char *script, *words;
	} cases[] = {
		{ "echo first >&2; printf 'the last \\033 word\\n\\n' >&2; exit 3", "/bin/sh exited with status 3: the last ? word" },
		{ "exit 1", "/bin/sh exited with status 1" },
		{ "kill -9 $$", "/bin/sh was ended by signal 9" },
		{ "printf %s '" CERT "'; exit 1", "exited with status 1" },
		{ "exit 0", "/bin/sh: it printed no certificate" },
		{ "head -c 5000 /dev/urandom", "it printed no certificate" },
		{ "printf %s '" CERT "' | head -1", "certificate 1 in what it printed is cut off" },
		{ "yes no", "printed more than 262144 octets" },
		{ "echo 'asking the CA' >&2; exec sleep 600", "had not finished after 1500 ms and was killed: asking the CA" },
		{ "trap '' TERM; while :; do sleep 1; done", "was killed" },
	};
	for (size_t i = 0; i < NUM(cases); i++) {
		rig->timeout_ms = strstr(cases[i].words, "was killed") != NULL ? 1500 : 60000;
		run_script(rig, cases[i].script);
		if (rig->outcome != OUTCOME_FAILED || strstr(rig->why.text, cases[i].words) == NULL)
			fail_msg("%s: %d %s", cases[i].script, (int)rig->outcome, rig->why.text);
		assert_string_equal(rig->installed, "");
		for (const char *p = rig->why.text; *p != '\0'; p++)
			assert_in_range(*p, 0x20, 0x7e);
	}
}

static void a_program_that_is_not_there(void **state)
{
	struct rig *rig = *state;
	char gone[] = "/no/such/program";
	struct config_list command = argv_of((char *[]){ gone }, 1);
	(void)begin(rig, &command);
	while (rig->num_done == 0)
		uv_run(&rig->loop, UV_RUN_ONCE);
	assert_int_equal(rig->outcome, OUTCOME_FAILED);
	assert_non_null(strstr(rig->why.text, "/no/such/program can't be run: no such file"));
}

static void what_danegate_says(void **state)
{
	struct rig *rig = *state;
	static const struct {
		enum manner csr, install;
		enum outcome outcome;
		const char *words;
	} cases[] = {
		{ REFUSES, ANSWERS, OUTCOME_FAILED, "danegate gave no signing request: no such generation" },
		{ HANGS_UP, ANSWERS, OUTCOME_FAILED, "danegate gave no signing request: " },
		{ ANSWERS, REFUSES, OUTCOME_FAILED, "danegate refuses what the command printed: not of this key" },
		{ ANSWERS, HANGS_UP, OUTCOME_UNKNOWN, "installing it: " },
		{ ANSWERS, ANSWERS, OUTCOME_OK, "" },
	};
	for (size_t i = 0; i < NUM(cases); i++) {
		rig->csr = cases[i].csr;
		rig->install = cases[i].install;
		run_script(rig, "printf %s '" CERT "'");
		if (rig->outcome != cases[i].outcome || strstr(rig->why.text, cases[i].words) == NULL)
			fail_msg("%zu: %d %s", i, (int)rig->outcome, rig->why.text);
	}
}

static bool alive(const struct rig *rig, const char *pid_file)
{
	char text[32];
	read_file(rig, pid_file, text, sizeof text);
	int pid = atoi(text);
	char path[64];
	(void)snprintf(path, sizeof path, "/proc/%d/stat", pid);
	FILE *f = fopen(path, "r");
	char stat_line[256] = "";
	if (f != NULL) {
		(void)!fgets(stat_line, sizeof stat_line, f);
		(void)fclose(f);
	}
	/* one that nobody has reaped yet is dead all the same */
	return pid > 0 && strstr(stat_line, ") ") != NULL && strstr(stat_line, ") Z") == NULL;
}

static void must_die(const struct rig *rig, const char *pid_file)
{
	for (unsigned i = 0; i < 6000 && alive(rig, pid_file); i++)
		(void)usleep(10000);
	assert_false(alive(rig, pid_file));
}

/* A helper that the script started does not outlive it. */
static void killed_with_all_it_has_started(void **state)
{
	struct rig *rig = *state;
	rig->timeout_ms = 1500;
	run_script(rig, "sleep 600 & echo $! > $DIR/pid; wait");
	assert_int_equal(rig->outcome, OUTCOME_FAILED);
	must_die(rig, "pid");
}

static void cancelled(void **state)
{
	struct rig *rig = *state;
	char sh[] = "/bin/sh", option[] = "-c", body[] = "sleep 600 & echo $! > $DIR/pid.new; mv $DIR/pid.new $DIR/pid; wait";
	struct config_list command = argv_of((char *[]){ sh, option, body }, 3);
	/* before the signing request has come */
	issuer_cancel(begin(rig, &command));
	struct issuer_run *run = begin(rig, &command);
	while (!alive(rig, "pid"))
		uv_run(&rig->loop, UV_RUN_NOWAIT);
	issuer_cancel(run);
	must_die(rig, "pid");
	issuer_cancel(NULL);
	for (unsigned i = 0; i < 100; i++)
		uv_run(&rig->loop, UV_RUN_NOWAIT);
	assert_int_equal(rig->num_done, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(request_in_chain_out, setup, teardown),
		cmocka_unit_test_setup_teardown(every_failure_has_its_words, setup, teardown),
		cmocka_unit_test_setup_teardown(a_program_that_is_not_there, setup, teardown),
		cmocka_unit_test_setup_teardown(what_danegate_says, setup, teardown),
		cmocka_unit_test_setup_teardown(killed_with_all_it_has_started, setup, teardown),
		cmocka_unit_test_setup_teardown(cancelled, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
