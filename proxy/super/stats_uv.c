#include "proxy/super/stats_uv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/super/stats.h"
#include "proxy/super/supervisor_uv.h"

enum { STATS_LINE_MAX = 1024, WORKERS_MAX = 256 };

/* One asker: its wire, and whether its one question was taken. `waiting` is set
 * while the workers are asked for their sessions. */
struct asker {
	struct supervisor *s;
	struct asker *next; /* in the supervisor's list, while its wire is there */
	struct wire *wire;
	bool asked;
	bool waiting;
	bool json;
};

/* struct picture holds the plain values for stats.h; all it points to is
 * borrowed from the supervisor, the arrays are its own. */
struct picture {
	struct stats_info info;
	struct why state_why;
	char backend[WHY_SIZE + 16];
	struct stats_worker workers[WORKERS_MAX];
	struct stats_identity *ids;
	size_t num_ids;
};

static void picture_state(struct supervisor *s, struct picture *p)
{
	struct stats_info *i = &p->info;
	i->state = s->draining ? "draining" : crew_listening(s->crew) ? "serving" : "waiting";
	i->state_why = p->state_why.text;
	if (s->draining)
		(void)why_set(&p->state_why, EC_OK, "finishing what runs");
	else if (!crew_listening(s->crew))
		(void)why_set(&p->state_why, EC_OK, "not listening until the pin guard allows %s: %s", s->keeper.items[0]->name,
		              s->keeper.items[0]->verdict.why.text);
	if (!s->backend_known)
		(void)snprintf(p->backend, sizeof p->backend, "not asked yet");
	else
		(void)snprintf(p->backend, sizeof p->backend, "%s%s%s", s->backend_up ? "up" : "down",
		               s->backend_why.text[0] != '\0' ? ": " : "", s->backend_why.text);
	i->backend_state = p->backend;
}

static void picture_workers(struct supervisor *s, struct picture *p)
{
	unsigned num = crew_num(s->crew) < WORKERS_MAX ? crew_num(s->crew) : WORKERS_MAX;
	for (unsigned k = 0; k < num; k++) {
		struct crew_member m = crew_at(s->crew, k);
		p->workers[k] = (struct stats_worker){ .number = k, .pid = m.pid, .restarts = m.restarts, .since = m.since,
			                                   .acknowledged = m.acknowledged, .begun = m.begun, .page = m.page, .why = m.why };
	}
	p->info.workers = p->workers;
	p->info.num_workers = num;
}

static enum ec picture_identities(struct supervisor *s, struct picture *p)
{
	p->num_ids = s->keeper.num;
	p->ids = calloc(p->num_ids, sizeof *p->ids);
	if (p->ids == NULL)
		return EC_NO_MEMORY;
	for (size_t k = 0; k < p->num_ids; k++) {
		const struct identity *id = s->keeper.items[k];
		int64_t in_s = id->call != NULL || id->look_at_ms == INT64_MAX ? 0 : (id->look_at_ms - (int64_t)uv_now(&s->loop)) / 1000;
		p->ids[k] = (struct stats_identity){
			.name = id->name,
			.is_default = k == 0,
			.active = id->active,
			.presented = id->presented,
			.verdict = &id->verdict,
			.next_look = { supervisor_now().s + in_s },
			.generations = id->generations,
			.num_generations = id->num_generations,
			.damaged = id->damaged,
			.num_damaged = id->num_damaged,
		};
		p->info.num_allowed += id->verdict.state == GUARD_ALLOWED;
	}
	p->info.num_identities = p->num_ids;
	return EC_OK;
}

static void picture_free(struct picture *p)
{
	if (p != NULL)
		free(p->ids);
	free(p);
}

static struct picture *picture_new(struct supervisor *s)
{
	struct picture *p = calloc(1, sizeof *p);
	if (p == NULL)
		return NULL;
	p->info = (struct stats_info){
		.version = DANEGATE_VERSION,
		.instance = s->cfg->proxy.hostname,
		.pid = getpid(),
		.now = supervisor_now(),
		.since = s->since,
		.reloaded = s->reloaded,
		.config_file = s->config_path,
		.change = s->change,
		.listen = (const char *const *)s->cfg->proxy.listen.items,
		.num_listen = s->cfg->proxy.listen.num,
		.backend = s->cfg->backend.address,
		.epoch = crew_epoch(s->crew),
		.num_errors = s->mishaps.total,
	};
	picture_state(s, p);
	picture_workers(s, p);
	if (picture_identities(s, p) != EC_OK) {
		picture_free(p);
		return NULL;
	}
	return p;
}

/* --- answering ---------------------------------------------------------------- */

static void answer_text(struct asker *a, enum ec ec, struct bytes *text)
{
	if (ec == EC_OK)
		wire_send_text(a->wire, bytes_slice(text));
	else
		wire_send(a->wire, slice_str(ec_text(ec)));
	bytes_fini(text);
	wire_close(a->wire);
}

static void answer_json(struct asker *a, json_t *value)
{
	wire_send_json(a->wire, value);
	wire_close(a->wire);
}

static void on_listed(void *arg, json_t *list, uint64_t more, unsigned silent)
{
	struct asker *a = arg;
	a->waiting = false;
	if (a->wire == NULL) {
		free(a);
		return;
	}
	struct bytes text = { 0 };
	if (a->json)
		answer_json(a, json_pack("{s:O,s:I,s:i}", "sessions", list, "more", (json_int_t)more, "silent", (int)silent));
	else
		answer_text(a, stats_sessions_text(list, more, silent, &text), &text);
}

static void answer_command(struct asker *a, enum stats_command command, const struct picture *p)
{
	struct bytes text = { 0 };
	const struct stats_info *i = &p->info;
	const struct mishaps *m = &a->s->mishaps;
	switch (command) {
	case STATS_INFO:
		a->json ? answer_json(a, stats_info_json(i)) : answer_text(a, stats_info_text(i, &text), &text);
		break;
	case STATS_IDENTITIES:
		a->json ? answer_json(a, stats_identities_json(p->ids, p->num_ids)) :
		          answer_text(a, stats_identities_text(p->ids, p->num_ids, i->now, &text), &text);
		break;
	case STATS_ERRORS:
		a->json ? answer_json(a, stats_errors_json(m)) : answer_text(a, stats_errors_text(m, &text), &text);
		break;
	case STATS_METRICS:
		a->json ? answer_json(a, stats_metrics_json(i)) : answer_text(a, stats_metrics(i, p->ids, p->num_ids, &text), &text);
		break;
	default:
		a->json ? answer_json(a, json_string(stats_help())) :
		          answer_text(a, bytes_append(&text, slice_str(stats_help())), &text);
		break;
	}
}

static void on_line(void *arg, struct wire *w, char *line, size_t len)
{
	struct asker *a = arg;
	struct why why = { 0 };
	enum stats_command command = STATS_HELP;
	if (a->asked)
		return;
	a->asked = true;
	if (stats_parse(slice_of(line, len), &command, &a->json, &why) != EC_OK) {
		if (a->json)
			answer_json(a, json_pack("{s:s}", "error", why.text));
		else
			wire_send(w, slice_str(why.text));
		wire_close(w);
	} else if (command == STATS_SESSIONS) {
		a->waiting = true;
		wire_owe(w);
		crew_sessions(a->s->crew, on_listed, a);
	} else {
		struct picture *p = picture_new(a->s);
		if (p != NULL)
			answer_command(a, command, p);
		else
			wire_close(w);
		picture_free(p);
	}
}

static void on_close(void *arg, struct wire *w, const char *why)
{
	struct asker *a = arg;
	(void)w;
	(void)why;
	if (a == NULL)
		return;
	a->wire = NULL;
	for (struct asker **p = &a->s->askers; *p != NULL; p = &(*p)->next) {
		if (*p == a) {
			*p = a->next;
			break;
		}
	}
	if (!a->waiting)
		free(a);
}

static void *on_open(void *arg, struct wire *w)
{
	struct supervisor *s = arg;
	struct asker *a = calloc(1, sizeof *a);
	if (a == NULL) {
		wire_close(w);
		return NULL;
	}
	*a = (struct asker){ .s = s, .next = s->askers, .wire = w };
	s->askers = a;
	return a;
}

enum ec stats_open(struct supervisor *s, struct why *why)
{
	const struct wire_events events = { .on_line = on_line, .on_close = on_close };
	return wire_listen(&s->loop, s->cfg->proxy.stats_socket, 0660, STATS_LINE_MAX, events, on_open, s, &s->stats, why);
}

void stats_close(struct supervisor *s)
{
	wire_listener_close(s->stats);
	s->stats = NULL;
	for (struct asker *a = s->askers; a != NULL; a = a->next)
		wire_close(a->wire);
}
