#include "drive.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "copy.h"
#include "issue.h"
#include "misfortune.h"

static const char *const instance_names[W_INSTANCES] = { "edge-1", "edge-2", "edge-3" };
static const char identity[] = "mx1.example.org";

struct stamp drive_now(struct drive *d)
{
	struct reading r = { .wall_ms = SIM_EPOCH_S * INT64_C(1000) + d->w->t + d->w->wall_offset,
		             .mono = { d->w->t - d->w->boot_t + 5000 } };
	(void)snprintf(r.boot, sizeof r.boot, "boot-%u", d->w->boot);
	return facts_tick(d->facts, &r);
}

static void fail(struct drive *d, const char *what, const char *words)
{
	if (d->broken[0] == '\0')
		(void)snprintf(d->broken, sizeof d->broken, "at %lld s: %s: %s", (long long)(d->w->t / 1000), what, words);
}

bool drive_save(struct drive *d, const char *event, const char *words)
{
	struct stamp now = drive_now(d);
	d->unsaved = d->full_until > d->w->t;
	if (d->unsaved)
		return false;
	if (d->journal != NULL) {
		struct why why = { 0 };
		if (journal_store(d->journal, d->facts, event, words, now, &why) != EC_OK)
			fail(d, "journal", why.text);
	} else {
		facts_copy(d->saved, d->facts);
	}
	world_journalled(d->w);
	if (d->trace && event != NULL)
		(void)printf("%9lld  %s: %s\n", (long long)(d->w->t / 1000), event, words == NULL ? "" : words);
	return true;
}

static void set_instances(struct drive *d)
{
	if (facts_set_instances(d->facts, instance_names, d->w->num_instances) != EC_OK)
		fail(d, "facts_set_instances", "");
}

bool drive_init(struct drive *d)
{
	d->facts = facts_new(identity);
	d->saved = facts_new(identity);
	d->backup = facts_new(identity);
	if (d->facts == NULL || d->saved == NULL || d->backup == NULL)
		return false;
	set_instances(d);
	return drive_save(d, NULL, NULL);
}

void drive_fini(struct drive *d)
{
	free(d->facts);
	free(d->saved);
	free(d->backup);
}

void drive_crash(struct drive *d)
{
	struct world *w = d->w;
	d->num_crashes++;
	issue_crash(d);
	for (size_t i = 0; i < w->num_servers; i++)
		w->servers[i].asked = false; /* and nobody remembers the answer */
	int64_t down = rng_chance(&w->rng, 200) ? rng_between(&w->rng, 60, 7200) : rng_between(&w->rng, 1, 30);
	world_run(w, w->t + down * 1000);
	bool restore = d->backup_t != 0 && d->journal == NULL && strchr(d->without, 'r') == NULL && rng_chance(&w->rng, 10);
	if (restore) {
		/* that takes a person a while, and what was under way is over by then */
		world_run(w, w->t + 1200000);
		world_forget(w, d->backup_t);
		facts_copy(d->saved, d->backup);
		d->num_restored++;
		if (d->trace)
			(void)printf("%9lld  the journal of %lld s is restored\n", (long long)(w->t / 1000), (long long)(d->backup_t / 1000));
	}
	if (rng_chance(&w->rng, 200)) {
		w->boot++;
		w->boot_t = w->t;
		if (!w->check_signatures)
			w->wall_offset += rng_between(&w->rng, -400000, 400000) * 1000;
	}
	d->unsaved = false;
	if (d->journal == NULL) {
		facts_copy(d->facts, d->saved);
	} else {
		free(d->facts);
		d->facts = facts_new(identity);
		struct why why = { 0 };
		if (d->facts == NULL || journal_load(d->journal, d->facts, &why) != EC_OK) {
			fail(d, "journal", why.text);
			return;
		}
	}
	issue_restarted(d);
	set_instances(d);
}

/* A crash may come before or after whatever happens. */
static bool crashes(struct drive *d)
{
	if (!d->faults || !rng_chance(&d->w->rng, d->crash_per_mille))
		return false;
	drive_crash(d);
	return true;
}

static void pass(struct drive *d, int64_t ms)
{
	world_run(d->w, d->w->t + ms);
}

/* ---- questions ---- */

static void report_instance(struct drive *d, unsigned i)
{
	struct world *w = d->w;
	struct winstance *in = &w->instances[i];
	pass(d, rng_between(&w->rng, 1, 50));
	struct stamp now = drive_now(d);
	if (in->down_until > w->t) {
		facts_instance_failed(d->facts, i, "connection refused", now);
		return;
	}
	struct generation gens[W_GENERATIONS] = { 0 };
	size_t n = 0;
	for (size_t g = 0; g < W_GENERATIONS; g++) {
		if (in->gens[g].number == 0)
			continue;
		gens[n].number = in->gens[g].number;
		for (unsigned a = 0; a < KEY_NUM_ALGORITHMS; a++) {
			if (!(in->gens[g].algorithms >> a & 1))
				continue;
			struct key_info *k = &gens[n].keys[gens[n].num_keys++];
			k->algorithm = a;
			const struct wcert *c = &in->gens[g].certs[a];
			k->certified = true;
			k->issuer = c->self_signed ? CERT_SELF_SIGNED : CERT_CA;
			k->not_before.s = c->not_before_s;
			k->not_after.s = c->not_after_s;
			memcpy(k->chain[0].spki_sha256, in->gens[g].spki[a], 32);
			memcpy(k->chain[0].spki_sha512, in->gens[g].spki512[a], 64);
		}
		n++;
	}
	struct report r = { .active = in->active, .presented = in->presented, .algorithms = in->algorithms,
		            .num_generations = n, .generations = gens };
	struct why why = { 0 };
	enum ec ec = facts_report(d->facts, i, &r, now, &why);
	if (ec == EC_NO_SPACE) /* a server that has turned back may show so many former keys: it is waited for */
		facts_instance_failed(d->facts, i, why.text, now);
	else if (ec != EC_OK)
		fail(d, "facts_report", why.text);
}

static void ask_server(struct drive *d, unsigned i)
{
	struct world *w = d->w;
	struct server *s = &w->servers[i];
	pass(d, rng_between(&w->rng, 1, 200));
	char address[FACT_ADDRESS];
	(void)snprintf(address, sizeof address, "192.0.2.%u", i + 1);
	char name[FACT_NAME];
	(void)snprintf(name, sizeof name, "ns%u.example.org", i);
	int row = facts_server(d->facts, name, address);
	if (row < 0)
		return;
	struct stamp now = drive_now(d);
	if (!s->there || s->silent_until > w->t) {
		facts_silence(d->facts, (unsigned)row, "no answer in 2s", now);
		return;
	}
	struct version *v = &w->versions[s->version];
	if (s->version == w->num_versions - 1 && v->signed_until - w->t / 1000 < w->signature_life_s / 2)
		v->signed_until = w->t / 1000 + w->signature_life_s;
	struct answer a = { .ttl_s = w->zone_ttl_s, .validity = VALIDITY_SECURE, .serial = 100 + s->version, .alias = s->alias };
	if (!s->alias) {
		a.set = v->set;
		a.ttl_s = v->set.num == 0 ? w->negative_ttl_s : v->ttl_s;
		a.signature_expires.s = SIM_EPOCH_S + v->signed_until;
		if (v->signed_until <= w->t / 1000)
			a.validity = VALIDITY_BOGUS;
		s->asked = true;
	}
	facts_answer(d->facts, (unsigned)row, &a, d->policy.confirmations, rollover_gap_ms(&d->policy), now);
}

static void look(struct drive *d)
{
	for (unsigned i = 0; i < d->w->num_servers; i++)
		ask_server(d, i);
	for (unsigned i = 0; i < d->w->num_instances; i++)
		report_instance(d, i);
	facts_looked(d->facts, drive_now(d));
}

static void find(struct drive *d)
{
	struct world *w = d->w;
	pass(d, rng_between(&w->rng, 1, 500));
	if (d->faults && rng_chance(&w->rng, 30)) {
		facts_zone_failed(d->facts, "SERVFAIL", drive_now(d));
		return;
	}
	struct server_id ids[W_SERVERS] = { 0 };
	size_t n = 0;
	for (unsigned i = 0; i < w->num_servers; i++) {
		if (!w->servers[i].there)
			continue;
		(void)snprintf(ids[n].name, sizeof ids[n].name, "ns%u.example.org", i);
		(void)snprintf(ids[n].address, sizeof ids[n].address, "192.0.2.%u", i + 1);
		n++;
	}
	const char *addresses[W_INSTANCES] = { "203.0.113.1", "203.0.113.2", "203.0.113.3" };
	if (facts_set_servers(d->facts, ids, n, drive_now(d)) != EC_OK ||
	    facts_set_addresses(d->facts, addresses, w->num_instances) != EC_OK)
		fail(d, "facts_set_servers", "");
}

/* Is there any key of this algorithm? Only then it is asked for. */
static bool known(const struct facts *f, enum key_algorithm algorithm)
{
	for (size_t i = 0; i < f->num_keys; i++)
		if (f->keys[i].algorithm == algorithm)
			return true;
	return false;
}

static void probe(struct drive *d)
{
	static const uint8_t of_the_default_identity[32] = { 0xde, 0xfa };
	struct world *w = d->w;
	for (unsigned i = 0; i < w->num_instances; i++) {
		struct winstance *in = &w->instances[i];
		char address[FACT_ADDRESS];
		(void)snprintf(address, sizeof address, "203.0.113.%u", i + 1);
		for (unsigned a = 0; a < KEY_NUM_ALGORITHMS; a++) {
			for (unsigned sni = 0; sni < SNI_NUM; sni++) {
				if (!known(d->facts, a))
					continue;
				pass(d, rng_between(&w->rng, 1, 40));
				struct wgen *g = world_gen(w, i, in->presented);
				bool down = in->down_until > w->t || !(g->algorithms >> a & 1) || (d->faults && rng_chance(&w->rng, 10));
				bool other = sni != SNI_RIGHT && !d->policy.default_identity;
				facts_probe(d->facts, address, a, sni, down ? NULL : other ? of_the_default_identity : g->spki[a],
				            down ? "no answer" : NULL, drive_now(d));
			}
		}
	}
	facts_probed(d->facts, drive_now(d));
}

/* ---- actions ---- */

static void update(struct drive *d, const struct decision *dec)
{
	struct world *w = d->w;
	struct why why = { 0 };
	d->num_updates++;
	if (d->guard && rollover_check_write(d->facts, &d->policy, &dec->adds, &dec->deletes, drive_now(d), &why) != EC_OK) {
		fail(d, "the guard refuses the write", why.text);
		return;
	}
	facts_update_sent(d->facts, &dec->adds, &dec->deletes, d->policy.ttl_s, drive_now(d));
	if (!drive_save(d, "update", dec->why) || crashes(d))
		return;
	int fate = d->faults ? (int)rng_upto(&w->rng, 100) : 99;
	struct late late = { LATE_UPDATE, w->t + rng_between(&w->rng, 2, 300) * 1000, dec->adds, dec->deletes,
		             d->policy.ttl_s, 0, 0, false };
	enum outcome outcome = OUTCOME_OK;
	const char *words = NULL;
	if (fate < 8) {
		outcome = OUTCOME_FAILED;
		words = "REFUSED: TSIG key not allowed for this zone";
	} else if (fate < 18) {
		outcome = OUTCOME_UNKNOWN; /* lost on the way there */
	} else if (fate < 28) {
		outcome = OUTCOME_UNKNOWN; /* the answer lost on the way back */
		world_update(w, &dec->adds, &dec->deletes, d->policy.ttl_s);
	} else if (fate < 38) {
		outcome = OUTCOME_UNKNOWN;
		world_late(w, &late);
	} else {
		world_update(w, &dec->adds, &dec->deletes, d->policy.ttl_s);
		if (fate < 45)
			world_late(w, &late); /* applied twice */
	}
	d->num_lost += outcome == OUTCOME_UNKNOWN;
	pass(d, outcome == OUTCOME_UNKNOWN ? 2000 : 5);
	if (crashes(d))
		return;
	facts_update_done(d->facts, outcome, outcome == OUTCOME_UNKNOWN ? "no answer in 2s" : words, drive_now(d));
	(void)drive_save(d, "update done", outcome == OUTCOME_OK ? "accepted" : outcome == OUTCOME_FAILED ? "refused" : "unknown");
}

static enum outcome carry_out(struct drive *d, enum ask_kind kind, unsigned instance, uint64_t generation)
{
	struct world *w = d->w;
	struct winstance *in = &w->instances[instance];
	if (in->down_until > w->t)
		return OUTCOME_FAILED;
	int fate = d->faults ? (int)rng_upto(&w->rng, 100) : 99;
	if (fate < 5 || (kind == ASK_SWAP && in->guarded_until > w->t))
		return OUTCOME_FAILED;
	if (fate < 10)
		return OUTCOME_UNKNOWN; /* nothing happened */
	if (kind == ASK_PREPARE) {
		for (size_t g = 0; g < W_GENERATIONS; g++)
			if (in->gens[g].number > in->active)
				return OUTCOME_OK;
		(void)world_new_gen(w, instance);
	} else if (kind == ASK_SWAP) {
		if (fate < 18 && generation > in->active) {
			struct late l = { LATE_SWAP, w->t + rng_between(&w->rng, 1, 20) * 1000, { 0 }, { 0 }, 0, instance,
				          generation, w->forced };
			world_late(w, &l);
			return OUTCOME_UNKNOWN;
		}
		world_swaps_arrive(w, instance); /* what was sent before is read before */
		world_present(w, instance, generation);
	} else if (kind == ASK_RETIRE) {
		struct wgen *g = world_gen(w, instance, generation);
		if (generation == in->active)
			return OUTCOME_FAILED;
		if (g != NULL)
			g->number = 0;
	}
	return fate < 25 ? OUTCOME_UNKNOWN : OUTCOME_OK;
}

void drive_expose(struct drive *d)
{
	uint32_t ttl_s = facts_ttl_max(d->facts) > d->policy.ttl_s ? facts_ttl_max(d->facts) : d->policy.ttl_s;
	d->w->exposure_ms = (2 * (int64_t)ttl_s + d->policy.cache_margin_s) * 1000;
}

static void ask(struct drive *d, const struct decision *dec, enum ask_kind kind)
{
	struct why why = { 0 };
	if (kind == ASK_SWAP && d->guard &&
	    rollover_check_swap(d->facts, &d->policy, dec->instance, dec->generation, drive_now(d), &why) != EC_OK) {
		fail(d, "the guard refuses the swap", why.text);
		return;
	}
	if (kind == ASK_SWAP)
		issue_check_swap(d, dec->instance, dec->generation);
	if (kind == ASK_SWAP && d->w->forced)
		drive_expose(d);
	facts_asked(d->facts, dec->instance, kind, dec->generation, drive_now(d));
	if (!drive_save(d, rollover_action_name(dec->action), dec->why) || crashes(d))
		return;
	enum outcome outcome = carry_out(d, kind, dec->instance, dec->generation);
	pass(d, rng_between(&d->w->rng, 1, 300));
	if (crashes(d))
		return;
	facts_ask_done(d->facts, dec->instance, outcome, outcome == OUTCOME_OK ? NULL : "it did not work");
	(void)drive_save(d, NULL, NULL);
}

static void wait(struct drive *d, const struct decision *dec)
{
	struct world *w = d->w;
	int64_t ms = issue_wait_ms(d, dec->wake_ms > 0 ? dec->wake_ms : 1000);
	bool trouble = d->faults && rng_chance(&w->rng, 80);
	pass(d, trouble ? rng_upto(&w->rng, ms + 1) : ms);
	if (trouble)
		misfortune(d, dec);
	if (d->faults && dec->state == RO_DISABLED && rng_chance(&w->rng, 200))
		misfortune_by_hand(d);
}

/* A roll that says it is done has changed the key everywhere and left nothing behind. */
static void check_done(struct drive *d)
{
	const struct world *w = d->w;
	for (size_t i = 0; i < d->facts->roll.num_moves; i++) {
		const struct fact_move *m = &d->facts->roll.moves[i];
		const struct winstance *in = &w->instances[m->instance];
		if (in->presented < m->to)
			fail(d, "a roll is done", "and an instance presents the old key");
		for (size_t g = 0; g < W_GENERATIONS; g++)
			if (in->gens[g].number == m->from)
				fail(d, "a roll is done", "and the old key is still there");
	}
}

bool drive_step(struct drive *d)
{
	struct decision dec;
	struct why event = { 0 };
	d->num_steps++;
	issue_run(d);
	if (d->unsaved && !drive_save(d, NULL, NULL)) {
		pass(d, d->policy.poll_s * 1000);
		return d->broken[0] == '\0';
	}
	const struct fact_roll *roll = &d->facts->roll;
	bool running = roll->asked.count_ms != 0 && roll->ended.count_ms == 0;
	if (d->w->off && d->facts->off.asked.count_ms == 0)
		world_tell(d->w); /* switched on again: by the operator, or with an old journal */
	d->w->off = d->facts->off.asked.count_ms != 0;
	d->w->forced = running && roll->emergency && roll->forced;
	rollover_decide(d->facts, &d->policy, drive_now(d), &dec);
	unsigned before = d->facts->shown_state;
	bool known = d->facts->shown_since.s != 0;
	if (rollover_show(d->facts, &dec, drive_now(d))) {
		if (known && !step_allowed(rollover_states, RO_NUM_STATES, before, dec.state))
			fail(d, "a state that may not follow", rollover_states[before].name);
		if (d->trace)
			(void)printf("%9lld %s: %s [%s]\n", (long long)(d->w->t / 1000), rollover_states[dec.state].name, dec.why,
			             dec.waiting_for);
	}
	switch (dec.action) {
	case RA_NONE:
		wait(d, &dec);
		break;
	case RA_RECORD:
		rollover_record(d->facts, &d->policy, &dec, drive_now(d), &event);
		if (dec.mark == RM_ENDED && d->facts->roll.end == ROLL_DONE)
			check_done(d);
		(void)drive_save(d, "noted", event.text);
		(void)crashes(d);
		break;
	case RA_FIND:
		find(d);
		if (!crashes(d))
			(void)drive_save(d, NULL, NULL);
		break;
	case RA_LOOK:
		look(d);
		if (!crashes(d))
			(void)drive_save(d, NULL, NULL);
		break;
	case RA_PROBE:
		probe(d);
		if (!crashes(d))
			(void)drive_save(d, NULL, NULL);
		break;
	case RA_UPDATE:
		update(d, &dec);
		break;
	case RA_CERTIFY:
		issue_start(d, &dec);
		break;
	case RA_PREPARE:
		ask(d, &dec, ASK_PREPARE);
		break;
	case RA_SWAP:
		ask(d, &dec, ASK_SWAP);
		break;
	case RA_RETIRE:
		ask(d, &dec, ASK_RETIRE);
		break;
	default:
		assert(false && "an action");
	}
	if (d->w->broken[0] != '\0')
		fail(d, "broken promise", d->w->broken);
	return d->broken[0] == '\0';
}
