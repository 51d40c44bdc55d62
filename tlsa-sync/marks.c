/* What changes the facts by decision: the dated marks of RA_RECORD. What the operator
 * asks for is in operator.c. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "tlsa-sync/decide.h"

static const char *plural(size_t n)
{
	return n == 1 ? "" : "s";
}

static void moves_choose(struct facts *f, const struct policy *p, struct stamp now, struct why *event)
{
	struct fact_roll *r = &f->roll;
	if (f->forms.forms == 0)
		f->forms = (struct fact_forms){ forms_wanted(f, p), now };
	r->begun = now;
	r->num_moves = 0;
	for (unsigned i = 0; i < f->num_instances; i++) {
		const struct fact_instance *in = &f->instances[i];
		uint64_t from = in->presented != 0 ? in->presented : in->active;
		r->moves[r->num_moves++] = (struct fact_move){ .instance = i, .from = from, .to = facts_standby(f, i) };
	}
	f->settled = (struct stamp){ 0 };
	(void)why_set(event, EC_OK, "the roll begins: %zu instance%s, %s from generation %llu to %llu", r->num_moves,
	              plural(r->num_moves), f->instances[0].name, (unsigned long long)r->moves[0].from,
	              (unsigned long long)r->moves[0].to);
}

static void roll_end(struct facts *f, struct stamp now, struct why *event)
{
	struct fact_roll *r = &f->roll;
	bool past = roll_past(f);
	r->ended = now;
	f->rotated = now.wall;
	if (past) {
		r->end = ROLL_ABORTED;
		(void)why_set(event, EC_OK, "the roll was over long ago: the instances have gone beyond it");
		return;
	}
	r->end = r->rollback.count_ms != 0 && r->retiring.count_ms == 0 ? ROLL_BACK : ROLL_DONE;
	(void)why_set(event, EC_OK, "%s", r->end == ROLL_BACK ? "rolled back: the former key is presented again"
	                                                      : "the roll is complete: the old key is gone");
}

static void forget_withdrawn(struct facts *f, struct why *event)
{
	size_t n = 0;
	for (size_t i = 0; i < f->num_withdrawn; i++) {
		const struct fact_withdrawn *w = &f->withdrawn[i];
		if (facts_has_generation(f, w->instance, w->generation) && w->generation > f->instances[w->instance].active)
			f->withdrawn[n++] = *w;
	}
	f->num_withdrawn = n;
	(void)why_set(event, EC_OK, "the withdrawn key is gone");
}

/* A standby made before the list of algorithms was changed. */
static void withdraw(struct facts *f, unsigned instance, uint64_t generation, struct stamp now, struct why *event)
{
	assert(f->num_withdrawn < FACT_INSTANCES);
	f->withdrawn[f->num_withdrawn++] = (struct fact_withdrawn){ instance, generation, now };
	(void)why_set(event, EC_OK, "generation %llu of %s is withdrawn: its algorithms are not those configured now",
	              (unsigned long long)generation, f->instances[instance].name);
}

/* The marks of switching off. */
static void mark_off(struct facts *f, const struct policy *p, enum rollover_mark mark, struct stamp now, struct why *event)
{
	struct fact_off *off = &f->off;
	switch (mark) {
	case RM_GONE:
		facts_gone(f, now);
		(void)why_set(event, EC_OK, "no server has a record of ours any more");
		break;
	case RM_BACK:
		off->gone = off->watched = off->done = (struct stamp){ 0 };
		(void)why_set(event, EC_OK, "a server has a record of ours again: the wait begins anew");
		break;
	case RM_WATCHED:
		off->watched = now;
		if (off->watched.count_ms <= f->clock.booted_ms) /* what is not after the boot counts as before it */
			off->watched.count_ms = f->clock.booted_ms + 1;
		(void)why_set(event, EC_OK, "looking again after a pause");
		break;
	case RM_OFF:
		off->done = now;
		facts_ttls_prune(f, p->cache_margin_s * 1000, now);
		(void)why_set(event, EC_OK, "DANE is off: no cache can hold a record of ours, keys may be changed");
		break;
	default:
		assert(false && "a mark to set");
	}
}

void rollover_record(struct facts *f, const struct policy *p, const struct decision *d, struct stamp now,
                     struct why *event)
{
	assert(d->action == RA_RECORD);
	switch (d->mark) {
	case RM_START:
		f->roll = (struct fact_roll){ .asked = now, .by_timer = true };
		(void)why_set(event, EC_OK, "a rotation is due");
		break;
	case RM_BEGIN:
		moves_choose(f, p, now, event);
		break;
	case RM_HELD:
		f->roll.held = now;
		(void)why_set(event, EC_OK, "every instance and every address presents the new key");
		break;
	case RM_RETIRING:
		(void)why_set(event, EC_OK, "the time to roll back is over: the old record goes");
		if (f->roll.emergency) {
			words_exposed(f, p, now, event);
			why_prefix(event, "emergency: the former record goes at once");
		}
		f->roll.retiring = now;
		break;
	case RM_ENDED:
		roll_end(f, now, event);
		break;
	case RM_SETTLED:
		facts_ttls_prune(f, p->cache_margin_s * 1000, now);
		f->settled = now;
		if (f->forms.forms == 0)
			f->forms = (struct fact_forms){ forms_wanted(f, p), now };
		if (f->rotated.s == 0)
			f->rotated = now.wall;
		(void)why_set(event, EC_OK, "steady: this key and the next are in every cache");
		break;
	case RM_UNSETTLED:
		f->settled = (struct stamp){ 0 };
		(void)why_set(event, EC_OK, "no longer steady: %s", d->why);
		break;
	case RM_FORGET:
		forget_withdrawn(f, event);
		break;
	case RM_WITHDRAW:
		withdraw(f, d->instance, d->generation, now, event);
		break;
	case RM_FORMS:
		f->forms = (struct fact_forms){ forms_wanted(f, p), now };
		(void)why_set(event, EC_OK, "every server has the records of every key, in each form");
		break;
	default:
		mark_off(f, p, d->mark, now, event);
	}
}

bool rollover_show(struct facts *f, const struct decision *d, struct stamp now)
{
	if (f->shown_since.s != 0 && f->shown_state == (unsigned)d->state)
		return false;
	f->shown_state = (unsigned)d->state;
	f->shown_since = now.wall;
	return true;
}
