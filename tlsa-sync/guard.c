/* The guard: would this write, or this swap, break the promise that every sender
 * finds its pin? Asked right before acting. It reads the raw facts and shares
 * no code with the decision, so that a mistake must be made twice. */
#include <stdlib.h>
#include <string.h>

#include "tlsa-sync/rollover.h"

/* Reports and answers may be this much older than decide allows: it was made
 * a moment ago. */
enum { SLACK_MS = 60 * 1000 };

static bool is_of(const struct tlsa *t, const struct fact_key *k)
{
	return t->usage == 3 && t->selector == 1 && t->matching == 1 && t->len == 32 &&
	       memcmp(t->data, k->spki_sha256, 32) == 0;
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
		if (is_of(t, &f->keys[i]))
			return &f->keys[i];
	return NULL;
}

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
	/* A first record of our kind makes clients look for a match of that kind: all
	 * keys in use must have theirs. RFC 7671 8. */
	for (size_t i = 0; adds->num > 0 && i < f->num_keys; i++) {
		struct tlsa t = tlsa_311(f->keys[i].spki_sha256);
		tlsa_print(text, &t);
		if (in_use(f, &f->keys[i]) && !tlsa_set_has(adds, &t))
			return why_set(why, EC_INVARIANT, "%s, the %s key in use, is not among the records added", text,
			               key_algorithm_name(f->keys[i].algorithm));
	}
	return EC_OK;
}

static enum ec check_delete(const struct facts *f, const struct policy *p, const struct tlsa *t, struct why *why)
{
	char text[TLSA_TEXT_SIZE];
	tlsa_print(text, t);
	if (!p->own_rrset && !facts_ours(f, t))
		return why_set(why, EC_INVARIANT, "%s is not ours, and own_rrset is off", text);
	for (size_t i = 0; i < f->num_keys; i++) {
		const struct fact_key *k = &f->keys[i];
		if (is_of(t, k) && in_use(f, k))
			return why_set(why, EC_INVARIANT, "%s is the key %s presents, or would present after a restart", text,
			               f->instances[k->instance].name);
		if (is_of(t, k) && may_be_used(f, k))
			return why_set(why, EC_INVARIANT, "%s is a key %s may be presenting", text,
			               f->instances[k->instance].name);
	}
	for (size_t i = 0; i < f->num_probes; i++) {
		const struct fact_probe *probe = &f->probes[i];
		if (probe->saw && t->len == 32 && memcmp(probe->spki_sha256, t->data, 32) == 0)
			return why_set(why, EC_INVARIANT, "%s was seen presented at %s", text, probe->address);
	}
	return EC_OK;
}

static enum ec check_news(const struct facts *f, const struct policy *p, struct stamp now, struct why *why)
{
	int64_t oldest = now.count_ms - rollover_fresh_ms(p) - SLACK_MS;
	if (oldest <= f->clock.booted_ms)
		oldest = f->clock.booted_ms + 1;
	for (size_t i = 0; i < f->num_instances; i++) {
		const struct fact_instance *in = &f->instances[i];
		if (in->heard.count_ms == 0 || in->heard.count_ms < oldest || in->failed.count_ms != 0)
			return why_set(why, EC_INVARIANT, "%s has not reported lately, so it is not known what it presents",
			               in->name);
	}
	for (size_t a = 0; a < f->num_addresses; a++) {
		bool seen = false;
		for (size_t i = 0; i < f->num_probes; i++)
			seen = seen || (f->probes[i].saw && f->probes[i].at.count_ms >= oldest &&
			                strcmp(f->probes[i].address, f->addresses[a]) == 0);
		if (!seen)
			return why_set(why, EC_INVARIANT, "no key was seen at %s lately, so nothing is taken away",
			               f->addresses[a]);
	}
	return f->num_addresses > 0 ? EC_OK : why_set(why, EC_INVARIANT, "no address was probed");
}

/* What every server would then hold. */
static enum ec check_after(const struct facts *f, const struct tlsa_set *adds, const struct tlsa_set *deletes,
                           struct why *why)
{
	char text[TLSA_TEXT_SIZE];
	for (size_t s = 0; s < f->num_servers; s++) {
		if (f->servers[s].answered.count_ms == 0 || f->servers[s].alias)
			continue;
		for (size_t i = 0; i < adds->num; i++)
			if (deletes->num > 0 && !tlsa_set_has(&f->servers[s].set, &adds->items[i]))
				return why_set(why, EC_INVARIANT, "one change at a time: %s lacks a record that is added while "
				               "others are deleted", f->servers[s].name);
		struct tlsa_set after = f->servers[s].set;
		tlsa_set_subtract(&after, deletes);
		for (size_t i = 0; deletes->num > 0 && i < f->num_keys; i++) {
			struct tlsa t = tlsa_311(f->keys[i].spki_sha256);
			tlsa_print(text, &t);
			if (in_use(f, &f->keys[i]) && !tlsa_set_has(&after, &t))
				return why_set(why, EC_INVARIANT, "%s (%s) serves the set without %s, which is in use",
				               f->servers[s].name, f->servers[s].address, text);
		}
	}
	return EC_OK;
}

enum ec rollover_check_write(const struct facts *f, const struct policy *p, const struct tlsa_set *adds,
                             const struct tlsa_set *deletes, struct stamp now, struct why *why)
{
	enum ec ec = check_adds(f, adds, why);
	for (size_t i = 0; ec == EC_OK && i < deletes->num; i++) {
		if (tlsa_set_has(adds, &deletes->items[i]))
			return why_set(why, EC_INVARIANT, "the same record is added and deleted");
		ec = check_delete(f, p, &deletes->items[i], why);
	}
	if (ec == EC_OK && deletes->num > 0)
		ec = check_news(f, p, now, why);
	return ec == EC_OK ? check_after(f, adds, deletes, why) : ec;
}

/* ---- swaps ---- */

static bool is_way_back(const struct facts *f, unsigned instance, uint64_t generation)
{
	const struct fact_roll *r = &f->roll;
	if (r->asked.count_ms == 0 || r->ended.count_ms != 0 || r->rollback.count_ms == 0 || r->retiring.count_ms != 0)
		return false;
	for (size_t i = 0; i < r->num_moves; i++)
		if (r->moves[i].instance == instance && r->moves[i].from == generation)
			return true;
	return false;
}

static bool is_on_its_way_out(const struct facts *f, unsigned instance, uint64_t generation)
{
	const struct fact_roll *r = &f->roll;
	for (size_t i = 0; r->retiring.count_ms != 0 && r->ended.count_ms == 0 && i < r->num_moves; i++)
		if (r->moves[i].instance == instance && r->moves[i].from == generation)
			return true;
	for (size_t i = 0; i < f->num_withdrawn; i++)
		if (f->withdrawn[i].instance == instance && f->withdrawn[i].generation == generation)
			return true;
	return false;
}

static enum ec check_served(const struct facts *f, const struct fact_key *k, struct why *why)
{
	struct tlsa t = tlsa_311(k->spki_sha256);
	int digest = facts_digest(f, k->spki_sha256);
	if (digest < 0 || f->digests[digest].deleted.count_ms != 0 || is_on_its_way_out(f, k->instance, k->generation))
		return why_set(why, EC_INVARIANT, "the record of generation %llu was ordered away",
		               (unsigned long long)k->generation);
	for (size_t s = 0; s < f->num_servers; s++) {
		const struct fact_server *row = &f->servers[s];
		if (row->answered.count_ms != 0 && !row->alias && !tlsa_set_has(&row->set, &t))
			return why_set(why, EC_INVARIANT, "%s (%s) was last seen without the record of generation %llu", row->name,
			               row->address, (unsigned long long)k->generation);
	}
	return EC_OK;
}

/* `back`: to a key that was presented before this roll. Its records were never ordered
 * away, so neither silence nor a time without watching stands in the way. */
static enum ec check_aged(const struct facts *f, const struct policy *p, const struct fact_key *k, bool back,
                          struct stamp now, struct why *why)
{
	int64_t longest_s = 0, all_ms = 0, watched_ms = 0;
	unsigned digest = (unsigned)facts_digest(f, k->spki_sha256);
	for (size_t i = 0; i < f->num_ttls; i++)
		if (f->ttls[i].ttl_s > longest_s)
			longest_s = f->ttls[i].ttl_s;
	for (unsigned s = 0; s < f->num_servers; s++) {
		const struct fact_server *row = &f->servers[s];
		const struct fact_agree *agree = facts_agree(f, s, digest);
		if (agree == NULL || agree->proof_ms == 0 || agree->count < p->confirmations)
			return why_set(why, EC_INVARIANT, "%s (%s) has not proven to serve generation %llu", row->name,
			               row->address, (unsigned long long)k->generation);
		if (!back && (row->silent.count_ms != 0 || agree->last_ms <= f->clock.booted_ms ||
		              now.count_ms - agree->last_ms > rollover_fresh_ms(p) + SLACK_MS))
			return why_set(why, EC_INVARIANT, "%s (%s) has not answered lately", row->name, row->address);
		all_ms = agree->proof_ms > all_ms ? agree->proof_ms : all_ms;
		watched_ms = agree->run_ms > watched_ms ? agree->run_ms : watched_ms;
	}
	if (f->digests[digest].spoiled.count_ms > all_ms)
		all_ms = f->digests[digest].spoiled.count_ms;
	if (!back && f->zone_found.count_ms <= all_ms)
		return why_set(why, EC_INVARIANT, "the servers of the zone were last listed before they all agreed");
	int64_t margin_s = p->cache_margin_s;
	if (f->num_servers == 0 || now.count_ms < all_ms + (2 * longest_s + margin_s) * 1000 ||
	    now.count_ms < all_ms + p->floor_s * 1000 || (!back && now.count_ms < watched_ms + (longest_s + margin_s) * 1000))
		return why_set(why, EC_INVARIANT, "caches may still hold a set without generation %llu",
		               (unsigned long long)k->generation);
	if (p->wait == WAIT_SIGNATURES && (now.count_ms < f->digests[digest].old_signature_count_ms ||
	                                   now.wall.s < f->digests[digest].old_signature.s))
		return why_set(why, EC_INVARIANT, "a signature over a set without generation %llu is still valid",
		               (unsigned long long)k->generation);
	return EC_OK;
}

enum ec rollover_check_swap(const struct facts *f, const struct policy *p, unsigned instance, uint64_t generation,
                            struct stamp now, struct why *why)
{
	bool back = is_way_back(f, instance, generation), known = false;
	for (size_t i = 0; i < f->num_keys; i++) {
		const struct fact_key *k = &f->keys[i];
		if (k->instance != instance || k->generation != generation)
			continue;
		known = true;
		if (generation == f->instances[instance].presented)
			continue; /* no change: it takes back a swap that may still be on its way */
		enum ec ec = check_served(f, k, why);
		if (ec == EC_OK)
			ec = check_aged(f, p, k, back, now, why);
		if (ec == EC_OK && !back && !k->certified)
			ec = why_set(why, EC_INVARIANT, "generation %llu has no certificate", (unsigned long long)generation);
		if (ec != EC_OK)
			return ec;
	}
	return known ? EC_OK
	             : why_set(why, EC_INVARIANT, "no such generation is known: %llu", (unsigned long long)generation);
}
