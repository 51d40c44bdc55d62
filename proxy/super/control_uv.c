/* A connection has one request in work at a time; lines that arrive meanwhile
 * wait in `queue`, so answers keep the order of the requests. A request that needs
 * DNS or the workers ends later, perhaps after its client has gone: the client
 * struct lives until both are over. */
#include "proxy/super/control_uv.h"

#include <stdlib.h>
#include <string.h>

#include "base/log_fs.h"
#include "proxy/super/control.h"
#include "proxy/super/reload_uv.h"
#include "proxy/super/stats.h"
#include "proxy/super/supervisor_uv.h"
#include "proxy/super/swap_uv.h"

enum { CONTROL_LINE_MAX = 1 << 20, QUEUE_MAX = 256, PROTOCOL = 1, REPORT_MAX = 500 };

/* A line that has not had its turn. */
struct waiting {
	struct waiting *next;
	size_t len;
	char line[];
};

struct client {
	struct supervisor *s;
	struct client *next; /* in the supervisor's list, while its wire is there */
	struct wire *wire; /* NULL once it has gone */
	struct waiting *queue, **queue_end;
	size_t num_waiting;
	bool busy;
	bool inside; /* client_next is running */
};

/* A request's handler answers at once, or keeps `c` busy and answers later. */
struct request {
	struct client *c;
	struct identity *id; /* if the command takes one */
	bool named; /* an identity was; `id` is NULL if there is none of that name */
	uint64_t number;
	uint64_t from;
	enum key_algorithm algorithm;
	const char *chain, *hop; /* borrowed for the handler's call */
};

static void answer(struct client *c, json_t *value)
{
	if (c->wire == NULL) {
		json_decref(value);
		return;
	}
	wire_send_json(c->wire, value);
	wire_paid(c->wire);
}

static void answer_error(struct client *c, enum ec ec, const char *why)
{
	answer(c, json_pack("{s:b,s:s,s:s}", "ok", 0, "ec", ec_name(ec), "why", why[0] != '\0' ? why : ec_text(ec)));
}

/* --- what is there ------------------------------------------------------------ */

static void do_hello(struct request *q)
{
	answer(q->c, json_pack("{s:b,s:s,s:s,s:i,s:s}", "ok", 1, "program", "danegate", "version", DANEGATE_VERSION, "protocol",
	                       PROTOCOL, "instance", q->c->s->cfg->proxy.hostname));
}

/* read_now reads an identity whose turn has not come yet. What can't be read is told by its
 * look, and refused by every change. */
static void read_now(struct supervisor *s, struct identity *id)
{
	struct why why = { 0 };
	if (!id->read && identity_refresh(&s->keeper, id, &why) != EC_OK)
		supervisor_mishap(s, "store", id->name, why.text);
}

static json_t *identity_report(struct supervisor *s, struct identity *id)
{
	read_now(s, id);
	json_t *generations = json_array();
	struct generation *all = identity_generations(id);
	for (size_t i = 0; all != NULL && i < id->num_generations; i++)
		json_array_append_new(generations, stats_generation_json(&all[i]));
	free(all);
	/* What the next generation is to have; of issuer `files` that is for the files to say. */
	json_t *algorithms = json_array();
	for (unsigned a = 0; a < KEY_NUM_ALGORITHMS && id->settings->issuer != CONFIG_FILES; a++)
		if ((id->settings->algorithms & 1u << a) != 0)
			json_array_append_new(algorithms, json_string(key_algorithm_name(a)));
	return json_pack("{s:s,s:I,s:I,s:s,s:s,s:o,s:o}", "name", id->name, "active", (json_int_t)id->active, "presented",
	                 (json_int_t)id->presented, "guard", guard_state_name(id->verdict.state), "why", id->verdict.why.text,
	                 "algorithms", algorithms, "generations", generations);
}

/* do_report tells of one identity, or of REPORT_MAX at most, and where to go on: an answer
 * is one line, and must fit. */
static void do_report(struct request *q)
{
	struct supervisor *s = q->c->s;
	json_t *list = json_array();
	size_t i = q->from < s->keeper.num && !q->named ? (size_t)q->from : s->keeper.num;
	if (q->id != NULL)
		json_array_append_new(list, identity_report(s, q->id));
	for (unsigned n = 0; i < s->keeper.num && n < REPORT_MAX; i++, n++)
		json_array_append_new(list, identity_report(s, s->keeper.items[i]));
	json_t *report = json_pack("{s:b,s:s,s:I,s:o}", "ok", 1, "instance", s->cfg->proxy.hostname, "now",
	                           (json_int_t)supervisor_now().s, "identities", list);
	if (report != NULL && i < s->keeper.num)
		json_object_set_new(report, "next", json_integer((json_int_t)i));
	answer(q->c, report);
}

/* --- keys ------------------------------------------------------------------------ */

static void answer_generation(struct request *q, uint64_t number)
{
	struct generation g;
	if (!identity_find(q->id, number, &g))
		answer_error(q->c, EC_NOT_FOUND, "the generation is not on disk");
	else
		answer(q->c, json_pack("{s:b,s:o}", "ok", 1, "generation", stats_generation_json(&g)));
}

static void do_prepare(struct request *q)
{
	struct why why = { 0 };
	uint64_t number = 0, last = q->id->last;
	enum ec ec = identity_prepare(&q->c->s->keeper, q->id, supervisor_now(), &number, &why);
	if (ec != EC_OK) {
		supervisor_mishap(q->c->s, "prepare", q->id->name, why.text);
		answer_error(q->c, ec, why.text);
		return;
	}
	if (number > last)
		log_why(LOG_NOTICE, "prepare", q->id->name, "made a new standby generation");
	answer_generation(q, number);
}

static void do_csr(struct request *q)
{
	struct why why = { 0 };
	struct bytes pem = { 0 };
	enum ec ec = store_csr(q->c->s->keeper.store, q->id->name, q->number, q->algorithm, &pem, &why);
	struct slice text = bytes_slice(&pem);
	if (ec == EC_OK)
		answer(q->c, json_pack("{s:b,s:s%}", "ok", 1, "csr", (const char *)text.p, text.len));
	else
		answer_error(q->c, ec, why.text);
	bytes_fini(&pem);
}

/* A key has another certificate in the store, unless `ec` says that it could not be put there. */
static void certified(struct request *q, const char *event, enum ec ec, struct why *why, const char *words)
{
	struct supervisor *s = q->c->s;
	if (ec == EC_OK)
		ec = identity_refresh(&s->keeper, q->id, why);
	if (ec != EC_OK) {
		supervisor_mishap(s, event, q->id->name, why->text);
		answer_error(q->c, ec, why->text);
		return;
	}
	log_why(LOG_NOTICE, event, q->id->name, words);
	answer_generation(q, q->number);
	/* The same keys with another certificate: no matter for the pin guard. */
	if (q->number == q->id->presented) {
		q->id->renewed = true;
		watch_offer(s, q->id);
	}
	watch_settle(s);
}

static void do_install(struct request *q)
{
	struct why why = { 0 };
	enum ec ec = store_install(q->c->s->keeper.store, q->id->name, q->number, q->algorithm, slice_str(q->chain), supervisor_now(),
	                           &why);
	certified(q, "install", ec, &why, "installed a certificate");
}

static void do_renew(struct request *q)
{
	const struct config_identity *settings = q->id->settings;
	struct why why = { 0 };
	enum ec ec = EC_OK;
	if (settings->issuer != CONFIG_SELF_SIGNED)
		ec = why_set(&why, EC_UNSUPPORTED, "the issuer of %s is not self-signed: only certificates of our own are signed here",
		             q->id->name);
	else
		ec = store_renew(q->c->s->keeper.store, q->id->name, q->number, q->algorithm, settings->certificate_life_ms / 1000,
		                 supervisor_now(), &why);
	certified(q, "renew", ec, &why, "signed a certificate anew");
}

static void do_retire(struct request *q)
{
	struct why why = { 0 };
	struct generation g;
	bool there = identity_find(q->id, q->number, &g);
	enum ec ec = identity_retire(&q->c->s->keeper, q->id, q->number, &why);
	if (ec != EC_OK) {
		supervisor_mishap(q->c->s, "retire", q->id->name, why.text);
		answer_error(q->c, ec, why.text);
		return;
	}
	if (there)
		log_why(LOG_NOTICE, "retire", q->id->name, "deleted a generation's keys");
	answer(q->c, json_pack("{s:b}", "ok", 1));
}

/* --- changes that take time --------------------------------------------------------- */

static void client_next(struct client *c);

static struct waiting *take_waiting(struct client *c)
{
	struct waiting *w = c->queue;
	c->queue = w->next;
	if (c->queue == NULL)
		c->queue_end = &c->queue;
	c->num_waiting--;
	return w;
}

/* client_done goes on with the next request, or frees a client that has gone. */
static void client_done(struct client *c)
{
	c->busy = false;
	if (c->wire != NULL) {
		client_next(c);
		return;
	}
	while (c->queue != NULL)
		free(take_waiting(c));
	free(c);
}

static void on_swapped(void *arg, enum ec ec, const struct why *why)
{
	struct client *c = arg;
	if (ec == EC_OK)
		answer(c, json_pack("{s:b,s:s}", "ok", 1, "why", why->text));
	else
		answer_error(c, ec, why->text);
	client_done(c);
}

static void do_swap(struct request *q)
{
	q->c->busy = true;
	swap_run(q->c->s, q->id->name, q->number, on_swapped, q->c);
}

static void on_reloaded(void *arg, enum ec ec, const struct why *why, json_t *details)
{
	struct client *c = arg;
	json_t *list = details == NULL ? json_array() : json_incref(details);
	if (ec == EC_OK)
		answer(c, json_pack("{s:b,s:s,s:o}", "ok", 1, "why", why->text, "changes", list));
	else
		answer(c, json_pack("{s:b,s:s,s:s,s:o}", "ok", 0, "ec", ec_name(ec), "why", why->text, "errors", list));
	client_done(c);
}

static void do_reload(struct request *q)
{
	q->c->busy = true;
	reload_run(q->c->s, on_reloaded, q->c);
}

static void drain(struct request *q, bool drained)
{
	struct crew *crew = q->c->s->crew;
	enum ec ec = crew_drain_hop(crew, q->hop, drained);
	if (ec != EC_OK)
		answer_error(q->c, ec, ec == EC_LIMIT ? "too many next hops are drained" : "out of memory");
	else
		answer(q->c, json_pack("{s:b, s:O}", "ok", 1, "drained", crew_drained(crew)));
}

static void do_drain(struct request *q)
{
	drain(q, true);
}

static void do_undrain(struct request *q)
{
	drain(q, false);
}

/* --- requests ----------------------------------------------------------------------- */

static void (*const handlers[CONTROL_NUM])(struct request *q) = {
	[CONTROL_HELLO] = do_hello,     [CONTROL_REPORT] = do_report, [CONTROL_PREPARE] = do_prepare, [CONTROL_CSR] = do_csr,
	[CONTROL_INSTALL] = do_install, [CONTROL_RENEW] = do_renew, [CONTROL_SWAP] = do_swap,     [CONTROL_RETIRE] = do_retire,   [CONTROL_RELOAD] = do_reload,
	[CONTROL_DRAIN] = do_drain,     [CONTROL_UNDRAIN] = do_undrain,
};

static void run(struct client *c, struct slice line)
{
	struct control_request r;
	struct why why = { 0 };
	enum ec ec = control_parse(line, &r, &why);
	if (ec != EC_OK) {
		answer_error(c, ec, why.text);
		return;
	}
	struct request q = { .c = c, .named = r.identity != NULL, .number = r.generation, .from = r.from, .algorithm = r.algorithm,
	                     .chain = r.chain, .hop = r.hop };
	if (r.identity != NULL)
		q.id = keeper_find(&c->s->keeper, r.identity);
	if (q.id != NULL && r.command != CONTROL_REPORT)
		ec = q.id->read ? EC_OK : identity_refresh(&c->s->keeper, q.id, &why);
	if (ec != EC_OK) {
		answer_error(c, ec, why.text);
	} else if (r.identity == NULL || q.id != NULL || r.command == CONTROL_REPORT) {
		handlers[r.command](&q);
	} else {
		(void)why_set(&why, EC_NOT_FOUND, "there is no identity \"%s\" in the configuration", r.identity);
		answer_error(c, EC_NOT_FOUND, why.text);
	}
	control_fini(&r);
}

static void client_next(struct client *c)
{
	/* A handler may end at once and come back here: the loop below is what goes
	 * on then, not a deeper call. */
	if (c->inside)
		return;
	c->inside = true;
	while (!c->busy && c->wire != NULL && c->queue != NULL) {
		struct waiting *w = take_waiting(c);
		run(c, slice_of(w->line, w->len));
		free(w);
	}
	c->inside = false;
}

static void on_line(void *arg, struct wire *w, char *line, size_t len)
{
	struct client *c = arg;
	wire_owe(w); /* each request gets exactly one answer */
	struct waiting *n = c->num_waiting >= QUEUE_MAX ? NULL : malloc(sizeof *n + len);
	if (n == NULL) {
		answer_error(c, EC_LIMIT, "too many requests without waiting for answers");
		wire_close(w);
		return;
	}
	*n = (struct waiting){ .len = len };
	memcpy(n->line, line, len);
	*c->queue_end = n;
	c->queue_end = &n->next;
	c->num_waiting++;
	client_next(c);
}

static void on_close(void *arg, struct wire *w, const char *why)
{
	struct client *c = arg;
	(void)w;
	(void)why;
	if (c == NULL)
		return;
	c->wire = NULL;
	for (struct client **p = &c->s->clients; *p != NULL; p = &(*p)->next) {
		if (*p == c) {
			*p = c->next;
			break;
		}
	}
	if (!c->busy)
		client_done(c);
}

static void *on_open(void *arg, struct wire *w)
{
	struct client *c = calloc(1, sizeof *c);
	if (c == NULL) {
		wire_close(w);
		return NULL;
	}
	struct supervisor *s = arg;
	*c = (struct client){ .s = s, .next = s->clients, .wire = w, .queue_end = &c->queue };
	s->clients = c;
	return c;
}

enum ec control_open(struct supervisor *s, struct why *why)
{
	const struct wire_events events = { .on_line = on_line, .on_close = on_close };
	return wire_listen(&s->loop, s->cfg->proxy.control_socket, 0660, CONTROL_LINE_MAX, events, on_open, s, &s->control, why);
}

void control_close(struct supervisor *s)
{
	wire_listener_close(s->control);
	s->control = NULL;
	for (struct client *c = s->clients; c != NULL; c = c->next)
		wire_close(c->wire);
}
