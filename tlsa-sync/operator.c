/* What the operator may ask for, and what it does to the facts. */
#include <assert.h>
#include <stdio.h>

#include "tlsa-sync/certify.h"
#include "tlsa-sync/decide.h"

bool rollover_rolling(const struct facts *f)
{
	return roll_running(f) && f->roll.begun.count_ms != 0;
}

static bool swap_asked(const struct facts *f)
{
	for (size_t i = 0; i < f->roll.num_moves; i++)
		if (f->roll.moves[i].swap_asked.count_ms != 0)
			return true;
	return false;
}

static enum ec switched_off(const struct facts *f, struct why *why)
{
	char at[WALL_TEXT_SIZE];
	wall_print(at, f->off.asked.wall);
	return why_set(why, EC_BUSY, "DANE is switched off since %s%s: use enable first", at,
	               f->off.done.count_ms == 0 ? ", and the withdrawal is not complete" : "");
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

bool may_be_presented(const struct fact_instance *in, uint64_t generation)
{
	return in->asked == ASK_SWAP && in->asked_generation == generation && in->asked_outcome != OUTCOME_FAILED;
}

/* The standbys that no cache relies on yet are given up. */
static size_t withdraw_young(struct facts *f, const struct policy *p, struct stamp now)
{
	size_t num = 0;
	for (unsigned i = 0; i < f->num_instances; i++) {
		uint64_t standby = facts_standby(f, i);
		if (standby == 0 || f->num_withdrawn == FACT_INSTANCES || may_be_presented(&f->instances[i], standby) ||
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

/* ---- emergency ---- */

/* The generation an instance would go to, or goes to already. */
static uint64_t next_of(const struct facts *f, unsigned instance)
{
	for (size_t i = 0; rollover_rolling(f) && i < f->roll.num_moves; i++)
		if (f->roll.moves[i].instance == instance)
			return f->roll.moves[i].to;
	return facts_standby(f, instance);
}

/* The one that keeps an emergency from being harmless: UINT32_MAX when none does. */
static unsigned first_young(const struct facts *f, const struct policy *p, struct stamp now, struct age *out)
{
	unsigned found = UINT32_MAX;
	for (unsigned i = 0; i < f->num_instances; i++) {
		uint64_t next = next_of(f, i);
		if (next != 0 && next == f->instances[i].presented)
			continue;
		struct age age = age_of_generation(f, p, i, next, now);
		if (age.reason == AGE_OLD || (found != UINT32_MAX && age.reason != AGE_NO_PROOF && age.left_ms <= out->left_ms))
			continue;
		found = i;
		*out = age;
		if (age.reason == AGE_NO_PROOF)
			break;
	}
	return found;
}

enum ec rollover_exposure(const struct facts *f, const struct policy *p, struct stamp now, struct why *why)
{
	struct age age = { 0 };
	unsigned young = first_young(f, p, now, &age);
	if (f->num_instances == 0)
		return why_set(why, EC_NOT_FOUND, "no danegate instance is configured");
	if (facts_ttl_max(f) == 0)
		return why_set(why, EC_BUSY, "no server has been asked yet, so it can't be said what senders hold: ask again in a moment");
	if (young == UINT32_MAX) {
		words_exposed(f, p, now, why);
		why_prefix(why, "the next key is in every cache, so no mail is deferred");
		return EC_OK;
	}
	const char *name = f->instances[young].name;
	uint64_t next = next_of(f, young);
	int64_t cached_ms = (2 * (int64_t)age_ttl_s(f, p) + p->cache_margin_s) * 1000;
	char left[WORDS_LEFT];
	struct why reason = { 0 };
	words_left(left, ((age.left_ms > 0 ? age.left_ms : cached_ms) + 999) / 1000);
	if (next == 0)
		(void)why_set(&reason, EC_OK, "%s has no next key yet", name);
	else
		words_age(f, p, &age, now, &reason);
	if (next != 0)
		why_prefix(&reason, "generation %llu of %s", (unsigned long long)next, name);
	return why_set(why, EC_PIN_UNPROVEN,
	               "%.300s. If it is presented before that, senders that hold the former set find no match and defer mail, for up "
	               "to %s%s; with --force it is presented as soon as every server that answers has its record",
	               reason.text, left, age.left_ms > 0 ? "" : " after the servers have it");
}

static enum ec request_emergency(struct facts *f, const struct policy *p, bool forced, struct stamp now,
                                 struct why *why)
{
	if (roll_running(f) && f->roll.retiring.count_ms != 0)
		return why_set(why, EC_BUSY, "the former key is being withdrawn already; ask again when that is complete");
	if (roll_running(f) && f->roll.rollback.count_ms != 0)
		return why_set(why, EC_BUSY, "a rollback is under way; ask again when it has ended");
	enum ec ec = rollover_exposure(f, p, now, why);
	if (ec != EC_OK && !(ec == EC_PIN_UNPROVEN && forced))
		return ec;
	if (!roll_running(f))
		f->roll = (struct fact_roll){ .asked = now };
	f->roll.emergency = true;
	f->roll.forced = f->roll.forced || forced;
	return EC_OK;
}

/* ---- off and on ---- */

static enum ec request_disable(struct facts *f, const struct policy *p, struct stamp now, struct why *why)
{
	char at[WALL_TEXT_SIZE], left[WORDS_LEFT];
	if (f->off.asked.count_ms != 0) {
		wall_print(at, f->off.asked.wall);
		return why_set(why, EC_EXISTS, "DANE is switched off already, since %s%s", at,
		               f->off.done.count_ms == 0 ? ", but the withdrawal is not complete" : "");
	}
	bool running = roll_running(f);
	if (running) {
		f->roll.ended = now;
		f->roll.end = ROLL_ABORTED;
	}
	f->off = (struct fact_off){ .asked = now };
	f->forms = (struct fact_forms){ 0 };
	f->settled = (struct stamp){ 0 };
	words_left(left, 2 * (int64_t)age_ttl_s(f, p) + p->cache_margin_s);
	return why_set(why, EC_OK, "%sall TLSA records are removed. Caches may hold them for %s after the last server has dropped them: "
	               "until the state is DISABLED the present keys must stay in use", running ? "the roll ends here; " : "", left);
}

static enum ec request_enable(struct facts *f, struct why *why)
{
	if (f->off.asked.count_ms == 0)
		return why_set(why, EC_NOT_FOUND, "DANE is not switched off");
	f->off = (struct fact_off){ 0 };
	f->rotated = (struct wall){ 0 };
	return why_set(why, EC_OK, "the records are published again, as for the first time");
}

enum ec rollover_request(struct facts *f, const struct policy *p, enum rollover_request request, struct stamp now,
                         struct why *why)
{
	if (f->off.asked.count_ms != 0 && request != RQ_DISABLE && request != RQ_ENABLE && request != RQ_RENEW)
		return switched_off(f, why);
	switch (request) {
	case RQ_ROTATE:
		return request_rotate(f, now, why);
	case RQ_ABORT:
		return request_abort(f, p, now, why);
	case RQ_ROLLBACK:
		return request_rollback(f, now, why);
	case RQ_EMERGENCY:
	case RQ_EMERGENCY_FORCED:
		return request_emergency(f, p, request == RQ_EMERGENCY_FORCED, now, why);
	case RQ_DISABLE:
		return request_disable(f, p, now, why);
	case RQ_ENABLE:
		return request_enable(f, why);
	case RQ_RENEW:
		return certify_renew(f, p, now, why);
	case RQ_NUM:
		break;
	}
	assert(false && "a request");
	return EC_UNSUPPORTED;
}
