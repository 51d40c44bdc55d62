/* One timer looks for what is due. An identity is in one of three phases:
 *   not read         one of many: its look reads it, and makes its key if there is none.
 *   presented == 0   choosing: a look, then guard_choose over what is on disk. What it
 *                    allows becomes the candidate; else again, 1 s … 60 s later.
 *   presented != 0   watching: a look every TTL, at most every 5 s, at least every
 *                    60 s; the verdict is shown, the key stays.
 * watch_settle brings candidates to the workers and opens the ports.
 *
 * There may be very many identities. So no step here is about all of them: LOOKS_MAX
 * are under way at a time, and one that ends makes room for the next; a presentation
 * takes PRESENT_MAX of those that wait; a round of upkeep goes on where it stopped; and
 * what takes long (the disk) gives way after SLICE_MS. In all, WATCH_PER_S looks a
 * second are enough: with more identities than that each is looked at more rarely. */
#include "proxy/super/watch_uv.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/log_fs.h"
#include "proxy/super/present_uv.h"
#include "proxy/super/supervisor_uv.h"

enum {
	TICK_MS = 250,
	SLICE_MS = 20,
	LOOKS_MAX = 32, /* at the same time */
	PRESENT_MAX = 256,
	WATCH_MIN_S = 5,
	WATCH_MAX_S = 60,
	WATCH_PER_S = 100,
	CHOOSE_PER_S = 1000,
	UPKEEP_MS = 20000
};

static int64_t now_ms(struct supervisor *s)
{
	return (int64_t)uv_now(&s->loop);
}

static struct identity *identity_of(struct agenda_item *item)
{
	return (struct identity *)(void *)((char *)item - offsetof(struct identity, look));
}

/* look_after makes the next look due, not sooner than so many identities allow. */
static void look_after(struct supervisor *s, struct identity *id, int64_t ms, int64_t per_s)
{
	int64_t fair = (int64_t)s->keeper.num * 1000 / per_s;
	agenda_set(&s->watch.agenda, &id->look, now_ms(s) + (ms > fair ? ms : fair));
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
	struct generation *all = identity_generations(id);
	enum ec ec = guard_choose(facts, all, all == NULL ? 0 : id->num_generations, id->active, &v);
	free(all);
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
	if (ec == EC_OK) {
		backoff_reset(&id->retry);
		watch_offer(s, id);
	}
	/* What is chosen is watched from now on, unless it can't be presented: watch_again. */
	look_after(s, id, backoff_next(&id->retry), ec == EC_OK ? WATCH_PER_S : CHOOSE_PER_S);
}

static void watch_over(struct supervisor *s, struct identity *id, const struct guard_facts *facts)
{
	struct guard_verdict v = { .state = GUARD_WAITING };
	struct generation g;
	if (!identity_find(id, id->presented, &g))
		(void)why_set(&v.why, EC_CORRUPT, "generation %llu is presented, but its files are gone or damaged%s%s; put them back before "
		              "the next restart", (unsigned long long)id->presented, id->num_damaged > 0 ? ": " : "",
		              id->num_damaged > 0 ? id->damaged[0].text : "");
	else if (guard_judge(facts, &g, true, &v) == EC_PIN_MISMATCH)
		why_prefix(&v.why, "senders that check DANE can't deliver; generation %llu stays, publish its key or swap to one that "
		           "is pinned", (unsigned long long)id->presented);
	note_verdict(s, id, &v);
	int64_t again_s = facts->ttl_s < WATCH_MIN_S ? WATCH_MIN_S : facts->ttl_s > WATCH_MAX_S ? WATCH_MAX_S : facts->ttl_s;
	look_after(s, id, again_s * 1000, WATCH_PER_S);
}

static void look_more(struct supervisor *s);

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
		look_after(s, id, backoff_next(&id->retry), CHOOSE_PER_S);
	watch_settle(s);
	look_more(s);
}

/* prepare_look sees that there is a key to ask about, as the disk has it now. */
static bool prepare_look(struct supervisor *s, struct identity *id)
{
	struct why why = { 0 };
	/* The files may have been mended by hand since the last look. */
	if (id->presented == 0 && id->verdict.at.s != 0 && identity_refresh(&s->keeper, id, &why) != EC_OK)
		supervisor_mishap(s, "store", id->name, why.text); /* and goes on with what was known before */
	if (identity_read(&s->keeper, id, supervisor_now(), &why) == EC_OK)
		return true;
	id->verdict.why = why;
	supervisor_mishap(s, "store", id->name, why.text);
	return false;
}

static void look(struct supervisor *s, struct identity *id)
{
	id->owner = s;
	if (prepare_look(s, id) && guard_ask(s->guard, id->name, on_facts, id, &id->call) == EC_OK) {
		s->watch.num_looks++;
		agenda_drop(&s->watch.agenda, &id->look); /* until the answer makes the next one due */
	} else {
		look_after(s, id, backoff_next(&id->retry), CHOOSE_PER_S);
	}
}

static void look_more(struct supervisor *s)
{
	struct agenda_item *next;
	uint64_t until = uv_hrtime() + (uint64_t)SLICE_MS * 1000000;
	while (s->watch.started && s->watch.num_looks < LOOKS_MAX && (next = agenda_first(&s->watch.agenda)) != NULL &&
	       next->due <= now_ms(s) && uv_hrtime() < until)
		look(s, identity_of(next));
}

enum ec watch_room(struct supervisor *s, size_t num)
{
	return agenda_room(&s->watch.agenda, num);
}

void watch_add(struct supervisor *s, struct identity *id)
{
	agenda_set(&s->watch.agenda, &id->look, now_ms(s));
}

void watch_again(struct supervisor *s, struct identity *id)
{
	id->candidate = 0;
	if (id->call == NULL)
		look_after(s, id, backoff_next(&id->retry), CHOOSE_PER_S);
}

static void cancel(struct supervisor *s, struct identity *id)
{
	if (id->call == NULL)
		return;
	guard_cancel(id->call);
	id->call = NULL;
	s->watch.num_looks--;
}

void watch_forget(struct supervisor *s, struct identity *id)
{
	if (id->call == NULL)
		return;
	cancel(s, id);
	watch_add(s, id);
}

void watch_soon(struct supervisor *s, struct identity *id)
{
	if (id->call == NULL)
		watch_add(s, id);
}

/* --- bringing it to the workers --------------------------------------------- */

void watch_offer(struct supervisor *s, struct identity *id)
{
	if (id->waiting)
		return;
	id->waiting = true;
	id->before_waiting = s->watch.last;
	id->after_waiting = NULL;
	*(s->watch.last == NULL ? &s->watch.first : &s->watch.last->after_waiting) = id;
	s->watch.last = id;
}

static void withdraw(struct supervisor *s, struct identity *id)
{
	if (!id->waiting)
		return;
	id->waiting = false;
	*(id->before_waiting == NULL ? &s->watch.first : &id->before_waiting->after_waiting) = id->after_waiting;
	*(id->after_waiting == NULL ? &s->watch.last : &id->after_waiting->before_waiting) = id->before_waiting;
	id->before_waiting = id->after_waiting = NULL;
}

void watch_drop(struct supervisor *s, struct identity *id)
{
	cancel(s, id);
	withdraw(s, id);
	agenda_drop(&s->watch.agenda, &id->look);
}

/* What has failed is chosen again, when DNS or disk may have changed; a renewed certificate
 * is offered again by the next round of upkeep. */
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
	}
	/* One after the other they would leave no moment for a swap or a reload. */
	if (s->keeper.num > PRESENT_MAX)
		s->watch.rest_until_ms = now_ms(s) + TICK_MS;
	change_end(s);
}

/* number_of is the generation to present, 0 if there is nothing to present any more. */
static uint64_t number_of(const struct identity *id)
{
	return id->candidate != 0 ? id->candidate : id->renewed ? id->presented : 0;
}

/* gather takes those that have waited longest; nothing goes out before the default
 * identity's keys. */
static enum ec gather(struct supervisor *s, struct present_set *set)
{
	struct identity *standard = s->keeper.items[0], *id;
	enum ec ec = present_set_new(standard, PRESENT_MAX, 0, set);
	if (ec != EC_OK)
		return ec;
	if (standard->presented == 0) {
		withdraw(s, standard);
		present_put(set, standard, standard->candidate);
	}
	while (set->num < PRESENT_MAX && (id = s->watch.first) != NULL) {
		withdraw(s, id);
		if (number_of(id) != 0)
			present_put(set, id, number_of(id));
	}
	return EC_OK;
}

void watch_settle(struct supervisor *s)
{
	struct why why = { 0 };
	struct present_set set = { 0 };
	while (s->watch.first != NULL && number_of(s->watch.first) == 0)
		withdraw(s, s->watch.first);
	if (s->watch.first == NULL || (s->keeper.items[0]->presented == 0 && s->keeper.items[0]->candidate == 0))
		return;
	if (now_ms(s) < s->watch.rest_until_ms)
		return; /* the next tick comes back here */
	if (change_begin(s, &why, "presenting keys") != EC_OK)
		return; /* change_end comes back here */
	enum ec ec = gather(s, &set);
	if (ec == EC_OK)
		ec = present_run(s, &set, false, on_presented, s, &why);
	else
		(void)why_set(&why, ec, "out of memory");
	if (ec != EC_OK)
		on_presented(s, ec, &why);
}

/* --- upkeep ------------------------------------------------------------------ */

static void record(struct supervisor *s, struct identity *id)
{
	struct why why = { 0 };
	if (id->presented == 0 || id->presented == id->active || s->change[0] != '\0')
		return;
	if (store_set_active(s->keeper.store, id->name, id->presented, &why) == EC_OK)
		identity_note_active(id, id->presented);
	else
		supervisor_mishap(s, "store", id->name, why.text);
}

static void upkeep(struct supervisor *s, struct identity *id)
{
	bool changed = false, presented = false;
	struct why why = { 0 };
	if (identity_upkeep(&s->keeper, id, supervisor_now(), &changed, &presented, &why) != EC_OK)
		supervisor_mishap(s, "upkeep", id->name, why.text);
	if (changed)
		log_why(LOG_NOTICE, "certificates", id->name, presented ? "renewed for the keys that are presented" : "renewed, or new files");
	id->renewed = id->renewed || presented;
	if (id->renewed)
		watch_offer(s, id);
	/* A choice whose record failed (disk full), or had to wait, is recorded now. */
	record(s, id);
}

/* upkeep_more goes on with the round; the next begins UPKEEP_MS after this one did. */
static void upkeep_more(struct supervisor *s)
{
	struct watch *w = &s->watch;
	if (!w->upkeep_runs && now_ms(s) < w->upkeep_at_ms)
		return;
	if (!w->upkeep_runs) {
		w->upkeep_at_ms = now_ms(s) + UPKEEP_MS;
		w->upkeep_next = 0;
		w->upkeep_runs = true;
	}
	uint64_t until = uv_hrtime() + (uint64_t)SLICE_MS * 1000000;
	while (w->upkeep_next < s->keeper.num && uv_hrtime() < until)
		upkeep(s, s->keeper.items[w->upkeep_next++]);
	w->upkeep_runs = w->upkeep_next < s->keeper.num;
	watch_settle(s);
}

void watch_record_soon(struct supervisor *s)
{
	s->watch.upkeep_at_ms = now_ms(s);
}

static void on_tick(uv_timer_t *t)
{
	struct supervisor *s = t->data;
	look_more(s);
	upkeep_more(s);
	watch_settle(s);
}

void watch_start(struct supervisor *s)
{
	uv_timer_init(&s->loop, &s->watch.timer);
	s->watch.timer.data = s;
	s->watch.started = true;
	for (size_t i = 0; i < s->keeper.num; i++)
		watch_add(s, s->keeper.items[i]);
	uv_timer_start(&s->watch.timer, on_tick, 0, TICK_MS);
}

void watch_stop(struct supervisor *s)
{
	for (size_t i = 0; i < s->keeper.num; i++)
		watch_drop(s, s->keeper.items[i]);
	if (s->watch.started)
		uv_close((uv_handle_t *)&s->watch.timer, NULL);
	s->watch.started = false;
}
