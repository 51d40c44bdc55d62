/* A crew is one process per set of listeners, each in a hand of its own (hand_uv.h). What
 * they must hold and do is in crew_config_uv.c and crew_present_uv.c; here they
 * start, speak and end. */
#include "proxy/super/crew_uv.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log_fs.h"
#include "proxy/census_fs.h"
#include "proxy/super/crew_parts_uv.h"

enum { LIST_MS = 1000 };

static void list_check(struct crew *c, bool time_is_up);

void crew_mishap(struct crew *c, const struct hand *h, const char *why)
{
	char where[32];
	(void)snprintf(where, sizeof where, "worker %u", h->number);
	c->events.on_mishap(c->arg, "worker", where, why);
}

static void send_word(struct hand *h, const char *word)
{
	child_send_json(&h->child, json_pack("{s:s}", "do", word));
}

void crew_send(struct crew *c, unsigned worker, json_t *message)
{
	if (worker < c->num)
		child_send_json(&c->hands[worker].child, message);
	else
		json_decref(message);
}

void crew_listen(struct crew *c)
{
	c->listening = true;
	/* One that is still being fed is told when it has acknowledged. */
	for (unsigned i = 0; i < c->num; i++)
		if (c->hands[i].acked != 0)
			send_word(&c->hands[i], "listen");
}

bool crew_listening(const struct crew *c)
{
	return c->listening;
}

/* --- asking for sessions ---------------------------------------------------- */

static void list_on_timer(uv_timer_t *t)
{
	list_check(t->data, true);
}

void crew_sessions(struct crew *c, crew_listed *done, void *arg)
{
	if (c->listed != NULL)
		list_check(c, true); /* the one before ends with what there is */
	c->list_id++;
	c->list = json_array();
	c->list_more = 0;
	c->listed = done;
	c->listed_arg = arg;
	for (unsigned i = 0; i < c->num; i++) {
		struct hand *h = &c->hands[i];
		h->listed = !child_is_up(&h->child);
		if (!h->listed)
			child_send_json(&h->child, json_pack("{s:s,s:I}", "do", "sessions", "id", (json_int_t)c->list_id));
	}
	uv_timer_start(&c->list_timer, list_on_timer, LIST_MS, 0);
	list_check(c, false);
}

static void list_check(struct crew *c, bool time_is_up)
{
	unsigned silent = 0;
	for (unsigned i = 0; i < c->num; i++)
		silent += !c->hands[i].listed;
	if (c->listed == NULL || (silent > 0 && !time_is_up))
		return;
	crew_listed *done = c->listed;
	json_t *list = c->list;
	c->listed = NULL;
	c->list = NULL;
	uv_timer_stop(&c->list_timer);
	done(c->listed_arg, list, c->list_more, silent);
	json_decref(list);
}

static void on_sessions(struct crew *c, struct hand *h, json_t *message)
{
	if (c->listed == NULL || h->listed || json_integer_value(json_object_get(message, "sessions")) != (json_int_t)c->list_id)
		return;
	size_t i;
	json_t *s;
	json_array_foreach(json_object_get(message, "list"), i, s) {
		if (json_is_object(s))
			json_object_set_new(s, "worker", json_integer(h->number));
		json_array_append(c->list, s);
	}
	c->list_more += (uint64_t)json_integer_value(json_object_get(message, "more"));
	h->listed = true;
	list_check(c, false);
}

/* --- events of one worker ----------------------------------------------------- */

/* A worker listens once it has keys. */
static void on_ack(struct crew *c, struct hand *h, uint64_t epoch)
{
	bool first = h->acked == 0;
	h->acked = epoch;
	if (first && c->listening)
		send_word(h, "listen");
	crew_present_check(c);
}

static void on_line(void *arg, json_t *message)
{
	struct hand *h = arg;
	struct crew *c = h->crew;
	json_t *ack = json_object_get(message, "ack");
	json_t *nack = json_object_get(message, "nack");
	if (ack != NULL) {
		on_ack(c, h, (uint64_t)json_integer_value(ack));
	} else if (nack != NULL) {
		const char *why = json_string_value(json_object_get(message, "why"));
		if ((uint64_t)json_integer_value(nack) == c->epoch)
			crew_present_nack(c, h, why == NULL ? "no reason given" : why);
	} else if (json_object_get(message, "configured") != NULL) {
		crew_config_heard(c, h, message);
	} else if (json_object_get(message, "sessions") != NULL) {
		on_sessions(c, h, message);
	} else {
		c->events.on_message(c->arg, h->number, message);
	}
}

static void on_up(void *arg)
{
	struct hand *h = arg;
	struct crew *c = h->crew;
	h->acked = 0;
	h->configured = 0;
	h->listed = true;
	child_send_json(&h->child, json_incref(c->config));
	crew_feed(c, h);
}

static void on_drained(void *arg)
{
	struct hand *h = arg;
	crew_feed_more(h->crew, h);
}

static void crew_check_drained(struct crew *c)
{
	if (!c->draining || c->drained == NULL)
		return;
	for (unsigned i = 0; i < c->num; i++)
		if (!child_is_gone(&c->hands[i].child))
			return;
	void (*done)(void *arg) = c->drained;
	c->drained = NULL;
	uv_timer_stop(&c->drain_timer);
	done(c->drained_arg);
}

static void on_down(void *arg)
{
	struct hand *h = arg;
	struct crew *c = h->crew;
	census_clear(c->census, h->number);
	h->acked = 0;
	h->feeding = false;
	h->listed = true;
	crew_present_check(c);
	crew_config_check(c);
	list_check(c, false);
	crew_check_drained(c);
}

static void on_mishap(void *arg, const char *why)
{
	struct hand *h = arg;
	(void)why_set(&h->why, EC_OK, "%s", why);
	crew_mishap(h->crew, h, h->why.text);
}

/* --- the whole crew ------------------------------------------------------------ */

static const struct child_events hand_events = { .on_up = on_up, .on_line = on_line, .on_drained = on_drained,
                                                 .on_down = on_down, .on_mishap = on_mishap };

enum ec crew_new(uv_loop_t *loop, struct listeners *listeners, struct crew_events events, void *arg, struct crew **out,
                 struct why *why)
{
	struct crew *c = calloc(1, sizeof *c);
	struct hand *hands = calloc(listeners->num_sets, sizeof *hands);
	if (c == NULL || hands == NULL) {
		free(c);
		free(hands);
		listeners_close(listeners);
		return why_set(why, EC_NO_MEMORY, "out of memory");
	}
	*c = (struct crew){ .loop = loop, .listeners = *listeners, .events = events, .arg = arg, .hands = hands, .census_fd = -1,
		            .drained_hops = json_array() };
	*listeners = (struct listeners){ 0 };
	uv_timer_init(loop, &c->ack_timer);
	uv_timer_init(loop, &c->list_timer);
	uv_timer_init(loop, &c->config_timer);
	uv_timer_init(loop, &c->drain_timer);
	c->ack_timer.data = c->list_timer.data = c->config_timer.data = c->drain_timer.data = c;
	enum ec ec = census_make(c->listeners.num_sets, &c->census, &c->census_fd, why);
	unsigned per_set = c->listeners.num_addresses;
	for (unsigned i = 0; ec == EC_OK && i < c->listeners.num_sets; i++) {
		c->num = i + 1;
		const int *fds = &c->listeners.fds[(size_t)i * per_set];
		ec = hand_init(&c->hands[i], loop, i, fds, per_set, c->census_fd, &hand_events, c, why);
	}
	if (ec != EC_OK)
		crew_free(c);
	else
		*out = c;
	return ec;
}

void crew_start(struct crew *c)
{
	for (unsigned i = 0; i < c->num; i++)
		child_start(&c->hands[i].child);
}

unsigned crew_num(const struct crew *c)
{
	return c->num;
}

struct crew_member crew_at(const struct crew *c, unsigned i)
{
	const struct hand *h = &c->hands[i];
	return (struct crew_member){
		.pid = child_pid(&h->child),
		.restarts = h->child.restarts,
		.since = h->child.since,
		.acknowledged = c->now.standard == NULL || h->acked == c->epoch,
		.begun = h->acked != 0,
		.page = h->page,
		.why = h->why.text,
	};
}

static void kill_all(struct crew *c)
{
	for (unsigned i = 0; i < c->num; i++)
		child_kill(&c->hands[i].child);
}

static void drain_on_timer(uv_timer_t *t)
{
	log_why(LOG_WARNING, "drain", NULL, "drain_timeout has passed: the sessions left are cut off; their senders try again");
	kill_all(t->data);
}

void crew_drain(struct crew *c, int64_t timeout_ms, void (*done)(void *arg), void *arg)
{
	if (c->draining) {
		kill_all(c);
		return;
	}
	c->draining = true;
	c->drained = done;
	c->drained_arg = arg;
	/* Our copies first: else the kernel would go on queueing for a socket that
	 * nobody accepts from. */
	listeners_close(&c->listeners);
	for (unsigned i = 0; i < c->num; i++) {
		child_retire(&c->hands[i].child);
		send_word(&c->hands[i], "drain");
	}
	if (c->phase != CREW_STEADY) {
		c->failed = EC_CANCELLED;
		(void)why_set(&c->failed_why, EC_CANCELLED, "danegate is stopping");
		crew_present_end(c);
	}
	if (c->configured != NULL) {
		struct why why;
		crew_config_end(c, why_set(&why, EC_CANCELLED, "danegate is stopping"), &why);
	}
	uv_timer_start(&c->drain_timer, drain_on_timer, (uint64_t)timeout_ms, 0);
	crew_check_drained(c);
}

static void crew_release(void *arg)
{
	struct crew *c = arg;
	if (--c->num_handles > 0)
		return;
	crew_present_fini(c);
	json_decref(c->config);
	json_decref(c->drained_hops);
	json_decref(c->list);
	census_unmap(c->census);
	if (c->census_fd >= 0)
		close(c->census_fd);
	free(c->hands);
	free(c);
}

static void crew_on_closed(uv_handle_t *h)
{
	crew_release(h->data);
}

void crew_free(struct crew *c)
{
	if (c == NULL)
		return;
	listeners_close(&c->listeners);
	uv_timer_t *timers[] = { &c->ack_timer, &c->list_timer, &c->config_timer, &c->drain_timer };
	const unsigned num_timers = sizeof timers / sizeof *timers;
	c->num_handles = num_timers + c->num;
	for (unsigned i = 0; i < num_timers; i++)
		uv_close((uv_handle_t *)timers[i], crew_on_closed);
	for (unsigned i = 0; i < c->num; i++)
		hand_fini(&c->hands[i], crew_release, c);
}
