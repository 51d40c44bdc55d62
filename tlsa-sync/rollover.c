/* The decision, from the top: each step either ends it or leaves it to the
 * next. step_*.c hold the longer steps; marks.c what RA_RECORD and the operator set. */
#include "tlsa-sync/rollover.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "tlsa-sync/certify.h"
#include "tlsa-sync/decide.h"

/* Any state may fall back to PUBLISHING or SPREADING when a record of ours goes
 * missing, and to PREPARING when an instance is added; DANE may be switched off at any time. */
#define REPAIR (STEP(RO_PREPARING) | STEP(RO_PUBLISHING) | STEP(RO_SPREADING) | STEP(RO_AGEING) | STEP(RO_WITHDRAWING))
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
	[RO_WITHDRAWING] = { "WITHDRAWING", REPAIR | STEP(RO_RETIRING) | STEP(RO_CERTIFYING) | STEP(RO_SWAPPING) |
	                                    STEP(RO_STEADY) | STEP(RO_DISABLED) },
	[RO_DISABLED] = { "DISABLED", REPAIR | STEP(RO_RETIRING) | STEP(RO_CERTIFYING) | STEP(RO_SWAPPING) |
	                              STEP(RO_STEADY) },
};

static const char *const next_words[RO_NUM_STATES] = {
	[RO_PREPARING] = "publish the next key",  [RO_PUBLISHING] = "see it on every server",
	[RO_SPREADING] = "wait for caches",       [RO_AGEING] = "steady",
	[RO_CERTIFYING] = "swap",                 [RO_SWAPPING] = "hold the old key",
	[RO_HOLDING] = "remove the old record",   [RO_RETIRING] = "steady",
	[RO_STEADY] = "rotate",                   [RO_WITHDRAWING] = "DANE is off",
	[RO_DISABLED] = "",
};

static const char *const action_names[RA_NUM_ACTIONS] = {
	[RA_NONE] = "none",       [RA_RECORD] = "record",   [RA_FIND] = "find",   [RA_LOOK] = "look",
	[RA_PREPARE] = "prepare", [RA_UPDATE] = "update",   [RA_CERTIFY] = "certify", [RA_SWAP] = "swap",
	[RA_PROBE] = "probe",     [RA_RETIRE] = "retire",
};

static const char *const request_names[RQ_NUM] = {
	[RQ_ROTATE] = "rotate",
	[RQ_ABORT] = "abort",
	[RQ_ROLLBACK] = "rollback",
	[RQ_EMERGENCY] = "emergency",
	[RQ_EMERGENCY_FORCED] = "emergency, forced",
	[RQ_DISABLE] = "disable",
	[RQ_ENABLE] = "enable",
	[RQ_RENEW] = "renew",
};

const char *rollover_request_name(enum rollover_request request)
{
	assert((unsigned)request < RQ_NUM);
	return request_names[request];
}

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

bool roll_running(const struct facts *f)
{
	return f->roll.asked.count_ms != 0 && f->roll.ended.count_ms == 0;
}

bool roll_past(const struct facts *f)
{
	for (size_t i = 0; roll_running(f) && i < f->roll.num_moves; i++) {
		const struct fact_move *m = &f->roll.moves[i];
		const struct fact_instance *in = &f->instances[m->instance];
		if (m->to < in->active || !facts_has_generation(f, m->instance, m->to))
			return true;
		bool back = f->roll.rollback.count_ms != 0 && f->roll.retiring.count_ms == 0 && in->presented != m->from;
		if (back && !facts_has_generation(f, m->instance, m->from))
			return true;
	}
	return false;
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

unsigned forms_wanted(const struct facts *f, const struct policy *p)
{
	/* one change at a time: a roll ends with the forms it began with (RFC 7671 8.4) */
	if (rollover_rolling(f) && f->forms.forms != 0)
		return f->forms.forms;
	return p->forms != 0 ? p->forms : 1u << FORM_311;
}

enum ec rollover_wanted(const struct facts *f, const struct policy *p, struct tlsa_set *out)
{
	unsigned forms = forms_wanted(f, p);
	*out = (struct tlsa_set){ 0 };
	for (size_t i = 0; f->off.asked.count_ms == 0 && i < f->num_keys; i++) {
		const struct fact_key *k = &f->keys[i];
		if (!generation_wanted(f, k->instance, k->generation))
			continue;
		for (enum record_form form = 0; form < FORM_NUM; form++) {
			struct tlsa t;
			if ((forms & 1u << form) == 0)
				continue;
			if (!facts_record(k->spki_sha256, k->spki_sha512, form, &t))
				return EC_MISSING;
			enum ec ec = tlsa_set_add(out, &t);
			if (ec != EC_OK)
				return ec;
		}
	}
	return EC_OK;
}

/* ---- the short steps ---- */

static bool step_union(struct decide *c)
{
	enum ec ec = rollover_wanted(c->f, c->p, &c->d->wanted);
	if (ec == EC_OK)
		return false;
	if (ec == EC_MISSING)
		return decide_wait(c, RO_PREPARING, "", "3 1 2 records are wanted, and an instance does not report SHA2-512 digests: "
		                   "it needs a newer danegate");
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

/* What an instance's next generation is to have, and what its standby has. */
static unsigned algorithms_of(const struct facts *f, unsigned instance, uint64_t generation)
{
	unsigned set = 0;
	for (size_t i = 0; i < f->num_keys; i++)
		if (f->keys[i].instance == instance && f->keys[i].generation == generation)
			set |= 1u << f->keys[i].algorithm;
	return set;
}

/* The list of algorithms was changed: a standby made before that is given up, and one
 * that fits is made and has to age. What is presented changes with the next roll. */
static bool step_algorithms(struct decide *c)
{
	for (unsigned i = 0; !roll_running(c->f) && i < c->f->num_instances; i++) {
		uint64_t standby = facts_standby(c->f, i);
		unsigned wanted = c->f->instances[i].algorithms;
		if (standby == 0 || wanted == 0 || algorithms_of(c->f, i, standby) == wanted || c->f->num_withdrawn == FACT_INSTANCES)
			continue;
		c->d->instance = i;
		c->d->generation = standby;
		return decide_mark(c, RO_PREPARING, RM_WITHDRAW);
	}
	return false;
}

static bool step_forget(struct decide *c)
{
	for (size_t i = 0; i < c->f->num_withdrawn; i++) {
		const struct fact_withdrawn *w = &c->f->withdrawn[i];
		/* gone; or, while DANE was off, somebody made it the active one after all */
		if (!facts_has_generation(c->f, w->instance, w->generation) || w->generation <= c->f->instances[w->instance].active)
			return decide_mark(c, RO_PREPARING, RM_FORGET);
	}
	return false;
}

/* A journal that was restored may know of a roll that ended long ago. */
static bool step_past(struct decide *c)
{
	return roll_past(c->f) && decide_mark(c, RO_PREPARING, RM_ENDED);
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
	for (size_t i = 0; i < c->f->num_keys; i++) {
		const struct fact_key *k = &c->f->keys[i];
		if (!generation_wanted(c->f, k->instance, k->generation))
			continue;
		struct age a = age_of(c->f, c->p, k->spki_sha256, c->now);
		if (a.reason == AGE_NO_PROOF || a.left_ms > worst.left_ms) {
			worst = a;
			record = tlsa_311(k->spki_sha256);
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

static bool brings_algorithms(const struct decide *c)
{
	for (unsigned i = 0; i < c->f->num_instances; i++) {
		const struct fact_instance *in = &c->f->instances[i];
		if (in->algorithms != 0 && algorithms_of(c->f, i, in->presented) != in->algorithms)
			return true;
	}
	return false;
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
	char at[WORDS_COUNTDOWN];
	c->d->at.s = due_s;
	c->d->wake_ms = (due_s - c->now.wall.s) * 1000;
	words_until(at, c->now, c->d->wake_ms);
	return decide_wait(c, RO_STEADY, "", "next rotation %s%s", at, brings_algorithms(c) ? "; it brings the new list of algorithms" : "");
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
			c->more = tlsa_set_add(&c->unwanted, t) != EC_OK;
			if (c->more)
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
	case RO_DISABLED:
		return watch;
	case RO_WITHDRAWING:
		if (c->f->off.gone.count_ms == 0)
			return poll;
		break;
	case RO_AGEING:
		break;
	default:
		return poll;
	}
	int64_t part = (int64_t)facts_ttl_max(c->f) * 1000 / 20;
	return part < poll ? poll : part > watch ? watch : part;
}

/* A certificate that is due is got in any state, while the rest waits: it neither
 * touches DNS nor changes a key. */
static void keep_certified(struct decide *c)
{
	struct decision *d = c->d;
	struct certify next;
	certify_next(c->f, c->p, c->now, &next);
	if (next.step == CERTIFY_LOOK) {
		d->action = RA_LOOK;
	} else if (next.step == CERTIFY_RUN) {
		d->action = RA_CERTIFY;
		d->instance = next.instance;
		d->generation = next.generation;
		d->algorithm = next.algorithm;
		d->tries = next.tries;
	} else if (next.wait_ms > 0 && (d->wake_ms <= 0 || d->wake_ms > next.wait_ms)) {
		d->wake_ms = next.wait_ms;
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

/* What follows the state, whatever is done meanwhile. */
static void note_next(struct decide *c)
{
	struct decision *d = c->d;
	const char *next = next_words[d->state];
	if (roll_running(c->f) && c->f->roll.begun.count_ms == 0 && d->state == RO_AGEING)
		next = "swap";
	else if (roll_running(c->f) && c->f->roll.emergency && d->state == RO_SWAPPING)
		next = "remove the old record";
	else if (d->state == RO_STEADY && c->p->rotate_every_s == 0 && !roll_running(c->f))
		next = "";
	words_keep(d->next, sizeof d->next, next);
}

void rollover_decide(const struct facts *f, const struct policy *p, struct stamp now, struct decision *out)
{
	memset(out, 0, sizeof *out);
	struct decide c = { .f = f, .p = p, .now = now, .d = out };
	bool ended = step_union(&c);
	find_unwanted(&c);
	ended = ended || step_off(&c) || step_reports(&c) || step_forget(&c) || step_past(&c) || step_rollback(&c) || step_emergency(&c) ||
	        step_algorithms(&c);
	if (!ended) {
		bool clear = leftovers(&c);
		/* The first set is published whole: the standby is made before. */
		ended = (!clear && step_prepare(&c)) || step_zone(&c, RO_PUBLISHING) || step_publish(&c) || step_forms(&c) ||
		        (clear && (step_remove(&c) || step_retire(&c))) || step_prepare(&c) || step_roll(&c) ||
		        step_age(&c) || step_begin(&c) || step_steady(&c);
	}
	assert(ended); /* step_steady always ends it */
	note_next(&c);
	if (f->settled.count_ms != 0 && out->state != RO_STEADY && out->action != RA_RECORD) {
		out->action = RA_RECORD;
		out->mark = RM_UNSETTLED;
	}
	if (out->action == RA_NONE)
		keep_certified(&c);
	if (out->action == RA_NONE)
		keep_watching(&c);
	if (out->action != RA_NONE)
		out->wake_ms = 0;
	decide_alarms(&c);
}
