/* sim [-n ROLLS] [-s SEED] [-x LETTERS] [-w] [-g] [-j] [-t]: simulated rolls with faults, from seed SEED on, until ROLLS
 * rolls have run. -w: only the world of this seed. -g: without the guard. -j: with the real journal.
 * -t: tell what happens. -x: without what LETTERS stand for: r journals restored, f full disks, c changes
 * of the configuration, e forced emergencies, o DANE off and on, i the
 * issuer's command. Prints the seed of the first failure. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "issue.h"

struct tally {
	unsigned worlds, asked, done, back, aborted, crashes, updates, lost, backs, edits, excused, restored, full, emergencies,
		forced, forgiven, disabled, hands, pairs, issues, certificates, steps;
	double simulated_days;
};

static unsigned ended(const struct tally *t)
{
	return t->done + t->back + t->aborted;
}

/* A zone with the first keys' records in it, made by hand; and perhaps one of another kind. */
static void zone_make(struct world *w, struct version *v)
{
	for (unsigned i = 0; i < w->num_instances; i++)
		for (unsigned a = 0; a < KEY_NUM_ALGORITHMS; a++) {
			struct tlsa t = world_record(&w->instances[i].gens[0], a, FORM_311);
			if (w->instances[i].algorithms >> a & 1)
				(void)!tlsa_set_add(&v->set, &t);
		}
	if (rng_chance(&w->rng, 400)) {
		w->foreign = (struct tlsa){ .usage = 3, .selector = 0, .matching = 1, .len = 32, .data = { 7 } };
		(void)!tlsa_set_add(&v->set, &w->foreign);
	}
}

static void world_make(struct world *w, uint64_t seed)
{
	static const uint32_t ttls[] = { 30, 60, 300, 900, 3600, 86400 };
	memset(w, 0, offsetof(struct world, spans));
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
	unsigned algorithms = 1U << KEY_ECDSA_P256 | (rng_chance(r, 300) ? 1U << KEY_RSA_3072 : 0);
	struct version *v = &w->versions[w->num_versions++];
	*v = (struct version){ .ttl_s = ttls[rng_upto(r, 6)], .signed_until = w->t / 1000 + w->signature_life_s };
	for (unsigned i = 0; i < w->num_instances; i++) {
		struct winstance *in = &w->instances[i];
		in->algorithms = algorithms;
		struct wgen *g = world_new_gen(w, i);
		in->active = in->presented = in->first = g->number;
		v->told[i] = g->number;
	}
	if (rng_chance(r, 400))
		zone_make(w, v);
	if (rng_chance(r, 200))
		w->servers[w->num_servers++].alias = true;
	for (unsigned i = 0; i < w->num_servers; i++) {
		w->servers[i].there = true;
		world_serve(w, i, 0);
	}
}

static void policy_make(struct drive *d)
{
	static const uint32_t ttls[] = { 30, 60, 300, 900, 3600 };
	static const int64_t watches[] = { 60, 600, 3600, 3600 };
	/* who has long TTLs does not look every minute: it would only take longer */
	bool slow = d->w->versions[0].ttl_s > 3600 || d->w->negative_ttl_s >= 3600;
	struct rng *r = &d->w->rng;
	d->policy = (struct policy){
		.ttl_s = ttls[rng_upto(r, 5)],
		.wait = d->w->check_signatures ? WAIT_SIGNATURES : WAIT_TWO_TTL,
		.floor_s = rng_chance(r, 100) ? 7200 : 0,
		.confirmations = (unsigned)rng_between(r, 1, 4),
		.poll_s = rng_between(r, 2, 20),
		.watch_s = watches[rng_between(r, slow ? 2 : 0, 3)],
		.cache_margin_s = rng_chance(r, 300) ? 100 : 0,
		.hold_s = rng_between(r, 0, 3600),
		.rotate_every_s = 0,
		/* else a record of another kind is in the way until somebody takes it out */
		.own_rrset = rng_chance(r, d->w->foreign.len != 0 ? 700 : 100),
		.default_identity = rng_chance(r, 800),
	};
	if (rng_chance(r, 200))
		d->ttl_other = ttls[rng_upto(r, 5)];
	if (strchr(d->without, 'i') == NULL && rng_chance(r, 300)) {
		d->policy.issuer = ISSUER_COMMAND;
		d->policy.retry_s = rng_between(r, 30, 600);
		d->cert_life_s = rng_between(r, 10000, 500000);
		d->policy.renew_before_s = rng_chance(r, 500) ? 0 : d->cert_life_s / 2;
	}
	/* The zone has room for sixteen records. */
	bool small = d->w->num_instances == 1 && d->w->foreign.len == 0;
	if (small && rng_chance(r, 300))
		d->policy.forms = rng_chance(r, 500) ? 1U << FORM_312 : 1U << FORM_311 | 1U << FORM_312;
	if (small && rng_chance(r, 300))
		d->forms_other = rng_chance(r, 500) ? 1U << FORM_311 : 1U << FORM_311 | 1U << FORM_312;
	d->w->stale_ms = d->policy.floor_s * 1000;
	d->w->our_ttl_s = d->policy.ttl_s;
	d->w->margin_ms = d->policy.cache_margin_s * 1000;
	d->crash_per_mille = rng_chance(r, 500) ? 20 : 100;
}

static bool ask(struct drive *d, enum rollover_request request)
{
	struct why why = { 0 };
	enum ec ec = rollover_request(d->facts, &d->policy, request, drive_now(d), &why);
	(void)drive_save(d, ec == EC_OK ? "asked" : "refused", why.text);
	if (ec == EC_OK && request == RQ_ENABLE)
		world_tell(d->w);
	if (ec == EC_OK && request == RQ_EMERGENCY_FORCED)
		drive_expose(d);
	return ec == EC_OK;
}

/* The operator, at every step: rotates when steady, and sometimes has second thoughts. */
static void operate(struct drive *d, struct tally *t)
{
	struct rng *r = &d->w->rng;
	const struct facts *f = d->facts;
	bool running = f->roll.asked.count_ms != 0 && f->roll.ended.count_ms == 0;
	bool off = f->off.asked.count_ms != 0;
	if (!running && rng_chance(r, f->settled.count_ms != 0 ? 100 : 2))
		t->asked += ask(d, RQ_ROTATE);
	else if (off && rng_chance(r, f->off.done.count_ms != 0 ? 50 : 5))
		(void)ask(d, RQ_ENABLE);
	else if (rng_chance(r, 2))
		(void)ask(d, RQ_ABORT);
	else if (running && rng_chance(r, 4))
		(void)ask(d, RQ_ROLLBACK);
	else if (rng_chance(r, 1))
		t->emergencies += ask(d, RQ_EMERGENCY);
	else if (strchr(d->without, 'e') == NULL && rng_upto(r, 4000) == 0)
		t->forced += ask(d, RQ_EMERGENCY_FORCED);
	else if (strchr(d->without, 'o') == NULL && rng_upto(r, 4000) == 0)
		t->disabled += ask(d, RQ_DISABLE);
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

static void calm(struct drive *d)
{
	struct world *w = d->w;
	d->faults = false;
	d->full_until = d->ca_down_until = 0;
	if (d->policy.issuer == ISSUER_COMMAND)
		w->wall_offset = 0; /* else a certificate may be one of next week's for long */
	for (size_t i = 0; i < w->num_servers; i++) {
		w->servers[i].silent_until = 0;
		w->servers[i].stuck_until = 0;
	}
	for (size_t i = 0; i < w->num_instances; i++)
		w->instances[i].down_until = w->instances[i].guarded_until = 0;
	if (!d->policy.own_rrset)
		world_hand_clean(w);
	/* A journal from before the records of another form were made calls them somebody else's, and
	 * says what to do. */
	if (d->num_restored > 0)
		d->policy.own_rrset = true;
}

/* Without faults, DANE must come on again, a roll asked for must end, and the world be
 * steady again. */
static bool must_finish(struct drive *d, struct tally *t, int64_t *last)
{
	calm(d);
	int64_t limit = d->w->t + INT64_C(86400000) * 12 + d->w->signature_life_s % 1000000000 * 3000;
	const struct facts *f = d->facts;
	bool asked = false;
	unsigned done = t->done;
	for (unsigned step = 0; d->w->t < limit && step < 200000; step++) {
		bool running = f->roll.asked.count_ms != 0 && f->roll.ended.count_ms == 0;
		if (f->off.done.count_ms != 0)
			(void)ask(d, RQ_ENABLE);
		if (!running && !asked && f->settled.count_ms != 0) {
			asked = ask(d, RQ_ROTATE);
			t->asked += asked;
			done = t->done;
		}
		if (!drive_step(d))
			return false;
		count_end(d, t, last);
		if (asked && t->done > done && f->settled.count_ms != 0 && issue_all_good(d))
			return true;
	}
	struct decision dec;
	rollover_decide(d->facts, &d->policy, drive_now(d), &dec);
	(void)snprintf(d->broken, sizeof d->broken, "the roll does not end: %s: %s", rollover_states[dec.state].name, dec.why);
	return false;
}

static void count(const struct drive *d, struct tally *t)
{
	t->worlds++;
	t->crashes += d->num_crashes;
	t->updates += d->num_updates;
	t->lost += d->num_lost;
	t->backs += d->num_backs;
	t->edits += d->num_edits;
	t->restored += d->num_restored;
	t->full += d->num_full;
	t->hands += d->num_hands;
	t->issues += d->num_issues;
	t->certificates += d->num_certificates;
	t->excused += d->w->num_excused;
	t->forgiven += d->w->num_forgiven;
	t->steps += d->num_steps;
	t->simulated_days += (double)d->w->t / 86400000.0;
}

struct options {
	uint64_t seed;
	const char *without;
	bool guard, journal, trace;
};

static bool drive_make(struct drive *d, struct world *w, const struct options *o, uint64_t seed)
{
	world_make(w, seed);
	*d = (struct drive){ .w = w, .without = o->without, .guard = o->guard, .faults = true, .trace = o->trace };
	policy_make(d);
	struct why why = { 0 };
	if (o->journal && journal_open(":memory:", &d->journal, &why) != EC_OK) {
		(void)printf("journal: %s\n", why.text);
		return false;
	}
	return drive_init(d);
}

static bool drive_end(struct drive *d, const struct options *o, struct tally *t, bool ok)
{
	if (!ok)
		(void)printf("seed %llu: %s\n", (unsigned long long)o->seed, d->broken);
	count(d, t);
	drive_fini(d);
	journal_close(d->journal);
	return ok;
}

static bool run_one(const struct options *o, struct tally *t)
{
	static struct world w;
	struct drive d;
	bool ok = drive_make(&d, &w, o, o->seed);
	int64_t last = 0;
	unsigned target = ended(t) + 3;
	for (unsigned step = 0; ok && step < 20000 && ended(t) < target; step++) {
		operate(&d, t);
		ok = drive_step(&d);
		count_end(&d, t, &last);
	}
	ok = ok && must_finish(&d, t, &last);
	return drive_end(&d, o, t, ok);
}

static bool rolling_planned(const struct drive *d)
{
	const struct fact_roll *r = &d->facts->roll;
	return rollover_rolling(d->facts) && !r->emergency;
}

/* Two MX hosts of one domain, each with its own zone and instances: the domain's mail must
 * always have one that does not roll, unless the operator says that it is an emergency. */
static bool run_pair(const struct options *o, struct tally *t)
{
	static struct world w[2];
	static const char *const blocked[2] = { "mx2.example.org is rolling", "mx1.example.org is rolling" };
	struct drive d[2];
	int64_t last[2] = { 0 };
	bool ok[2];
	for (unsigned i = 0; i < 2; i++)
		ok[i] = drive_make(&d[i], &w[i], o, o->seed + i * UINT64_C(0x100000000));
	unsigned target = ended(t) + 6;
	t->pairs++;
	for (unsigned step = 0; ok[0] && ok[1] && step < 40000 && ended(t) < target; step++) {
		unsigned i = w[0].t <= w[1].t ? 0 : 1; /* whose turn it is */
		d[i].policy.blocked = rollover_rolling(d[!i].facts) ? blocked[i] : NULL;
		operate(&d[i], t);
		ok[i] = drive_step(&d[i]);
		count_end(&d[i], t, &last[i]);
		bool honest = d[0].num_restored + d[1].num_restored == 0; /* an old journal may hold an old roll */
		if (ok[i] && honest && rolling_planned(&d[0]) && rolling_planned(&d[1])) {
			(void)snprintf(d[i].broken, sizeof d[i].broken, "two MX hosts of one domain roll at a time");
			ok[i] = false;
		}
	}
	for (unsigned i = 0; i < 2; i++) {
		d[i].policy.blocked = NULL;
		ok[i] = ok[i] && ok[!i] && must_finish(&d[i], t, &last[i]);
	}
	bool first = drive_end(&d[0], o, t, ok[0] || d[0].broken[0] == '\0');
	return drive_end(&d[1], o, t, ok[1] || d[1].broken[0] == '\0') && first;
}

static void print(const struct tally *t, bool ok)
{
	(void)printf("%u worlds (%u pairs of MX hosts), %u rolls (%u done, %u rolled back, %u aborted), %u emergencies, %u forced "
	             "(%u sets forgiven), %u times off (%u keys by hand), %u crashes, %u journals restored, %u disks full, "
	             "%u updates (%u of unknown outcome), %u servers turned back, %u edits by hand (%u excused), %u certificates "
	             "(%u runs of the issuer), %u decisions, "
	             "%.0f days: %s\n",
	             t->worlds, t->pairs, ended(t), t->done, t->back, t->aborted, t->emergencies, t->forced, t->forgiven, t->disabled,
	             t->hands, t->crashes, t->restored, t->full, t->updates, t->lost, t->backs, t->edits, t->excused, t->certificates, t->issues,
	             t->steps,
	             t->simulated_days, ok ? "0 violations" : "FAILED");
}

int main(int argc, char **argv)
{
	unsigned rolls = 2000;
	struct options o = { .seed = 1, .guard = true, .without = "" };
	bool one = false;
	for (int c; (c = getopt(argc, argv, "n:s:x:wgjt")) != -1;) {
		switch (c) {
		case 'n': rolls = (unsigned)strtoul(optarg, NULL, 10); break;
		case 's': o.seed = strtoull(optarg, NULL, 10); break;
		case 'x': o.without = optarg; break;
		case 'w': one = true; break;
		case 'g': o.guard = false; break;
		case 'j': o.journal = true; break;
		case 't': o.trace = true; break;
		default: return 2;
		}
	}
	struct tally t = { 0 };
	bool ok = true;
	for (; ok && (one ? t.worlds < 1 : ended(&t) < rolls); o.seed++)
		ok = o.seed % 16 == 0 ? run_pair(&o, &t) : run_one(&o, &t);
	print(&t, ok);
	return ok ? 0 : 1;
}
