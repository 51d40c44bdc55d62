#include "proxy/super/stats_uv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/super/stats.h"
#include "proxy/super/supervisor_uv.h"
#include "proxy/super/ways_uv.h"

enum { STATS_LINE_MAX = 1024, WORKERS_MAX = 256 };

/* A part of a long answer is this long at most, but for one identity; the next follows
 * when it has been written. */
enum { PART = 64 << 10 };

/* One asker: its wire, and whether its one question was taken. `waiting` is set
 * while the workers are asked for their sessions, `listing` while an answer with a
 * piece for every identity goes out: `at` is the next one. */
struct asker {
	struct supervisor *s;
	struct asker *next; /* in the supervisor's list, while its wire is there */
	struct wire *wire;
	bool asked;
	bool waiting;
	bool json;
	bool listing;
	enum stats_command command;
	unsigned family; /* of the metrics */
	size_t at;
};

/* struct picture holds the plain values for stats.h; all it points to is
 * borrowed from the supervisor, the arrays are its own. */
struct picture {
	struct stats_info info;
	struct why state_why;
	char backend[WHY_SIZE + 16];
	struct stats_worker workers[WORKERS_MAX];
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
	struct writer w = writer_of(p->backend, sizeof p->backend);
	exits_summary(&s->exits, &w);
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
	const struct ways_facts router = ways_facts(s->ways);
	p->info.router = (struct stats_router){
		.wanted = router.wanted, .pid = router.pid, .restarts = router.restarts, .since = router.since, .open = router.open,
	};
}

static void picture_identities(struct supervisor *s, struct picture *p)
{
	p->info.num_identities = s->keeper.num;
	for (size_t k = 0; k < s->keeper.num; k++)
		p->info.num_allowed += s->keeper.items[k]->verdict.state == GUARD_ALLOWED;
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
		.backend = s->cfg->num_connectors > 0 ? "connectors" : s->cfg->backend.address,
		.epoch = crew_epoch(s->crew),
		.num_errors = s->mishaps.total,
	};
	picture_state(s, p);
	picture_workers(s, p);
	picture_identities(s, p);
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

static void answer_command(struct asker *a, const struct picture *p)
{
	struct bytes text = { 0 };
	const struct stats_info *i = &p->info;
	const struct supervisor *s = a->s;
	const struct mishaps *m = &s->mishaps;
	switch (a->command) {
	case STATS_INFO:
		a->json ? answer_json(a, stats_info_json(i)) : answer_text(a, stats_info_text(i, &text), &text);
		break;
	case STATS_ERRORS:
		a->json ? answer_json(a, stats_errors_json(m)) : answer_text(a, stats_errors_text(m, &text), &text);
		break;
	case STATS_CONNECTORS:
		a->json ? answer_json(a, exits_json(&s->exits, s->cfg, crew_drained(s->crew), i->now)) :
		          answer_text(a, exits_text(&s->exits, s->cfg, crew_drained(s->crew), i->now, &text), &text);
		break;
	case STATS_REPORT:
		a->json ? answer_json(a, exits_report_json(&s->exits, s->since)) :
		          answer_text(a, exits_report_text(&s->exits, s->since, &text), &text);
		break;
	case STATS_METRICS:
		answer_json(a, stats_metrics_json(i));
		break;
	default:
		a->json ? answer_json(a, json_string(stats_help())) :
		          answer_text(a, bytes_append(&text, slice_str(stats_help())), &text);
		break;
	}
}

/* --- answers with a piece for every identity ------------------------------------- */

/* The array of generations is the caller's to free. */
static struct stats_identity identity_of(struct supervisor *s, size_t k, struct generation **out_generations)
{
	const struct identity *id = s->keeper.items[k];
	int64_t in_s = id->call != NULL ? 0 : (id->look.due - (int64_t)uv_now(&s->loop)) / 1000;
	*out_generations = identity_generations(id);
	return (struct stats_identity){
		.name = id->name,
		.is_default = k == 0,
		.active = id->active,
		.presented = id->presented,
		.verdict = &id->verdict,
		.next_look = { supervisor_now().s + in_s },
		.generations = *out_generations,
		.num_generations = *out_generations == NULL ? 0 : id->num_generations,
		.damaged = id->damaged,
		.num_damaged = id->num_damaged,
	};
}

static enum ec put_json(const struct asker *a, const struct stats_identity *id, struct bytes *out)
{
	json_t *value = stats_identity_json(id);
	char *text = value == NULL ? NULL : json_dumps(value, JSON_COMPACT);
	json_decref(value);
	enum ec ec = text == NULL ? EC_NO_MEMORY : EC_OK;
	if (ec == EC_OK && a->at > 0)
		ec = bytes_append(out, SLICE_LIT(","));
	if (ec == EC_OK)
		ec = bytes_append(out, slice_str(text));
	json_malloc_t allocate;
	json_free_t release;
	json_get_alloc_funcs(&allocate, &release);
	release(text);
	return ec;
}

static enum ec put_piece(const struct asker *a, struct bytes *out)
{
	struct generation *generations = NULL;
	struct stats_identity id = identity_of(a->s, a->at, &generations);
	enum ec ec;
	if (a->command == STATS_METRICS)
		ec = stats_metrics_identity(a->family, &id, out);
	else
		ec = a->json ? put_json(a, &id, out) : stats_identity_text(&id, supervisor_now(), out);
	free(generations);
	return ec;
}

/* next_family goes on with the metrics; false when all are there. */
static bool next_family(struct asker *a, enum ec *ec, struct bytes *out)
{
	if (a->command != STATS_METRICS || ++a->family == STATS_FAMILIES)
		return false;
	a->at = 0;
	*ec = stats_metrics_family(a->family, out);
	return true;
}

/* list_more sends the next part. A reload in between may move identities: then one is left
 * out or shown twice. */
static void list_more(struct asker *a, struct bytes *text)
{
	enum ec ec = EC_OK;
	bool over = false;
	while (ec == EC_OK && !over && bytes_len(text) < PART) {
		if (a->at < a->s->keeper.num) {
			ec = put_piece(a, text);
			a->at++;
		} else {
			over = !next_family(a, &ec, text);
		}
	}
	if (ec == EC_OK && over && a->command == STATS_METRICS)
		ec = stats_metrics_end(text);
	else if (ec == EC_OK && over && a->json)
		ec = bytes_append(text, SLICE_LIT("]\n"));
	if (ec == EC_OK)
		wire_send_text(a->wire, bytes_slice(text));
	bytes_fini(text);
	if (ec == EC_OK && !over)
		return;
	a->listing = false;
	wire_close(a->wire);
}

static void list_begin(struct asker *a, const struct picture *p)
{
	struct bytes text = { 0 };
	enum ec ec = EC_OK;
	wire_owe(a->wire);
	a->listing = true;
	if (a->command == STATS_METRICS) {
		ec = stats_metrics_head(&p->info, &text);
		if (ec == EC_OK)
			ec = exits_metrics(&a->s->exits, &text);
		if (ec == EC_OK)
			ec = stats_metrics_family(0, &text);
	} else if (a->json) {
		ec = bytes_append(&text, SLICE_LIT("["));
	}
	if (ec == EC_OK) {
		list_more(a, &text);
		return;
	}
	bytes_fini(&text);
	wire_close(a->wire);
}

static void on_drained(void *arg, struct wire *w)
{
	struct asker *a = arg;
	struct bytes text = { 0 };
	(void)w;
	if (a->listing)
		list_more(a, &text);
}

static void on_line(void *arg, struct wire *w, char *line, size_t len)
{
	struct asker *a = arg;
	struct why why = { 0 };
	if (a->asked)
		return;
	a->asked = true;
	if (stats_parse(slice_of(line, len), &a->command, &a->json, &why) != EC_OK) {
		if (a->json)
			answer_json(a, json_pack("{s:s}", "error", why.text));
		else
			wire_send(w, slice_str(why.text));
		wire_close(w);
	} else if (a->command == STATS_SESSIONS) {
		a->waiting = true;
		wire_owe(w);
		crew_sessions(a->s->crew, on_listed, a);
	} else {
		struct picture *p = picture_new(a->s);
		bool each = a->command == STATS_IDENTITIES || (a->command == STATS_METRICS && !a->json);
		if (p == NULL)
			wire_close(w);
		else if (each)
			list_begin(a, p);
		else
			answer_command(a, p);
		free(p);
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
	const struct wire_events events = { .on_line = on_line, .on_close = on_close, .on_drained = on_drained };
	return wire_listen(&s->loop, s->cfg->proxy.stats_socket, 0660, STATS_LINE_MAX, events, on_open, s, &s->stats, why);
}

void stats_close(struct supervisor *s)
{
	wire_listener_close(s->stats);
	s->stats = NULL;
	for (struct asker *a = s->askers; a != NULL; a = a->next)
		wire_close(a->wire);
}
