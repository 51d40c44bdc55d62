/* The guard, its other half: would this swap break the promise? Is there proof that no
 * cache holds a set without the key? */
#include "tlsa-sync/guard_room.h"

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

/* Was its record ordered away for good? And may an update sent lately take it away still, or
 * add records of a kind that it has none of? */
static enum ec check_ordered(const struct facts *f, const struct fact_key *k, struct stamp now, struct why *why)
{
	unsigned long long generation = k->generation;
	int digest = facts_digest(f, k->spki_sha256);
	if (digest < 0 || is_on_its_way_out(f, k->instance, k->generation))
		return why_set(why, EC_INVARIANT, "the record of generation %llu was ordered away", generation);
	for (unsigned form = 0; form < FORM_NUM; form++) {
		const struct fact_digest *d = &f->digests[digest];
		bool added = d->added[form].count_ms > d->deleted[form].count_ms;
		/* one of two forms was dropped, and is no more to be seen: that is in order */
		bool dropped = !added && d->added[1 - form].count_ms > d->deleted[1 - form].count_ms;
		if (d->deleted[form].count_ms != 0 && now.count_ms < d->deleted[form].count_ms + ROLLOVER_LATE_MS && !dropped)
			return why_set(why, EC_INVARIANT, "a removal of the record of generation %llu may still take effect", generation);
		for (size_t i = 0; !added && i < f->num_digests; i++)
			if (f->digests[i].added[form].count_ms != 0 && now.count_ms < f->digests[i].added[form].count_ms + ROLLOVER_LATE_MS)
				return why_set(why, EC_INVARIANT, "an update that adds records of another kind, and none of generation %llu, may "
				               "still take effect", generation);
	}
	return EC_OK;
}

bool guard_forced(const struct facts *f)
{
	const struct fact_roll *r = &f->roll;
	return r->asked.count_ms != 0 && r->ended.count_ms == 0 && r->emergency && r->forced && r->rollback.count_ms == 0;
}

static enum ec check_served(const struct facts *f, const struct fact_key *k, struct why *why)
{
	char text[TLSA_TEXT_SIZE];
	bool any = false;
	for (size_t s = 0; s < f->num_servers; s++) {
		const struct fact_server *row = &f->servers[s];
		if (row->answered.count_ms == 0 || row->alias)
			continue;
		const struct tlsa *foreign = guard_foreign(&row->set);
		if (guard_forced(f) && row->silent.count_ms != 0)
			continue;
		if (!guard_matches(&row->set, k))
			return why_set(why, EC_INVARIANT, "%s (%s) was last seen without the record of generation %llu", row->name,
			               row->address, (unsigned long long)k->generation);
		if (foreign != NULL) {
			tlsa_print(text, foreign);
			return why_set(why, EC_INVARIANT, "%s (%s) serves %.40s, which generation %llu would not match", row->name,
			               row->address, text, (unsigned long long)k->generation);
		}
		any = true;
	}
	return any ? EC_OK : why_set(why, EC_INVARIANT, "no server was seen with the record of generation %llu",
	                             (unsigned long long)k->generation);
}

/* `back`: to a key that was presented before this roll. Its records were never ordered
 * away, so neither silence nor a time without watching stands in the way. */
static enum ec check_aged(const struct facts *f, const struct policy *p, const struct fact_key *k, bool back,
                          struct stamp now, struct why *why)
{
	int64_t longest_s = p->ttl_s, all_ms = 0, watched_ms = 0;
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
		              now.count_ms - agree->last_ms > rollover_fresh_ms(p) + GUARD_SLACK_MS))
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
	if (f->off.asked.count_ms != 0)
		return why_set(why, EC_INVARIANT, "DANE is switched off: no key is changed");
	bool back = is_way_back(f, instance, generation), known = false;
	for (size_t i = 0; i < f->num_keys; i++) {
		const struct fact_key *k = &f->keys[i];
		if (k->instance != instance || k->generation != generation)
			continue;
		known = true;
		if (generation == f->instances[instance].presented)
			continue; /* no change: it takes back a swap that may still be on its way */
		enum ec ec = check_ordered(f, k, now, why);
		if (ec == EC_OK)
			ec = check_served(f, k, why);
		if (ec == EC_OK && !guard_forced(f))
			ec = check_aged(f, p, k, back, now, why);
		if (ec == EC_OK && !back && !k->certified)
			ec = why_set(why, EC_INVARIANT, "generation %llu has no certificate", (unsigned long long)generation);
		if (ec != EC_OK)
			return ec;
	}
	return known ? EC_OK
	             : why_set(why, EC_INVARIANT, "no such generation is known: %llu", (unsigned long long)generation);
}
