/* Owns:  what every cache may still hold while a small identity (fixture.h) lives, and the
 *        one check: does it match what each instance presents?
 * Never: looks at the facts, or at what was decided.
 * Spec:  RFC 7671 8: for each (usage, selector, matching type) in the set there is a match.
 * Start at: caches_until. */
#ifndef TESTS_UNIT_TLSA_SYNC_CACHES_H
#define TESTS_UNIT_TLSA_SYNC_CACHES_H

#include <stdio.h>

#include "fixture.h"

struct caches {
	size_t num;
	struct {
		struct tlsa_set set;
		int64_t last_s; /* when some server served it last */
	} seen[256];
	char broken[256];
};

static inline int64_t caches_now(const struct fix *x)
{
	return x->clock.mono.ms / 1000;
}

/* What the servers serve now goes into the caches. */
static inline void caches_note(struct caches *c, const struct fix *x)
{
	for (unsigned s = 0; s < x->num_servers; s++) {
		size_t n = 0;
		while (n < c->num && !tlsa_set_eq(&c->seen[n].set, &x->served[s]))
			n++;
		if (n == sizeof c->seen / sizeof c->seen[0])
			abort();
		c->num += n == c->num;
		c->seen[n].set = x->served[s];
		c->seen[n].last_s = caches_now(x);
	}
}

/* Does the record match this key, or the chain that is sent with it? */
static inline bool caches_matches(const struct tlsa *t, unsigned instance, uint64_t generation, unsigned algorithm)
{
	uint8_t digest[64] = { 0 };
	if (t->usage == TLSA_DANE_TA && t->selector == TLSA_SPKI && t->matching == TLSA_SHA256)
		memset(digest, 0xca, 32);
	else if (t->usage == TLSA_DANE_EE && t->selector == TLSA_CERT && t->matching == TLSA_SHA256)
		fix_cert(digest, instance, generation, algorithm);
	else if (t->usage == TLSA_DANE_EE && t->selector == TLSA_SPKI && t->matching != TLSA_FULL)
		fix_spki(digest, instance, generation, algorithm); /* both matching types: fixture.h */
	else
		return false;
	return memcmp(digest, t->data, t->len) == 0;
}

static inline bool caches_accept(const struct tlsa_set *set, unsigned instance, uint64_t generation, unsigned algorithm)
{
	for (size_t i = 0; i < set->num; i++) {
		const struct tlsa *kind = &set->items[i];
		bool match = !tlsa_usable(kind, NULL);
		for (size_t k = 0; k < set->num; k++) {
			const struct tlsa *t = &set->items[k];
			match = match || (t->usage == kind->usage && t->selector == kind->selector && t->matching == kind->matching &&
			                  caches_matches(t, instance, generation, algorithm));
		}
		if (!match)
			return false;
	}
	return true;
}

static inline void caches_check(struct caches *c, const struct fix *x)
{
	for (size_t n = 0; n < c->num && c->broken[0] == '\0'; n++) {
		if (c->seen[n].last_s + 2 * (int64_t)x->ttl_s <= caches_now(x))
			continue;
		for (unsigned i = 0; i < x->num_instances; i++)
			for (unsigned a = 0; a < KEY_NUM_ALGORITHMS; a++)
				if ((fix_algorithms(x, x->active[i]) & 1u << a) != 0 &&
				    !caches_accept(&c->seen[n].set, i, x->active[i], a))
					(void)snprintf(c->broken, sizeof c->broken,
					               "a cache may hold a set of %u records, last served at %lld s, that does not match "
					               "generation %llu of instance %u at %lld s", c->seen[n].set.num,
					               (long long)c->seen[n].last_s, (unsigned long long)x->active[i], i,
					               (long long)caches_now(x));
	}
}

/* caches_until is fix_until with the guard on, and the check after each round. False also when the
 * guard refuses (x->said) or a cache holds what does not match (c->broken). */
static inline bool caches_until(struct caches *c, struct fix *x, enum rollover_state state,
                                enum rollover_action action, unsigned rounds)
{
	for (unsigned n = 0; n < rounds; n++) {
		const struct decision *d = fix_decide(x);
		if (d->state == state && (action == RA_NUM_ACTIONS || d->action == action))
			return true;
		caches_note(c, x);
		if (d->action == RA_UPDATE &&
		    rollover_check_write(x->f, &x->p, &d->adds, &d->deletes, fix_now(x), &x->said) != EC_OK)
			return false;
		if (d->action == RA_SWAP &&
		    rollover_check_swap(x->f, &x->p, d->instance, d->generation, fix_now(x), &x->said) != EC_OK)
			return false;
		(void)fix_until(x, RO_NUM_STATES, RA_NUM_ACTIONS, 1);
		caches_note(c, x);
		caches_check(c, x);
		if (c->broken[0] != '\0')
			return false;
	}
	return false;
}

#endif
