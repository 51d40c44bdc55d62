/* Owns:  a small identity to try decisions on: two instances, three servers, a clock.
 * Never: asserts anything.
 * Spec:  –
 * Start at: fix_make, fix_steady. */
#ifndef TESTS_UNIT_TLSA_SYNC_FIXTURE_H
#define TESTS_UNIT_TLSA_SYNC_FIXTURE_H

#include <stdlib.h>
#include <string.h>

#include "tlsa-sync/rollover.h"

struct fix {
	struct facts *f;
	struct policy p;
	struct reading clock;
	unsigned num_instances, num_servers, num_algorithms;
	unsigned algorithms; /* as the instances report that the next generation is to have them; 0: they do not say */
	unsigned made_with[32]; /* the algorithms of a generation; 0: the first num_algorithms */
	uint64_t last[3];       /* the greatest number ever used, when it is not that of the active or the standby */
	bool sha512;            /* the instances report all their digests */
	uint8_t renewals;       /* how often all certificates were replaced */
	uint64_t ca_of[3][KEY_NUM_ALGORITHMS]; /* the generation that last got a certificate of the issuer's; 0: none */
	uint64_t active[3], standby[3], retired[3]; /* as the instances report them; 0: none */
	struct tlsa_set served[4];
	uint32_t ttl_s;
	enum fact_validity validity;
	struct wall signature;
	struct decision d;
	struct why said; /* by the core, to what was asked of it last: caches.h, history.h */
};

static inline struct stamp fix_now(struct fix *x)
{
	return facts_tick(x->f, &x->clock);
}

static inline void fix_pass(struct fix *x, int64_t seconds)
{
	x->clock.wall_ms += seconds * 1000;
	x->clock.mono.ms += seconds * 1000;
}

/* The digest of a key: told apart by instance, generation and algorithm. */
static inline void fix_spki(uint8_t out[32], unsigned instance, uint64_t generation, unsigned algorithm)
{
	memset(out, 0x5a, 32);
	out[0] = (uint8_t)(instance + 1);
	out[1] = (uint8_t)generation;
	out[2] = (uint8_t)algorithm;
}

/* What is reported beside it: certificates of a CA that signs all keys. */
static inline void fix_cert(uint8_t out[32], unsigned instance, uint64_t generation, unsigned algorithm)
{
	fix_spki(out, instance, generation, algorithm);
	out[31] = 0xce;
}

static inline unsigned fix_algorithms(const struct fix *x, uint64_t generation)
{
	return x->made_with[generation] != 0 ? x->made_with[generation] : (1u << x->num_algorithms) - 1;
}

static inline struct tlsa fix_record(unsigned instance, uint64_t generation, unsigned algorithm)
{
	uint8_t spki[32];
	fix_spki(spki, instance, generation, algorithm);
	return tlsa_311(spki);
}

static inline void fix_generation(const struct fix *x, struct generation *g, unsigned instance, uint64_t number)
{
	*g = (struct generation){ .number = number };
	for (unsigned a = 0; a < KEY_NUM_ALGORITHMS; a++) {
		struct key_info *k = &g->keys[g->num_keys];
		if ((fix_algorithms(x, number) & 1u << a) == 0)
			continue;
		k->algorithm = a;
		k->certified = true;
		k->issuer = number <= x->ca_of[instance][a] ? CERT_CA : CERT_SELF_SIGNED;
		k->not_before.s = 1;
		k->not_after.s = INT64_C(4000000000);
		fix_spki(k->chain[0].spki_sha256, instance, number, a);
		g->num_keys++;
		if (!x->sha512)
			continue;
		fix_spki(k->chain[0].spki_sha512, instance, number, a);
		fix_cert(k->chain[0].cert_sha256, instance, number, a);
		k->chain[0].cert_sha256[31] ^= x->renewals;
		memset(k->chain[1].spki_sha256, 0xca, 32);
	}
}

static inline enum ec fix_report(struct fix *x, unsigned i)
{
	struct generation g[3];
	size_t n = 0;
	if (x->retired[i] != 0)
		fix_generation(x, &g[n++], i, x->retired[i]);
	if (x->active[i] != 0)
		fix_generation(x, &g[n++], i, x->active[i]);
	if (x->standby[i] != 0)
		fix_generation(x, &g[n++], i, x->standby[i]);
	struct report r = { .active = x->active[i], .presented = x->active[i], .algorithms = x->algorithms, .num_generations = n,
	                    .generations = g };
	return facts_report(x->f, i, &r, fix_now(x), NULL);
}

static inline void fix_answer(struct fix *x, unsigned s)
{
	struct answer a = { .set = x->served[s], .ttl_s = x->ttl_s, .validity = x->validity,
		            .signature_expires = x->signature, .serial = 41 };
	facts_answer(x->f, s, &a, x->p.confirmations, rollover_gap_ms(&x->p), fix_now(x));
}

static inline void fix_look(struct fix *x)
{
	for (unsigned s = 0; s < x->num_servers; s++)
		fix_answer(x, s);
	for (unsigned i = 0; i < x->num_instances; i++)
		(void)!fix_report(x, i);
	facts_looked(x->f, fix_now(x));
}

static inline void fix_find(struct fix *x)
{
	static const struct server_id ids[4] = { { "ns0.example.org", "192.0.2.5" }, { "ns1.example.org", "192.0.2.6" },
		                                 { "ns2.example.org", "192.0.2.7" }, { "ns3.example.org", "192.0.2.8" } };
	static const char *const addresses[] = { "203.0.113.9:25", "[2001:db8::9]:25", "203.0.113.11:25" };
	(void)!facts_set_servers(x->f, ids, x->num_servers, fix_now(x));
	(void)!facts_set_addresses(x->f, addresses, x->num_instances);
}

static inline void fix_probe(struct fix *x)
{
	static const char *const addresses[] = { "203.0.113.9:25", "[2001:db8::9]:25", "203.0.113.11:25" };
	for (unsigned i = 0; i < x->num_instances; i++)
		for (unsigned a = 0; a < KEY_NUM_ALGORITHMS; a++)
			for (unsigned sni = 0; sni < SNI_NUM; sni++) {
				uint8_t spki[32];
				bool there = (fix_algorithms(x, x->active[i]) & 1u << a) != 0;
				fix_spki(spki, i, x->active[i], a);
				facts_probe(x->f, addresses[i], a, sni, there ? spki : NULL, there ? NULL : "no shared cipher", fix_now(x));
			}
	facts_probed(x->f, fix_now(x));
}

static inline const struct decision *fix_decide(struct fix *x)
{
	rollover_decide(x->f, &x->p, fix_now(x), &x->d);
	return &x->d;
}

static inline void fix_make(struct fix *x)
{
	static const char *const names[] = { "edge-1", "edge-2", "edge-3" };
	memset(x, 0, sizeof *x);
	x->f = facts_new("mx1.example.org");
	x->p = (struct policy){ .ttl_s = 3600, .confirmations = 3, .poll_s = 5, .watch_s = 300, .hold_s = 3600,
		                .default_identity = true };
	x->clock = (struct reading){ .wall_ms = INT64_C(1795269600000), .mono = { 77000 }, .boot = "b1" };
	x->num_instances = 2;
	x->num_servers = 3;
	x->num_algorithms = 1;
	x->ttl_s = 3600;
	x->validity = VALIDITY_SECURE;
	x->signature.s = 1795269600 + 14 * 86400;
	(void)!facts_set_instances(x->f, names, x->num_instances);
	x->active[0] = x->active[1] = 7;
	(void)fix_now(x);
	fix_pass(x, 1);
}

/* Every server serves what is wanted now. */
static inline void fix_serve(struct fix *x)
{
	struct tlsa_set wanted;
	(void)!rollover_wanted(x->f, &x->p, &wanted);
	for (unsigned s = 0; s < x->num_servers; s++)
		x->served[s] = wanted;
}

/* Carries out whatever is decided, in a world where all goes well, until the state
 * and action are as asked for (RA_NUM_ACTIONS: any), or `rounds` are over. */
static inline bool fix_until(struct fix *x, enum rollover_state state, enum rollover_action action, unsigned rounds)
{
	for (unsigned n = 0; n < rounds; n++) {
		const struct decision *d = fix_decide(x);
		if (d->state == state && (action == RA_NUM_ACTIONS || d->action == action))
			return true;
		struct why event;
		enum ask_kind kind = d->action == RA_PREPARE ? ASK_PREPARE : d->action == RA_SWAP ? ASK_SWAP : ASK_RETIRE;
		uint64_t *active = &x->active[d->instance], *standby = &x->standby[d->instance],
		         *retired = &x->retired[d->instance];
		switch (d->action) {
		case RA_NONE: fix_pass(x, (d->wake_ms + 999) / 1000); break;
		case RA_RECORD: rollover_record(x->f, &x->p, d, fix_now(x), &event); break;
		case RA_FIND: fix_find(x); break;
		case RA_LOOK: fix_look(x); break;
		case RA_PROBE: fix_probe(x); break;
		case RA_UPDATE:
			facts_update_sent(x->f, &d->adds, &d->deletes, x->p.ttl_s, fix_now(x));
			for (unsigned s = 0; s < x->num_servers; s++) {
				(void)!tlsa_set_union(&x->served[s], &d->adds);
				tlsa_set_subtract(&x->served[s], &d->deletes);
			}
			facts_update_done(x->f, OUTCOME_OK, NULL, fix_now(x));
			break;
		case RA_CERTIFY:
			facts_issue_sent(x->f, d->instance, d->generation, d->algorithm, d->tries, fix_now(x));
			x->ca_of[d->instance][d->algorithm] = d->generation;
			facts_issue_done(x->f, OUTCOME_OK, NULL, fix_now(x));
			break;
		default:
			facts_asked(x->f, d->instance, kind, d->generation, fix_now(x));
			if (kind == ASK_PREPARE) {
				if (*standby == 0) {
					*standby = (x->last[d->instance] > *active ? x->last[d->instance] : *active) + 1;
					x->made_with[*standby] = x->algorithms;
				}
				x->last[d->instance] = *standby;
			} else if (kind == ASK_SWAP) {
				*retired = *active;
				*active = d->generation;
				*standby = d->generation < *retired ? *retired : 0;
				*retired = *standby != 0 ? 0 : *retired;
			} else if (d->generation == *retired)
				*retired = 0;
			else
				*standby = 0;
			facts_ask_done(x->f, d->instance, OUTCOME_OK, NULL);
		}
		fix_pass(x, 1);
	}
	return false;
}

static inline bool fix_steady(struct fix *x)
{
	fix_make(x);
	return fix_until(x, RO_STEADY, RA_NONE, 1000);
}

#endif
