/* The steps of a roll: certificates, swap, probes, the time to change one's mind,
 * and the way back. */
#include <stdio.h>
#include <string.h>

#include "tlsa-sync/certify.h"
#include "tlsa-sync/decide.h"

static const char *const sni_words[SNI_NUM] = {
	[SNI_RIGHT] = "asked for by name",
	[SNI_OTHER] = "asked for by another name",
	[SNI_NONE] = "asked for without a name",
};

/* Is the digest of a key that an instance presents? */
static bool presented_somewhere(const struct facts *f, const uint8_t spki_sha256[32])
{
	for (size_t i = 0; i < f->num_keys; i++)
		if (f->keys[i].generation == f->instances[f->keys[i].instance].presented &&
		    memcmp(f->keys[i].spki_sha256, spki_sha256, 32) == 0)
			return true;
	return false;
}

static uint64_t generation_of(const struct facts *f, const uint8_t spki_sha256[32])
{
	for (size_t i = 0; i < f->num_keys; i++)
		if (memcmp(f->keys[i].spki_sha256, spki_sha256, 32) == 0)
			return f->keys[i].generation;
	return 0;
}

/* The moment from which a probe tells something: the last swap that was asked. */
static int64_t probes_after_ms(const struct decide *c)
{
	int64_t after = c->now.count_ms - rollover_fresh_ms(c->p);
	if (after < c->f->clock.booted_ms)
		after = c->f->clock.booted_ms;
	for (size_t i = 0; i < c->f->num_instances; i++)
		if (c->f->instances[i].asked == ASK_SWAP && c->f->instances[i].asked_at.count_ms > after)
			after = c->f->instances[i].asked_at.count_ms;
	return after;
}

static bool probe_ok(struct decide *c, const char *address, enum key_algorithm algorithm, enum sni_kind sni,
                     bool *out_stale, struct why *why)
{
	const struct fact_probe *probe = facts_probe_find(c->f, address, algorithm, sni);
	const char *name = key_algorithm_name(algorithm);
	*out_stale = probe == NULL || probe->at.count_ms <= probes_after_ms(c);
	if (*out_stale)
		(void)why_set(why, EC_OK, "probing %s for %s, %s", address, name, sni_words[sni]);
	else if (!probe->saw)
		(void)why_set(why, EC_OK, "%s shows no %s key, %s: %s", address, name, sni_words[sni], probe->words);
	else if (!presented_somewhere(c->f, probe->spki_sha256))
	{
		struct tlsa t = tlsa_311(probe->spki_sha256);
		char record[WORDS_RECORD];
		words_record(record, &t);
		uint64_t generation = generation_of(c->f, probe->spki_sha256);
		if (generation != 0)
			(void)why_set(why, EC_OK, "%s still presents generation %llu (%s), %s", address,
			              (unsigned long long)generation, name, sni_words[sni]);
		else
			(void)why_set(why, EC_OK, "%s presents a key that no instance knows, %s, %s", address, record,
			              sni_words[sni]);
	} else
		return true;
	return false;
}

/* By how many instances. While some have another list of algorithms than the rest, an
 * address may show no such key: then what is seen must be known, but it need not be seen. */
static unsigned algorithm_presented(const struct facts *f, enum key_algorithm algorithm)
{
	unsigned num = 0;
	for (size_t i = 0; i < f->num_keys; i++)
		num += f->keys[i].algorithm == algorithm &&
		       f->keys[i].generation == f->instances[f->keys[i].instance].presented;
	return num;
}

static bool may_lack(const struct decide *c, const char *address, enum key_algorithm algorithm, enum sni_kind sni)
{
	const struct fact_probe *probe = facts_probe_find(c->f, address, algorithm, sni);
	return probe != NULL && !probe->saw && algorithm_presented(c->f, algorithm) < c->f->num_instances;
}

bool step_probe(struct decide *c, enum rollover_state state)
{
	if (c->f->num_addresses == 0)
		return decide_wait(c, state, "an address", "no address of %s is known to probe", c->f->identity);
	for (size_t a = 0; a < c->f->num_addresses; a++) {
		for (unsigned alg = 0; alg < KEY_NUM_ALGORITHMS; alg++) {
			for (unsigned sni = 0; sni < SNI_NUM && algorithm_presented(c->f, alg) > 0; sni++) {
				/* who asks for another name gets the default identity */
				if (sni != SNI_RIGHT && !c->p->default_identity)
					continue;
				struct why why = { 0 };
				bool stale;
				if (probe_ok(c, c->f->addresses[a], alg, sni, &stale, &why) ||
				    (!stale && may_lack(c, c->f->addresses[a], alg, sni)))
					continue;
				if (decide_due(c, c->f->probed, decide_poll_ms(c)) ||
				    (stale && c->f->probed.count_ms <= probes_after_ms(c)))
					return decide_act(c, state, RA_PROBE, "%s", why.text);
				return decide_wait(c, state, c->f->addresses[a], "%s", why.text);
			}
		}
	}
	return false;
}

/* A key the roll goes to whose certificate can't be presented yet. The issuer's command is
 * run by the way, in any state; here it is only waited for. */
static bool step_certify(struct decide *c, const struct fact_move *m)
{
	for (size_t i = 0; i < c->f->num_keys; i++) {
		const struct fact_key *k = &c->f->keys[i];
		struct why why = { 0 };
		if (k->instance != m->instance || k->generation != m->to || certify_fit(c->f, c->p, k, c->f->roll.emergency, c->now, &why))
			continue;
		return decide_wait(c, RO_CERTIFYING, c->p->issuer == ISSUER_COMMAND ? "the issuer" : c->f->instances[m->instance].name,
		                   "%s", why.text);
	}
	return false;
}

/* A server that joined the zone while the set was spreading, or since, must have been met: the list is to be
 * newer than the proof, and than the beginning of the roll. */
static bool zone_fresh(struct decide *c, const struct age *age)
{
	int64_t after_ms = age->since_ms > c->f->roll.begun.count_ms ? age->since_ms : c->f->roll.begun.count_ms;
	if (c->f->zone_found.count_ms > after_ms && !decide_due(c, c->f->zone_found, rollover_gap_ms(c->p)))
		return true;
	(void)decide_wait(c, RO_SWAPPING, "the zone", "finding the servers of the zone once more%s%s",
	                  c->f->zone_words[0] ? ": " : "", c->f->zone_words);
	if (decide_due(c, c->f->zone_failed, decide_poll_ms(c)))
		c->d->action = RA_FIND;
	return false;
}

static bool wait_for_age(struct decide *c, uint64_t generation, const struct age *age, int64_t left_ms)
{
	struct why why = { 0 };
	words_age(c->f, c->p, age, c->now, &why);
	if (left_ms > 0)
		c->d->at.s = c->now.wall.s + (left_ms + 999) / 1000;
	c->d->wake_ms = left_ms;
	return decide_wait(c, RO_AGEING, "the clock", "generation %llu: %s", (unsigned long long)generation, why.text);
}

/* Does every server that answers have a record of each key of the generation, and none that would
 * fail senders for longer than caches remember? */
static bool served_where_answered(const struct decide *c, unsigned instance, uint64_t generation)
{
	bool any = false;
	for (unsigned s = 0; s < c->f->num_servers; s++) {
		const struct fact_server *row = &c->f->servers[s];
		if (row->alias || row->answered.count_ms == 0 || row->silent.count_ms != 0)
			continue;
		any = true;
		for (size_t i = 0; i < c->f->num_keys; i++) {
			const struct fact_key *k = &c->f->keys[i];
			if (k->instance != instance || k->generation != generation)
				continue;
			int d = facts_digest(c->f, k->spki_sha256);
			if (d < 0 || !facts_digest_served(&c->f->digests[d], &row->set))
				return false;
		}
	}
	return any;
}

/* The operator was told what senders will see: it is enough that the servers have it. */
static bool step_swap_forced(struct decide *c, const struct fact_move *m)
{
	struct age late = age_late_of_generation(c->f, m->instance, m->to, c->now);
	if (late.reason != AGE_OLD)
		return wait_for_age(c, m->to, &late, late.left_ms);
	if (c->f->looked.count_ms <= c->f->roll.begun.count_ms || decide_due(c, c->f->looked, rollover_fresh_ms(c->p)))
		return decide_act(c, RO_SWAPPING, RA_LOOK, "looking once more at every server before the swap");
	return decide_ask(c, RO_SWAPPING, ASK_SWAP, m->instance, m->to);
}

static bool step_swap_one(struct decide *c, const struct fact_move *m)
{
	if (c->f->roll.forced && served_where_answered(c, m->instance, m->to))
		return step_swap_forced(c, m);
	struct age age = age_of_generation(c->f, c->p, m->instance, m->to, c->now);
	if (age.reason != AGE_OLD)
		return wait_for_age(c, m->to, &age, age.left_ms);
	/* A last look at every server, after all waiting is over. */
	if (c->f->looked.count_ms <= age.old_ms || c->f->looked.count_ms <= c->f->roll.begun.count_ms)
		return decide_act(c, RO_SWAPPING, RA_LOOK, "looking once more at every server before the swap");
	if (!zone_fresh(c, &age) || decide_fresh(c, RO_SWAPPING, true))
		return true;
	return decide_ask(c, RO_SWAPPING, ASK_SWAP, m->instance, m->to);
}

static bool step_swap(struct decide *c)
{
	const struct fact_roll *r = &c->f->roll;
	for (size_t i = 0; i < r->num_moves; i++)
		if (c->f->instances[r->moves[i].instance].presented != r->moves[i].to && step_certify(c, &r->moves[i]))
			return true;
	for (size_t i = 0; i < r->num_moves; i++)
		if (c->f->instances[r->moves[i].instance].presented != r->moves[i].to)
			return step_swap_one(c, &r->moves[i]);
	return false;
}

static bool step_hold(struct decide *c)
{
	bool emergency = c->f->roll.emergency;
	int64_t left = c->f->roll.held.count_ms + c->p->hold_s * 1000 - c->now.count_ms;
	if (left > 0 && !emergency) {
		char until[WORDS_COUNTDOWN];
		words_until(until, c->now, left);
		c->d->at.s = c->now.wall.s + (left + 999) / 1000;
		c->d->wake_ms = left;
		return decide_wait(c, RO_HOLDING, "the clock", "the old key stays published until %s, so that rollback is instant",
		                   until);
	}
	/* A last look before there is no way back. */
	return decide_fresh(c, RO_HOLDING, !emergency) || step_probe(c, RO_HOLDING) ||
	       decide_mark(c, RO_RETIRING, RM_RETIRING);
}

bool step_roll(struct decide *c)
{
	const struct fact_roll *r = &c->f->roll;
	if (!roll_running(c->f) || r->begun.count_ms == 0)
		return false;
	if (r->retiring.count_ms != 0)
		return decide_mark(c, RO_RETIRING, RM_ENDED); /* step_remove and step_retire found nothing left */
	if (step_swap(c))
		return true;
	if (r->held.count_ms != 0)
		return step_hold(c);
	return decide_fresh(c, RO_SWAPPING, false) || step_probe(c, RO_SWAPPING) || decide_mark(c, RO_SWAPPING, RM_HELD);
}

/* The key presented may be known to others. What a planned roll does for comfort is left
 * out: waiting for other hosts, for a server that is silent, for a window to go back. What
 * keeps mail coming is not, unless the operator forced it. False leaves it to the other
 * steps: there is a key to be made, or a record to be put (back) into the zone. */
bool step_emergency(struct decide *c)
{
	const struct fact_roll *r = &c->f->roll;
	if (!roll_running(c->f) || !r->emergency || r->rollback.count_ms != 0)
		return false;
	if (r->retiring.count_ms != 0)
		return step_remove_keys(c);
	for (unsigned i = 0; r->begun.count_ms == 0 && i < c->f->num_instances; i++)
		if (facts_standby(c->f, i) == 0)
			return false;
	if (r->begun.count_ms == 0)
		return decide_mark(c, RO_SWAPPING, RM_BEGIN);
	for (size_t i = 0; i < r->num_moves; i++) {
		const struct fact_move *m = &r->moves[i];
		if (c->f->instances[m->instance].presented == m->to)
			continue;
		if (age_of_generation(c->f, c->p, m->instance, m->to, c->now).reason == AGE_NO_PROOF &&
		    !(r->forced && served_where_answered(c, m->instance, m->to)))
			return false;
	}
	return step_roll(c);
}

/* Back to where it came from. The former records were never given up, so as a rule
 * this waits for nothing but the instances: not for a silent server either. But if somebody else
 * took one of them out, it is not in every cache. */
bool step_rollback(struct decide *c)
{
	const struct fact_roll *r = &c->f->roll;
	if (!roll_moving(c->f) || r->rollback.count_ms == 0)
		return false;
	for (size_t i = 0; i < r->num_moves; i++) {
		const struct fact_move *m = &r->moves[i];
		const struct fact_instance *in = &c->f->instances[m->instance];
		bool asked_back = in->asked == ASK_SWAP && in->asked_generation == m->from &&
		                  in->asked_outcome == OUTCOME_OK && in->heard.count_ms > in->asked_at.count_ms;
		if (in->presented == m->from && (m->swap_asked.count_ms == 0 || asked_back))
			continue;
		struct age age = age_of_generation(c->f, c->p, m->instance, m->from, c->now);
		if (in->presented != m->from && age.reason != AGE_NO_PROOF && age.back_ms > 0)
			return wait_for_age(c, m->from, &age, age.back_ms);
		if (in->presented == m->from || age.reason != AGE_NO_PROOF)
			return decide_ask(c, RO_SWAPPING, ASK_SWAP, m->instance, m->from);
		/* its record is missing somewhere: the steps that follow put it back */
		return false;
	}
	return decide_mark(c, RO_STEADY, RM_ENDED);
}
