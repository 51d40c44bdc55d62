/* A question is kept until its answer is sent, so that a new configuration can begin it anew. All look-ups of one
 * configuration go through one struct secure, held for good: its cache is what makes many questions cheap. When
 * look-ups fail that cache is dropped, FORGET_MS apart at least: libunbound remembers for minutes who did not answer. */
#include "proxy/router/router_uv.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "base/log_fs.h"
#include "base/wire_uv.h"
#include "proxy/config_message.h"
#include "proxy/listen_fs.h"
#include "proxy/router/find_uv.h"

enum { FORGET_MS = 15000, REFUSED_TTL_MS = 1000 };

struct question {
	struct router *r;
	struct question *next, *previous;
	struct route_question asked;
	struct find *find;
};

struct router {
	uv_loop_t loop;
	struct wire *wire;
	struct config *cfg;
	json_t *own; /* keeps own_names */
	const char **own_names;
	size_t num_own_names;
	struct secure *secure;
	struct sts *sts;
	uint64_t forgot_ms;
	size_t num;
	struct question *questions;
	bool over;
	bool failed;
};

/* --- questions ---------------------------------------------------------------------- */

static void send_route(struct router *r, uint64_t id, const struct route *route)
{
	json_t *json = route_json(route, id);
	if (json == NULL)
		log_why(LOG_ERROR, "router", NULL, "out of memory: a question has no answer");
	else
		wire_send_json(r->wire, json);
}

static void send_refusal(struct router *r, uint64_t id, const char *why)
{
	struct route *route = NULL;
	if (route_refusal(SMTP_R_HOP_DNS, why, REFUSED_TTL_MS, &route) == EC_OK)
		send_route(r, id, route);
	route_free(route);
}

static void question_free(struct question *q)
{
	if (q->previous != NULL)
		q->previous->next = q->next;
	else
		q->r->questions = q->next;
	if (q->next != NULL)
		q->next->previous = q->previous;
	q->r->num--;
	find_cancel(q->find);
	free(q);
}

static void on_found(void *arg, struct route *route, bool failed)
{
	struct question *q = arg;
	struct router *r = q->r;
	q->find = NULL;
	if (route != NULL)
		send_route(r, q->asked.id, route);
	else
		send_refusal(r, q->asked.id, "out of memory");
	route_free(route);
	question_free(q);
	uint64_t now = uv_now(&r->loop);
	if (failed && now - r->forgot_ms >= FORGET_MS) {
		r->forgot_ms = now;
		secure_forget(r->secure);
	}
}

static const struct config_connector *connector_of(const struct config *cfg, const char *name)
{
	for (size_t i = 0; i < cfg->num_connectors; i++)
		if (strcmp(cfg->connectors[i].name, name) == 0)
			return &cfg->connectors[i];
	return NULL;
}

/* question_begin sets out to answer; what can't even begin is answered at once. */
static void question_begin(struct question *q)
{
	struct router *r = q->r;
	struct why why = { 0 };
	const struct find_with with = { .loop = &r->loop, .secure = r->secure, .sts = r->sts };
	const struct plan_for who = {
		.connector = connector_of(r->cfg, q->asked.connector),
		.domain = q->asked.domain,
		.own_names = r->own_names,
		.num_own_names = r->num_own_names,
		.now = { (int64_t)time(NULL) },
	};
	enum ec ec = who.connector == NULL ? why_set(&why, EC_NOT_FOUND, "there is no such connector") :
	                                     find_start(&with, &who, on_found, q, &q->find, &why);
	if (ec != EC_OK) {
		send_refusal(r, q->asked.id, why.text);
		question_free(q);
	}
}

static void on_question(struct router *r, const json_t *message)
{
	struct why why = { 0 };
	struct route_question asked;
	if (route_question_parse(message, &asked, &why) != EC_OK) {
		log_why(LOG_ERROR, "router", "question", why.text);
		return;
	}
	struct question *q = r->secure == NULL || r->num == ROUTER_OPEN_MAX ? NULL : calloc(1, sizeof *q);
	if (q == NULL) {
		send_refusal(r, asked.id, r->secure == NULL ? "the router has no settings yet" : "too many questions at once");
		return;
	}
	*q = (struct question){ .r = r, .asked = asked, .next = r->questions };
	if (r->questions != NULL)
		r->questions->previous = q;
	r->questions = q;
	r->num++;
	question_begin(q);
}

/* --- settings ------------------------------------------------------------------------- */

static void drop_settings(struct router *r)
{
	for (struct question *q = r->questions; q != NULL; q = q->next) {
		find_cancel(q->find);
		q->find = NULL;
	}
	sts_free(r->sts);
	secure_free(r->secure);
	config_free(r->cfg);
	free(r->own_names);
	json_decref(r->own);
	r->sts = NULL;
	r->secure = NULL;
	r->cfg = NULL;
	r->own_names = NULL;
	r->num_own_names = 0;
	r->own = NULL;
}

/* What a mail must not be sent to: it would come back. */
static enum ec take_names(struct router *r, json_t *list)
{
	size_t num = json_array_size(list);
	r->own_names = calloc(num + 1, sizeof *r->own_names);
	if (r->own_names == NULL)
		return EC_NO_MEMORY;
	r->own = json_incref(list);
	for (size_t i = 0; i < num; i++) {
		const char *name = json_string_value(json_array_get(list, i));
		if (name != NULL)
			r->own_names[r->num_own_names++] = name;
	}
	return EC_OK;
}

static enum ec make_settings(struct router *r, struct config *cfg, json_t *own_names, struct why *why)
{
	const struct secure_options options = secure_options_of(&cfg->dns);
	struct secure *secure = NULL;
	enum ec ec = secure_new(&r->loop, &options, &secure, why);
	if (ec != EC_OK) {
		config_free(cfg);
		return ec;
	}
	drop_settings(r);
	r->cfg = cfg;
	r->secure = secure;
	secure_hold(secure);
	ec = sts_new(&r->loop, secure, cfg, &r->sts, why);
	if (ec == EC_OK && take_names(r, own_names) != EC_OK)
		ec = why_set(why, EC_NO_MEMORY, "out of memory");
	return ec;
}

static void fail(struct router *r, const char *what, const char *why)
{
	log_why(LOG_ERROR, "router-failed", what, why);
	r->failed = r->over = true;
	uv_stop(&r->loop);
}

static void on_config(struct router *r, json_t *message)
{
	struct why why = { 0 };
	struct config *cfg = NULL;
	json_int_t number = json_integer_value(json_object_get(message, "number"));
	bool first = r->cfg == NULL;
	enum ec ec = config_message_parse(message, &cfg, &why);
	if (ec == EC_OK && first)
		ec = privilege_drop(cfg->user, &why);
	if (ec != EC_OK)
		config_free(cfg);
	else
		ec = make_settings(r, cfg, json_object_get(message, "own_names"), &why);
	if (ec != EC_OK) {
		wire_send_json(r->wire, json_pack("{s:I, s:s}", "configured", number, "why", why.text));
		log_why(LOG_ERROR, "router", "config", why.text);
		if (r->secure == NULL || r->sts == NULL || r->own_names == NULL)
			fail(r, "config", why.text);
		return;
	}
	log_setup((enum log_format)r->cfg->log.format, (enum log_level)r->cfg->log.level, "danegate");
	wire_send_json(r->wire, json_pack("{s:I}", "configured", number));
	for (struct question *q = r->questions, *next; q != NULL; q = next) {
		next = q->next;
		question_begin(q);
	}
}

/* --- the wire, birth and death ---------------------------------------------------------- */

static void on_line(void *arg, struct wire *w, char *line, size_t len)
{
	struct router *r = arg;
	(void)w;
	json_t *message = json_loadb(line, len, 0, NULL);
	const char *word = json_string_value(json_object_get(message, "do"));
	if (word != NULL && strcmp(word, "config") == 0)
		on_config(r, message);
	else if (json_object_get(message, "route") != NULL)
		on_question(r, message);
	else
		log_why(LOG_ERROR, "router", "supervisor", "message not understood");
	json_decref(message);
}

static void on_wire_closed(void *arg, struct wire *w, const char *why)
{
	struct router *r = arg;
	(void)w;
	(void)why;
	r->wire = NULL;
	r->over = true;
	uv_stop(&r->loop);
}

static void clean_up(struct router *r)
{
	while (r->questions != NULL)
		question_free(r->questions);
	drop_settings(r);
	wire_close(r->wire);
	while (uv_run(&r->loop, UV_RUN_DEFAULT) != 0)
		;
	uv_loop_close(&r->loop);
	free(r);
}

int router_run(void)
{
	static const int ignored[] = { SIGPIPE, SIGHUP, SIGINT, SIGTERM };
	static const struct wire_events events = { .on_line = on_line, .on_close = on_wire_closed };
	(void)prctl(PR_SET_NAME, "danegate-router");
	for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
		(void)signal(ignored[i], SIG_IGN);
	struct router *r = calloc(1, sizeof *r);
	if (r == NULL || uv_loop_init(&r->loop) != 0) {
		free(r);
		return 1;
	}
	if (wire_adopt(&r->loop, ROUTER_FD_WIRE, events, r, &r->wire) != EC_OK)
		fail(r, "wire", "out of memory");
	else
		uv_run(&r->loop, UV_RUN_DEFAULT);
	int status = r->failed ? 1 : 0;
	clean_up(r);
	return status;
}
