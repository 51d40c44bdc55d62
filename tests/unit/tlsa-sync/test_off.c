/* Emergencies, switching off and on, the first publication: as histories, with every
 * cache that may still hold something. */
#include "history.h"

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
	struct fix *x = steady(state);
	x->p.blocked = "mx2.example.org is rolling"; /* comfort: not now */
	assert_int_equal(ask(x, RQ_EMERGENCY), EC_OK);
	HAS(x->said.text, "no mail is deferred");
	HAS(x->said.text, "caches may go on trusting the former key for 60 minutes after every server has dropped its record");
	HAS(x->said.text, "may replay the signed set until 2026-");
	int64_t asked = caches_now(x);
	live(x, RO_RETIRING, RA_UPDATE);
	assert_int_equal(x->active[0], 8);
	assert_int_equal(x->active[1], 8);
	assert_int_equal(x->d.deletes.num, 2); /* the former records, and nothing else */
	assert_true(caches_now(x) - asked < 60); /* hold is an hour */
	while (x->f->roll.ended.count_ms == 0)
		assert_true(!caches_until(&caches, x, RO_NUM_STATES, RA_NUM_ACTIONS, 1) && caches.broken[0] == '\0');
	fix_decide(x);
	HAS(x->d.alarms[0], "caches may go on trusting the key given up in the emergency until 2026-");
	live(x, RO_STEADY, RA_NONE);
	assert_int_equal(x->d.num_alarms, 0); /* two TTLs later */
	assert_false(served_anywhere(x, 7));
	assert_int_equal(x->f->roll.end, ROLL_DONE);
	assert_int_equal(x->retired[0], 0);
}

static void emergency_asks_when_the_next_key_is_young(void **state)
{
	struct fix *x = world_at(state, RO_AGEING, RA_NONE, 3000);
	struct facts *before = facts_new("mx1.example.org");
	memcpy(before, x->f, sizeof *before);
	assert_int_equal(ask(x, RQ_EMERGENCY), EC_PIN_UNPROVEN);
	HAS(x->said.text, "generation 8 of edge-1: caches may hold the old set until ");
	HAS(x->said.text, "find no match and defer mail, for up to 120 minutes");
	HAS(x->said.text, "--force");
	assert_int_equal(rollover_exposure(x->f, &x->p, fix_now(x), &x->said), EC_PIN_UNPROVEN);
	assert_int_equal(before->roll.asked.count_ms, x->f->roll.asked.count_ms); /* nothing was asked for */
	assert_int_equal(check_swap(x, 0, 8), EC_INVARIANT);
	free(before);
	/* the same an instant before it is old, and then no more */
	live(x, RO_STEADY, RA_NONE);
	assert_int_equal(ask(x, RQ_EMERGENCY), EC_OK);
}

/* The operator was told, and goes ahead: the servers have it, the caches do not. */
static void emergency_forced_goes_ahead(void **state)
{
	struct fix *x = world_at(state, RO_AGEING, RA_NONE, 3000);
	for (unsigned i = 0; i < 2; i++) { /* a cache that got the set before this one */
		struct tlsa t = fix_record(i, 7, 0);
		assert_int_equal(tlsa_set_add(&caches.seen[caches.num].set, &t), EC_OK);
	}
	caches.seen[caches.num++].last_s = caches_now(x);
	int64_t asked = caches_now(x);
	assert_int_equal(ask(x, RQ_EMERGENCY_FORCED), EC_OK);
	HAS(x->said.text, "defer mail");
	assert_true(fix_until(x, RO_SWAPPING, RA_SWAP, 20));
	assert_int_equal(check_swap(x, 0, 8), EC_OK);
	assert_true(fix_until(x, RO_RETIRING, RA_UPDATE, 100));
	assert_int_equal(check_decided(x), EC_OK);
	assert_true(caches_now(x) - asked < 120);
	caches_check(&caches, x);
	HAS(caches.broken, "does not match generation 8"); /* that is the price, and the check sees it */
	assert_true(fix_until(x, RO_STEADY, RA_NONE, 3000));
	assert_false(served_anywhere(x, 7));
}

/* Forced is not blind: a server that answers without the record is waited for; one that is
 * silent is not. */
static void emergency_forced_needs_the_record_served(void **state)
{
	struct fix *x = world_at(state, RO_PUBLISHING, RA_UPDATE, 100);
	assert_int_equal(ask(x, RQ_EMERGENCY_FORCED), EC_OK);
	send_change(x, OUTCOME_OK, NULL);
	x->served[0] = x->served[1] = x->d.adds;
	for (int n = 0; n < 5; n++) {
		look_after(x, 6);
		assert_int_not_equal(fix_decide(x)->action, RA_SWAP);
		if (x->d.action == RA_RECORD)
			rollover_record(x->f, &x->p, &x->d, fix_now(x), &x->said);
	}
	assert_int_equal(x->d.state, RO_SPREADING);
	HAS(x->d.why, "ns2.example.org (192.0.2.7) still serves");
	assert_int_equal(check_swap(x, 0, 8), EC_INVARIANT);
	silence(x, 2);
	assert_int_equal(fix_decide(x)->action, RA_SWAP);
	assert_int_equal(check_swap(x, 0, 8), EC_OK);
	for (unsigned s = 0; s < 3; s++)
		silence(x, s);
	assert_int_not_equal(fix_decide(x)->action, RA_SWAP); /* nobody is known to have it */
	assert_int_equal(check_swap(x, 0, 8), EC_INVARIANT);
}

static void emergency_makes_the_key_it_needs(void **state)
{
	struct fix *x = world_at(state, RO_PREPARING, RA_PREPARE, 50);
	assert_int_equal(ask(x, RQ_EMERGENCY), EC_PIN_UNPROVEN);
	HAS(x->said.text, "edge-1 has no next key yet");
	assert_int_equal(ask(x, RQ_EMERGENCY_FORCED), EC_OK);
	assert_true(fix_until(x, RO_SWAPPING, RA_SWAP, 100));
	assert_int_equal(x->d.generation, 8);
	assert_true(fix_until(x, RO_RETIRING, RA_UPDATE, 100));
}

/* Asked for while HOLDING it ends the window; while SWAPPING there is none. */
static void emergency_cuts_a_roll_short(void **state)
{
	for (int swapping = 0; swapping < 2; swapping++) {
		struct fix *x = steady(state);
		rotate(x);
		live(x, swapping ? RO_SWAPPING : RO_HOLDING, swapping ? RA_SWAP : RA_NONE);
		int64_t asked = caches_now(x);
		assert_int_equal(ask(x, RQ_EMERGENCY), EC_OK);
		live(x, RO_RETIRING, RA_UPDATE);
		assert_true(caches_now(x) - asked < 60);
		assert_int_equal(ask(x, RQ_EMERGENCY), EC_BUSY);
		HAS(x->said.text, "being withdrawn already");
		live(x, RO_STEADY, RA_NONE);
		assert_int_equal(x->active[1], 8);
	}
}

static void emergency_can_be_undone(void **state)
{
	struct fix *x = steady(state);
	assert_int_equal(ask(x, RQ_EMERGENCY), EC_OK);
	assert_int_equal(ask(x, RQ_ABORT), EC_OK); /* nothing was swapped yet */
	live(x, RO_STEADY, RA_NONE);
	assert_int_equal(x->active[0], 7);
	assert_int_equal(ask(x, RQ_EMERGENCY), EC_OK);
	live(x, RO_SWAPPING, RA_PROBE);
	assert_int_equal(x->active[0], 8);
	assert_int_equal(ask(x, RQ_ABORT), EC_BUSY);
	assert_int_equal(ask(x, RQ_ROLLBACK), EC_OK);
	assert_int_equal(ask(x, RQ_EMERGENCY), EC_BUSY);
	live(x, RO_STEADY, RA_NONE);
	assert_int_equal(x->active[0], 7);
	assert_int_equal(x->active[1], 7);
	assert_int_equal(x->f->roll.end, ROLL_BACK);
}

/* A silent server has not been seen to serve anything else: but it is waited for, by name,
 * unless the operator insists. */
static void emergency_and_a_silent_server(void **state)
{
	struct fix *x = steady(state);
	assert_int_equal(ask(x, RQ_EMERGENCY), EC_OK);
	live(x, RO_SWAPPING, RA_SWAP);
	silence(x, 1);
	assert_int_not_equal(fix_decide(x)->action, RA_SWAP);
	assert_string_equal(x->d.waiting_for, "ns1.example.org (192.0.2.6)");
	assert_int_equal(ask(x, RQ_EMERGENCY_FORCED), EC_OK);
	assert_int_equal(fix_decide(x)->action, RA_SWAP);
	assert_int_equal(check_swap(x, 0, 8), EC_OK);
}

/* ---- off ---- */

static void off_in_time_order(void **state)
{
	struct fix *x = steady(state);
	assert_int_equal(ask(x, RQ_DISABLE), EC_OK);
	HAS(x->said.text, "the present keys must stay in use");
	assert_int_equal(ask(x, RQ_DISABLE), EC_EXISTS);
	assert_int_equal(ask(x, RQ_ROTATE), EC_BUSY);
	HAS(x->said.text, "switched off");
	live(x, RO_WITHDRAWING, RA_UPDATE);
	assert_int_equal(x->d.deletes.num, 4);
	assert_int_equal(x->d.adds.num, 0);
	gone(x);
	int64_t gone = caches_now(x);
	HAS(x->d.why, "caches may hold them until ");
	HAS(x->d.why, "keep the present keys until then");
	for (unsigned s = 0; s < 3; s++)
		assert_int_equal(x->served[s].num, 0);
	live(x, RO_DISABLED, RA_NONE);
	assert_true(caches_now(x) - gone >= 7190 && caches_now(x) - gone <= 7400); /* 2 x 3600 */
	HAS(x->d.why, "DANE is off since ");
	assert_int_equal(x->active[0], 7);
	x->active[0] = x->active[1] = 20; /* as free as promised */
	caches_check(&caches, x);
	assert_string_equal(caches.broken, "");
}

/* The control: before it is complete the same change breaks the promise. */
static void off_is_not_complete_before(void **state)
{
	struct fix *x = steady(state);
	assert_int_equal(ask(x, RQ_DISABLE), EC_OK);
	gone(x);
	fix_pass(x, 7000);
	assert_int_equal(fix_decide(x)->state, RO_WITHDRAWING);
	x->active[0] = 20;
	caches_check(&caches, x);
	HAS(caches.broken, "does not match generation 20");
}

/* DANE does harm, so it is switched off: what a broken instance reports does not matter. */
static void off_without_instances(void **state)
{
	struct fix *x = steady(state);
	down(x, 0);
	facts_probe(x->f, "203.0.113.9:25", 0, SNI_RIGHT, NULL, "connection refused", fix_now(x));
	assert_int_equal(ask(x, RQ_DISABLE), EC_OK);
	look_at_servers(x, 6);
	assert_int_equal(fix_decide(x)->action, RA_UPDATE);
	assert_int_equal(x->d.state, RO_WITHDRAWING);
	assert_int_equal(check_decided(x), EC_OK);
}

static void off_in_the_middle_of_a_roll(void **state)
{
	static const struct {
		enum rollover_state state;
		enum rollover_action action;
	} when[] = { { RO_SWAPPING, RA_SWAP }, { RO_SWAPPING, RA_PROBE }, { RO_HOLDING, RA_NONE }, { RO_RETIRING, RA_UPDATE } };
	for (size_t i = 0; i < sizeof when / sizeof when[0]; i++) {
		struct fix *x = steady(state);
		rotate(x);
		live(x, when[i].state, when[i].action);
		assert_int_equal(ask(x, RQ_DISABLE), EC_OK);
		assert_int_equal(x->f->roll.end, ROLL_ABORTED);
		live(x, RO_DISABLED, RA_NONE);
		assert_int_equal(ask(x, RQ_ENABLE), EC_OK);
		live(x, RO_STEADY, RA_NONE);
	}
}

static void off_waits_for_every_server(void **state)
{
	struct fix *x = steady(state);
	struct tlsa_set all = x->served[0];
	assert_int_equal(ask(x, RQ_DISABLE), EC_OK);
	live(x, RO_WITHDRAWING, RA_UPDATE);
	send_change(x, OUTCOME_OK, NULL);
	x->served[0] = x->served[1] = (struct tlsa_set){ 0 };
	look_often(x, 5, 6);
	assert_int_equal(fix_decide(x)->state, RO_WITHDRAWING);
	HAS(x->d.why, "ns2.example.org (192.0.2.7) still serves serial 41 with 3 1 1");
	x->served[2] = (struct tlsa_set){ 0 };
	look_often(x, 3, 6);
	silence(x, 1);
	assert_int_equal(fix_decide(x)->state, RO_WITHDRAWING);
	HAS(x->d.why, "ns1.example.org (192.0.2.6) gives no answer");
	gone(x);
	fix_pass(x, 7000); /* nearly there, and a server turns back */
	assert_int_not_equal(x->f->off.gone.count_ms, 0);
	x->served[2] = all;
	fix_look(x);
	assert_int_equal(fix_decide(x)->mark, RM_BACK);
	live(x, RO_WITHDRAWING, RA_UPDATE); /* removed again, and the wait begins anew */
	int64_t again = caches_now(x);
	live(x, RO_DISABLED, RA_NONE);
	assert_true(caches_now(x) - again >= 7200);
}

/* After a time in which nobody watched, one TTL more. */
static void off_after_a_pause(void **state)
{
	struct fix *x = steady(state);
	assert_int_equal(ask(x, RQ_DISABLE), EC_OK);
	gone(x);
	fix_pass(x, 7100);
	int64_t back = caches_now(x);
	live(x, RO_DISABLED, RA_NONE);
	assert_true(caches_now(x) - back >= 3600);
}

static void off_never_leaves_a_stranger_alone(void **state)
{
	struct fix *x = steady(state);
	struct tlsa t = fix_record(200, 1, 0); /* another 3 1 1: beside ours it harms nobody */
	publish_by_hand(x, t);
	fix_look(x);
	assert_int_equal(ask(x, RQ_DISABLE), EC_OK);
	look_after(x, 6);
	assert_int_equal(fix_decide(x)->state, RO_WITHDRAWING);
	assert_int_not_equal(x->d.action, RA_UPDATE);
	HAS(x->d.why, "3 1 1 c901005a..., which is not ours: without our records senders would find no match");
	struct tlsa_set ours = x->served[0];
	assert_true(tlsa_set_remove(&ours, &t));
	assert_int_equal(check_deletes(x, &ours), EC_INVARIANT);
	x->p.own_rrset = true;
	live(x, RO_WITHDRAWING, RA_UPDATE);
	assert_int_equal(x->d.deletes.num, 5);
	live(x, RO_DISABLED, RA_NONE);
}

static void off_by_signatures(void **state)
{
	struct fix *x = world(state);
	x->p.wait = WAIT_SIGNATURES;
	x->signature.s = x->clock.wall_ms / 1000 + 86400;
	live(x, RO_STEADY, RA_NONE);
	x->signature.s = x->clock.wall_ms / 1000 + 86400;
	look_after(x, 300);
	assert_int_equal(ask(x, RQ_DISABLE), EC_OK);
	int64_t asked = caches_now(x);
	gone(x);
	x->clock.wall_ms += INT64_C(30) * 86400 * 1000; /* somebody sets the clock: that proves nothing */
	live(x, RO_DISABLED, RA_NONE);
	assert_true(caches_now(x) - asked >= 86000);
}

/* ---- on ---- */

static void on_again_at_once_costs_nothing(void **state)
{
	struct fix *x = steady(state);
	assert_int_equal(ask(x, RQ_ENABLE), EC_NOT_FOUND);
	assert_int_equal(ask(x, RQ_DISABLE), EC_OK);
	int64_t asked = caches_now(x);
	assert_int_equal(ask(x, RQ_ENABLE), EC_OK);
	live(x, RO_STEADY, RA_NONE);
	assert_true(caches_now(x) - asked < 60);
}

static void on_is_a_first_publication(void **state)
{
	struct fix *x = steady(state);
	assert_int_equal(ask(x, RQ_DISABLE), EC_OK);
	live(x, RO_DISABLED, RA_NONE);
	assert_int_equal(ask(x, RQ_ENABLE), EC_OK);
	live(x, RO_PUBLISHING, RA_PROBE);
	live(x, RO_PUBLISHING, RA_UPDATE);
	assert_int_equal(x->d.adds.num, 4);
	int64_t sent = caches_now(x);
	live(x, RO_STEADY, RA_NONE);
	assert_true(caches_now(x) - sent >= 7200);
	rotate(x); /* and it is an ordinary identity again */
	roll(x);
	assert_int_equal(x->active[0], 8);
}

/* The removal got no answer; DANE is switched on again, with another next key. If the removal
 * took effect now, the new record would be left without that of the key presented. */
static void on_waits_for_a_removal_on_its_way(void **state)
{
	struct fix *x = steady(state);
	assert_int_equal(ask(x, RQ_DISABLE), EC_OK);
	live(x, RO_WITHDRAWING, RA_UPDATE);
	send_change(x, OUTCOME_UNKNOWN, "no answer in 5s");
	int64_t sent = caches_now(x);
	x->standby[0] = x->standby[1] = 9; /* made anew meanwhile */
	assert_int_equal(ask(x, RQ_ENABLE), EC_OK);
	look_after(x, 6);
	assert_int_equal(fix_decide(x)->state, RO_PUBLISHING);
	assert_int_not_equal(x->d.action, RA_UPDATE);
	HAS(x->d.why, "nothing is added before");
	assert_int_equal(check_adds(x, &x->d.wanted), EC_INVARIANT);
	HAS(x->said.text, "may still take effect");
	live(x, RO_PUBLISHING, RA_UPDATE);
	assert_true(caches_now(x) - sent >= 600);
	live(x, RO_STEADY, RA_NONE);
}

static void first_publication_meets_what_is_there(void **state)
{
	struct fix *x = world_at(state, RO_PUBLISHING, RA_PROBE, 3000);
	/* a forgotten host behind the name presents another key: with TLSA its mail would stop */
	fix_probe(x);
	presents(x, "[2001:db8::9]:25", SNI_RIGHT, 7, 7);
	fix_decide(x);
	assert_int_equal(x->d.state, RO_PUBLISHING);
	assert_int_not_equal(x->d.action, RA_UPDATE);
	HAS(x->d.why, "[2001:db8::9]:25 presents a key that no instance knows");
	assert_int_equal(check_adds(x, &x->d.wanted), EC_INVARIANT);
	look_after(x, 6);
	fix_probe(x);
	assert_int_equal(fix_decide(x)->action, RA_UPDATE);
	assert_int_equal(check_decided(x), EC_OK);
}

static void first_publication_counts_the_negative_ttl(void **state)
{
	struct fix *x = world(state);
	x->p.ttl_s = 60;
	x->ttl_s = 10800; /* of the denial */
	live(x, RO_PUBLISHING, RA_UPDATE);
	int64_t sent = caches_now(x);
	live(x, RO_AGEING, RA_NONE);
	HAS(x->d.why, "2 x 10800 s");
	live(x, RO_STEADY, RA_NONE);
	assert_true(caches_now(x) - sent >= 21600);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HISTORY(emergency_is_immediate),
		HISTORY(emergency_asks_when_the_next_key_is_young),
		HISTORY(emergency_forced_goes_ahead),
		HISTORY(emergency_forced_needs_the_record_served),
		HISTORY(emergency_makes_the_key_it_needs),
		HISTORY(emergency_cuts_a_roll_short),
		HISTORY(emergency_can_be_undone),
		HISTORY(emergency_and_a_silent_server),
		HISTORY(off_in_time_order),
		HISTORY(off_is_not_complete_before),
		HISTORY(off_without_instances),
		HISTORY(off_in_the_middle_of_a_roll),
		HISTORY(off_waits_for_every_server),
		HISTORY(off_after_a_pause),
		HISTORY(off_never_leaves_a_stranger_alone),
		HISTORY(off_by_signatures),
		HISTORY(on_again_at_once_costs_nothing),
		HISTORY(on_is_a_first_publication),
		HISTORY(on_waits_for_a_removal_on_its_way),
		HISTORY(first_publication_meets_what_is_there),
		HISTORY(first_publication_counts_the_negative_ttl),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
