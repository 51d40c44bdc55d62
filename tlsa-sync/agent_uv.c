/* Calls wait in a queue in the order they were sent; each line that comes in
 * answers the first. When the wire closes, or a call runs out of time, all of
 * them fail and the next request connects anew. A call's memory lives until
 * its timer has closed; the agent's until its last wire and call have. */
#include "tlsa-sync/agent_uv.h"

#include <stdlib.h>
#include <string.h>

#include "base/wire_uv.h"

struct agent_call {
	uv_timer_t timer;
	struct agent *agent;
	struct agent_call *next;
	agent_done *done; /* NULL: cancelled */
	void *arg;
};

struct agent {
	uv_loop_t *loop;
	char *path;
	struct wire *wire; /* the one in use, or NULL */
	struct agent_call *first;
	struct agent_call *last;
	size_t num_alive; /* wires and calls that point here */
	bool freed;
};

static void agent_release(struct agent *a)
{
	a->num_alive--;
	if (!a->freed || a->num_alive > 0)
		return;
	free(a->path);
	free(a);
}

static void on_timer_closed(uv_handle_t *h)
{
	struct agent_call *c = h->data;
	struct agent *a = c->agent;
	free(c);
	agent_release(a);
}

/* call_end takes the first call off the queue and reports. */
static void call_end(struct agent *a, enum ec ec, const json_t *answer, const struct why *why)
{
	struct agent_call *c = a->first;
	a->first = c->next;
	if (a->first == NULL)
		a->last = NULL;
	agent_done *done = c->done;
	c->done = NULL;
	uv_close((uv_handle_t *)&c->timer, on_timer_closed);
	if (done != NULL)
		done(c->arg, ec, answer, why);
}

/* agent_drop gives the connection up and fails what waits for an answer. The
 * queue is taken off first: a callback may ask again at once. */
static void agent_drop(struct agent *a, enum ec ec, const char *words)
{
	struct wire *w = a->wire;
	a->wire = NULL;
	wire_close(w);
	struct why why = { 0 };
	(void)why_set(&why, ec, "%s: %s", a->path, words);
	struct agent_call *c = a->first;
	a->first = a->last = NULL;
	while (c != NULL) {
		struct agent_call *next = c->next;
		agent_done *done = c->done;
		c->done = NULL;
		uv_close((uv_handle_t *)&c->timer, on_timer_closed);
		if (done != NULL)
			done(c->arg, ec, NULL, &why);
		c = next;
	}
}

static void on_timeout(uv_timer_t *t)
{
	struct agent_call *c = t->data;
	agent_drop(c->agent, EC_TIMEOUT, "no answer in time; is danegate stopped or overloaded?");
}

static void on_line(void *arg, struct wire *w, char *line, size_t len)
{
	struct agent *a = arg;
	if (w != a->wire)
		return;
	if (a->first == NULL) {
		agent_drop(a, EC_SYNTAX, "an answer that nobody asked for");
		return;
	}
	json_t *answer = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(answer)) {
		json_decref(answer);
		agent_drop(a, EC_SYNTAX, "an answer that is not a JSON object");
		return;
	}
	struct why why = { 0 };
	enum ec ec = EC_OK;
	if (!json_is_true(json_object_get(answer, "ok"))) {
		const char *name = json_string_value(json_object_get(answer, "ec"));
		const char *words = json_string_value(json_object_get(answer, "why"));
		if (name == NULL || !ec_parse(name, &ec) || ec == EC_OK)
			ec = EC_UNSUPPORTED;
		(void)why_set(&why, ec, "%s", words == NULL ? "refused without a reason" : words);
	}
	call_end(a, ec, answer, &why);
	json_decref(answer);
}

static void on_close(void *arg, struct wire *w, const char *why)
{
	struct agent *a = arg;
	if (w == a->wire && !a->freed)
		agent_drop(a, EC_CLOSED, why);
	agent_release(a);
}

enum ec agent_new(uv_loop_t *loop, const char *path, struct agent **out)
{
	struct agent *a = calloc(1, sizeof *a);
	if (a == NULL)
		return EC_NO_MEMORY;
	a->loop = loop;
	a->path = strdup(path);
	if (a->path == NULL) {
		free(a);
		return EC_NO_MEMORY;
	}
	*out = a;
	return EC_OK;
}

static enum ec agent_connect(struct agent *a)
{
	if (a->wire != NULL)
		return EC_OK;
	struct wire_events events = { .on_line = on_line, .on_close = on_close };
	enum ec ec = wire_connect(a->loop, a->path, events, a, &a->wire);
	if (ec == EC_OK)
		a->num_alive++;
	else
		a->wire = NULL;
	return ec;
}

enum ec agent_ask(struct agent *a, json_t *request, int timeout_ms, agent_done *done, void *arg,
                  struct agent_call **out)
{
	struct agent_call *c = request == NULL ? NULL : calloc(1, sizeof *c);
	if (c == NULL || agent_connect(a) != EC_OK) {
		json_decref(request);
		free(c);
		return EC_NO_MEMORY;
	}
	*c = (struct agent_call){ .agent = a, .done = done, .arg = arg };
	a->num_alive++;
	uv_timer_init(a->loop, &c->timer);
	c->timer.data = c;
	uv_timer_start(&c->timer, on_timeout, (uint64_t)timeout_ms, 0);
	if (a->last == NULL)
		a->first = c;
	else
		a->last->next = c;
	a->last = c;
	wire_send_json(a->wire, request);
	if (out != NULL)
		*out = c;
	return EC_OK;
}

void agent_cancel(struct agent_call *call)
{
	if (call != NULL)
		call->done = NULL;
}

bool agent_answered(const json_t *answer)
{
	return answer != NULL;
}

const char *agent_path(const struct agent *a)
{
	return a->path;
}

void agent_free(struct agent *a)
{
	if (a == NULL)
		return;
	for (struct agent_call *c = a->first; c != NULL; c = c->next)
		c->done = NULL;
	a->num_alive++; /* until here is done */
	a->freed = true;
	agent_drop(a, EC_CANCELLED, "stopping");
	agent_release(a);
}
