/* Keys: `now` is what every worker must hold; a worker that starts gets all of it,
 * so "all running workers acknowledged `epoch`" is the whole condition. One that holds
 * the epoch before gets only what changed, in parts, each sent when the one before
 * has been written.
 *   crew_present: now -> previous, the new one -> now, epoch + 1, feed all
 *     all acknowledged, and commit succeeds  -> done(EC_OK)
 *     commit fails, one can't, or stands still -> previous -> now, epoch + 1, feed all
 *         all acknowledged                   -> done(error)
 *         one can't, or stands still         -> that worker is ended; done(error)
 * Lines are taken in order, and the way back is the same list of names, fit for a
 * worker that took the change and for one that did not: so a slow one ends with the
 * right keys, too. */
#include "proxy/super/crew_uv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "base/log_fs.h"
#include "certs/snapshot_ssl.h"
#include "proxy/census_fs.h"
#include "proxy/super/hand_uv.h"

enum { ACK_MS = 10000, LIST_MS = 1000 };

enum crew_phase { CREW_STEADY, CREW_FORWARD, CREW_BACK };

struct crew {
	uv_loop_t *loop;
	struct listeners listeners;
	struct crew_events events;
	void *arg;
	unsigned num;
	struct hand *hands;
	struct census *census;
	int census_fd;
	json_t *config; /* the message */
	json_t *drained_hops; /* their names; in the message too */
	uint64_t config_number;
	crew_configured *configured;
	void *configured_arg;
	uv_timer_t config_timer;
	uint64_t epoch;
	struct holding now;
	struct holding previous;
	char seed[2 * SNAPSHOT_SEED_SIZE + 1];
	char **changed; /* names, of the presentation under way */
	size_t num_changed;
	enum crew_phase phase;
	uv_timer_t ack_timer;
	crew_commit *commit;
	crew_presented *presented;
	void *presented_arg;
	enum ec failed;
	struct why failed_why;
	bool listening;
	uint64_t list_id;
	json_t *list;
	uint64_t list_more;
	crew_listed *listed;
	void *listed_arg;
	uv_timer_t list_timer;
	bool draining;
	uv_timer_t drain_timer;
	void (*drained)(void *arg);
	void *drained_arg;
	unsigned num_handles;
};

static void present_check(struct crew *c);
static void config_check(struct crew *c);
static void list_check(struct crew *c, bool time_is_up);

static void mishap(struct crew *c, const struct hand *h, const char *why)
{
	char where[32];
	(void)snprintf(where, sizeof where, "worker %u", h->number);
	c->events.on_mishap(c->arg, "worker", where, why);
}

/* --- what every worker must hold ------------------------------------------ */

static void present_on_timer(uv_timer_t *t);

/* feed_more sends the next part, if one is due; that the part before has been
 * written is progress. */
static void feed_more(struct crew *c, struct hand *h)
{
	struct bytes line = { 0 };
	if (!h->feeding || !hand_is_up(h))
		return;
	if (c->phase != CREW_STEADY)
		uv_timer_start(&c->ack_timer, present_on_timer, ACK_MS, 0);
	enum ec ec = feed_next(&h->feed, &line, &h->feeding);
	if (ec == EC_OK) {
		hand_send(h, bytes_slice(&line));
	} else {
		h->feeding = false;
		mishap(c, h, "ended: there is no memory to give it its keys");
		hand_kill(h);
	}
	bytes_fini(&line);
}

/* feed_start begins to bring a worker to `now`. One that acknowledged the epoch before
 * holds that, or on the way back perhaps already the one after it. */
static void feed_start(struct crew *c, struct hand *h)
{
	h->feeding = c->now.standard != NULL;
	h->feed = (struct feed){ .to = &c->now, .epoch = c->epoch, .seed = c->seed };
	unsigned steps = c->phase == CREW_BACK ? 2 : 1;
	if (c->phase != CREW_STEADY && h->acked != 0 && h->acked + steps >= c->epoch) {
		h->feed.changed = (const char *const *)c->changed;
		h->feed.num_changed = c->num_changed;
		for (unsigned i = 1; i <= steps; i++)
			h->feed.base[h->feed.num_base++] = c->epoch - i;
	}
	feed_more(c, h);
}

static void send_word(struct hand *h, const char *word)
{
	hand_send_json(h, json_pack("{s:s}", "do", word));
}

static void config_end(struct crew *c, enum ec ec, const struct why *why)
{
	crew_configured *done = c->configured;
	c->configured = NULL;
	uv_timer_stop(&c->config_timer);
	if (done != NULL)
		done(c->configured_arg, ec, why);
}

/* config_behind counts running workers that do not yet go by the newest text. */
static unsigned config_behind(const struct crew *c)
{
	unsigned behind = 0;
	for (unsigned i = 0; i < c->num; i++)
		behind += hand_is_up(&c->hands[i]) && c->hands[i].configured != c->config_number;
	return behind;
}

static void config_check(struct crew *c)
{
	if (c->configured != NULL && config_behind(c) == 0)
		config_end(c, EC_OK, &(struct why){ 0 });
}

static void config_on_timer(uv_timer_t *t)
{
	struct crew *c = t->data;
	struct why why;
	enum ec ec = why_set(&why, EC_TIMEOUT, "%u of %u workers did not take the new settings within %d s", config_behind(c),
	                     c->num, ACK_MS / 1000);
	config_end(c, ec, &why);
}

enum ec crew_configure(struct crew *c, const char *text, size_t len, const char *file_name, json_t *files, crew_configured *done,
                       void *arg)
{
	json_t *message = json_pack("{s:s,s:I,s:s%,s:s,s:o,s:O}", "do", "config", "number", (json_int_t)(c->config_number + 1), "text",
	                            text, len, "name", file_name, "files", files, "drained", c->drained_hops);
	if (message == NULL)
		return EC_NO_MEMORY;
	if (c->configured != NULL) {
		struct why why;
		config_end(c, why_set(&why, EC_BUSY, "a newer configuration came"), &why);
	}
	json_decref(c->config);
	c->config = message;
	c->config_number++;
	c->configured = done;
	c->configured_arg = arg;
	if (done != NULL)
		uv_timer_start(&c->config_timer, config_on_timer, ACK_MS, 0);
	for (unsigned i = 0; i < c->num; i++)
		hand_send_json(&c->hands[i], json_incref(c->config));
	config_check(c);
	return EC_OK;
}

void crew_send(struct crew *c, unsigned worker, json_t *message)
{
	if (worker < c->num && hand_is_up(&c->hands[worker]))
		hand_send_json(&c->hands[worker], message);
	else
		json_decref(message);
}

/* --- drained hops --------------------------------------------------------------- */

static size_t drained_at(const struct crew *c, const char *name)
{
	size_t i = 0;
	while (i < json_array_size(c->drained_hops) && strcasecmp(json_string_value(json_array_get(c->drained_hops, i)), name) != 0)
		i++;
	return i;
}

/* The list is part of the settings that a worker starts with. */
enum ec crew_drain_hop(struct crew *c, const char *name, bool drained)
{
	size_t i = drained_at(c, name);
	bool there = i < json_array_size(c->drained_hops);
	if (there != drained) {
		if (drained && json_array_size(c->drained_hops) >= CREW_DRAINED_MAX)
			return EC_LIMIT;
		if ((drained ? json_array_append_new(c->drained_hops, json_string(name)) : json_array_remove(c->drained_hops, i)) != 0)
			return EC_NO_MEMORY;
	}
	for (unsigned k = 0; k < c->num; k++)
		crew_send(c, k, json_pack("{s:s, s:s, s:b}", "do", "hop", "name", name, "drained", drained));
	return EC_OK;
}

const json_t *crew_drained(const struct crew *c)
{
	return c->drained_hops;
}

static void on_configured(struct crew *c, struct hand *h, json_t *message)
{
	const char *words = json_string_value(json_object_get(message, "why"));
	uint64_t number = (uint64_t)json_integer_value(json_object_get(message, "configured"));
	if (words == NULL) {
		h->configured = number;
		config_check(c);
		return;
	}
	mishap(c, h, words);
	if (c->configured == NULL || number != c->config_number)
		return;
	struct why why;
	enum ec ec = why_set(&why, EC_IO, "worker %u could not take the settings: %s", h->number, words);
	config_end(c, ec, &why);
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

/* --- presenting keys ------------------------------------------------------- */

static void changed_free(struct crew *c)
{
	for (size_t i = 0; i < c->num_changed; i++)
		free(c->changed[i]);
	free(c->changed);
	c->changed = NULL;
	c->num_changed = 0;
}

static void present_end(struct crew *c)
{
	crew_presented *done = c->presented;
	struct why why = c->failed_why;
	c->phase = CREW_STEADY;
	c->presented = NULL;
	uv_timer_stop(&c->ack_timer);
	/* Unless all is well, some worker was in the middle of it. */
	for (unsigned i = 0; i < c->num; i++)
		if (c->hands[i].feed.changed != NULL || c->now.standard == NULL)
			c->hands[i].feeding = false;
	holding_fini(&c->previous);
	changed_free(c);
	if (done != NULL)
		done(c->presented_arg, c->failed, &why);
}

static void present_send(struct crew *c, enum crew_phase phase)
{
	c->phase = phase;
	c->epoch++;
	uv_timer_start(&c->ack_timer, present_on_timer, ACK_MS, 0);
	for (unsigned i = 0; i < c->num; i++)
		feed_start(c, &c->hands[i]);
}

/* present_back gives all workers what they had. Before the first keys there is
 * nothing to go back to, and nobody listens yet: the failed ones are forgotten. */
static void present_back(struct crew *c, enum ec ec, const char *why)
{
	c->failed = ec;
	(void)why_set(&c->failed_why, ec, "%s", why);
	holding_fini(&c->now);
	c->now = c->previous;
	c->previous = (struct holding){ 0 };
	present_send(c, CREW_BACK);
	if (c->now.standard == NULL)
		present_end(c);
	else
		present_check(c);
}

static bool all_acked(const struct crew *c)
{
	bool any = false;
	for (unsigned i = 0; i < c->num; i++) {
		if (!hand_is_up(&c->hands[i]))
			continue;
		if (c->hands[i].acked != c->epoch)
			return false;
		any = true;
	}
	return any;
}

static void present_check(struct crew *c)
{
	if (c->phase == CREW_STEADY || !all_acked(c))
		return;
	struct why why = { 0 };
	enum ec ec = c->phase == CREW_FORWARD && c->commit != NULL ? c->commit(c->presented_arg, &why) : EC_OK;
	if (ec == EC_OK)
		present_end(c);
	else
		present_back(c, ec, why.text);
}

static void present_on_timer(uv_timer_t *t)
{
	struct crew *c = t->data;
	struct why why;
	unsigned silent = 0;
	for (unsigned i = 0; i < c->num; i++)
		if (hand_is_up(&c->hands[i]) && c->hands[i].acked != c->epoch)
			silent++;
	(void)why_set(&why, EC_TIMEOUT, silent > 0 ? "%u of %u workers did not take the new keys within %d s" :
	              "none of the workers runs (%u of %u answered within %d s)", silent, c->num, ACK_MS / 1000);
	if (c->phase == CREW_FORWARD) {
		present_back(c, EC_TIMEOUT, why.text);
		return;
	}
	for (unsigned i = 0; i < c->num; i++) {
		struct hand *h = &c->hands[i];
		if (hand_is_up(h) && h->acked != c->epoch) {
			mishap(c, h, "ended: it did not go back to the keys in force");
			hand_kill(h);
		}
	}
	present_end(c);
}

/* changed_list notes the names; on failure changed_free is due. */
static enum ec changed_list(struct crew *c, const struct crew_change *change)
{
	c->changed = calloc(change->num_parcels + change->num_gone + 1, sizeof *c->changed);
	if (c->changed == NULL)
		return EC_NO_MEMORY;
	for (size_t i = 0; i < change->num_parcels + change->num_gone; i++) {
		const char *name = i < change->num_parcels ? change->parcels[i]->item.name : change->gone[i - change->num_parcels];
		c->changed[i] = strdup(name);
		if (c->changed[i] == NULL)
			return EC_NO_MEMORY;
		c->num_changed++;
	}
	return EC_OK;
}

/* next_holding makes what comes after `now`. */
static enum ec next_holding(const struct crew *c, const struct crew_change *change, struct holding *out)
{
	enum ec ec = holding_copy(&c->now, out);
	free(out->standard);
	out->standard = strdup(change->standard);
	if (out->standard == NULL)
		ec = EC_NO_MEMORY;
	for (size_t i = 0; ec == EC_OK && i < change->num_parcels; i++)
		ec = names_put(&out->parcels, &change->parcels[i]->item);
	for (size_t i = 0; ec == EC_OK && i < change->num_gone; i++)
		ec = names_remove(&out->parcels, slice_str(change->gone[i]));
	return ec;
}

enum ec crew_present(struct crew *c, const struct crew_change *change, crew_commit *commit, crew_presented *done, void *arg)
{
	struct holding next = { 0 };
	enum ec ec = changed_list(c, change);
	if (ec == EC_OK)
		ec = next_holding(c, change, &next);
	if (ec != EC_OK) {
		holding_fini(&next);
		changed_free(c);
		return ec;
	}
	hex_encode(c->seed, slice_of(change->seed, SNAPSHOT_SEED_SIZE));
	c->commit = commit;
	c->presented = done;
	c->presented_arg = arg;
	c->failed = EC_OK;
	c->failed_why = (struct why){ 0 };
	c->previous = c->now;
	c->now = next;
	present_send(c, CREW_FORWARD);
	return EC_OK;
}

uint64_t crew_epoch(const struct crew *c)
{
	return c->epoch;
}

static void on_nack(struct crew *c, struct hand *h, const char *why)
{
	mishap(c, h, why);
	if (c->phase == CREW_FORWARD) {
		char text[WHY_SIZE];
		(void)snprintf(text, sizeof text, "worker %u could not take the keys: %s", h->number, why);
		present_back(c, EC_TLS, text);
		return;
	}
	/* It can't hold what all others hold: a new process may. */
	hand_kill(h);
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
		h->listed = !hand_is_up(h);
		if (!h->listed)
			hand_send_json(h, json_pack("{s:s,s:I}", "do", "sessions", "id", (json_int_t)c->list_id));
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
	present_check(c);
}

static void on_line(void *arg, struct hand *h, json_t *message)
{
	struct crew *c = arg;
	json_t *ack = json_object_get(message, "ack");
	json_t *nack = json_object_get(message, "nack");
	if (ack != NULL) {
		on_ack(c, h, (uint64_t)json_integer_value(ack));
	} else if (nack != NULL) {
		const char *why = json_string_value(json_object_get(message, "why"));
		if ((uint64_t)json_integer_value(nack) == c->epoch)
			on_nack(c, h, why == NULL ? "no reason given" : why);
	} else if (json_object_get(message, "configured") != NULL) {
		on_configured(c, h, message);
	} else if (json_object_get(message, "sessions") != NULL) {
		on_sessions(c, h, message);
	} else {
		c->events.on_message(c->arg, h->number, message);
	}
}

static void on_up(void *arg, struct hand *h)
{
	struct crew *c = arg;
	h->acked = 0;
	h->configured = 0;
	h->listed = true;
	hand_send_json(h, json_incref(c->config));
	feed_start(c, h);
}

static void on_drained(void *arg, struct hand *h)
{
	feed_more(arg, h);
}

static void crew_check_drained(struct crew *c)
{
	if (!c->draining || c->drained == NULL)
		return;
	for (unsigned i = 0; i < c->num; i++)
		if (!hand_is_gone(&c->hands[i]))
			return;
	void (*done)(void *arg) = c->drained;
	c->drained = NULL;
	uv_timer_stop(&c->drain_timer);
	done(c->drained_arg);
}

static void on_down(void *arg, struct hand *h)
{
	struct crew *c = arg;
	h->acked = 0;
	h->feeding = false;
	h->listed = true;
	present_check(c);
	config_check(c);
	list_check(c, false);
	crew_check_drained(c);
}

static void on_mishap(void *arg, struct hand *h, const char *why)
{
	mishap(arg, h, why);
}

/* --- the whole crew ------------------------------------------------------------ */

static const struct hand_events hand_events = { .on_up = on_up, .on_line = on_line, .on_down = on_down,
	                                              .on_drained = on_drained, .on_mishap = on_mishap };

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
		ec = hand_init(&c->hands[i], loop, i, &c->listeners.fds[(size_t)i * per_set], per_set, c->census, c->census_fd, &hand_events, c,
		               why);
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
		hand_start(&c->hands[i]);
}

unsigned crew_num(const struct crew *c)
{
	return c->num;
}

struct crew_member crew_at(const struct crew *c, unsigned i)
{
	const struct hand *h = &c->hands[i];
	return (struct crew_member){
		.pid = hand_pid(h),
		.restarts = h->restarts,
		.since = h->since,
		.acknowledged = c->now.standard == NULL || h->acked == c->epoch,
		.begun = h->acked != 0,
		.page = h->page,
		.why = h->why.text,
	};
}

static void kill_all(struct crew *c)
{
	for (unsigned i = 0; i < c->num; i++)
		hand_kill(&c->hands[i]);
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
		hand_retire(&c->hands[i]);
		send_word(&c->hands[i], "drain");
	}
	if (c->phase != CREW_STEADY) {
		c->failed = EC_CANCELLED;
		(void)why_set(&c->failed_why, EC_CANCELLED, "danegate is stopping");
		present_end(c);
	}
	if (c->configured != NULL) {
		struct why why;
		config_end(c, why_set(&why, EC_CANCELLED, "danegate is stopping"), &why);
	}
	uv_timer_start(&c->drain_timer, drain_on_timer, (uint64_t)timeout_ms, 0);
	crew_check_drained(c);
}

static void crew_release(void *arg)
{
	struct crew *c = arg;
	if (--c->num_handles > 0)
		return;
	holding_fini(&c->now);
	holding_fini(&c->previous);
	changed_free(c);
	wipe(c->seed, sizeof c->seed);
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
