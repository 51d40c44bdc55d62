#include "tlsa-sync/age.h"

uint32_t age_ttl_s(const struct facts *f, const struct policy *p)
{
	uint32_t seen_s = facts_ttl_max(f);
	return seen_s > p->ttl_s ? seen_s : p->ttl_s;
}

static void later(struct age *a, enum age_reason reason, int64_t until_ms, struct stamp now)
{
	int64_t left = until_ms - now.count_ms;
	if (until_ms > a->old_ms)
		a->old_ms = until_ms;
	if (left > a->left_ms) {
		a->left_ms = left;
		a->reason = reason;
	}
}

/* The moment of the last k-th answer, and the start of the latest watch. */
static struct age age_proof(const struct facts *f, unsigned digest, int64_t *out_run_ms)
{
	struct age a = { .reason = AGE_NO_PROOF, .server = -1 };
	int64_t since = f->digests[digest].spoiled.count_ms;
	for (unsigned s = 0; s < f->num_servers; s++) {
		const struct fact_agree *row = facts_agree(f, s, digest);
		if (row == NULL || row->proof_ms == 0) {
			a.server = (int)s;
			return a;
		}
		if (row->proof_ms > since)
			since = row->proof_ms;
		if (row->run_ms > *out_run_ms) {
			*out_run_ms = row->run_ms;
			a.server = (int)s;
		}
	}
	if (f->num_servers > 0) {
		a.reason = AGE_OLD;
		a.since_ms = since;
	}
	return a;
}

/* Until when an update sent lately may undo what is in the zone for this key: take its record
 * away, or add others' of a form in which it has none. */
static int64_t age_late_ms(const struct facts *f, const struct fact_digest *d)
{
	int64_t until = 0;
	for (enum record_form form = 0; form < FORM_NUM; form++) {
		bool in = d->added[form].count_ms > d->deleted[form].count_ms;
		bool other_in = d->added[1 - form].count_ms > d->deleted[1 - form].count_ms;
		int64_t last = in || !other_in ? d->deleted[form].count_ms : 0; /* a form that was dropped is no loss */
		for (size_t i = 0; !in && i < f->num_digests; i++)
			if (f->digests[i].added[form].count_ms > last)
				last = f->digests[i].added[form].count_ms;
		if (last != 0 && last + ROLLOVER_LATE_MS > until)
			until = last + ROLLOVER_LATE_MS;
	}
	return until;
}

struct age age_of(const struct facts *f, const struct policy *p, const uint8_t spki_sha256[32], struct stamp now)
{
	int digest = facts_digest(f, spki_sha256);
	if (digest < 0)
		return (struct age){ .reason = AGE_NO_PROOF, .server = -1 };
	int64_t run_ms = 0;
	struct age a = age_proof(f, (unsigned)digest, &run_ms);
	if (a.reason != AGE_OLD)
		return a;
	a.ttl_s = age_ttl_s(f, p);
	int64_t ttl_ms = (int64_t)a.ttl_s * 1000, margin_ms = p->cache_margin_s * 1000;
	later(&a, AGE_TTL, a.since_ms + 2 * ttl_ms + margin_ms, now);
	later(&a, AGE_FLOOR, a.since_ms + p->floor_s * 1000, now);
	if (p->wait == WAIT_SIGNATURES) {
		const struct fact_digest *d = &f->digests[digest];
		later(&a, AGE_SIGNATURES, d->old_signature_count_ms, now);
		later(&a, AGE_SIGNATURES, now.count_ms + (d->old_signature.s - now.wall.s) * 1000, now);
	}
	later(&a, AGE_LATE, age_late_ms(f, &f->digests[digest]), now);
	a.back_ms = a.left_ms;
	later(&a, AGE_UNWATCHED, run_ms + ttl_ms + margin_ms, now);
	return a;
}

struct age age_of_generation(const struct facts *f, const struct policy *p, unsigned instance, uint64_t generation,
                             struct stamp now)
{
	struct age worst = { .reason = AGE_NO_PROOF, .server = -1 };
	bool first = true;
	for (size_t i = 0; i < f->num_keys; i++) {
		const struct fact_key *k = &f->keys[i];
		if (k->instance != instance || k->generation != generation)
			continue;
		struct age a = age_of(f, p, k->spki_sha256, now);
		if (a.reason == AGE_NO_PROOF)
			return a;
		int64_t old_ms = a.old_ms > worst.old_ms ? a.old_ms : worst.old_ms;
		int64_t back_ms = a.back_ms > worst.back_ms ? a.back_ms : worst.back_ms;
		if (first || a.left_ms > worst.left_ms || (a.left_ms == worst.left_ms && a.since_ms > worst.since_ms))
			worst = a;
		worst.back_ms = back_ms;
		worst.old_ms = old_ms;
		first = false;
	}
	return worst;
}

struct age age_late_of_generation(const struct facts *f, unsigned instance, uint64_t generation, struct stamp now)
{
	struct age a = { .reason = AGE_OLD, .server = -1 };
	for (size_t i = 0; i < f->num_keys; i++) {
		const struct fact_key *k = &f->keys[i];
		int digest = k->instance == instance && k->generation == generation ? facts_digest(f, k->spki_sha256) : -1;
		if (digest >= 0)
			later(&a, AGE_LATE, age_late_ms(f, &f->digests[digest]), now);
	}
	return a;
}

static bool added_before(const struct facts *f, struct stamp known)
{
	for (size_t i = 0; i < f->num_digests; i++)
		for (enum record_form form = 0; form < FORM_NUM; form++)
			if (f->digests[i].added[form].count_ms != 0 && f->digests[i].known.count_ms < known.count_ms)
				return true;
	return false;
}

int64_t age_unaware_ms(const struct facts *f)
{
	int64_t until = 0;
	for (size_t m = 0; m < f->roll.num_moves; m++) {
		const struct fact_move *move = &f->roll.moves[m];
		for (size_t i = 0; move->swap_asked.count_ms != 0 && i < f->num_keys; i++) {
			const struct fact_key *k = &f->keys[i];
			int d = k->instance == move->instance && k->generation == move->to ? facts_digest(f, k->spki_sha256) : -1;
			if (d < 0 || !added_before(f, f->digests[d].known))
				continue;
			int64_t settled = f->digests[d].known.count_ms + ROLLOVER_LATE_MS;
			if (settled > until)
				until = settled;
		}
	}
	return until;
}
