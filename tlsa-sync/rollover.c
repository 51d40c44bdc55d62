/* The decision, from the top: each step either ends it or leaves it to the
 * next. step_*.c hold the longer steps; marks.c what RA_RECORD and the operator set. */
#include "tlsa-sync/rollover.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "tlsa-sync/decide.h"

/* Any state may fall back to PUBLISHING or SPREADING when a record of ours goes
 * missing, and to PREPARING when an instance is added. */
#define REPAIR (STEP(RO_PREPARING) | STEP(RO_PUBLISHING) | STEP(RO_SPREADING) | STEP(RO_AGEING))
const struct step_row rollover_states[RO_NUM_STATES] = {
	[RO_PREPARING] = { "PREPARING", REPAIR | STEP(RO_STEADY) | STEP(RO_RETIRING) | STEP(RO_CERTIFYING) |
	                                STEP(RO_SWAPPING) | STEP(RO_HOLDING) },
	[RO_PUBLISHING] = { "PUBLISHING", REPAIR | STEP(RO_RETIRING) | STEP(RO_CERTIFYING) | STEP(RO_SWAPPING) |
	                                  STEP(RO_HOLDING) | STEP(RO_STEADY) },
	[RO_SPREADING] = { "SPREADING", REPAIR | STEP(RO_RETIRING) | STEP(RO_CERTIFYING) | STEP(RO_SWAPPING) |
	                                STEP(RO_HOLDING) | STEP(RO_STEADY) },
	[RO_AGEING] = { "AGEING", REPAIR | STEP(RO_RETIRING) | STEP(RO_CERTIFYING) | STEP(RO_SWAPPING) |
	                          STEP(RO_STEADY) },
	[RO_CERTIFYING] = { "CERTIFYING", REPAIR | STEP(RO_SWAPPING) | STEP(RO_RETIRING) | STEP(RO_STEADY) },
	[RO_SWAPPING] = { "SWAPPING", REPAIR | STEP(RO_CERTIFYING) | STEP(RO_HOLDING) | STEP(RO_RETIRING) |
	                              STEP(RO_STEADY) },
	[RO_HOLDING] = { "HOLDING", REPAIR | STEP(RO_CERTIFYING) | STEP(RO_SWAPPING) | STEP(RO_RETIRING) |
	                            STEP(RO_STEADY) },
	[RO_RETIRING] = { "RETIRING", REPAIR | STEP(RO_CERTIFYING) | STEP(RO_SWAPPING) | STEP(RO_HOLDING) |
	                              STEP(RO_STEADY) },
	[RO_STEADY] = { "STEADY", REPAIR | STEP(RO_CERTIFYING) | STEP(RO_SWAPPING) | STEP(RO_RETIRING) },
};

static const char *const action_names[RA_NUM_ACTIONS] = {
	[RA_NONE] = "none",       [RA_RECORD] = "record",   [RA_FIND] = "find",   [RA_LOOK] = "look",
	[RA_PREPARE] = "prepare", [RA_UPDATE] = "update",   [RA_CERTIFY] = "certify", [RA_SWAP] = "swap",
	[RA_PROBE] = "probe",     [RA_RETIRE] = "retire",
};

const char *rollover_action_name(enum rollover_action action)
{
	assert((unsigned)action < RA_NUM_ACTIONS);
	return action_names[action];
}

int64_t rollover_gap_ms(const struct policy *p)
{
	return (2 * p->watch_s + 60) * 1000;
}

int64_t rollover_fresh_ms(const struct policy *p)
{
	return (4 * p->poll_s + 30) * 1000;
}

int64_t decide_poll_ms(const struct decide *c)
{
	return (c->p->poll_s > 0 ? c->p->poll_s : 1) * 1000;
}

bool decide_due(const struct decide *c, struct stamp last, int64_t interval_ms)
{
	/* what was before a boot is older than the counted clock can tell */
	return last.count_ms <= c->f->clock.booted_ms || c->now.count_ms - last.count_ms >= interval_ms;
}

bool roll_running(const struct facts *f)
{
	return f->roll.asked.count_ms != 0 && f->roll.ended.count_ms == 0;
}

bool roll_moving(const struct facts *f)
{
	return roll_running(f) && f->roll.begun.count_ms != 0 && f->roll.retiring.count_ms == 0;
}

bool generation_wanted(const struct facts *f, unsigned instance, uint64_t generation)
{
	const struct fact_instance *in = &f->instances[instance];
	if (generation == in->active || generation == in->presented)
		return true;
	/* asked for, and not known to have been refused: it may be presented any moment */
	if (in->asked == ASK_SWAP && in->asked_generation == generation &&
	    (in->asked_outcome == OUTCOME_SENT || in->asked_outcome == OUTCOME_UNKNOWN))
		return true;
	for (size_t i = 0; roll_moving(f) && i < f->roll.num_moves; i++)
		if (f->roll.moves[i].instance == instance &&
		    (f->roll.moves[i].from == generation || f->roll.moves[i].to == generation))
			return true;
	return generation > in->active && !facts_withdrawn(f, instance, generation);
}

enum ec rollover_wanted(const struct facts *f, struct tlsa_set *out)
{
	*out = (struct tlsa_set){ 0 };
	for (size_t i = 0; i < f->num_keys; i++) {
		const struct fact_key *k = &f->keys[i];
		struct tlsa t = tlsa_311(k->spki_sha256);
		if (!generation_wanted(f, k->instance, k->generation))
			continue;
		enum ec ec = tlsa_set_add(out, &t);
		if (ec != EC_OK)
			return ec;
	}
	return EC_OK;
}

/* ---- the ways a step ends ---- */

bool decide_wait(struct decide *c, enum rollover_state state, const char *waiting_for, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	(void)vsnprintf(c->d->why, sizeof c->d->why, format, ap);
	va_end(ap);
	c->d->state = state;
	words_keep(c->d->waiting_for, sizeof c->d->waiting_for, waiting_for == NULL ? "" : waiting_for);
	return true;
}

bool decide_act(struct decide *c, enum rollover_state state, enum rollover_action action, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	(void)vsnprintf(c->d->why, sizeof c->d->why, format, ap);
	va_end(ap);
	c->d->state = state;
	c->d->action = action;
	return true;
}

bool decide_mark(struct decide *c, enum rollover_state state, enum rollover_mark mark)
{
	c->d->mark = mark;
	return decide_act(c, state, RA_RECORD, "noting that it is so");
}

static const struct {
	enum rollover_action action;
	const char *words;
} asks[ASK_NUM] = {
	[ASK_NONE] = { RA_NONE, "" },
	[ASK_PREPARE] = { RA_PREPARE, "prepare its next key" },
	[ASK_CERTIFY] = { RA_CERTIFY, "install a certificate" },
	[ASK_SWAP] = { RA_SWAP, "present" },
	[ASK_RETIRE] = { RA_RETIRE, "delete" },
};

static void ask_words(const struct fact_instance *in, enum ask_kind kind, uint64_t generation, char out[FACT_WORDS * 4])
{
	char what[64] = "";
	if (kind != ASK_PREPARE)
		(void)snprintf(what, sizeof what, " generation %llu", (unsigned long long)generation);
	(void)snprintf(out, FACT_WORDS * 4, "waiting for %s to %s%s", in->name, asks[kind].words, what);
}

bool decide_ask(struct decide *c, enum rollover_state state, enum ask_kind kind, unsigned instance,
                uint64_t generation)
{
	const struct fact_instance *in = &c->f->instances[instance];
	char words[FACT_WORDS * 4];
	ask_words(in, kind, generation, words);
	bool again = in->asked == kind && in->asked_generation == generation;
	if (in->failed.count_ms != 0)
		return decide_wait(c, state, in->name, "%s: it does not answer: %s", words, in->words);
	/* After asking, its report tells what came of it, whatever the answer was. */
	if (again && (in->heard.count_ms <= in->asked_at.count_ms || decide_due(c, c->f->looked, decide_poll_ms(c))))
		return decide_act(c, state, RA_LOOK, "%s", words);
	if (again && !decide_due(c, in->asked_at, 2 * decide_poll_ms(c)))
		return decide_wait(c, state, in->name, "%s%s%s", words, in->asked_words[0] ? ": " : "",
		                   in->asked_words);
	c->d->instance = instance;
	c->d->generation = generation;
	words_keep(c->d->waiting_for, sizeof c->d->waiting_for, in->name);
	return decide_act(c, state, asks[kind].action, "%s%s%s", words, again && in->asked_words[0] ? ": " : "",
	                  again ? in->asked_words : "");
}

static bool fresh_instances(struct decide *c, enum rollover_state state)
{
	for (size_t i = 0; i < c->f->num_instances; i++) {
		const struct fact_instance *in = &c->f->instances[i];
		if (in->failed.count_ms != 0 || decide_due(c, in->heard, rollover_fresh_ms(c->p)))
			return decide_wait(c, state, in->name, "%s does not answer: %s", in->name,
			                   in->words[0] ? in->words : "no report");
	}
	return false;
}

bool decide_fresh(struct decide *c, enum rollover_state state, bool servers)
{
	if (decide_due(c, c->f->looked, decide_poll_ms(c)))
		return decide_act(c, state, RA_LOOK, "looking once more at every server and instance");
	if (fresh_instances(c, state))
		return true;
	for (unsigned i = 0; servers && i < c->f->num_servers; i++) {
		const struct fact_server *s = &c->f->servers[i];
		if (s->silent.count_ms != 0 || decide_due(c, s->answered, rollover_fresh_ms(c->p))) {
			char name[WORDS_SERVER];
			struct why why = { 0 };
			words_server(name, s);
			words_lacking(c->f, c->p, i, &c->d->wanted, c->now, &why);
			return decide_wait(c, state, name, "%s", why.text);
		}
	}
	return false;
}

/* ---- the short steps ---- */

static bool step_union(struct decide *c)
{
	if (rollover_wanted(c->f, &c->d->wanted) == EC_OK)
		return false;
	return decide_wait(c, RO_PREPARING, "", "more than %d records would be needed: too many instances or algorithms",
	                   TLSA_SET_MAX);
}

static bool step_reports(struct decide *c)
{
	if (c->f->num_instances == 0)
		return decide_wait(c, RO_PREPARING, "", "no danegate instance is configured");
	for (size_t i = 0; i < c->f->num_instances; i++) {
		const struct fact_instance *in = &c->f->instances[i];
		if (in->heard.count_ms == 0)
			return decide_wait(c, RO_PREPARING, in->name, "waiting for %s to report its keys%s%s", in->name,
			                   in->words[0] ? ": " : "", in->words);
		if (in->active == 0)
			return decide_wait(c, RO_PREPARING, in->name, "%s has no active key yet", in->name);
	}
	return false;
}

static bool step_forget(struct decide *c)
{
	for (size_t i = 0; i < c->f->num_withdrawn; i++) {
		const struct fact_withdrawn *w = &c->f->withdrawn[i];
		if (!facts_has_generation(c->f, w->instance, w->generation))
			return decide_mark(c, RO_PREPARING, RM_FORGET);
	}
	return false;
}

static bool step_prepare(struct decide *c)
{
	if (roll_running(c->f) && c->f->roll.begun.count_ms != 0)
		return false; /* the standby is on its way to being the active key */
	unsigned lacking = UINT32_MAX;
	for (unsigned i = 0; i < c->f->num_instances; i++) {
		if (facts_standby(c->f, i) != 0)
			continue;
		/* one that is down must not keep the others from getting ready */
		if (c->f->instances[i].failed.count_ms == 0)
			return decide_ask(c, RO_PREPARING, ASK_PREPARE, i, 0);
		lacking = i;
	}
	return lacking != UINT32_MAX && decide_ask(c, RO_PREPARING, ASK_PREPARE, lacking, 0);
}

static bool step_age(struct decide *c)
{
	struct age worst = { .reason = AGE_OLD };
	struct tlsa record = { 0 };
	for (size_t i = 0; i < c->d->wanted.num; i++) {
		struct age a = age_of(c->f, c->p, c->d->wanted.items[i].data, c->now);
		if (a.reason == AGE_NO_PROOF || a.left_ms > worst.left_ms) {
			worst = a;
			record = c->d->wanted.items[i];
		}
		if (a.reason == AGE_NO_PROOF)
			break;
	}
	if (worst.reason == AGE_OLD)
		return false;
	struct why why = { 0 };
	char name[WORDS_RECORD];
	words_record(name, &record);
	words_age(c->f, c->p, &worst, c->now, &why);
	if (worst.left_ms > 0) {
		c->d->at.s = c->now.wall.s + (worst.left_ms + 999) / 1000;
		c->d->wake_ms = worst.left_ms;
	}
	return decide_wait(c, RO_AGEING, "the clock", "%s: %s", name, why.text);
}

static bool step_begin(struct decide *c)
{
	if (!roll_running(c->f) || c->f->roll.begun.count_ms != 0)
		return false;
	if (c->p->blocked != NULL)
		return decide_wait(c, RO_STEADY, "", "a rotation is asked for, but %s", c->p->blocked);
	return decide_fresh(c, RO_CERTIFYING, true) || decide_mark(c, RO_CERTIFYING, RM_BEGIN);
}

static bool step_steady(struct decide *c)
{
	const struct facts *f = c->f;
	if (f->settled.count_ms == 0)
		return decide_fresh(c, RO_STEADY, true) || decide_mark(c, RO_STEADY, RM_SETTLED);
	if (c->p->rotate_every_s == 0)
		return decide_wait(c, RO_STEADY, "", "the next key is published and aged; it rotates when asked");
	int64_t due_s = f->rotated.s + c->p->rotate_every_s;
	if (f->rotated.s != 0 && c->now.wall.s >= due_s)
		return c->p->blocked != NULL
		               ? decide_wait(c, RO_STEADY, "", "a rotation is due, but %s", c->p->blocked)
		               : decide_mark(c, RO_STEADY, RM_START);
	char at[WALL_TEXT_SIZE];
	c->d->at.s = due_s;
	wall_print(at, c->d->at);
	c->d->wake_ms = (due_s - c->now.wall.s) * 1000;
	return decide_wait(c, RO_STEADY, "", "next rotation %s", at);
}

/* ---- all of it ---- */

static void find_unwanted(struct decide *c)
{
	for (size_t s = 0; s < c->f->num_servers; s++) {
		const struct tlsa_set *set = &c->f->servers[s].set;
		for (size_t i = 0; i < set->num; i++) {
			const struct tlsa *t = &set->items[i];
			if (tlsa_set_has(&c->d->wanted, t) || (!facts_ours(c->f, t) && !c->p->own_rrset))
				continue;
			if (tlsa_set_add(&c->unwanted, t) != EC_OK)
				return; /* the rest when these have gone */
		}
	}
}

bool decide_strangers(const struct decide *c)
{
	for (size_t i = 0; i < c->unwanted.num; i++)
		if (!facts_ours(c->f, &c->unwanted.items[i]))
			return true;
	return false;
}

/* Anything to clear away: records that are to go, generations nobody needs. While
 * a roll moves only what strangers put in its way: one change at a time (RFC 7671 8.4). */
static bool leftovers(const struct decide *c)
{
	if (roll_moving(c->f))
		return decide_strangers(c);
	if (c->unwanted.num > 0)
		return true;
	for (size_t i = 0; i < c->f->num_keys; i++)
		if (!generation_wanted(c->f, c->f->keys[i].instance, c->f->keys[i].generation))
			return true;
	return false;
}

static int64_t look_interval_ms(const struct decide *c)
{
	int64_t poll = decide_poll_ms(c), watch = c->p->watch_s * 1000;
	if (watch < poll)
		watch = poll;
	switch (c->d->state) {
	case RO_STEADY:
	case RO_HOLDING:
		return watch;
	case RO_AGEING: {
		int64_t part = (int64_t)facts_ttl_max(c->f) * 1000 / 20;
		return part < poll ? poll : part > watch ? watch : part;
	}
	default:
		return poll;
	}
}

/* Nothing to do: then keep watching, at the pace of the state. */
static void keep_watching(struct decide *c)
{
	struct decision *d = c->d;
	int64_t interval = look_interval_ms(c), watch = c->p->watch_s * 1000;
	bool zone_due = c->f->zone_found.count_ms == 0 ? true : decide_due(c, c->f->zone_found, watch);
	if (zone_due && decide_due(c, c->f->zone_failed, decide_poll_ms(c))) {
		d->action = RA_FIND;
	} else if (decide_due(c, c->f->looked, interval)) {
		d->action = RA_LOOK;
	} else {
		int64_t next = c->f->looked.count_ms + interval - c->now.count_ms;
		if (d->wake_ms <= 0 || d->wake_ms > next)
			d->wake_ms = next;
	}
}

void rollover_decide(const struct facts *f, const struct policy *p, struct stamp now, struct decision *out)
{
	memset(out, 0, sizeof *out);
	struct decide c = { .f = f, .p = p, .now = now, .d = out };
	bool ended = step_union(&c) || step_reports(&c) || step_forget(&c) || step_rollback(&c);
	if (!ended) {
		find_unwanted(&c);
		bool clear = leftovers(&c);
		/* The first set is published whole: the standby is made before. */
		ended = (!clear && step_prepare(&c)) || step_zone(&c) || step_publish(&c) ||
		        (clear && (step_remove(&c) || step_retire(&c))) || step_prepare(&c) || step_roll(&c) ||
		        step_age(&c) || step_begin(&c) || step_steady(&c);
	}
	assert(ended); /* step_steady always ends it */
	if (f->settled.count_ms != 0 && out->state != RO_STEADY && out->action != RA_RECORD) {
		out->action = RA_RECORD;
		out->mark = RM_UNSETTLED;
	}
	if (out->action == RA_NONE)
		keep_watching(&c);
	if (out->action != RA_NONE)
		out->wake_ms = 0;
	decide_alarms(&c);
}
