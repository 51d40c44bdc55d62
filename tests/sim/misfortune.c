#include "misfortune.h"

#include <string.h>

#include "copy.h"
#include "issue.h"

static struct winstance *some_instance(struct world *w)
{
	return &w->instances[rng_upto(&w->rng, (int64_t)w->num_instances)];
}

static bool seen_in_time(const struct drive *d, const struct decision *dec)
{
	const struct fact_roll *r = &d->facts->roll;
	bool emergency = r->asked.count_ms != 0 && r->ended.count_ms == 0 && r->emergency;
	return !emergency && !d->w->off && (dec->state <= RO_AGEING || dec->state == RO_STEADY) &&
	       !world_late_pending(d->w, LATE_SWAP);
}

/* ---- servers ---- */

static void stuck(struct drive *d, const struct decision *dec, unsigned i)
{
	(void)dec;
	if (i > 0)
		d->w->servers[i].stuck_until = d->w->t + rng_between(&d->w->rng, 10, 4000) * 1000;
}

static void silent(struct drive *d, const struct decision *dec, unsigned i)
{
	(void)dec;
	d->w->servers[i].silent_until = d->w->t + rng_between(&d->w->rng, 5, 3000) * 1000;
}

/* Back to an old zone, for long enough that somebody who looks can see it. */
static void turns_back(struct drive *d, const struct decision *dec, unsigned i)
{
	struct world *w = d->w;
	struct server *s = &w->servers[i];
	unsigned old = (unsigned)rng_upto(&w->rng, (int64_t)w->num_versions);
	if (i == 0 || !s->there || s->alias || s->back_until != 0 || old >= s->version || !seen_in_time(d, dec) ||
	    !world_safe_version(w, old) || w->versions[old].signed_until <= w->t / 1000 ||
	    (w->foreign.len != 0 && tlsa_set_has(&w->versions[old].set, &w->foreign) && issue_soon(d)))
		return;
	world_serve(w, i, old);
	s->back_until = w->t + rollover_gap_ms(&d->policy) + rng_between(&w->rng, 10, 2000) * 1000;
	d->num_backs++;
}

/* It joins, with what is there now, or leaves. */
static void joins_or_leaves(struct drive *d, const struct decision *dec, unsigned i)
{
	struct server *s = &d->w->servers[i];
	if (i < 2 || s->alias || s->back_until != 0 || dec->state > RO_AGEING)
		return;
	s->there = !s->there;
	world_serve(d->w, i, (unsigned)d->w->num_versions - 1);
}

/* Not what a late update would undo before anybody can have seen it. */
static void zone_edited(struct drive *d, const struct decision *dec, unsigned i)
{
	(void)i;
	if ((dec->state == RO_STEADY || dec->state == RO_AGEING) && !world_late_pending(d->w, LATE_UPDATE))
		d->num_edits += seen_in_time(d, dec) && world_hand_edit(d->w);
}

static void stranger_goes(struct drive *d, const struct decision *dec, unsigned i)
{
	(void)dec, (void)i;
	if (!d->policy.own_rrset && !world_late_pending(d->w, LATE_UPDATE))
		world_hand_clean(d->w);
}

/* ---- instances ---- */

static void down(struct drive *d, const struct decision *dec, unsigned i)
{
	(void)dec, (void)i;
	some_instance(d->w)->down_until = d->w->t + rng_between(&d->w->rng, 5, 2000) * 1000;
}

static void guarded(struct drive *d, const struct decision *dec, unsigned i)
{
	(void)dec, (void)i;
	some_instance(d->w)->guarded_until = d->w->t + rng_between(&d->w->rng, 5, 2000) * 1000;
}

/* ---- the controller's own machine ---- */

static void clock_jumps(struct drive *d, const struct decision *dec, unsigned i)
{
	(void)dec, (void)i;
	if (!d->w->check_signatures)
		d->w->wall_offset += rng_between(&d->w->rng, -100000, 100000) * 1000;
}

static void crash(struct drive *d, const struct decision *dec, unsigned i)
{
	(void)dec, (void)i;
	drive_crash(d);
}

static void disk_full(struct drive *d, const struct decision *dec, unsigned i)
{
	(void)dec, (void)i;
	if (strchr(d->without, 'f') != NULL)
		return;
	d->full_until = d->w->t + rng_between(&d->w->rng, 1, 3000) * 1000;
	d->num_full++;
}

/* drive_crash restores it now and then. */
static void backup(struct drive *d, const struct decision *dec, unsigned i)
{
	(void)dec, (void)i;
	if (d->backup_t != 0 && !rng_chance(&d->w->rng, 300))
		return;
	facts_copy(d->backup, d->saved);
	d->backup_t = d->w->t;
}

/* The operator wants other algorithms from the next key on, other forms of record, another TTL. */
static void configured(struct drive *d, const struct decision *dec, unsigned i)
{
	(void)dec, (void)i;
	struct world *w = d->w;
	if (strchr(d->without, 'c') != NULL)
		return;
	if (d->forms_other != 0 && rng_chance(&w->rng, 500)) {
		unsigned forms = d->policy.forms;
		d->policy.forms = d->forms_other;
		d->forms_other = forms;
	}
	if (d->ttl_other != 0 && rng_chance(&w->rng, 500)) {
		uint32_t ttl_s = d->policy.ttl_s;
		d->policy.ttl_s = w->our_ttl_s = d->ttl_other;
		d->ttl_other = ttl_s;
	}
	unsigned algorithms = 1U << KEY_ECDSA_P256 | (rng_chance(&w->rng, 500) ? 1U << KEY_RSA_3072 : 0);
	for (size_t k = 0; k < w->num_instances && w->num_instances < W_INSTANCES; k++)
		w->instances[k].algorithms = algorithms;
}

static void ca_down(struct drive *d, const struct decision *dec, unsigned i)
{
	(void)dec, (void)i;
	d->ca_down_until = d->w->t + rng_between(&d->w->rng, 100, 40000) * 1000;
}

void misfortune(struct drive *d, const struct decision *dec)
{
	static void (*const all[])(struct drive *, const struct decision *, unsigned) = {
		stuck, silent, turns_back, turns_back, joins_or_leaves, zone_edited, stranger_goes,
		down, guarded, clock_jumps, crash, disk_full, backup, configured, ca_down,
	};
	unsigned server = (unsigned)rng_upto(&d->w->rng, (int64_t)d->w->num_servers);
	all[rng_upto(&d->w->rng, sizeof all / sizeof all[0])](d, dec, server);
}

void misfortune_by_hand(struct drive *d)
{
	struct world *w = d->w;
	unsigned i = (unsigned)rng_upto(&w->rng, (int64_t)w->num_instances);
	const struct winstance *in = &w->instances[i];
	uint64_t best = 0;
	for (size_t g = 0; g < W_GENERATIONS; g++)
		best = in->gens[g].number > in->presented ? in->gens[g].number : best;
	if (best != 0) {
		world_present(w, i, best);
		d->num_hands++;
	}
}
