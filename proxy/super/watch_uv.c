/* One timer looks for what is due. An identity is in one of two phases:
 *   presented == 0   choosing: a look, then guard_choose over what is on disk. What it
 *                    allows becomes the candidate; else again, 1 s … 60 s later.
 *   presented != 0   watching: a look every TTL, at most every 5 s, at least every
 *                    60 s; the verdict is shown, the key stays.
 * watch_settle brings candidates to the workers and opens the ports. */
#include "proxy/super/watch_uv.h"

#include <string.h>

#include "base/log_fs.h"
#include "proxy/super/present_uv.h"
#include "proxy/super/supervisor_uv.h"

enum {
	TICK_MS = 250,
	LOOKS_MAX = 32, /* at the same time */
	WATCH_MIN_S = 5,
	WATCH_MAX_S = 60,
	UPKEEP_MS = 20000
};

static int64_t now_ms(struct supervisor *s)
{
	return (int64_t)uv_now(&s->loop);
}

/* --- looking -------------------------------------------------------------- */

static void note_verdict(struct supervisor *s, struct identity *id, const struct guard_verdict *v)
{
	bool news = v->state != id->verdict.state || v->number != id->verdict.number ||
	            strcmp(v->why.text, id->verdict.why.text) != 0;
	id->verdict = *v;
	id->verdict.at = supervisor_now();
	if (v->state != GUARD_ALLOWED) {
		supervisor_mishap(s, "guard", id->name, v->why.text);
		return;
	}
	if (!news)
		return;
	struct log_line l;
	log_begin(&l, v->warning ? LOG_WARNING : LOG_NOTICE, "guard");
	log_str(&l, "identity", id->name);
	log_str(&l, "verdict", guard_state_name(v->state));
	log_int(&l, "generation", (int64_t)v->number);
	log_str(&l, "why", v->why.text);
	log_end(&l);
}

static void choose(struct supervisor *s, struct identity *id, const struct guard_facts *facts)
{
	struct guard_verdict v;
	enum ec ec = guard_choose(facts, id->generations, id->num_generations, id->active, &v);
	if (id->num_generations == 0 && id->num_damaged > 0)
		(void)why_set(&v.why, EC_CORRUPT, "%s", id->damaged[0].text);
	if (ec == EC_OK && id->active != 0 && v.number != id->active) {
		char why[WHY_SIZE + 128];
		(void)snprintf(why, sizeof why, "generation %llu was active, but %llu is presented: %s", (unsigned long long)id->active,
		               (unsigned long long)v.number, v.why.text);
		supervisor_mishap(s, "guard-choice", id->name, why);
	}
	note_verdict(s, id, &v);
	id->candidate = ec == EC_OK ? v.number : 0;
	if (ec == EC_OK)
		backoff_reset(&id->retry);
	id->look_at_ms = now_ms(s) + backoff_next(&id->retry);
}

static void watch_over(struct supervisor *s, struct identity *id, const struct guard_facts *facts)
{
	struct guard_verdict v = { .state = GUARD_WAITING };
	const struct generation *g = identity_find(id, id->presented);
	if (g == NULL)
		(void)why_set(&v.why, EC_CORRUPT, "generation %llu is presented, but its files are gone or damaged%s%s; put them back before "
		              "the next restart", (unsigned long long)id->presented, id->num_damaged > 0 ? ": " : "",
		              id->num_damaged > 0 ? id->damaged[0].text : "");
	else if (guard_judge(facts, g, true, &v) == EC_PIN_MISMATCH)
		why_prefix(&v.why, "senders that check DANE can't deliver; generation %llu stays, publish its key or swap to one that "
		           "is pinned", (unsigned long long)id->presented);
	note_verdict(s, id, &v);
	int64_t again_s = facts->ttl_s < WATCH_MIN_S ? WATCH_MIN_S : facts->ttl_s > WATCH_MAX_S ? WATCH_MAX_S : facts->ttl_s;
	id->look_at_ms = now_ms(s) + again_s * 1000;
}

static void on_facts(void *arg, const struct guard_facts *facts)
{
	struct identity *id = arg;
	struct supervisor *s = id->owner;
	id->call = NULL;
	id->ttl_s = facts->ttl_s;
	s->watch.num_looks--;
	if (id->presented != 0)
		watch_over(s, id, facts);
	else if (s->change[0] == '\0' || id->candidate == 0)
		choose(s, id, facts);
	else
		id->look_at_ms = now_ms(s) + backoff_next(&id->retry);
	watch_settle(s);
}

static void look(struct supervisor *s, struct identity *id)
{
	id->owner = s;
	/* The files may have been mended by hand since. */
	struct why why = { 0 };
	if (id->presented == 0 && identity_refresh(&s->keeper, id, &why) != EC_OK)
		supervisor_mishap(s, "store", id->name, why.text);
	if (guard_ask(s->guard, id->name, on_facts, id, &id->call) == EC_OK)
		s->watch.num_looks++;
	id->look_at_ms = INT64_MAX; /* until the answer sets it */
	if (id->call == NULL)
		id->look_at_ms = now_ms(s) + backoff_next(&id->retry);
}

void watch_forget(struct supervisor *s, struct identity *id)
{
	if (id->call == NULL)
		return;
	guard_cancel(id->call);
	id->call = NULL;
	s->watch.num_looks--;
	id->look_at_ms = now_ms(s);
}

void watch_soon(struct supervisor *s, struct identity *id)
{
	if (id->call == NULL)
		id->look_at_ms = now_ms(s);
}

/* --- bringing it to the workers --------------------------------------------- */

static void on_presented(void *arg, enum ec ec, const struct why *why)
{
	struct supervisor *s = arg;
	if (ec == EC_OK) {
		if (!crew_listening(s->crew)) {
			crew_listen(s->crew);
			log_why(LOG_NOTICE, "serving", s->cfg->proxy.hostname, "every worker has the keys that the pin guard allowed");
		}
	} else if (ec != EC_CANCELLED) {
		supervisor_mishap(s, "present", NULL, why->text);
		/* Choose again: by then DNS or disk may have changed. */
		for (size_t i = 0; i < s->keeper.num; i++)
			s->keeper.items[i]->candidate = 0;
		s->watch.represent_later = crew_listening(s->crew);
	}
	change_end(s);
}

void watch_settle(struct supervisor *s)
{
	struct identity *const *ids = s->keeper.items;
	bool wanted = s->watch.represent && s->keeper.num > 0 && ids[0]->presented != 0;
	for (size_t i = 0; i < s->keeper.num; i++)
		wanted = wanted || ids[i]->candidate != 0;
	if (!wanted || (ids[0]->presented == 0 && ids[0]->candidate == 0))
		return;
	struct why why = { 0 };
	if (change_begin(s, &why, "presenting keys") != EC_OK)
		return; /* change_end comes back here */
	struct present_set set = { 0 };
	s->watch.represent = false;
	enum ec ec = present_current(s, &set);
	if (ec == EC_OK)
		ec = present_run(s, &set, false, on_presented, s, &why);
	else
		(void)why_set(&why, ec, "out of memory");
	if (ec != EC_OK)
		on_presented(s, ec, &why);
}

/* --- upkeep ------------------------------------------------------------------ */

static void upkeep(struct supervisor *s)
{
	s->watch.represent = s->watch.represent || s->watch.represent_later;
	s->watch.represent_later = false;
	for (size_t i = 0; i < s->keeper.num; i++) {
		struct identity *id = s->keeper.items[i];
		bool changed = false, presented = false;
		struct why why = { 0 };
		if (identity_upkeep(&s->keeper, id, supervisor_now(), &changed, &presented, &why) != EC_OK)
			supervisor_mishap(s, "upkeep", id->name, why.text);
		if (changed)
			log_why(LOG_NOTICE, "certificates", id->name, presented ? "renewed for the keys that are presented" : "renewed, or new files");
		s->watch.represent = s->watch.represent || presented;
		/* A choice whose record failed (disk full) is recorded later. */
		if (id->presented != 0 && id->presented != id->active && s->change[0] == '\0' &&
		    store_set_active(s->keeper.store, id->name, id->presented, &why) == EC_OK)
			id->active = id->presented;
	}
	watch_settle(s);
}

static void on_tick(uv_timer_t *t)
{
	struct supervisor *s = t->data;
	int64_t now = now_ms(s);
	for (size_t i = 0; i < s->keeper.num && s->watch.num_looks < LOOKS_MAX; i++) {
		struct identity *id = s->keeper.items[i];
		if (id->call == NULL && now >= id->look_at_ms)
			look(s, id);
	}
	if (now >= s->watch.upkeep_at_ms) {
		s->watch.upkeep_at_ms = now + UPKEEP_MS;
		upkeep(s);
	}
}

void watch_start(struct supervisor *s)
{
	uv_timer_init(&s->loop, &s->watch.timer);
	s->watch.timer.data = s;
	s->watch.started = true;
	uv_timer_start(&s->watch.timer, on_tick, 0, TICK_MS);
}

void watch_stop(struct supervisor *s)
{
	for (size_t i = 0; i < s->keeper.num; i++)
		watch_forget(s, s->keeper.items[i]);
	if (s->watch.started)
		uv_close((uv_handle_t *)&s->watch.timer, NULL);
	s->watch.started = false;
}
