/* Owns:  the words that histories are told in: worlds to begin with, what happens in them,
 *        what the core answers; and the caches that go through it all.
 * Never: decides what is expected: that is said in each test.
 * Spec:  –
 * Start at: world, live, HISTORY. */
#ifndef TESTS_UNIT_TLSA_SYNC_HISTORY_H
#define TESTS_UNIT_TLSA_SYNC_HISTORY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "caches.h"

#define HAS(text, part) assert_non_null(strstr((text), (part)))

/* In the list of tests: one that begins with world() or what builds on it. */
#define HISTORY(test) cmocka_unit_test_teardown(test, world_end)

static struct caches caches;

/* ---- worlds to begin with ---- */

static inline int world_end(void **state)
{
	struct fix *x = *state;
	if (x != NULL)
		free(x->f);
	free(x);
	*state = NULL;
	return 0;
}

/* Two instances, three servers, and nobody has reported or answered anything yet. The world
 * before it ends; the last one with the test. */
static inline struct fix *world(void **state)
{
	(void)world_end(state);
	memset(&caches, 0, sizeof caches);
	struct fix *x = calloc(1, sizeof *x);
	assert_non_null(x);
	fix_make(x);
	*state = x;
	return x;
}

/* Carries on until the state is reached, in a world without faults; every set that a cache
 * may hold matches all the time, and the guard agrees. */
static inline void live_for(struct fix *x, enum rollover_state state, enum rollover_action action, unsigned rounds)
{
	if (!caches_until(&caches, x, state, action, rounds))
		fail_msg("%s: %s | %s | %s", rollover_states[x->d.state].name, x->d.why, x->said.text, caches.broken);
}

static inline void live(struct fix *x, enum rollover_state state, enum rollover_action action)
{
	live_for(x, state, action, 3000);
}

/* A new world, as far as this. */
static inline struct fix *world_at(void **state, enum rollover_state at, enum rollover_action action, unsigned rounds)
{
	struct fix *x = world(state);
	live_for(x, at, action, rounds);
	return x;
}

static inline struct fix *steady(void **state)
{
	return world_at(state, RO_STEADY, RA_NONE, 1000);
}

/* Both instances have a next key, and the servers are known: not what they serve. */
static inline void prepared(struct fix *x)
{
	for (unsigned i = 0; i < 2; i++) {
		x->standby[i] = 8;
		assert_int_equal(fix_report(x, i), EC_OK);
	}
	fix_find(x);
}

/* ---- what the operator asks for: the words of the answer are in x->said ---- */

static inline enum ec ask(struct fix *x, enum rollover_request request)
{
	x->said = (struct why){ 0 };
	return rollover_request(x->f, &x->p, request, fix_now(x), &x->said);
}

static inline void rotate(struct fix *x)
{
	assert_int_equal(ask(x, RQ_ROTATE), EC_OK);
}

/* A steady world in which a rotation was just asked for, as far as this. */
static inline struct fix *roll_at(void **state, enum rollover_state at, enum rollover_action action, unsigned rounds)
{
	struct fix *x = steady(state);
	rotate(x);
	live_for(x, at, action, rounds);
	return x;
}

/* The roll that was asked for, to its end. */
static inline void roll(struct fix *x)
{
	live(x, RO_HOLDING, RA_NONE);
	live(x, RO_STEADY, RA_NONE);
}

/* ---- what the guard says of a change: in x->said too ---- */

static inline enum ec check_write(struct fix *x, const struct tlsa_set *adds, const struct tlsa_set *deletes)
{
	x->said = (struct why){ 0 };
	return rollover_check_write(x->f, &x->p, adds, deletes, fix_now(x), &x->said);
}

static inline enum ec check_adds(struct fix *x, const struct tlsa_set *adds)
{
	return check_write(x, adds, &(struct tlsa_set){ 0 });
}

static inline enum ec check_deletes(struct fix *x, const struct tlsa_set *deletes)
{
	return check_write(x, &(struct tlsa_set){ 0 }, deletes);
}

/* Of the change that was just decided. */
static inline enum ec check_decided(struct fix *x)
{
	return check_write(x, &x->d.adds, &x->d.deletes);
}

static inline enum ec check_swap(struct fix *x, unsigned instance, uint64_t generation)
{
	x->said = (struct why){ 0 };
	return rollover_check_swap(x->f, &x->p, instance, generation, fix_now(x), &x->said);
}

/* ---- what happens ---- */

/* What comes next after a pause: somebody looks. */
static inline void look_after(struct fix *x, int64_t seconds)
{
	fix_pass(x, seconds);
	fix_look(x);
}

/* Again and again, each time after the same pause. */
static inline void look_often(struct fix *x, unsigned times, int64_t seconds)
{
	for (unsigned n = 0; n < times; n++)
		look_after(x, seconds);
}

/* The servers alone are asked, the instances do not answer. */
static inline void look_at_servers(struct fix *x, int64_t seconds)
{
	fix_pass(x, seconds);
	for (unsigned s = 0; s < x->num_servers; s++)
		fix_answer(x, s);
	facts_looked(x->f, fix_now(x));
}

/* The change that was just decided is sent, and this is heard of it; what is served stays. */
static inline void send_change(struct fix *x, enum outcome outcome, const char *words)
{
	facts_update_sent(x->f, &x->d.adds, &x->d.deletes, 3600, fix_now(x));
	facts_update_done(x->f, outcome, words, fix_now(x));
}

static inline void silence(struct fix *x, unsigned server)
{
	facts_silence(x->f, server, "no answer in 5s", fix_now(x));
}

static inline void down(struct fix *x, unsigned instance)
{
	facts_instance_failed(x->f, instance, "connection refused", fix_now(x));
}

/* Somebody puts a record into the zone. */
static inline void publish_by_hand(struct fix *x, struct tlsa t)
{
	for (unsigned s = 0; s < x->num_servers; s++)
		assert_int_equal(tlsa_set_add(&x->served[s], &t), EC_OK);
}

/* Somebody takes a record of ours out of one server. */
static inline void take_out(struct fix *x, unsigned server, struct tlsa t)
{
	assert_true(tlsa_set_remove(&x->served[server], &t));
}

static inline bool serves(const struct fix *x, unsigned server, struct tlsa t)
{
	return tlsa_set_has(&x->served[server], &t);
}

/* One instance changes from generation 7 to 8, and nobody has looked since. */
static inline void swapped(struct fix *x, unsigned instance)
{
	facts_asked(x->f, instance, ASK_SWAP, 8, fix_now(x));
	x->active[instance] = 8, x->retired[instance] = 7, x->standby[instance] = 0;
	facts_ask_done(x->f, instance, OUTCOME_OK, NULL);
}

/* A host answers a probe with this instance's key of this generation. */
static inline void presents(struct fix *x, const char *address, enum sni_kind sni, unsigned instance, uint64_t generation)
{
	uint8_t spki[32];
	fix_spki(spki, instance, generation, 0);
	facts_probe(x->f, address, KEY_ECDSA_P256, sni, spki, NULL, fix_now(x));
}

#endif
