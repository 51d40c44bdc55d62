/* Owns:  the words that histories of certificates are told in: a steady world whose keys have a CA's, what is due
 *        next, a try.
 * Never: decides what is expected: that is said in each test.
 * Spec:  –
 * Start at: steady, next_of. */
#ifndef TESTS_UNIT_TLSA_SYNC_CERTIFICATES_H
#define TESTS_UNIT_TLSA_SYNC_CERTIFICATES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fixture.h"
#include "tlsa-sync/certify.h"

#define HAS(text, part) do { if (strstr((text), (part)) == NULL) fail_msg("\"%s\" lacks \"%s\"", (text), (part)); } while (0)

enum { DAY = 86400 };

/* Just after a look at the servers, if that is what is wanted first. */
static inline struct certify next_of(struct fix *x)
{
	struct certify out;
	certify_next(x->f, &x->p, fix_now(x), &out);
	if (out.step != CERTIFY_LOOK)
		return out;
	facts_looked(x->f, fix_now(x));
	certify_next(x->f, &x->p, fix_now(x), &out);
	return out;
}

static inline struct fact_key *key_of(struct fix *x, unsigned instance, uint64_t generation)
{
	for (size_t i = 0; i < x->f->num_keys; i++)
		if (x->f->keys[i].instance == instance && x->f->keys[i].generation == generation)
			return &x->f->keys[i];
	fail_msg("no such key");
	return NULL;
}

/* A world in the steady state whose keys have certificates of the CA's, 90 days long, `left_days`
 * of them to come. */
static inline void steady(struct fix *x, int64_t left_days)
{
	assert_true(fix_steady(x));
	x->p.issuer = ISSUER_COMMAND;
	x->p.retry_s = 300;
	for (size_t i = 0; i < x->f->num_keys; i++) {
		struct fact_key *k = &x->f->keys[i];
		k->self_signed = k->generation != x->active[k->instance];
		k->not_after.s = x->clock.wall_ms / 1000 + left_days * DAY;
		k->not_before.s = k->not_after.s - 90 * DAY;
	}
}

static inline void tried(struct fix *x, const struct certify *c, enum outcome outcome, const char *words)
{
	facts_issue_sent(x->f, c->instance, c->generation, c->algorithm, c->tries, fix_now(x));
	fix_pass(x, 7);
	facts_issue_done(x->f, outcome, words, fix_now(x));
}

#endif
