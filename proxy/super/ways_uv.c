/* The process and its wire end independently, as a worker's do (hand_uv.c): whichever comes first
 * hurries the other, and when both are gone the restart timer runs. Questions stand in a table, whose
 * index with a serial number above it is the number that the router sees; those under way are
 * chained by age, so one timer watches the oldest. */
#include "proxy/super/ways_uv.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/wire_uv.h"
#include "proxy/relay/route.h"
#include "proxy/super/backoff.h"

enum {
	CRASH_SOON_MS = 1000,
	RESTART_FIRST_MS = 100,
	RESTART_MAX_MS = 30000,
	EXIT_GRACE_MS = 2000, /* from the wire's end to the kill */
	WORKERS_MAX = 256,
	WIRE_FD = 3,
	REFUSED_TTL_MS = 1000,
	NOBODY = UINT16_MAX
};

struct open_question {
	bool used;
	uint16_t older, younger; /* NOBODY at the ends; free ones are chained by `younger` */
	uint64_t serial;
	struct ways_asker asker;
	uint64_t id; /* the worker's */
	uint64_t asked_ms;
};

struct ways {
	uv_loop_t *loop;
	struct ways_events events;
	void *arg;
	json_t *config; /* the message */
	uint64_t config_number;
	bool wanted;
	bool closing;

	uv_process_t process;
	uv_timer_t timer; /* down: until the restart; without a wire: until the kill */
	uv_timer_t silence;
	struct wire *wire;
	bool running; /* the process handle is in use */
	bool exited;
	bool started_before;
	uint64_t restarts;
	struct wall since;
	int64_t started_ms;
	struct backoff backoff;
	unsigned num_handles;

	struct open_question *open;
	uint16_t oldest, youngest, unused;
	unsigned num_open;
	uint64_t serial;
	unsigned per_worker[WORKERS_MAX];
};

/* --- the table of questions ------------------------------------------------------------ */

static void table_init(struct ways *w)
{
	for (unsigned i = 0; i < WAYS_OPEN_MAX; i++)
		w->open[i] = (struct open_question){ .younger = i + 1 < WAYS_OPEN_MAX ? (uint16_t)(i + 1) : NOBODY };
	w->unused = 0;
	w->oldest = w->youngest = NOBODY;
}

static uint64_t number_of(const struct ways *w, const struct open_question *q)
{
	return q->serial * WAYS_OPEN_MAX + (uint64_t)(q - w->open);
}

static struct open_question *question_add(struct ways *w, struct ways_asker asker, uint64_t id)
{
	uint16_t at = w->unused;
	struct open_question *q = &w->open[at];
	w->unused = q->younger;
	*q = (struct open_question){
		.used = true, .older = w->youngest, .younger = NOBODY, .serial = ++w->serial, .asker = asker, .id = id,
		.asked_ms = uv_now(w->loop),
	};
	if (w->youngest != NOBODY)
		w->open[w->youngest].younger = at;
	else
		w->oldest = at;
	w->youngest = at;
	w->num_open++;
	w->per_worker[asker.worker]++;
	return q;
}

static void question_remove(struct ways *w, struct open_question *q)
{
	if (q->older != NOBODY)
		w->open[q->older].younger = q->younger;
	else
		w->oldest = q->younger;
	if (q->younger != NOBODY)
		w->open[q->younger].older = q->older;
	else
		w->youngest = q->older;
	w->num_open--;
	w->per_worker[q->asker.worker]--;
	q->used = false;
	q->younger = w->unused;
	w->unused = (uint16_t)(q - w->open);
}

static struct open_question *question_find(struct ways *w, uint64_t number)
{
	struct open_question *q = &w->open[number % WAYS_OPEN_MAX];
	return q->used && number_of(w, q) == number ? q : NULL;
}

/* --- answers --------------------------------------------------------------------------------- */

/* answer sends `json` on, or without it nothing: the worker has a deadline of its own. */
static void answer(struct ways *w, struct ways_asker asker, json_t *json)
{
	if (json == NULL || w->closing || json_object_set_new(json, "do", json_string("route")) != 0) {
		json_decref(json);
		return;
	}
	w->events.on_answer(w->arg, asker, json);
}

static void refuse(struct ways *w, struct ways_asker asker, uint64_t id, const char *why)
{
	struct route *r = NULL;
	if (route_refusal(SMTP_R_HOP_DNS, why, REFUSED_TTL_MS, &r) == EC_OK)
		answer(w, asker, route_json(r, id));
	route_free(r);
}

static void refuse_all(struct ways *w, const char *why)
{
	while (w->oldest != NOBODY) {
		struct open_question q = w->open[w->oldest];
		question_remove(w, &w->open[w->oldest]);
		refuse(w, q.asker, q.id, why);
	}
	uv_timer_stop(&w->silence);
}

static void on_silence(uv_timer_t *t);

static void watch_oldest(struct ways *w)
{
	if (w->oldest == NOBODY || w->closing) {
		uv_timer_stop(&w->silence);
		return;
	}
	uint64_t due = w->open[w->oldest].asked_ms + WAYS_SILENT_MS, now = uv_now(w->loop);
	uv_timer_start(&w->silence, on_silence, due > now ? due - now : 0, 0);
}

static void process_kill(struct ways *w)
{
	if (w->running && !w->exited)
		uv_process_kill(&w->process, SIGKILL);
}

/* It answers everything within FIND_MS: one that does not hangs. */
static void on_silence(uv_timer_t *t)
{
	struct ways *w = t->data;
	w->events.on_mishap(w->arg, "ended: it has left a question without an answer");
	process_kill(w);
	refuse_all(w, "the router does not answer");
}

static void on_answer(struct ways *w, json_t *json)
{
	uint64_t number = 0;
	struct open_question *q = route_answer_id(json, &number) == EC_OK ? question_find(w, number) : NULL;
	if (q == NULL)
		return; /* too late */
	struct open_question was = *q;
	question_remove(w, q);
	watch_oldest(w);
	if (json_object_set_new(json, "route", json_integer((json_int_t)was.id)) == 0)
		answer(w, was.asker, json_incref(json));
}

/* --- the process -------------------------------------------------------------------------------- */

static void process_start(struct ways *w);

static void on_restart(uv_timer_t *t)
{
	struct ways *w = t->data;
	if (w->wanted && !w->closing && !w->running && w->wire == NULL)
		process_start(w);
}

static void on_grace_over(uv_timer_t *t)
{
	process_kill(t->data);
}

static void on_handle_closed(uv_handle_t *h)
{
	struct ways *w = h->data;
	if (--w->num_handles > 0)
		return;
	json_decref(w->config);
	free(w->open);
	free(w);
}

static void close_timers(struct ways *w)
{
	w->num_handles = 2;
	uv_close((uv_handle_t *)&w->timer, on_handle_closed);
	uv_close((uv_handle_t *)&w->silence, on_handle_closed);
}

static void check_gone(struct ways *w)
{
	if (w->running || w->wire != NULL)
		return;
	uv_timer_stop(&w->timer);
	w->since = (struct wall){ (int64_t)time(NULL) };
	if (w->closing) {
		close_timers(w);
		return;
	}
	refuse_all(w, "the router is not running");
	if (w->wanted) {
		int64_t lived = (int64_t)uv_now(w->loop) - w->started_ms;
		int64_t wait = backoff_after_crash(&w->backoff, lived, CRASH_SOON_MS);
		uv_timer_start(&w->timer, on_restart, (uint64_t)wait, 0);
	}
}

static void on_process_closed(uv_handle_t *h)
{
	struct ways *w = h->data;
	w->running = false;
	wire_close(w->wire);
	check_gone(w);
}

static void on_exit_seen(uv_process_t *p, int64_t status, int signal_number)
{
	struct ways *w = p->data;
	struct why why;
	w->exited = true;
	if (signal_number != 0)
		(void)why_set(&why, EC_OK, "process %d was ended by signal %d (%s)", p->pid, signal_number, strsignal(signal_number));
	else
		(void)why_set(&why, EC_OK, "process %d exited with status %lld", p->pid, (long long)status);
	if ((w->wanted && !w->closing) || status != 0)
		w->events.on_mishap(w->arg, why.text);
	uv_close((uv_handle_t *)p, on_process_closed);
}

static void on_line(void *arg, struct wire *wire, char *line, size_t len)
{
	struct ways *w = arg;
	(void)wire;
	json_t *json = json_loadb(line, len, 0, NULL);
	const char *why = json_string_value(json_object_get(json, "why"));
	if (json_object_get(json, "route") != NULL)
		on_answer(w, json);
	else if (why != NULL)
		w->events.on_mishap(w->arg, why);
	json_decref(json);
}

static void on_wire_closed(void *arg, struct wire *wire, const char *why)
{
	struct ways *w = arg;
	(void)wire;
	(void)why;
	w->wire = NULL;
	/* Without its wire it exits by itself. */
	if (w->running)
		uv_timer_start(&w->timer, on_grace_over, EXIT_GRACE_MS, 0);
	check_gone(w);
}

static int spawn(struct ways *w, int wire_fd)
{
	char name[] = "danegate", flag[] = "--router";
	char *args[] = { name, flag, NULL };
	uv_stdio_container_t stdio[WIRE_FD + 1] = {
		{ .flags = UV_IGNORE },
		{ .flags = UV_INHERIT_FD, .data.fd = 1 },
		{ .flags = UV_INHERIT_FD, .data.fd = 2 },
		{ .flags = UV_INHERIT_FD, .data.fd = wire_fd },
	};
	uv_process_options_t options = {
		.exit_cb = on_exit_seen, .file = "/proc/self/exe", .args = args, .stdio_count = WIRE_FD + 1, .stdio = stdio,
	};
	int r = uv_spawn(w->loop, &w->process, &options);
	w->process.data = w;
	w->running = true; /* a failed spawn's handle must be closed as well */
	w->exited = r < 0;
	return r;
}

static void process_start(struct ways *w)
{
	static const struct wire_events events = { .on_line = on_line, .on_close = on_wire_closed };
	int pair[2] = { -1, -1 };
	w->restarts += w->started_before;
	w->started_before = true;
	uv_update_time(w->loop);
	w->started_ms = (int64_t)uv_now(w->loop);
	w->since = (struct wall){ (int64_t)time(NULL) };
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
		w->events.on_mishap(w->arg, strerror(errno));
		check_gone(w);
		return;
	}
	int r = spawn(w, pair[1]);
	close(pair[1]);
	if (r < 0) {
		close(pair[0]);
		w->events.on_mishap(w->arg, uv_strerror(r));
		uv_close((uv_handle_t *)&w->process, on_process_closed);
	} else if (wire_adopt(w->loop, pair[0], events, w, &w->wire) != EC_OK) {
		process_kill(w);
	} else {
		wire_send_json(w->wire, json_incref(w->config));
	}
}

static bool is_up(const struct ways *w)
{
	return w->running && !w->exited && w->wire != NULL;
}

/* --- for the supervisor ---------------------------------------------------------------------------- */

struct ways *ways_new(uv_loop_t *loop, struct ways_events events, void *arg)
{
	struct ways *w = calloc(1, sizeof *w);
	if (w == NULL)
		return NULL;
	*w = (struct ways){
		.loop = loop,
		.events = events,
		.arg = arg,
		.backoff = { .first_ms = RESTART_FIRST_MS, .max_ms = RESTART_MAX_MS },
		.open = calloc(WAYS_OPEN_MAX, sizeof *w->open),
	};
	if (w->open == NULL) {
		free(w);
		return NULL;
	}
	table_init(w);
	uv_timer_init(loop, &w->timer);
	uv_timer_init(loop, &w->silence);
	w->timer.data = w->silence.data = w;
	return w;
}

static bool needs_look_ups(const struct config *cfg)
{
	for (size_t i = 0; i < cfg->num_connectors; i++)
		if (!route_is_static(&cfg->connectors[i]))
			return true;
	return false;
}

enum ec ways_configure(struct ways *w, const struct config *cfg, struct slice text, json_t *own_names)
{
	w->wanted = needs_look_ups(cfg);
	if (!w->wanted) {
		json_decref(own_names);
		json_decref(w->config);
		w->config = NULL;
		wire_close(w->wire);
		return EC_OK;
	}
	json_t *message = json_pack("{s:s, s:I, s:s%, s:s, s:o}", "do", "config", "number", (json_int_t)++w->config_number, "text",
	                            (const char *)text.p, text.len, "name", cfg->file_name, "own_names", own_names);
	if (message == NULL)
		return EC_NO_MEMORY;
	json_decref(w->config);
	w->config = message;
	if (is_up(w))
		wire_send_json(w->wire, json_incref(message));
	else if (!w->running && w->wire == NULL)
		process_start(w);
	/* Else it is ending, and is started anew with these. */
	return EC_OK;
}

void ways_ask(struct ways *w, struct ways_asker asker, const json_t *question)
{
	struct route_question q;
	struct why why;
	if (asker.worker >= WORKERS_MAX || route_question_parse(question, &q, &why) != EC_OK)
		return;
	if (w->num_open == WAYS_OPEN_MAX || w->per_worker[asker.worker] >= WAYS_OPEN_PER_WORKER) {
		refuse(w, asker, q.id, "too many routes are asked for at once");
		return;
	}
	if (!is_up(w)) {
		refuse(w, asker, q.id, "the router is not running");
		return;
	}
	uv_update_time(w->loop);
	struct open_question *open = question_add(w, asker, q.id);
	q.id = number_of(w, open);
	json_t *json = route_question_json(&q);
	if (json == NULL) {
		struct open_question was = *open;
		question_remove(w, open);
		refuse(w, was.asker, was.id, "out of memory");
		return;
	}
	wire_send_json(w->wire, json);
	if (w->num_open == 1)
		watch_oldest(w);
}

struct ways_facts ways_facts(const struct ways *w)
{
	return (struct ways_facts){
		.wanted = w->wanted, .pid = is_up(w) ? w->process.pid : 0, .restarts = w->restarts, .since = w->since, .open = w->num_open,
	};
}

void ways_free(struct ways *w)
{
	if (w == NULL)
		return;
	w->closing = true;
	w->wanted = false;
	uv_timer_stop(&w->silence);
	if (w->wire != NULL)
		wire_close(w->wire);
	else
		check_gone(w);
}
