/* Emergencies, switching off and on, the first publication: as histories, with every
 * cache that may still hold something. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "caches.h"

#define HAS(text, part) assert_non_null(strstr((text), (part)))

static struct caches caches;

/* Carries on until the state is reached, in a world without faults; every set that a cache
 * may hold matches all the time, and the guard agrees. */
static void live(struct fix *x, enum rollover_state state, enum rollover_action action)
{
	if (!caches_until(&caches, x, state, action, 3000))
		fail_msg("%s: %s | %s | %s", rollover_states[x->d.state].name, x->d.why, x->refused.text, caches.broken);
}

static void steady(struct fix *x)
{
	memset(&caches, 0, sizeof caches);
	fix_make(x);
	live(x, RO_STEADY, RA_NONE);
}

static enum ec ask(struct fix *x, enum rollover_request request, struct why *why)
{
	*why = (struct why){ 0 };
	return rollover_request(x->f, &x->p, request, fix_now(x), why);
}

/* Until no server has our records any more, and only caches are waited for. */
static void gone(struct fix *x)
{
	do {
		(void)caches_until(&caches, x, RO_NUM_STATES, RA_NUM_ACTIONS, 1);
		assert_string_equal(caches.broken, "");
		assert_int_equal(fix_decide(x)->state, RO_WITHDRAWING);
	} while (x->f->off.gone.count_ms == 0 || x->d.action != RA_NONE);
}

static bool served_anywhere(const struct fix *x, uint64_t generation)
{
	for (unsigned s = 0; s < x->num_servers; s++)
		for (unsigned i = 0; i < x->num_instances; i++) {
			struct tlsa t = fix_record(i, generation, 0);
			if (tlsa_set_has(&x->served[s], &t))
				return true;
		}
	return false;
}

/* ---- emergency ---- */

static void emergency_is_immediate(void **state)
{
	(void)state;
	struct fix x;
	struct why why;
	steady(&x);
	x.p.blocked = "mx2.example.org is rolling"; /* comfort: not now */
	assert_int_equal(ask(&x, RQ_EMERGENCY, &why), EC_OK);
	HAS(why.text, "no mail is deferred");
	HAS(why.text, "caches may go on trusting the former key for 60 minutes after every server has dropped its record");
	HAS(why.text, "may replay the signed set until 2026-");
	int64_t asked = caches_now(&x);
	live(&x, RO_RETIRING, RA_UPDATE);
	assert_int_equal(x.active[0], 8);
	assert_int_equal(x.active[1], 8);
	assert_int_equal(x.d.deletes.num, 2); /* the former records, and nothing else */
	assert_true(caches_now(&x) - asked < 60); /* hold is an hour */
	while (x.f->roll.ended.count_ms == 0)
		assert_true(!caches_until(&caches, &x, RO_NUM_STATES, RA_NUM_ACTIONS, 1) && caches.broken[0] == '\0');
	fix_decide(&x);
	HAS(x.d.alarms[0], "caches may go on trusting the key given up in the emergency until 2026-");
	live(&x, RO_STEADY, RA_NONE);
	assert_int_equal(x.d.num_alarms, 0); /* two TTLs later */
	assert_false(served_anywhere(&x, 7));
	assert_int_equal(x.f->roll.end, ROLL_DONE);
	assert_int_equal(x.retired[0], 0);
	free(x.f);
}

static void emergency_asks_when_the_next_key_is_young(void **state)
{
	(void)state;
	struct fix x;
	struct why why;
	memset(&caches, 0, sizeof caches);
	fix_make(&x);
	live(&x, RO_AGEING, RA_NONE);
	struct facts *before = facts_new("mx1.example.org");
	memcpy(before, x.f, sizeof *before);
	assert_int_equal(ask(&x, RQ_EMERGENCY, &why), EC_PIN_UNPROVEN);
	HAS(why.text, "generation 8 of edge-1: caches may hold the old set until ");
	HAS(why.text, "find no match and defer mail, for up to 120 minutes");
	HAS(why.text, "--force");
	assert_int_equal(rollover_exposure(x.f, &x.p, fix_now(&x), &why), EC_PIN_UNPROVEN);
	assert_int_equal(before->roll.asked.count_ms, x.f->roll.asked.count_ms); /* nothing was asked for */
	assert_int_equal(rollover_check_swap(x.f, &x.p, 0, 8, fix_now(&x), &why), EC_INVARIANT);
	free(before);
	/* the same an instant before it is old, and then no more */
	live(&x, RO_STEADY, RA_NONE);
	assert_int_equal(ask(&x, RQ_EMERGENCY, &why), EC_OK);
	free(x.f);
}

/* The operator was told, and goes ahead: the servers have it, the caches do not. */
static void emergency_forced_goes_ahead(void **state)
{
	(void)state;
	struct fix x;
	struct why why;
	memset(&caches, 0, sizeof caches);
	fix_make(&x);
	live(&x, RO_AGEING, RA_NONE);
	for (unsigned i = 0; i < 2; i++) { /* a cache that got the set before this one */
		struct tlsa t = fix_record(i, 7, 0);
		assert_int_equal(tlsa_set_add(&caches.seen[caches.num].set, &t), EC_OK);
	}
	caches.seen[caches.num++].last_s = caches_now(&x);
	int64_t asked = caches_now(&x);
	assert_int_equal(ask(&x, RQ_EMERGENCY_FORCED, &why), EC_OK);
	HAS(why.text, "defer mail");
	assert_true(fix_until(&x, RO_SWAPPING, RA_SWAP, 20));
	assert_int_equal(rollover_check_swap(x.f, &x.p, 0, 8, fix_now(&x), &why), EC_OK);
	assert_true(fix_until(&x, RO_RETIRING, RA_UPDATE, 100));
	assert_int_equal(rollover_check_write(x.f, &x.p, &x.d.adds, &x.d.deletes, fix_now(&x), &why), EC_OK);
	assert_true(caches_now(&x) - asked < 120);
	caches_check(&caches, &x);
	HAS(caches.broken, "does not match generation 8"); /* that is the price, and the check sees it */
	assert_true(fix_until(&x, RO_STEADY, RA_NONE, 3000));
	assert_false(served_anywhere(&x, 7));
	free(x.f);
}

/* Forced is not blind: a server that answers without the record is waited for; one that is
 * silent is not. */
static void emergency_forced_needs_the_record_served(void **state)
{
	(void)state;
	struct fix x;
	struct why why;
	fix_make(&x);
	assert_true(fix_until(&x, RO_PUBLISHING, RA_UPDATE, 100));
	assert_int_equal(ask(&x, RQ_EMERGENCY_FORCED, &why), EC_OK);
	facts_update_sent(x.f, &x.d.adds, &x.d.deletes, 3600, fix_now(&x));
	struct tlsa_set all = x.d.adds;
	facts_update_done(x.f, OUTCOME_OK, NULL, fix_now(&x));
	x.served[0] = x.served[1] = all;
	for (int n = 0; n < 5; n++) {
		fix_pass(&x, 6);
		fix_look(&x);
		assert_int_not_equal(fix_decide(&x)->action, RA_SWAP);
		if (x.d.action == RA_RECORD)
			rollover_record(x.f, &x.p, &x.d, fix_now(&x), &why);
	}
	assert_int_equal(x.d.state, RO_SPREADING);
	HAS(x.d.why, "ns2.example.org (192.0.2.7) still serves");
	assert_int_equal(rollover_check_swap(x.f, &x.p, 0, 8, fix_now(&x), &why), EC_INVARIANT);
	facts_silence(x.f, 2, "no answer in 5s", fix_now(&x));
	assert_int_equal(fix_decide(&x)->action, RA_SWAP);
	assert_int_equal(rollover_check_swap(x.f, &x.p, 0, 8, fix_now(&x), &why), EC_OK);
	for (unsigned s = 0; s < 3; s++)
		facts_silence(x.f, s, "no answer in 5s", fix_now(&x));
	assert_int_not_equal(fix_decide(&x)->action, RA_SWAP); /* nobody is known to have it */
	assert_int_equal(rollover_check_swap(x.f, &x.p, 0, 8, fix_now(&x), &why), EC_INVARIANT);
	free(x.f);
}

static void emergency_makes_the_key_it_needs(void **state)
{
	(void)state;
	struct fix x;
	struct why why;
	fix_make(&x);
	assert_true(fix_until(&x, RO_PREPARING, RA_PREPARE, 50));
	assert_int_equal(ask(&x, RQ_EMERGENCY, &why), EC_PIN_UNPROVEN);
	HAS(why.text, "edge-1 has no next key yet");
	assert_int_equal(ask(&x, RQ_EMERGENCY_FORCED, &why), EC_OK);
	assert_true(fix_until(&x, RO_SWAPPING, RA_SWAP, 100));
	assert_int_equal(x.d.generation, 8);
	assert_true(fix_until(&x, RO_RETIRING, RA_UPDATE, 100));
	free(x.f);
}

/* Asked for while HOLDING it ends the window; while SWAPPING there is none. */
static void emergency_cuts_a_roll_short(void **state)
{
	(void)state;
	for (int swapping = 0; swapping < 2; swapping++) {
		struct fix x;
		struct why why;
		steady(&x);
		assert_int_equal(ask(&x, RQ_ROTATE, &why), EC_OK);
		live(&x, swapping ? RO_SWAPPING : RO_HOLDING, swapping ? RA_SWAP : RA_NONE);
		int64_t asked = caches_now(&x);
		assert_int_equal(ask(&x, RQ_EMERGENCY, &why), EC_OK);
		live(&x, RO_RETIRING, RA_UPDATE);
		assert_true(caches_now(&x) - asked < 60);
		assert_int_equal(ask(&x, RQ_EMERGENCY, &why), EC_BUSY);
		HAS(why.text, "being withdrawn already");
		live(&x, RO_STEADY, RA_NONE);
		assert_int_equal(x.active[1], 8);
		free(x.f);
	}
}

static void emergency_can_be_undone(void **state)
{
	(void)state;
	struct fix x;
	struct why why;
	steady(&x);
	assert_int_equal(ask(&x, RQ_EMERGENCY, &why), EC_OK);
	assert_int_equal(ask(&x, RQ_ABORT, &why), EC_OK); /* nothing was swapped yet */
	live(&x, RO_STEADY, RA_NONE);
	assert_int_equal(x.active[0], 7);
	assert_int_equal(ask(&x, RQ_EMERGENCY, &why), EC_OK);
	live(&x, RO_SWAPPING, RA_PROBE);
	assert_int_equal(x.active[0], 8);
	assert_int_equal(ask(&x, RQ_ABORT, &why), EC_BUSY);
	assert_int_equal(ask(&x, RQ_ROLLBACK, &why), EC_OK);
	assert_int_equal(ask(&x, RQ_EMERGENCY, &why), EC_BUSY);
	live(&x, RO_STEADY, RA_NONE);
	assert_int_equal(x.active[0], 7);
	assert_int_equal(x.active[1], 7);
	assert_int_equal(x.f->roll.end, ROLL_BACK);
	free(x.f);
}

/* A silent server has not been seen to serve anything else: but it is waited for, by name,
 * unless the operator insists. */
static void emergency_and_a_silent_server(void **state)
{
	(void)state;
	struct fix x;
	struct why why;
	steady(&x);
	assert_int_equal(ask(&x, RQ_EMERGENCY, &why), EC_OK);
	live(&x, RO_SWAPPING, RA_SWAP);
	facts_silence(x.f, 1, "no answer in 5s", fix_now(&x));
	assert_int_not_equal(fix_decide(&x)->action, RA_SWAP);
	assert_string_equal(x.d.waiting_for, "ns1.example.org (192.0.2.6)");
	assert_int_equal(ask(&x, RQ_EMERGENCY_FORCED, &why), EC_OK);
	assert_int_equal(fix_decide(&x)->action, RA_SWAP);
	assert_int_equal(rollover_check_swap(x.f, &x.p, 0, 8, fix_now(&x), &why), EC_OK);
	free(x.f);
}

/* ---- off ---- */

static void off_in_time_order(void **state)
{
	(void)state;
	struct fix x;
	struct why why;
	steady(&x);
	assert_int_equal(ask(&x, RQ_DISABLE, &why), EC_OK);
	HAS(why.text, "the present keys must stay in use");
	assert_int_equal(ask(&x, RQ_DISABLE, &why), EC_EXISTS);
	assert_int_equal(ask(&x, RQ_ROTATE, &why), EC_BUSY);
	HAS(why.text, "switched off");
	live(&x, RO_WITHDRAWING, RA_UPDATE);
	assert_int_equal(x.d.deletes.num, 4);
	assert_int_equal(x.d.adds.num, 0);
	gone(&x);
	int64_t gone = caches_now(&x);
	HAS(x.d.why, "caches may hold them until ");
	HAS(x.d.why, "keep the present keys until then");
	for (unsigned s = 0; s < 3; s++)
		assert_int_equal(x.served[s].num, 0);
	live(&x, RO_DISABLED, RA_NONE);
	assert_true(caches_now(&x) - gone >= 7190 && caches_now(&x) - gone <= 7400); /* 2 x 3600 */
	HAS(x.d.why, "DANE is off since ");
	assert_int_equal(x.active[0], 7);
	x.active[0] = x.active[1] = 20; /* as free as promised */
	caches_check(&caches, &x);
	assert_string_equal(caches.broken, "");
	free(x.f);
}

/* The control: before it is complete the same change breaks the promise. */
static void off_is_not_complete_before(void **state)
{
	(void)state;
	struct fix x;
	struct why why;
	steady(&x);
	assert_int_equal(ask(&x, RQ_DISABLE, &why), EC_OK);
	gone(&x);
	fix_pass(&x, 7000);
	assert_int_equal(fix_decide(&x)->state, RO_WITHDRAWING);
	x.active[0] = 20;
	caches_check(&caches, &x);
	HAS(caches.broken, "does not match generation 20");
	free(x.f);
}

/* DANE does harm, so it is switched off: what a broken instance reports does not matter. */
static void off_without_instances(void **state)
{
	(void)state;
	struct fix x;
	struct why why;
	steady(&x);
	facts_instance_failed(x.f, 0, "connection refused", fix_now(&x));
	facts_probe(x.f, "203.0.113.9:25", 0, SNI_RIGHT, NULL, "connection refused", fix_now(&x));
	assert_int_equal(ask(&x, RQ_DISABLE, &why), EC_OK);
	fix_pass(&x, 6);
	for (unsigned s = 0; s < 3; s++)
		fix_answer(&x, s);
	facts_looked(x.f, fix_now(&x));
	assert_int_equal(fix_decide(&x)->action, RA_UPDATE);
	assert_int_equal(x.d.state, RO_WITHDRAWING);
	assert_int_equal(rollover_check_write(x.f, &x.p, &x.d.adds, &x.d.deletes, fix_now(&x), &why), EC_OK);
	free(x.f);
}

static void off_in_the_middle_of_a_roll(void **state)
{
	(void)state;
	static const struct {
		enum rollover_state state;
		enum rollover_action action;
	} when[] = { { RO_SWAPPING, RA_SWAP }, { RO_SWAPPING, RA_PROBE }, { RO_HOLDING, RA_NONE }, { RO_RETIRING, RA_UPDATE } };
	for (size_t i = 0; i < sizeof when / sizeof when[0]; i++) {
		struct fix x;
		struct why why;
		steady(&x);
		assert_int_equal(ask(&x, RQ_ROTATE, &why), EC_OK);
		live(&x, when[i].state, when[i].action);
		assert_int_equal(ask(&x, RQ_DISABLE, &why), EC_OK);
		assert_int_equal(x.f->roll.end, ROLL_ABORTED);
		live(&x, RO_DISABLED, RA_NONE);
		assert_int_equal(ask(&x, RQ_ENABLE, &why), EC_OK);
		live(&x, RO_STEADY, RA_NONE);
		free(x.f);
	}
}

static void off_waits_for_every_server(void **state)
{
	(void)state;
	struct fix x;
	struct why why;
	steady(&x);
	struct tlsa_set all = x.served[0];
	assert_int_equal(ask(&x, RQ_DISABLE, &why), EC_OK);
	live(&x, RO_WITHDRAWING, RA_UPDATE);
	facts_update_sent(x.f, &x.d.adds, &x.d.deletes, 3600, fix_now(&x));
	facts_update_done(x.f, OUTCOME_OK, NULL, fix_now(&x));
	x.served[0] = x.served[1] = (struct tlsa_set){ 0 };
	for (int n = 0; n < 5; n++) {
		fix_pass(&x, 6);
		fix_look(&x);
	}
	assert_int_equal(fix_decide(&x)->state, RO_WITHDRAWING);
	HAS(x.d.why, "ns2.example.org (192.0.2.7) still serves serial 41 with 3 1 1");
	x.served[2] = (struct tlsa_set){ 0 };
	for (int n = 0; n < 3; n++) {
		fix_pass(&x, 6);
		fix_look(&x);
	}
	facts_silence(x.f, 1, "no answer in 5s", fix_now(&x));
	assert_int_equal(fix_decide(&x)->state, RO_WITHDRAWING);
	HAS(x.d.why, "ns1.example.org (192.0.2.6) gives no answer");
	gone(&x);
	fix_pass(&x, 7000); /* nearly there, and a server turns back */
	assert_int_not_equal(x.f->off.gone.count_ms, 0);
	x.served[2] = all;
	fix_look(&x);
	assert_int_equal(fix_decide(&x)->mark, RM_BACK);
	live(&x, RO_WITHDRAWING, RA_UPDATE); /* removed again, and the wait begins anew */
	int64_t again = caches_now(&x);
	live(&x, RO_DISABLED, RA_NONE);
	assert_true(caches_now(&x) - again >= 7200);
	free(x.f);
}

/* After a time in which nobody watched, one TTL more. */
static void off_after_a_pause(void **state)
{
	(void)state;
	struct fix x;
	struct why why;
	steady(&x);
	assert_int_equal(ask(&x, RQ_DISABLE, &why), EC_OK);
	gone(&x);
	fix_pass(&x, 7100);
	int64_t back = caches_now(&x);
	live(&x, RO_DISABLED, RA_NONE);
	assert_true(caches_now(&x) - back >= 3600);
	free(x.f);
}

static void off_never_leaves_a_stranger_alone(void **state)
{
	(void)state;
	struct fix x;
	struct why why;
	steady(&x);
	struct tlsa t = fix_record(200, 1, 0); /* another 3 1 1: beside ours it harms nobody */
	for (unsigned s = 0; s < 3; s++)
		assert_int_equal(tlsa_set_add(&x.served[s], &t), EC_OK);
	fix_look(&x);
	assert_int_equal(ask(&x, RQ_DISABLE, &why), EC_OK);
	fix_pass(&x, 6);
	fix_look(&x);
	assert_int_equal(fix_decide(&x)->state, RO_WITHDRAWING);
	assert_int_not_equal(x.d.action, RA_UPDATE);
	HAS(x.d.why, "3 1 1 c901005a..., which is not ours: without our records senders would find no match");
	struct tlsa_set none = { 0 }, ours = x.served[0];
	assert_true(tlsa_set_remove(&ours, &t));
	assert_int_equal(rollover_check_write(x.f, &x.p, &none, &ours, fix_now(&x), &why), EC_INVARIANT);
	x.p.own_rrset = true;
	live(&x, RO_WITHDRAWING, RA_UPDATE);
	assert_int_equal(x.d.deletes.num, 5);
	live(&x, RO_DISABLED, RA_NONE);
	free(x.f);
}

static void off_by_signatures(void **state)
{
	(void)state;
	struct fix x;
	struct why why;
	memset(&caches, 0, sizeof caches);
	fix_make(&x);
	x.p.wait = WAIT_SIGNATURES;
	x.signature.s = x.clock.wall_ms / 1000 + 86400;
	live(&x, RO_STEADY, RA_NONE);
	x.signature.s = x.clock.wall_ms / 1000 + 86400;
	fix_pass(&x, 300);
	fix_look(&x);
	assert_int_equal(ask(&x, RQ_DISABLE, &why), EC_OK);
	int64_t asked = caches_now(&x);
	gone(&x);
	x.clock.wall_ms += INT64_C(30) * 86400 * 1000; /* somebody sets the clock: that proves nothing */
	live(&x, RO_DISABLED, RA_NONE);
	assert_true(caches_now(&x) - asked >= 86000);
	free(x.f);
}

/* ---- on ---- */

static void on_again_at_once_costs_nothing(void **state)
{
	(void)state;
	struct fix x;
	struct why why;
	steady(&x);
	assert_int_equal(ask(&x, RQ_ENABLE, &why), EC_NOT_FOUND);
	assert_int_equal(ask(&x, RQ_DISABLE, &why), EC_OK);
	int64_t asked = caches_now(&x);
	assert_int_equal(ask(&x, RQ_ENABLE, &why), EC_OK);
	live(&x, RO_STEADY, RA_NONE);
	assert_true(caches_now(&x) - asked < 60);
	free(x.f);
}

static void on_is_a_first_publication(void **state)
{
	(void)state;
	struct fix x;
	struct why why;
	steady(&x);
	assert_int_equal(ask(&x, RQ_DISABLE, &why), EC_OK);
	live(&x, RO_DISABLED, RA_NONE);
	assert_int_equal(ask(&x, RQ_ENABLE, &why), EC_OK);
	live(&x, RO_PUBLISHING, RA_PROBE);
	live(&x, RO_PUBLISHING, RA_UPDATE);
	assert_int_equal(x.d.adds.num, 4);
	int64_t sent = caches_now(&x);
	live(&x, RO_STEADY, RA_NONE);
	assert_true(caches_now(&x) - sent >= 7200);
	assert_int_equal(ask(&x, RQ_ROTATE, &why), EC_OK); /* and it is an ordinary identity again */
	live(&x, RO_HOLDING, RA_NONE);
	live(&x, RO_STEADY, RA_NONE);
	assert_int_equal(x.active[0], 8);
	free(x.f);
}

/* The removal got no answer; DANE is switched on again, with another next key. If the removal
 * took effect now, the new record would be left without that of the key presented. */
static void on_waits_for_a_removal_on_its_way(void **state)
{
	(void)state;
	struct fix x;
	struct why why;
	steady(&x);
	assert_int_equal(ask(&x, RQ_DISABLE, &why), EC_OK);
	live(&x, RO_WITHDRAWING, RA_UPDATE);
	facts_update_sent(x.f, &x.d.adds, &x.d.deletes, 3600, fix_now(&x));
	facts_update_done(x.f, OUTCOME_UNKNOWN, "no answer in 5s", fix_now(&x));
	int64_t sent = caches_now(&x);
	x.standby[0] = x.standby[1] = 9; /* made anew meanwhile */
	assert_int_equal(ask(&x, RQ_ENABLE, &why), EC_OK);
	fix_pass(&x, 6);
	fix_look(&x);
	assert_int_equal(fix_decide(&x)->state, RO_PUBLISHING);
	assert_int_not_equal(x.d.action, RA_UPDATE);
	HAS(x.d.why, "nothing is added before");
	struct tlsa_set none = { 0 }, wanted = x.d.wanted;
	assert_int_equal(rollover_check_write(x.f, &x.p, &wanted, &none, fix_now(&x), &why), EC_INVARIANT);
	HAS(why.text, "may still take effect");
	live(&x, RO_PUBLISHING, RA_UPDATE);
	assert_true(caches_now(&x) - sent >= 600);
	live(&x, RO_STEADY, RA_NONE);
	free(x.f);
}

static void first_publication_meets_what_is_there(void **state)
{
	(void)state;
	struct fix x;
	struct why why;
	memset(&caches, 0, sizeof caches);
	fix_make(&x);
	live(&x, RO_PUBLISHING, RA_PROBE);
	/* a forgotten host behind the name presents another key: with TLSA its mail would stop */
	fix_probe(&x);
	uint8_t other[32];
	fix_spki(other, 7, 7, 0);
	facts_probe(x.f, "[2001:db8::9]:25", KEY_ECDSA_P256, SNI_RIGHT, other, NULL, fix_now(&x));
	fix_decide(&x);
	assert_int_equal(x.d.state, RO_PUBLISHING);
	assert_int_not_equal(x.d.action, RA_UPDATE);
	HAS(x.d.why, "[2001:db8::9]:25 presents a key that no instance knows");
	struct tlsa_set none = { 0 }, wanted = x.d.wanted;
	assert_int_equal(rollover_check_write(x.f, &x.p, &wanted, &none, fix_now(&x), &why), EC_INVARIANT);
	fix_pass(&x, 6);
	fix_look(&x);
	fix_probe(&x);
	assert_int_equal(fix_decide(&x)->action, RA_UPDATE);
	assert_int_equal(rollover_check_write(x.f, &x.p, &x.d.adds, &x.d.deletes, fix_now(&x), &why), EC_OK);
	free(x.f);
}

static void first_publication_counts_the_negative_ttl(void **state)
{
	(void)state;
	struct fix x;
	memset(&caches, 0, sizeof caches);
	fix_make(&x);
	x.p.ttl_s = 60;
	x.ttl_s = 10800; /* of the denial */
	live(&x, RO_PUBLISHING, RA_UPDATE);
	int64_t sent = caches_now(&x);
	live(&x, RO_AGEING, RA_NONE);
	HAS(x.d.why, "2 x 10800 s");
	live(&x, RO_STEADY, RA_NONE);
	assert_true(caches_now(&x) - sent >= 21600);
	free(x.f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(emergency_is_immediate),
		cmocka_unit_test(emergency_asks_when_the_next_key_is_young),
		cmocka_unit_test(emergency_forced_goes_ahead),
		cmocka_unit_test(emergency_forced_needs_the_record_served),
		cmocka_unit_test(emergency_makes_the_key_it_needs),
		cmocka_unit_test(emergency_cuts_a_roll_short),
		cmocka_unit_test(emergency_can_be_undone),
		cmocka_unit_test(emergency_and_a_silent_server),
		cmocka_unit_test(off_in_time_order),
		cmocka_unit_test(off_is_not_complete_before),
		cmocka_unit_test(off_without_instances),
		cmocka_unit_test(off_in_the_middle_of_a_roll),
		cmocka_unit_test(off_waits_for_every_server),
		cmocka_unit_test(off_after_a_pause),
		cmocka_unit_test(off_never_leaves_a_stranger_alone),
		cmocka_unit_test(off_by_signatures),
		cmocka_unit_test(on_again_at_once_costs_nothing),
		cmocka_unit_test(on_is_a_first_publication),
		cmocka_unit_test(on_waits_for_a_removal_on_its_way),
		cmocka_unit_test(first_publication_meets_what_is_there),
		cmocka_unit_test(first_publication_counts_the_negative_ttl),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
