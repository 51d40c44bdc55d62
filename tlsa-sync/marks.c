/* What changes the facts by decision: the dated marks of RA_RECORD, and what the
 * operator asks for. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "tlsa-sync/decide.h"

static const char *plural(size_t n)
{
	return n == 1 ? "" : "s";
}

static void moves_choose(struct facts *f, struct stamp now, struct why *event)
{
	struct fact_roll *r = &f->roll;
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
	r->ended = now;
	r->end = r->rollback.count_ms != 0 && r->retiring.count_ms == 0 ? ROLL_BACK : ROLL_DONE;
	f->rotated = now.wall;
	(void)why_set(event, EC_OK, "%s", r->end == ROLL_BACK ? "rolled back: the former key is presented again"
	                                                      : "the roll is complete: the old key is gone");
}

static void forget_withdrawn(struct facts *f, struct why *event)
{
	size_t n = 0;
	for (size_t i = 0; i < f->num_withdrawn; i++)
		if (facts_has_generation(f, f->withdrawn[i].instance, f->withdrawn[i].generation))
			f->withdrawn[n++] = f->withdrawn[i];
	f->num_withdrawn = n;
	(void)why_set(event, EC_OK, "the withdrawn key is gone");
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
		moves_choose(f, now, event);
		break;
	case RM_HELD:
		f->roll.held = now;
		(void)why_set(event, EC_OK, "every instance and every address presents the new key");
		break;
	case RM_RETIRING:
		f->roll.retiring = now;
		(void)why_set(event, EC_OK, "the time to roll back is over: the old record goes");
		break;
	case RM_ENDED:
		roll_end(f, now, event);
		break;
	case RM_SETTLED:
		facts_ttls_prune(f, p->cache_margin_s * 1000, now);
		f->settled = now;
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
	default:
		assert(false && "a mark to set");
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

static bool swap_asked(const struct facts *f)
{
	for (size_t i = 0; i < f->roll.num_moves; i++)
		if (f->roll.moves[i].swap_asked.count_ms != 0)
			return true;
	return false;
}

static enum ec request_rotate(struct facts *f, struct stamp now, struct why *why)
{
	if (roll_running(f)) {
		char at[WALL_TEXT_SIZE];
		wall_print(at, f->roll.asked.wall);
		return why_set(why, EC_BUSY, "a roll is under way since %s", at);
	}
	f->roll = (struct fact_roll){ .asked = now };
	return why_set(why, EC_OK, "the key rolls as soon as the next one has aged");
}

/* The standbys that no cache relies on yet are given up. */
static size_t withdraw_young(struct facts *f, const struct policy *p, struct stamp now)
{
	size_t num = 0;
	for (unsigned i = 0; i < f->num_instances; i++) {
		uint64_t standby = facts_standby(f, i);
		if (standby == 0 || f->num_withdrawn == FACT_INSTANCES ||
		    age_of_generation(f, p, i, standby, now).reason == AGE_OLD)
			continue;
		f->withdrawn[f->num_withdrawn++] = (struct fact_withdrawn){ i, standby, now };
		num++;
	}
	return num;
}

static enum ec request_abort(struct facts *f, const struct policy *p, struct stamp now, struct why *why)
{
	bool running = roll_running(f);
	if (running && swap_asked(f))
		return why_set(why, EC_BUSY, "the new key is already being presented: use rollback");
	if (running) {
		f->roll.ended = now;
		f->roll.end = ROLL_ABORTED;
	}
	size_t num = withdraw_young(f, p, now);
	if (!running && num == 0)
		return why_set(why, EC_NOT_FOUND, "nothing to abort: no rotation is asked for and the next key has aged");
	return why_set(why, EC_OK, "%s%s%s", running ? "the rotation is cancelled" : "",
	               running && num > 0 ? "; " : "",
	               num > 0 ? "the next key is withdrawn, and a fresh one will be made" : "");
}

static enum ec request_rollback(struct facts *f, struct stamp now, struct why *why)
{
	if (!roll_running(f) || !swap_asked(f))
		return why_set(why, EC_NOT_FOUND, "nothing to roll back: no new key is presented");
	if (f->roll.retiring.count_ms != 0)
		return why_set(why, EC_EXPIRED, "too late: the old record is being removed; a new rotation makes a new key");
	if (f->roll.rollback.count_ms == 0)
		f->roll.rollback = now;
	return why_set(why, EC_OK, "going back to the former key");
}

enum ec rollover_request(struct facts *f, const struct policy *p, enum rollover_request request, struct stamp now,
                         struct why *why)
{
	switch (request) {
	case RQ_ROTATE:
		return request_rotate(f, now, why);
	case RQ_ABORT:
		return request_abort(f, p, now, why);
	case RQ_ROLLBACK:
		return request_rollback(f, now, why);
	}
	assert(false && "a request");
	return EC_UNSUPPORTED;
}
