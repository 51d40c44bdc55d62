/* What a worker and its supervisor tell each other about the ways out: questions for
 * routes and the answers, whether a connector is up, what the operator drained, and how
 * transactions went. */
#include <stdlib.h>
#include <string.h>

#include "base/log_fs.h"
#include "proxy/worker/worker_parts_uv.h"

/* How often the counts are handed on. */
enum { LEDGER_MS = 1000 };

/* --- routes ------------------------------------------------------------------------ */

static bool ask(void *arg, const struct route_question *q)
{
	struct worker *w = arg;
	json_t *question = route_question_json(q);
	if (w->wire == NULL || question == NULL) {
		json_decref(question);
		return false;
	}
	wire_send_json(w->wire, question);
	return true;
}

void worker_on_route(struct worker *w, json_t *message)
{
	struct why why = { 0 };
	if (routes_answer(w->work.routes, message, work_now(&w->work), &why) != EC_OK)
		log_why(LOG_ERROR, "worker-message", "route", why.text);
}

/* --- hops ---------------------------------------------------------------------------- */

void worker_on_hop(struct worker *w, json_t *message)
{
	const char *name = json_string_value(json_object_get(message, "name"));
	bool drained = json_is_true(json_object_get(message, "drained"));
	enum ec ec = name == NULL ? EC_SYNTAX : health_drain(&w->work.health, name, drained);
	if (ec != EC_OK)
		log_why(LOG_ERROR, "worker-message", "hop", ec_text(ec));
}

void worker_set_drained(struct worker *w, json_t *names)
{
	size_t i;
	json_t *name;
	json_array_foreach(names, i, name)
		if (json_is_string(name) && health_drain(&w->work.health, json_string_value(name), true) != EC_OK)
			log_why(LOG_ERROR, "worker-message", "drained", "a hop could not be drained");
}

/* --- connectors up and down ------------------------------------------------------------ */

static json_t *names_of(uint32_t flags)
{
	static const struct {
		uint32_t flag;
		const char *name;
	} caps[] = {
		{ SMTP_CAP_PIPELINING, "PIPELINING" }, { SMTP_CAP_SIZE, "SIZE" },         { SMTP_CAP_STARTTLS, "STARTTLS" },
		{ SMTP_CAP_8BITMIME, "8BITMIME" },     { SMTP_CAP_ENHANCED, "ENHANCEDSTATUSCODES" },
		{ SMTP_CAP_DSN, "DSN" },               { SMTP_CAP_SMTPUTF8, "SMTPUTF8" }, { SMTP_CAP_CHUNKING, "CHUNKING" },
		{ SMTP_CAP_BINARYMIME, "BINARYMIME" }, { SMTP_CAP_REQUIRETLS, "REQUIRETLS" },
		{ SMTP_CAP_XCLIENT, "XCLIENT" },       { SMTP_CAP_XFORWARD, "XFORWARD" },   { SMTP_CAP_LIMITS, "LIMITS" },
	};
	json_t *list = json_array();
	for (size_t i = 0; i < sizeof caps / sizeof *caps; i++)
		if (flags & caps[i].flag)
			json_array_append_new(list, json_string(caps[i].name));
	return list;
}

static void tell_exit(struct work *work, struct exit_way *way, bool up, const char *why)
{
	struct worker *w = (struct worker *)work;
	if (w->wire == NULL || (way->said && way->said_up == up && (!up || way->said_flags == way->caps.flags)))
		return;
	way->said = true;
	way->said_up = up;
	way->said_flags = way->caps.flags;
	json_t *state = up ? json_pack("{s:s, s:b, s:o}", "connector", way->name, "up", 1, "offers", names_of(way->caps.flags))
	                   : json_pack("{s:s, s:b, s:s}", "connector", way->name, "up", 0, "why", why);
	wire_send_json(w->wire, json_pack("{s:o}", "backend", state));
}

/* --- the ledger ----------------------------------------------------------------------------- */

void worker_tell_ledger(struct worker *w)
{
	if (w->wire == NULL || ledger_empty(&w->ledger))
		return;
	json_t *rows = ledger_json(&w->ledger);
	if (rows == NULL)
		return; /* no memory: with the next */
	wire_send_json(w->wire, json_pack("{s:o}", "ledger", rows));
	ledger_fini(&w->ledger);
}

static void on_ledger_due(uv_timer_t *t)
{
	worker_tell_ledger(t->data);
}

static void note_trust(struct work *work, const struct exit_way *way, struct slice domain, enum trust trust,
                       enum smtp_reply_id refused)
{
	struct worker *w = (struct worker *)work;
	ledger_note(&w->ledger, way->name, domain, trust, smtp_reply_row(refused)->reason);
	if (!uv_is_active((uv_handle_t *)&w->ledger_timer))
		uv_timer_start(&w->ledger_timer, on_ledger_due, LEDGER_MS, 0);
}

enum ec worker_exits_init(struct worker *w)
{
	uv_timer_init(&w->work.loop, &w->ledger_timer);
	w->ledger_timer.data = w;
	w->work.on_exit = tell_exit;
	w->work.on_trust = note_trust;
	w->work.routes = routes_new(ask, w);
	return w->work.routes == NULL ? EC_NO_MEMORY : EC_OK;
}

void worker_exits_fini(struct worker *w)
{
	w->work.on_exit = NULL;
	w->work.on_trust = NULL;
	uv_close((uv_handle_t *)&w->ledger_timer, NULL);
	routes_free(w->work.routes);
	w->work.routes = NULL;
	health_fini(&w->work.health);
	ledger_fini(&w->ledger);
}
