/* A question goes on with a number of this table's (questions.h); the answer comes back with it and gets
 * the worker's own again. One timer watches the oldest question; when the process is gone, all of
 * them are answered at once. */
#include "proxy/super/ways_uv.h"

#include <stdlib.h>

#include "proxy/relay/route.h"
#include "proxy/super/child_uv.h"

enum { REFUSED_TTL_MS = 1000 };

struct ways {
	uv_loop_t *loop;
	struct ways_events events;
	void *arg;
	json_t *config; /* the message */
	uint64_t config_number;
	struct child child;
	struct questions open;
	uv_timer_t silence;
	bool closing;
	unsigned num_handles;
};

/* --- answers --------------------------------------------------------------------------------- */

/* answer sends `json` on, or without it nothing: the worker has a deadline of its own. */
static void answer(struct ways *w, struct question_asker asker, json_t *json)
{
	if (json == NULL || w->closing || json_object_set_new(json, "do", json_string("route")) != 0) {
		json_decref(json);
		return;
	}
	w->events.on_answer(w->arg, asker, json);
}

static void refuse(struct ways *w, struct question_asker asker, uint64_t id, const char *why)
{
	struct route *r = NULL;
	if (route_refusal(SMTP_R_HOP_DNS, why, REFUSED_TTL_MS, &r) == EC_OK)
		answer(w, asker, route_json(r, id));
	route_free(r);
}

static void refuse_all(struct ways *w, const char *why)
{
	struct question q;
	while (questions_take_oldest(&w->open, &q))
		refuse(w, q.asker, q.id, why);
	uv_timer_stop(&w->silence);
}

/* It answers everything within FIND_MS: one that does not hangs. */
static void on_silence(uv_timer_t *t)
{
	struct ways *w = t->data;
	w->events.on_mishap(w->arg, "ended: it has left a question without an answer");
	child_kill(&w->child);
	refuse_all(w, "the router does not answer");
}

static void watch_oldest(struct ways *w)
{
	const struct question *oldest = questions_oldest(&w->open);
	if (oldest == NULL || w->closing) {
		uv_timer_stop(&w->silence);
		return;
	}
	uint64_t due = oldest->asked_ms + WAYS_SILENT_MS, now = uv_now(w->loop);
	uv_timer_start(&w->silence, on_silence, due > now ? due - now : 0, 0);
}

static void on_answer(struct ways *w, json_t *json)
{
	uint64_t number = 0;
	struct question q;
	if (route_answer_id(json, &number) != EC_OK || !questions_take(&w->open, number, &q))
		return; /* too late */
	watch_oldest(w);
	if (json_object_set_new(json, "route", json_integer((json_int_t)q.id)) == 0)
		answer(w, q.asker, json_incref(json));
}

/* --- the process ------------------------------------------------------------------------------ */

static void on_up(void *arg)
{
	struct ways *w = arg;
	child_send_json(&w->child, json_incref(w->config));
}

static void on_line(void *arg, json_t *json)
{
	struct ways *w = arg;
	const char *why = json_string_value(json_object_get(json, "why"));
	if (json_object_get(json, "route") != NULL)
		on_answer(w, json);
	else if (why != NULL)
		w->events.on_mishap(w->arg, why);
}

static void release(void *arg)
{
	struct ways *w = arg;
	if (--w->num_handles > 0)
		return;
	json_decref(w->config);
	questions_fini(&w->open);
	free(w);
}

static void on_silence_closed(uv_handle_t *h)
{
	release(h->data);
}

static void close_handles(struct ways *w)
{
	w->num_handles = 2;
	child_fini(&w->child, release, w);
	uv_close((uv_handle_t *)&w->silence, on_silence_closed);
}

static void on_down(void *arg)
{
	struct ways *w = arg;
	if (w->closing)
		close_handles(w);
	else
		refuse_all(w, "the router is not running");
}

static void on_mishap(void *arg, const char *why)
{
	struct ways *w = arg;
	w->events.on_mishap(w->arg, why);
}

/* --- for the supervisor ------------------------------------------------------------------------ */

struct ways *ways_new(uv_loop_t *loop, struct ways_events events, void *arg)
{
	static const char *const args[] = { "danegate", "--router", NULL };
	static const struct child_events child_events = { .on_up = on_up, .on_line = on_line, .on_down = on_down,
	                                                  .on_mishap = on_mishap };
	struct ways *w = calloc(1, sizeof *w);
	if (w == NULL)
		return NULL;
	*w = (struct ways){ .loop = loop, .events = events, .arg = arg };
	if (questions_init(&w->open) != EC_OK) {
		free(w);
		return NULL;
	}
	child_init(&w->child, loop, (struct child_plan){ .args = args, .events = &child_events, .arg = w });
	uv_timer_init(loop, &w->silence);
	w->silence.data = w;
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
	if (!needs_look_ups(cfg)) {
		json_decref(own_names);
		json_decref(w->config);
		w->config = NULL;
		child_stop(&w->child);
		return EC_OK;
	}
	json_t *message = json_pack("{s:s, s:I, s:s%, s:s, s:o}", "do", "config", "number", (json_int_t)++w->config_number, "text",
	                            (const char *)text.p, text.len, "name", cfg->file_name, "own_names", own_names);
	if (message == NULL)
		return EC_NO_MEMORY;
	json_decref(w->config);
	w->config = message;
	/* One that starts, now or because it was ending, gets them when it is up. */
	child_send_json(&w->child, json_incref(message));
	child_start(&w->child);
	return EC_OK;
}

void ways_ask(struct ways *w, struct question_asker asker, const json_t *question)
{
	struct route_question q;
	struct why why;
	if (asker.worker >= QUESTIONS_WORKERS || route_question_parse(question, &q, &why) != EC_OK)
		return;
	if (questions_full(&w->open, asker.worker)) {
		refuse(w, asker, q.id, "too many routes are asked for at once");
		return;
	}
	if (!child_is_up(&w->child)) {
		refuse(w, asker, q.id, "the router is not running");
		return;
	}
	uv_update_time(w->loop);
	struct question kept = { .asker = asker, .id = q.id, .asked_ms = uv_now(w->loop) };
	q.id = questions_add(&w->open, kept);
	json_t *json = route_question_json(&q);
	if (json == NULL) {
		(void)questions_take(&w->open, q.id, &kept);
		refuse(w, asker, kept.id, "out of memory");
		return;
	}
	child_send_json(&w->child, json);
	if (w->open.num == 1)
		watch_oldest(w);
}

struct ways_facts ways_facts(const struct ways *w)
{
	return (struct ways_facts){
		.wanted = w->child.wanted, .pid = child_pid(&w->child), .restarts = w->child.restarts, .since = w->child.since,
		.open = w->open.num,
	};
}

void ways_free(struct ways *w)
{
	if (w == NULL)
		return;
	w->closing = true;
	uv_timer_stop(&w->silence);
	child_stop(&w->child);
	if (child_is_gone(&w->child))
		close_handles(w);
}
