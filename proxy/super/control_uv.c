/* A connection has one request in work at a time; lines that arrive meanwhile
 * wait in `queue`, so answers keep the order of the requests. A request that needs
 * DNS or the workers ends later, perhaps after its client has gone: the client
 * struct lives until both are over. */
#include "proxy/super/control_uv.h"

#include <stdlib.h>
#include <string.h>

#include "base/log_fs.h"
#include "proxy/super/reload_uv.h"
#include "proxy/super/stats.h"
#include "proxy/super/supervisor_uv.h"
#include "proxy/super/swap_uv.h"

enum { CONTROL_LINE_MAX = 1 << 20, QUEUE_MAX = 256, PROTOCOL = 1 };

struct client {
	struct supervisor *s;
	struct client *next; /* in the supervisor's list, while its wire is there */
	struct wire *wire; /* NULL once it has gone */
	json_t *queue;
	bool busy;
	bool inside; /* client_next is running */
};

/* A request's handler answers at once, or keeps `c` busy and answers later. */
struct request {
	struct client *c;
	json_t *json;
	struct identity *id; /* for handlers that need one */
	uint64_t number;
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

static const char *text_of(const struct request *q, const char *key)
{
	return json_string_value(json_object_get(q->json, key));
}

/* --- what is there ------------------------------------------------------------ */

static void do_hello(struct request *q)
{
	answer(q->c, json_pack("{s:b,s:s,s:s,s:i,s:s}", "ok", 1, "program", "danegate", "version", DANEGATE_VERSION, "protocol",
	                       PROTOCOL, "instance", q->c->s->cfg->proxy.hostname));
}

static json_t *identity_report(const struct identity *id)
{
	json_t *generations = json_array();
	for (size_t i = 0; i < id->num_generations; i++)
		json_array_append_new(generations, stats_generation_json(&id->generations[i]));
	return json_pack("{s:s,s:I,s:I,s:s,s:s,s:o}", "name", id->name, "active", (json_int_t)id->active, "presented",
	                 (json_int_t)id->presented, "guard", guard_state_name(id->verdict.state), "why", id->verdict.why.text,
	                 "generations", generations);
}

static void do_report(struct request *q)
{
	struct supervisor *s = q->c->s;
	json_t *list = json_array();
	for (size_t i = 0; i < s->keeper.num; i++)
		json_array_append_new(list, identity_report(s->keeper.items[i]));
	answer(q->c, json_pack("{s:b,s:s,s:I,s:o}", "ok", 1, "instance", s->cfg->proxy.hostname, "now",
	                       (json_int_t)supervisor_now().s, "identities", list));
}

/* --- keys ------------------------------------------------------------------------ */

static void answer_generation(struct request *q, uint64_t number)
{
	const struct generation *g = identity_find(q->id, number);
	if (g == NULL)
		answer_error(q->c, EC_NOT_FOUND, "the generation is not on disk");
	else
		answer(q->c, json_pack("{s:b,s:o}", "ok", 1, "generation", stats_generation_json(g)));
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

static bool algorithm_of(struct request *q, enum key_algorithm *out)
{
	const char *text = text_of(q, "algorithm");
	if (text != NULL && key_algorithm_parse(slice_str(text), out))
		return true;
	answer_error(q->c, EC_SYNTAX, "\"algorithm\" is missing or unknown; there are ecdsa-p256 and rsa-3072");
	return false;
}

static void do_csr(struct request *q)
{
	struct why why = { 0 };
	struct bytes pem = { 0 };
	enum key_algorithm algorithm = KEY_ECDSA_P256;
	if (!algorithm_of(q, &algorithm))
		return;
	enum ec ec = store_csr(q->c->s->keeper.store, q->id->name, q->number, algorithm, &pem, &why);
	struct slice text = bytes_slice(&pem);
	if (ec == EC_OK)
		answer(q->c, json_pack("{s:b,s:s%}", "ok", 1, "csr", (const char *)text.p, text.len));
	else
		answer_error(q->c, ec, why.text);
	bytes_fini(&pem);
}

static void do_install(struct request *q)
{
	struct supervisor *s = q->c->s;
	struct why why = { 0 };
	enum key_algorithm algorithm = KEY_ECDSA_P256;
	const char *chain = text_of(q, "chain");
	if (!algorithm_of(q, &algorithm))
		return;
	enum ec ec = EC_OK;
	if (chain == NULL)
		ec = why_set(&why, EC_SYNTAX, "\"chain\" is missing");
	else
		ec = store_install(s->keeper.store, q->id->name, q->number, algorithm, slice_str(chain), supervisor_now(), &why);
	if (ec == EC_OK)
		ec = identity_refresh(&s->keeper, q->id, &why);
	if (ec != EC_OK) {
		supervisor_mishap(s, "install", q->id->name, why.text);
		answer_error(q->c, ec, why.text);
		return;
	}
	log_why(LOG_NOTICE, "install", q->id->name, "installed a certificate");
	answer_generation(q, q->number);
	/* The same keys with another certificate: no matter for the pin guard. */
	s->watch.represent = s->watch.represent || q->number == q->id->presented;
	watch_settle(s);
}

static void do_retire(struct request *q)
{
	struct why why = { 0 };
	bool there = identity_find(q->id, q->number) != NULL;
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

/* client_done goes on with the next request, or frees a client that has gone. */
static void client_done(struct client *c)
{
	c->busy = false;
	if (c->wire != NULL) {
		client_next(c);
		return;
	}
	json_decref(c->queue);
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

/* --- requests ----------------------------------------------------------------------- */

static const struct {
	const char *name;
	void (*run)(struct request *q);
	bool identity; /* needs "identity" */
	bool generation; /* needs "generation" */
} requests[] = {
	{ "hello", do_hello, false, false },   { "report", do_report, false, false },
	{ "prepare", do_prepare, true, false }, { "csr", do_csr, true, true },
	{ "install", do_install, true, true },  { "swap", do_swap, true, true },
	{ "retire", do_retire, true, true },    { "reload", do_reload, false, false },
};

static enum ec read_arguments(struct request *q, bool identity, bool generation, struct why *why)
{
	if (identity) {
		const char *name = text_of(q, "identity");
		if (name == NULL)
			return why_set(why, EC_SYNTAX, "\"identity\" is missing");
		q->id = keeper_find(&q->c->s->keeper, name);
		if (q->id == NULL)
			return why_set(why, EC_NOT_FOUND, "there is no identity \"%.100s\" in the configuration", name);
	}
	if (generation) {
		json_t *n = json_object_get(q->json, "generation");
		if (!json_is_integer(n) || json_integer_value(n) <= 0)
			return why_set(why, EC_SYNTAX, "\"generation\" is missing or no positive number");
		q->number = (uint64_t)json_integer_value(n);
	}
	return EC_OK;
}

static void run(struct client *c, json_t *json)
{
	struct request q = { .c = c, .json = json };
	struct why why = { 0 };
	const char *what = text_of(&q, "do");
	for (size_t i = 0; what != NULL && i < sizeof requests / sizeof requests[0]; i++) {
		if (strcmp(what, requests[i].name) != 0)
			continue;
		enum ec ec = read_arguments(&q, requests[i].identity, requests[i].generation, &why);
		if (ec != EC_OK)
			answer_error(c, ec, why.text);
		else
			requests[i].run(&q);
		return;
	}
	answer_error(c, what == NULL ? EC_SYNTAX : EC_UNKNOWN_KEY,
	             what == NULL ? "a request is a JSON object with \"do\", e.g. {\"do\":\"report\"}" :
	                            "unknown \"do\"; there are hello, report, prepare, csr, install, swap, retire, reload");
}

static void client_next(struct client *c)
{
	/* A handler may end at once and come back here: the loop below is what goes
	 * on then, not a deeper call. */
	if (c->inside)
		return;
	c->inside = true;
	while (!c->busy && c->wire != NULL && json_array_size(c->queue) > 0) {
		json_t *json = json_incref(json_array_get(c->queue, 0));
		json_array_remove(c->queue, 0);
		run(c, json);
		json_decref(json);
	}
	c->inside = false;
}

static void on_line(void *arg, struct wire *w, char *line, size_t len)
{
	struct client *c = arg;
	wire_owe(w); /* each request gets exactly one answer */
	if (json_array_size(c->queue) >= QUEUE_MAX) {
		answer_error(c, EC_LIMIT, "too many requests without waiting for answers");
		wire_close(w);
		return;
	}
	/* What is no JSON becomes null, which `run` answers in its turn. */
	json_t *json = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	json_array_append_new(c->queue, json == NULL ? json_null() : json);
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
	json_t *queue = json_array();
	if (c == NULL || queue == NULL) {
		free(c);
		json_decref(queue);
		wire_close(w);
		return NULL;
	}
	struct supervisor *s = arg;
	*c = (struct client){ .s = s, .next = s->clients, .wire = w, .queue = queue };
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
