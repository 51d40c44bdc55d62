/* sim [-n ROLLS] [-s SEED] [-w] [-g] [-j] [-t]: simulated rolls with faults, from seed SEED on, until ROLLS
 * rolls have run. -w: only the world of this seed. -g: without the guard. -j: with the real journal.
 * -t: tell what happens. Prints the seed of the first failure. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drive.h"

struct tally {
	unsigned worlds, asked, done, back, aborted, first, crashes, updates, lost, backs, edits, excused, steps;
	double simulated_days;
};

static void world_make(struct world *w, uint64_t seed)
{
	static const uint32_t ttls[] = { 30, 60, 300, 900, 3600, 86400 };
	memset(w, 0, sizeof *w);
	w->rng.x = seed * UINT64_C(0x2545f4914f6cdd1d) + 1;
	struct rng *r = &w->rng;
	w->t = 1000000;
	w->num_servers = (size_t)rng_between(r, 1, 4);
	w->num_instances = (size_t)(rng_chance(r, 600) ? 1 : rng_between(r, 2, W_INSTANCES));
	w->negative_ttl_s = ttls[rng_upto(r, 5)];
	w->zone_ttl_s = ttls[rng_upto(r, 4)];
	w->lag_ms = rng_chance(r, 500) ? 2000 : 600000;
	w->check_signatures = rng_chance(r, 250);
	w->signature_life_s = w->check_signatures ? rng_between(r, 3600, 40000) : 1000000000;
	bool rsa = rng_chance(r, 300);
	for (unsigned i = 0; i < w->num_instances; i++) {
		struct winstance *in = &w->instances[i];
		in->rsa = rsa;
		struct wgen *g = world_new_gen(w, i);
		in->active = in->presented = in->first = g->number;
	}
	struct version *v = &w->versions[w->num_versions++];
	v->ttl_s = ttls[rng_upto(r, 6)];
	v->signed_until = w->t / 1000 + w->signature_life_s;
	if (rng_chance(r, 400)) {
		/* a zone with the first keys' records in it, made by hand; and perhaps another */
		for (unsigned i = 0; i < w->num_instances; i++)
			for (unsigned a = 0; a < (rsa ? 2U : 1U); a++) {
				struct tlsa t = world_record(&w->instances[i].gens[0], a);
				(void)!tlsa_set_add(&v->set, &t);
			}
		if (rng_chance(r, 400)) {
			w->foreign = (struct tlsa){ .usage = 3, .selector = 0, .matching = 1, .len = 32, .data = { 7 } };
			(void)!tlsa_set_add(&v->set, &w->foreign);
		}
	}
	if (rng_chance(r, 200)) {
		w->servers[w->num_servers].alias = true;
		w->num_servers++;
	}
	for (unsigned i = 0; i < w->num_servers; i++) {
		w->servers[i].there = true;
		world_serve(w, i, 0);
	}
}

static void policy_make(struct drive *d)
{
	static const uint32_t ttls[] = { 30, 60, 300, 900, 3600 };
	struct rng *r = &d->w->rng;
	d->policy = (struct policy){
		.ttl_s = ttls[rng_upto(r, 5)],
		.wait = d->w->check_signatures ? WAIT_SIGNATURES : WAIT_TWO_TTL,
		.floor_s = rng_chance(r, 100) ? 7200 : 0,
		.confirmations = (unsigned)rng_between(r, 1, 4),
		.poll_s = rng_between(r, 2, 20),
		.watch_s = rng_between(r, 60, 600),
		.cache_margin_s = rng_chance(r, 300) ? 100 : 0,
		.hold_s = rng_between(r, 0, 3600),
		.rotate_every_s = 0,
		/* a record of another kind is in the way until somebody takes it out */
		.own_rrset = d->w->foreign.len != 0 || rng_chance(r, 100),
		.default_identity = rng_chance(r, 800),
	};
	d->w->our_ttl_s = d->policy.ttl_s;
	d->w->margin_ms = d->policy.cache_margin_s * 1000;
	d->crash_per_mille = rng_chance(r, 500) ? 20 : 100;
}

static bool ask(struct drive *d, enum rollover_request request)
{
	struct why why = { 0 };
	enum ec ec = rollover_request(d->facts, &d->policy, request, drive_now(d), &why);
	drive_save(d, ec == EC_OK ? "asked" : "refused", why.text);
	return ec == EC_OK;
}

/* The operator, at every step: rotates when steady, and sometimes has second thoughts. */
static void operate(struct drive *d, struct tally *t)
{
	struct rng *r = &d->w->rng;
	const struct facts *f = d->facts;
	bool running = f->roll.asked.count_ms != 0 && f->roll.ended.count_ms == 0;
	if (!running && rng_chance(r, f->settled.count_ms != 0 ? 100 : 2)) {
		t->asked += ask(d, RQ_ROTATE);
	} else if (d->faults && rng_chance(r, 2)) {
		(void)ask(d, RQ_ABORT);
	} else if (d->faults && running && rng_chance(r, 4)) {
		(void)ask(d, RQ_ROLLBACK);
	}
}

/* Counts a roll when it ends. */
static void count_end(struct drive *d, struct tally *t, int64_t *last)
{
	const struct fact_roll *r = &d->facts->roll;
	if (r->ended.count_ms == 0 || r->ended.count_ms == *last)
		return;
	*last = r->ended.count_ms;
	t->done += r->end == ROLL_DONE;
	t->back += r->end == ROLL_BACK;
	t->aborted += r->end == ROLL_ABORTED;
}

static void calm(struct world *w)
{
	for (size_t i = 0; i < w->num_servers; i++) {
		w->servers[i].silent_until = 0;
		w->servers[i].stuck_until = 0;
	}
	for (size_t i = 0; i < w->num_instances; i++)
		w->instances[i].down_until = 0;
}

/* Without faults, a roll asked for must end, and the world be steady again. */
static bool must_finish(struct drive *d, struct tally *t, int64_t *last)
{
	d->faults = false;
	calm(d->w);
	int64_t limit = d->w->t + INT64_C(86400000) * 12 + d->w->signature_life_s % 1000000000 * 3000;
	bool asked = false;
	unsigned done = t->done;
	for (unsigned step = 0; d->w->t < limit && step < 200000; step++) {
		bool running = d->facts->roll.asked.count_ms != 0 && d->facts->roll.ended.count_ms == 0;
		if (!running && !asked && d->facts->settled.count_ms != 0) {
			asked = ask(d, RQ_ROTATE);
			t->asked += asked;
			done = t->done;
		}
		if (!drive_step(d))
			return false;
		count_end(d, t, last);
		if (asked && t->done > done && d->facts->settled.count_ms != 0)
			return true;
	}
	struct decision dec;
	rollover_decide(d->facts, &d->policy, drive_now(d), &dec);
	(void)snprintf(d->broken, sizeof d->broken, "the roll does not end: %s: %s", rollover_states[dec.state].name, dec.why);
	return false;
}

static bool run_world(uint64_t seed, bool guard, bool journal, bool trace, struct tally *t)
{
	static struct world w;
	world_make(&w, seed);
	struct drive d = { .w = &w, .guard = guard, .faults = true, .trace = trace };
	policy_make(&d);
	struct why why = { 0 };
	if (journal && journal_open(":memory:", &d.journal, &why) != EC_OK) {
		(void)printf("journal: %s\n", why.text);
		return false;
	}
	bool ok = drive_init(&d);
	int64_t last = 0;
	unsigned target = t->done + t->back + t->aborted + 3;
	for (unsigned step = 0; ok && step < 20000 && t->done + t->back + t->aborted < target; step++) {
		operate(&d, t);
		ok = drive_step(&d);
		count_end(&d, t, &last);
	}
	ok = ok && must_finish(&d, t, &last);
	if (!ok)
		(void)printf("seed %llu: %s\n", (unsigned long long)seed, d.broken);
	t->worlds++;
	t->crashes += d.num_crashes;
	t->updates += d.num_updates;
	t->lost += d.num_lost;
	t->backs += d.num_backs;
	t->edits += d.num_edits;
	t->excused += w.num_excused;
	t->steps += d.num_steps;
	t->simulated_days += (double)w.t / 86400000.0;
	drive_fini(&d);
	journal_close(d.journal);
	return ok;
}

int main(int argc, char **argv)
{
	unsigned rolls = 2000;
	uint64_t seed = 1;
	bool one = false, guard = true, journal = false, trace = false;
	for (int c; (c = getopt(argc, argv, "n:s:wgjt")) != -1;) {
		switch (c) {
		case 'n': rolls = (unsigned)strtoul(optarg, NULL, 10); break;
		case 's': seed = strtoull(optarg, NULL, 10); break;
		case 'w': one = true; break;
		case 'g': guard = false; break;
		case 'j': journal = true; break;
		case 't': trace = true; break;
		default: return 2;
		}
	}
	struct tally t = { 0 };
	bool ok = true;
	while (ok && (one ? t.worlds < 1 : t.done + t.back + t.aborted < rolls))
		ok = run_world(seed++, guard, journal, trace, &t);
	(void)printf("%u worlds, %u rolls (%u done, %u rolled back, %u aborted), %u crashes, %u updates (%u of unknown outcome), "
	             "%u servers turned back, %u edits by hand (%u excused), %u decisions, %.0f days: %s\n",
	             t.worlds, t.done + t.back + t.aborted, t.done, t.back, t.aborted, t.crashes, t.updates, t.lost, t.backs, t.edits, t.excused,
	             t.steps, t.simulated_days, ok ? "0 violations" : "FAILED");
	return ok ? 0 : 1;
}
