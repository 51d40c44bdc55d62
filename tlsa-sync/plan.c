/* The plan runs the real decision over a copy of the facts, in a world where each
 * action works at once and every server answers what was last written. */
#include "tlsa-sync/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tlsa-sync/decide.h"

enum { PLAN_ROUNDS = 20000 };

struct dream {
	struct facts *f;
	struct policy p;
	struct reading clock;
	struct tlsa_set zone;  /* what every server serves */
	uint32_t ttl_s;
	uint32_t negative_ttl_s;
	uint8_t next_digest;   /* for keys not made yet */
};

static struct stamp dream_now(struct dream *m)
{
	return facts_tick(m->f, &m->clock);
}

static void dream_pass(struct dream *m, int64_t ms)
{
	m->clock.wall_ms += ms;
	m->clock.mono.ms += ms;
}

/* The zone as the servers serve it now: one that answers, or else nothing. */
static void dream_begin(struct dream *m, struct stamp now)
{
	m->clock = (struct reading){ .wall_ms = now.wall.s * 1000, .mono = { 0 }, .boot = "plan" };
	m->f->clock = (struct fact_clock){ m->clock, now.count_ms, m->f->clock.booted_ms };
	m->ttl_s = m->p.ttl_s;
	m->negative_ttl_s = facts_ttl_max(m->f);
	bool found = false;
	for (size_t i = 0; i < m->f->num_servers; i++) {
		struct fact_server *s = &m->f->servers[i];
		s->silent = (struct stamp){ 0 };
		if (s->answered.count_ms == 0 || s->alias || found)
			continue;
		found = true;
		m->zone = s->set;
		m->ttl_s = s->ttl_s;
	}
	for (size_t i = 0; i < m->f->num_instances; i++)
		m->f->instances[i].failed = (struct stamp){ 0 };
	m->f->zone_failed = (struct stamp){ 0 };
}

static void dream_look(struct dream *m)
{
	struct answer a = { .set = m->zone, .ttl_s = m->zone.num == 0 ? m->negative_ttl_s : m->ttl_s,
		            .validity = VALIDITY_SECURE, .signature_expires = { m->clock.wall_ms / 1000 + 86400 } };
	struct stamp now = dream_now(m);
	for (unsigned s = 0; s < m->f->num_servers; s++) {
		struct answer mine = a;
		mine.alias = m->f->servers[s].alias;
		mine.serial = m->f->servers[s].serial;
		if (m->f->servers[s].signature_expires.s != 0 && m->p.wait == WAIT_SIGNATURES)
			mine.signature_expires = m->f->servers[s].signature_expires;
		facts_answer(m->f, s, &mine, m->p.confirmations, rollover_gap_ms(&m->p), now);
	}
	for (size_t i = 0; i < m->f->num_instances; i++)
		if (m->f->instances[i].heard.count_ms != 0)
			m->f->instances[i].heard = now;
	facts_looked(m->f, now);
}

/* A key that does not exist yet: any digest will do. */
static void dream_prepare(struct dream *m, unsigned instance)
{
	struct facts *f = m->f;
	uint64_t last = 0;
	for (size_t i = 0; i < f->num_keys; i++)
		if (f->keys[i].instance == instance && f->keys[i].generation > last)
			last = f->keys[i].generation;
	unsigned algorithms = f->instances[instance].algorithms;
	for (size_t i = 0; i < f->num_keys && f->instances[instance].algorithms == 0; i++)
		if (f->keys[i].instance == instance && f->keys[i].generation == f->instances[instance].active)
			algorithms |= 1u << f->keys[i].algorithm;
	for (unsigned a = 0; a < KEY_NUM_ALGORITHMS && f->num_keys < FACT_KEYS && f->num_digests < FACT_DIGESTS; a++) {
		struct fact_key k = { .instance = instance, .generation = last + 1, .algorithm = a, .certified = true,
			              .not_after.s = INT64_MAX };
		if ((algorithms & 1u << a) == 0)
			continue;
		memset(k.spki_sha256, 0xd0, sizeof k.spki_sha256);
		memset(k.spki_sha512, 0xd0, sizeof k.spki_sha512);
		k.spki_sha256[0] = k.spki_sha512[0] = m->next_digest++;
		f->keys[f->num_keys++] = k;
		struct fact_digest *d = &f->digests[f->num_digests++];
		*d = (struct fact_digest){ .algorithm = k.algorithm, .known = dream_now(m) };
		memcpy(d->spki_sha256, k.spki_sha256, 32);
		memcpy(d->spki_sha512, k.spki_sha512, 64);
	}
}

static void dream_certify(struct dream *m, const struct decision *d)
{
	facts_issue_sent(m->f, d->instance, d->generation, d->algorithm, d->tries, dream_now(m));
	for (size_t i = 0; i < m->f->num_keys; i++) {
		struct fact_key *k = &m->f->keys[i];
		if (k->instance != d->instance || k->generation != d->generation || k->algorithm != d->algorithm)
			continue;
		k->certified = true;
		k->self_signed = false;
		k->not_before.s = 0;
		k->not_after.s = INT64_MAX;
		memset(k->cert_sha256, 0, sizeof k->cert_sha256); /* another one */
	}
	facts_issue_done(m->f, OUTCOME_OK, NULL, dream_now(m));
}

static void dream_probe(struct dream *m)
{
	struct facts *f = m->f;
	struct stamp now = dream_now(m);
	for (size_t a = 0; a < f->num_addresses; a++)
		for (size_t i = 0; i < f->num_keys; i++)
			for (unsigned sni = 0; sni < SNI_NUM; sni++)
				if (f->keys[i].generation == f->instances[f->keys[i].instance].presented)
					facts_probe(f, f->addresses[a], f->keys[i].algorithm, sni, f->keys[i].spki_sha256, NULL, now);
	facts_probed(f, now);
}

static void dream_retire(struct dream *m, unsigned instance, uint64_t generation)
{
	struct facts *f = m->f;
	size_t n = 0;
	for (size_t i = 0; i < f->num_keys; i++)
		if (f->keys[i].instance != instance || f->keys[i].generation != generation)
			f->keys[n++] = f->keys[i];
	f->num_keys = n;
}

static void dream_ask(struct dream *m, const struct decision *d)
{
	enum ask_kind kind = d->action == RA_PREPARE   ? ASK_PREPARE
	                     : d->action == RA_SWAP    ? ASK_SWAP
	                                               : ASK_RETIRE;
	facts_asked(m->f, d->instance, kind, d->generation, dream_now(m));
	if (kind == ASK_PREPARE)
		dream_prepare(m, d->instance);
	else if (kind == ASK_SWAP)
		m->f->instances[d->instance].active = m->f->instances[d->instance].presented = d->generation;
	else
		dream_retire(m, d->instance, d->generation);
	facts_ask_done(m->f, d->instance, OUTCOME_OK, NULL);
	dream_pass(m, 1);
	m->f->instances[d->instance].heard = dream_now(m);
}

static void dream_act(struct dream *m, const struct decision *d)
{
	struct why event;
	switch (d->action) {
	case RA_NONE:
		dream_pass(m, d->wake_ms > 0 ? d->wake_ms : 1000);
		break;
	case RA_RECORD:
		rollover_record(m->f, &m->p, d, dream_now(m), &event);
		break;
	case RA_FIND:
		m->f->zone_found = dream_now(m);
		m->f->zone_failed = (struct stamp){ 0 };
		break;
	case RA_LOOK:
		dream_look(m);
		break;
	case RA_PROBE:
		dream_probe(m);
		break;
	case RA_CERTIFY:
		dream_certify(m, d);
		break;
	case RA_UPDATE:
		facts_update_sent(m->f, &d->adds, &d->deletes, m->p.ttl_s, dream_now(m));
		m->ttl_s = d->adds.num > 0 ? m->p.ttl_s : m->ttl_s;
		if (tlsa_set_union(&m->zone, &d->adds) == EC_OK)
			tlsa_set_subtract(&m->zone, &d->deletes);
		facts_update_done(m->f, OUTCOME_OK, NULL, dream_now(m));
		break;
	default:
		dream_ask(m, d);
	}
	dream_pass(m, 1);
}

static void plan_note(struct plan *out, const struct decision *d, struct wall at)
{
	/* AGEING right after SPREADING at the same second is the tale; but the same state twice is not. */
	if (out->num > 0 && out->steps[out->num - 1].state == d->state)
		return;
	if (out->num == PLAN_MAX)
		return;
	struct plan_step *s = &out->steps[out->num++];
	s->at = at;
	s->state = d->state;
	words_keep(s->words, sizeof s->words, d->why);
}

/* A plan without a zone, or without a report, ends where the waiting begins. */
static bool stuck(const struct facts *f, const struct decision *d)
{
	if (f->num_servers == 0 && (d->state == RO_PUBLISHING || d->state == RO_WITHDRAWING || d->action == RA_FIND))
		return true;
	if (f->off.asked.count_ms != 0)
		return false; /* it does not need them */
	for (size_t i = 0; i < f->num_instances; i++)
		if (f->instances[i].heard.count_ms == 0 || f->instances[i].active == 0)
			return true;
	return f->num_instances == 0;
}

enum ec rollover_plan(const struct facts *f, const struct policy *p, struct stamp now, bool rotate,
                      struct plan *out)
{
	memset(out, 0, sizeof *out);
	struct dream m = { .f = malloc(sizeof *m.f), .p = *p };
	struct decision *d = malloc(sizeof *d);
	if (m.f == NULL || d == NULL) {
		free(m.f);
		free(d);
		return EC_NO_MEMORY;
	}
	memcpy(m.f, f, sizeof *f);
	/* the rotation that is due one day is not part of the plan until it is asked for */
	m.p.rotate_every_s = rotate ? 0 : p->rotate_every_s;
	rollover_decide(m.f, &m.p, now, d);
	plan_note(out, d, now.wall);
	dream_begin(&m, now);
	struct why why;
	if (rotate)
		(void)!rollover_request(m.f, &m.p, RQ_ROTATE, dream_now(&m), &why);
	for (int i = 0; i < PLAN_ROUNDS; i++) {
		struct stamp t = dream_now(&m);
		rollover_decide(m.f, &m.p, t, d);
		plan_note(out, d, t.wall);
		bool rest = d->state == RO_STEADY && !roll_running(m.f) && m.f->settled.count_ms != 0 && d->action != RA_RECORD;
		rest = rest || (d->state == RO_DISABLED && d->action != RA_RECORD);
		if (rest || stuck(m.f, d))
			break;
		dream_act(&m, d);
	}
	if (!rotate && out->num > 0 && out->num < PLAN_MAX && d->state == RO_STEADY && d->at.s != 0) {
		struct plan_step *s = &out->steps[out->num++];
		s->at = d->at;
		s->state = RO_CERTIFYING;
		words_keep(s->words, sizeof s->words, "the next rotation is due");
	}
	free(m.f);
	free(d);
	return EC_OK;
}

json_t *plan_json(const struct plan *plan)
{
	json_t *list = json_array();
	for (size_t i = 0; i < plan->num; i++)
		(void)json_array_append_new(list, json_pack("{s:I, s:s, s:s}", "at", (json_int_t)plan->steps[i].at.s, "state",
		                                            rollover_states[plan->steps[i].state].name, "words",
		                                            plan->steps[i].words));
	return list;
}

enum ec plan_text(const struct plan *plan, struct bytes *out)
{
	enum ec ec = EC_OK;
	for (size_t i = 0; ec == EC_OK && i < plan->num; i++) {
		char at[WALL_TEXT_SIZE], text[WHY_SIZE + 80];
		wall_print(at, plan->steps[i].at);
		(void)snprintf(text, sizeof text, "%s  %-10s  %s\n", at, rollover_states[plan->steps[i].state].name,
		               plan->steps[i].words);
		ec = bytes_append(out, slice_str(text));
	}
	return ec;
}
