/* The guard: would this write break the promise that every sender finds its pin? Asked
 * right before acting. It reads the raw facts and shares no code with the decision,
 * so that a mistake must be made twice. Swaps: guard_swap.c. */
#include "tlsa-sync/guard_room.h"

#include <string.h>

bool guard_is_of(const struct tlsa *t, const struct fact_key *k)
{
	static const uint8_t none[64];
	if (t->usage != 3 || t->selector != 1)
		return false;
	if (t->matching == 1)
		return t->len == 32 && memcmp(t->data, k->spki_sha256, 32) == 0;
	return t->matching == 2 && t->len == 64 && memcmp(t->data, none, 64) != 0 && memcmp(t->data, k->spki_sha512, 64) == 0;
}

struct tlsa guard_record(const struct fact_key *k, unsigned matching)
{
	struct tlsa t = { .usage = 3, .selector = 1, .matching = (uint8_t)matching, .len = matching == 1 ? 32 : 64 };
	memcpy(t.data, matching == 1 ? k->spki_sha256 : k->spki_sha512, t.len);
	return t;
}

bool guard_has(const struct tlsa_set *set, const struct fact_key *k, unsigned matching)
{
	for (size_t i = 0; i < set->num; i++)
		if (set->items[i].matching == matching && guard_is_of(&set->items[i], k))
			return true;
	return false;
}

bool guard_has_kind(const struct tlsa_set *set, unsigned matching)
{
	for (size_t i = 0; i < set->num; i++)
		if (set->items[i].usage == 3 && set->items[i].selector == 1 && set->items[i].matching == matching)
			return true;
	return false;
}

bool guard_matches(const struct tlsa_set *set, const struct fact_key *k)
{
	bool any = false;
	for (unsigned matching = 1; matching <= 2; matching++) {
		bool has = guard_has(set, k, matching);
		if (!has && guard_has_kind(set, matching))
			return false;
		any = any || has;
	}
	return any;
}

const struct tlsa *guard_foreign(const struct tlsa_set *set)
{
	for (size_t i = 0; i < set->num; i++) {
		const struct tlsa *t = &set->items[i];
		bool our_kind = t->usage == 3 && t->selector == 1 && (t->matching == 1 || t->matching == 2);
		if (!our_kind && tlsa_usable(t, NULL))
			return t;
	}
	return NULL;
}

int64_t guard_oldest(const struct facts *f, const struct policy *p, struct stamp now)
{
	int64_t oldest = now.count_ms - rollover_fresh_ms(p) - GUARD_SLACK_MS;
	return oldest <= f->clock.booted_ms ? f->clock.booted_ms + 1 : oldest;
}

/* Presented, or to be presented at the next start. */
static bool in_use(const struct facts *f, const struct fact_key *k)
{
	const struct fact_instance *in = &f->instances[k->instance];
	return k->generation == in->active || k->generation == in->presented;
}

/* Asked for and not known to have been refused; or part of a roll that may still
 * go either way. */
static bool may_be_used(const struct facts *f, const struct fact_key *k)
{
	const struct fact_instance *in = &f->instances[k->instance];
	if (in->asked == ASK_SWAP && in->asked_generation == k->generation &&
	    in->heard.count_ms <= in->asked_at.count_ms)
		return true;
	const struct fact_roll *r = &f->roll;
	bool running = r->asked.count_ms != 0 && r->ended.count_ms == 0;
	for (size_t i = 0; running && i < r->num_moves; i++) {
		const struct fact_move *m = &r->moves[i];
		if (m->instance != k->instance)
			continue;
		if (m->to == k->generation || (m->from == k->generation && r->retiring.count_ms == 0))
			return true;
	}
	return false;
}

static const struct fact_key *key_of(const struct facts *f, const struct tlsa *t)
{
	for (size_t i = 0; i < f->num_keys; i++)
		if (guard_is_of(t, &f->keys[i]))
			return &f->keys[i];
	return NULL;
}

/* Which server answered with a set of its own? */
static bool holds_set(const struct fact_server *s)
{
	return s->answered.count_ms != 0 && !s->alias;
}

/* ---- what is added ---- */

static enum ec check_adds(const struct facts *f, const struct tlsa_set *adds, struct why *why)
{
	char text[TLSA_TEXT_SIZE];
	for (size_t i = 0; i < adds->num; i++) {
		const struct tlsa *t = &adds->items[i];
		tlsa_print(text, t);
		if (t->usage < 2)
			return why_set(why, EC_INVARIANT, "%s: usages 0 and 1 are not for SMTP (RFC 7672 3.1.3)", text);
		if (t->matching == 0)
			return why_set(why, EC_INVARIANT, "%s: matching type 0 is not published", text);
		if (tlsa_empty_digest(t))
			return why_set(why, EC_INVARIANT, "%s: the digest of the empty string", text);
		if (key_of(f, t) == NULL)
			return why_set(why, EC_INVARIANT, "%s: no instance reports a key with this digest", text);
	}
	/* A first record of a kind makes clients look for a match of that kind: all
	 * keys in use must have theirs. RFC 7671 8, 8.3. */
	for (unsigned matching = 1; matching <= 2; matching++) {
		for (size_t i = 0; guard_has_kind(adds, matching) && i < f->num_keys; i++) {
			struct tlsa t = guard_record(&f->keys[i], matching);
			tlsa_print(text, &t);
			if (in_use(f, &f->keys[i]) && !guard_has(adds, &f->keys[i], matching))
				return why_set(why, EC_INVARIANT, "%s, the %s key in use, is not among the records added", text,
				               key_algorithm_name(f->keys[i].algorithm));
		}
	}
	return EC_OK;
}

/* A removal on its way might take a part of what is added: that of the key in use. */
static enum ec check_late(const struct facts *f, const struct tlsa_set *adds, struct stamp now, struct why *why)
{
	for (size_t i = 0; i < adds->num; i++) {
		const struct fact_key *k = key_of(f, &adds->items[i]);
		int d = k == NULL ? -1 : facts_digest(f, k->spki_sha256);
		int64_t deleted = d < 0 ? 0 : f->digests[d].deleted[adds->items[i].matching - 1].count_ms;
		if (deleted != 0 && now.count_ms < deleted + ROLLOVER_LATE_MS)
			return why_set(why, EC_INVARIANT, "a removal sent a while ago may still take effect: nothing is added before");
	}
	return EC_OK;
}

/* Who asks for another name, or for none, is shown the default identity: of another identity that tells nothing. */
static bool tells(const struct policy *p, const struct fact_probe *probe, int64_t oldest)
{
	return probe->saw && probe->at.count_ms >= oldest && (probe->sni == SNI_RIGHT || p->default_identity);
}

static enum ec check_probes(const struct facts *f, const struct policy *p, int64_t oldest, struct why *why)
{
	for (size_t a = 0; a < f->num_addresses; a++) {
		bool seen = false;
		for (size_t i = 0; i < f->num_probes; i++)
			seen = seen || (tells(p, &f->probes[i], oldest) && strcmp(f->probes[i].address, f->addresses[a]) == 0);
		if (!seen)
			return why_set(why, EC_INVARIANT, "no key was seen at %s lately, so nothing is changed", f->addresses[a]);
	}
	return f->num_addresses > 0 ? EC_OK : why_set(why, EC_INVARIANT, "no address was probed");
}

/* From the first record on, senders expect to find what it names at every address. */
static enum ec check_first(const struct facts *f, const struct policy *p, const struct tlsa_set *adds, struct stamp now,
                           struct why *why)
{
	bool first = false;
	for (size_t s = 0; s < f->num_servers; s++) {
		bool ours = false;
		for (size_t i = 0; i < f->servers[s].set.num; i++)
			ours = ours || facts_ours(f, &f->servers[s].set.items[i]);
		first = first || (holds_set(&f->servers[s]) && !ours);
	}
	if (!first)
		return EC_OK;
	int64_t oldest = guard_oldest(f, p, now);
	for (size_t i = 0; i < f->num_probes; i++) {
		const struct fact_probe *probe = &f->probes[i];
		struct tlsa t = tlsa_311(probe->spki_sha256);
		const struct fact_key *k = key_of(f, &t);
		if (tells(p, probe, oldest) && (k == NULL || !guard_matches(adds, k)))
			return why_set(why, EC_INVARIANT, "%s presents a key that would have no record", probe->address);
	}
	return check_probes(f, p, oldest, why);
}

/* ---- what is deleted ---- */

/* Would no server have a record of this kind any more? Then nobody looks for one. */
static bool kind_goes(const struct facts *f, unsigned matching, const struct tlsa_set *deletes)
{
	for (size_t s = 0; s < f->num_servers; s++) {
		struct tlsa_set after = f->servers[s].set;
		tlsa_set_subtract(&after, deletes);
		if (holds_set(&f->servers[s]) && guard_has_kind(&after, matching))
			return false;
	}
	return true;
}

/* When records of a kind go all at once, those go too that were ordered in and that some server
 * may have without our having seen it: else they would be left alone. `matching` 0: of both
 * kinds. */
static enum ec check_whole(const struct facts *f, unsigned matching, const struct tlsa_set *deletes, struct why *why)
{
	for (size_t i = 0; i < f->num_digests; i++) {
		struct fact_key k = { 0 };
		memcpy(k.spki_sha256, f->digests[i].spki_sha256, 32);
		memcpy(k.spki_sha512, f->digests[i].spki_sha512, 64);
		for (unsigned m = 1; m <= 2; m++) {
			int64_t added = f->digests[i].added[m - 1].count_ms;
			if (added == 0 || f->digests[i].cleared[m - 1].count_ms > added + ROLLOVER_LATE_MS)
				continue;
			bool unseen = false;
			for (size_t s = 0; s < f->num_servers; s++)
				unseen = unseen || (!f->servers[s].alias && f->servers[s].answered.count_ms <= added + ROLLOVER_LATE_MS);
			if (unseen && deletes->num < TLSA_SET_MAX && (matching == 0 || matching == m) && !guard_has(deletes, &k, m))
				return why_set(why, EC_INVARIANT, "a record that was ordered in, and that some server may have by now, is not "
				               "deleted with the others");
		}
	}
	return EC_OK;
}

/* Why a record must stay as long as any of its kind does, or EC_OK. */
static enum ec check_needed(const struct facts *f, const struct tlsa *t, const struct fact_key *of, struct why *why)
{
	char text[TLSA_TEXT_SIZE];
	tlsa_print(text, t);
	for (size_t i = 0; i < f->num_keys; i++) {
		const struct fact_key *k = &f->keys[i];
		if (guard_is_of(t, k) && in_use(f, k))
			return why_set(why, EC_INVARIANT, "%s is the key %s presents, or would present after a restart", text,
			               f->instances[k->instance].name);
		if (guard_is_of(t, k) && may_be_used(f, k))
			return why_set(why, EC_INVARIANT, "%s is a key %s may be presenting", text,
			               f->instances[k->instance].name);
	}
	for (size_t i = 0; i < f->num_probes; i++) {
		const struct fact_probe *probe = &f->probes[i];
		bool same = (of != NULL && memcmp(probe->spki_sha256, of->spki_sha256, 32) == 0) ||
		            (t->matching == 1 && t->len == 32 && memcmp(probe->spki_sha256, t->data, 32) == 0);
		if (probe->saw && same)
			return why_set(why, EC_INVARIANT, "%s was seen presented at %s", text, probe->address);
	}
	return EC_OK;
}

static enum ec check_delete(const struct facts *f, const struct policy *p, const struct tlsa *t,
                            const struct tlsa_set *deletes, struct why *why)
{
	if (!p->own_rrset && !facts_ours(f, t)) {
		char text[TLSA_TEXT_SIZE];
		tlsa_print(text, t);
		return why_set(why, EC_INVARIANT, "%s is not ours, and own_rrset is off", text);
	}
	const struct fact_key *of = key_of(f, t);
	enum ec ec = check_needed(f, t, of, why);
	/* Or all of the kind go: check_after sees to it that another one stays. RFC 7671 8.3. */
	if (ec != EC_OK && of != NULL && kind_goes(f, t->matching, deletes))
		return check_whole(f, t->matching, deletes, why);
	return ec;
}

static enum ec check_news(const struct facts *f, const struct policy *p, struct stamp now, struct why *why)
{
	int64_t oldest = guard_oldest(f, p, now);
	for (size_t i = 0; i < f->num_instances; i++) {
		const struct fact_instance *in = &f->instances[i];
		if (in->heard.count_ms == 0 || in->heard.count_ms < oldest || in->failed.count_ms != 0)
			return why_set(why, EC_INVARIANT, "%s has not reported lately, so it is not known what it presents",
			               in->name);
	}
	return check_probes(f, p, oldest, why);
}

/* Does some server hold so many records that those of the keys reported would not fit beside them? What a key in use lacks
 * can't come before others have gone. */
static bool no_room(const struct facts *f, const struct policy *p)
{
	for (size_t s = 0; s < f->num_servers; s++) {
		struct tlsa_set all = f->servers[s].set;
		for (size_t i = 0; i < f->num_keys; i++)
			for (unsigned matching = 1; matching <= 2; matching++) {
				struct tlsa t = guard_record(&f->keys[i], matching);
				bool wanted = p->forms == 0 ? matching == 1 : (p->forms >> (matching - 1) & 1) != 0;
				if (wanted && tlsa_set_add(&all, &t) != EC_OK)
					return true;
			}
	}
	return false;
}

/* What every server would then hold. */
static enum ec check_after(const struct facts *f, const struct policy *p, const struct tlsa_set *adds,
                           const struct tlsa_set *deletes, struct why *why)
{
	char text[TLSA_TEXT_SIZE];
	bool given_up = guard_forced(f) || no_room(f, p);
	for (size_t s = 0; s < f->num_servers; s++) {
		if (!holds_set(&f->servers[s]))
			continue;
		for (size_t i = 0; i < adds->num; i++)
			if (deletes->num > 0 && !tlsa_set_has(&f->servers[s].set, &adds->items[i]))
				return why_set(why, EC_INVARIANT, "one change at a time: %s lacks a record that is added while "
				               "others are deleted", f->servers[s].name);
		struct tlsa_set after = f->servers[s].set;
		tlsa_set_subtract(&after, deletes);
		for (size_t i = 0; deletes->num > 0 && i < f->num_keys; i++) {
			struct tlsa t = guard_record(&f->keys[i], 1);
			tlsa_print(text, &t);
			if (given_up && !guard_matches(&f->servers[s].set, &f->keys[i]))
				continue; /* the operator knew, or it must be so: it does not match as it is */
			if (in_use(f, &f->keys[i]) && !guard_matches(&after, &f->keys[i]))
				return why_set(why, EC_INVARIANT, "%s (%s) would serve a set that does not match %s, which is in use",
				               f->servers[s].name, f->servers[s].address, text);
		}
	}
	return EC_OK;
}

/* A part that nobody needs may go before the rest: there may be too many for one update. */
static bool spares_used(const struct facts *f, const struct tlsa_set *deletes)
{
	for (size_t i = 0; i < f->num_keys; i++)
		if ((in_use(f, &f->keys[i]) || may_be_used(f, &f->keys[i])) &&
		    (guard_has(deletes, &f->keys[i], 1) || guard_has(deletes, &f->keys[i], 2)))
			return false;
	return true;
}

static bool swapped_to(const struct facts *f, const struct fact_key *k)
{
	for (size_t i = 0; i < f->roll.num_moves; i++) {
		const struct fact_move *m = &f->roll.moves[i];
		if (m->instance == k->instance && m->to == k->generation && m->swap_asked.count_ms != 0)
			return true;
	}
	return false;
}

/* An update that was sent before a key in use was known may yet put others' records into the zone: not into one without
 * that key's. */
static enum ec check_unaware(const struct facts *f, struct stamp now, struct why *why)
{
	for (size_t i = 0; i < f->num_keys; i++) {
		int d = facts_digest(f, f->keys[i].spki_sha256);
		if (d < 0 || !swapped_to(f, &f->keys[i]) || now.count_ms >= f->digests[d].known.count_ms + ROLLOVER_LATE_MS)
			continue;
		for (size_t o = 0; o < f->num_digests; o++) {
			const struct fact_digest *older = &f->digests[o];
			if (older->known.count_ms < f->digests[d].known.count_ms &&
			    (older->added[0].count_ms != 0 || older->added[1].count_ms != 0))
				return why_set(why, EC_INVARIANT,
				               "an update sent before the key in use was known may still take effect: its record stays");
		}
	}
	return EC_OK;
}

/* Switching off: a set without any usable record asks nothing of a key, so it does not
 * matter who presents what. But it must be all of them. */
static enum ec check_off(const struct facts *f, const struct policy *p, const struct tlsa_set *adds,
                         const struct tlsa_set *deletes, struct stamp now, struct why *why)
{
	char text[TLSA_TEXT_SIZE];
	bool answered = false;
	if (adds->num > 0)
		return why_set(why, EC_INVARIANT, "DANE is switched off: nothing is added");
	for (size_t i = 0; i < deletes->num; i++) {
		tlsa_print(text, &deletes->items[i]);
		if (!p->own_rrset && !facts_ours(f, &deletes->items[i]))
			return why_set(why, EC_INVARIANT, "%s is not ours, and own_rrset is off", text);
	}
	for (size_t s = 0; !spares_used(f, deletes) && s < f->num_servers; s++) {
		struct tlsa_set after = f->servers[s].set;
		tlsa_set_subtract(&after, deletes);
		answered = answered || holds_set(&f->servers[s]);
		for (size_t i = 0; holds_set(&f->servers[s]) && i < after.num; i++) {
			tlsa_print(text, &after.items[i]);
			if (tlsa_usable(&after.items[i], NULL))
				return why_set(why, EC_INVARIANT, "%s would be left alone, and senders look for a match of it", text);
		}
	}
	if (spares_used(f, deletes))
		return EC_OK;
	enum ec ec = check_unaware(f, now, why);
	if (ec != EC_OK)
		return ec;
	return answered ? check_whole(f, 0, deletes, why) : why_set(why, EC_INVARIANT, "no server has answered");
}

enum ec rollover_check_write(const struct facts *f, const struct policy *p, const struct tlsa_set *adds,
                             const struct tlsa_set *deletes, struct stamp now, struct why *why)
{
	if (f->off.asked.count_ms != 0)
		return check_off(f, p, adds, deletes, now, why);
	enum ec ec = check_adds(f, adds, why);
	if (ec == EC_OK)
		ec = check_late(f, adds, now, why);
	if (ec == EC_OK && adds->num > 0)
		ec = check_first(f, p, adds, now, why);
	for (size_t i = 0; ec == EC_OK && i < deletes->num; i++) {
		if (tlsa_set_has(adds, &deletes->items[i]))
			return why_set(why, EC_INVARIANT, "the same record is added and deleted");
		ec = check_delete(f, p, &deletes->items[i], deletes, why);
	}
	if (ec == EC_OK && deletes->num > 0)
		ec = check_news(f, p, now, why);
	return ec == EC_OK ? check_after(f, p, adds, deletes, why) : ec;
}
