/* A roll, row by row of the table of states: what it waits for, what it does, what it says. */
#include "history.h"

static void table_of_states(void **state)
{
	(void)state;
	assert_true(step_table_ok(rollover_states, RO_NUM_STATES));
}

static void silence_does_not_reset_but_holds(void **state)
{
	struct fix *x = roll_at(state, RO_SWAPPING, RA_SWAP, 20);
	silence(x, 1);
	const struct decision *d = fix_decide(x);
	assert_int_equal(d->state, RO_SWAPPING);
	assert_int_not_equal(d->action, RA_SWAP);
	assert_string_equal(d->waiting_for, "ns1.example.org (192.0.2.6)");
	fix_answer(x, 1);
	assert_int_equal(fix_decide(x)->action, RA_SWAP);
}

static void list_must_be_newer_than_the_proof(void **state)
{
	struct fix *x = roll_at(state, RO_SWAPPING, RA_SWAP, 20);
	x->f->zone_found.count_ms = 1;
	assert_int_equal(fix_decide(x)->action, RA_FIND);
	assert_int_equal(rollover_check_swap(x->f, &x->p, 0, 8, fix_now(x), NULL), EC_INVARIANT);
}

static void certifying_waits_for_validity(void **state)
{
	struct fix *x = roll_at(state, RO_SWAPPING, RA_SWAP, 20);
	for (size_t i = 0; i < x->f->num_keys; i++)
		if (x->f->keys[i].generation == 8)
			x->f->keys[i].certified = false;
	const struct decision *d = fix_decide(x);
	assert_int_equal(d->state, RO_CERTIFYING);
	assert_int_not_equal(d->action, RA_SWAP);
	HAS(d->why, "generation 8 of edge-1 has no certificate for its ecdsa-p256 key");
	for (size_t i = 0; i < x->f->num_keys; i++)
		if (x->f->keys[i].generation == 8) {
			x->f->keys[i].certified = true;
			x->f->keys[i].not_after.s = x->clock.wall_ms / 1000 - 5;
		}
	assert_int_equal(fix_decide(x)->state, RO_CERTIFYING);
	HAS(x->d.why, "expired since");
}

static void swapping_takes_every_instance(void **state)
{
	struct fix *x = roll_at(state, RO_SWAPPING, RA_SWAP, 20);
	assert_int_equal(x->d.instance, 0);
	assert_int_equal(rollover_check_swap(x->f, &x->p, 0, 8, fix_now(x), NULL), EC_OK);
	swapped(x, 0);
	look_after(x, 1);
	assert_int_equal(fix_decide(x)->action, RA_SWAP);
	assert_int_equal(x->d.instance, 1);
	facts_asked(x->f, 1, ASK_SWAP, 8, fix_now(x));
	facts_ask_done(x->f, 1, OUTCOME_FAILED, "DNS does not pin this key");
	look_after(x, 2);
	fix_decide(x);
	assert_int_equal(x->d.state, RO_SWAPPING);
	HAS(x->d.why, "waiting for edge-2 to present generation 8: DNS does not pin this key");
}

static void swapping_probes_every_corner(void **state)
{
	for (unsigned corner = 0; corner < 2 * 3; corner++) {
		struct fix *x = roll_at(state, RO_SWAPPING, RA_PROBE, 40);
		fix_pass(x, 1);
		fix_probe(x);
		presents(x, corner % 2 == 0 ? "203.0.113.9:25" : "[2001:db8::9]:25", corner / 2, corner % 2, 7);
		assert_int_equal(fix_decide(x)->state, RO_SWAPPING);
		HAS(x->d.why, "still presents generation 7");
		HAS(x->d.why, corner % 2 == 0 ? "203.0.113.9:25" : "[2001:db8::9]:25");
		assert_int_not_equal(x->d.action, RA_RECORD);
		look_after(x, 6);
		fix_probe(x);
		assert_int_equal(fix_decide(x)->action, RA_RECORD);
		assert_int_equal(x->d.mark, RM_HELD);
	}
}

static void holding_keeps_the_old_record(void **state)
{
	struct fix *x = roll_at(state, RO_HOLDING, RA_NUM_ACTIONS, 60);
	HAS(x->d.why, "stays published until");
	assert_int_equal(x->d.wanted.num, 4);
	int64_t held = x->clock.mono.ms;
	assert_true(fix_until(x, RO_RETIRING, RA_UPDATE, 100));
	assert_true(x->clock.mono.ms - held >= 3590 * 1000);
	assert_int_equal(x->d.adds.num, 0);
	assert_int_equal(x->d.deletes.num, 2);
	for (unsigned i = 0; i < 2; i++) {
		struct tlsa t = fix_record(i, 7, 0);
		assert_true(tlsa_set_has(&x->d.deletes, &t));
	}
}

static void rollback_is_instant(void **state)
{
	struct fix *x = roll_at(state, RO_HOLDING, RA_NONE, 60);
	/* a silent server is no reason to wait */
	silence(x, 2);
	assert_int_equal(ask(x, RQ_ROLLBACK), EC_OK);
	assert_int_equal(fix_decide(x)->action, RA_SWAP);
	assert_int_equal(x->d.generation, 7);
	assert_int_equal(check_swap(x, 0, 7), EC_OK);
	assert_true(fix_until(x, RO_STEADY, RA_NONE, 200));
	assert_int_equal(x->f->roll.end, ROLL_BACK);
	assert_int_equal(x->active[0], 7);
	assert_int_equal(x->active[1], 7);
	assert_int_equal(facts_standby(x->f, 0), 8);
	assert_int_equal(x->d.wanted.num, 4); /* the new ones stay, as the next */
}

/* Somebody takes the old record out of the zone while HOLDING: then it is not in
 * every cache any more, and going back has to wait like going forward. */
static void rollback_waits_for_a_record_that_was_lost(void **state)
{
	struct fix *x = roll_at(state, RO_HOLDING, RA_NONE, 60);
	struct tlsa_set all = x->served[1];
	for (unsigned i = 0; i < 2; i++)
		take_out(x, 1, fix_record(i, 7, 0));
	fix_look(x);
	assert_int_equal(ask(x, RQ_ROLLBACK), EC_OK);
	assert_int_equal(fix_decide(x)->state, RO_SPREADING); /* first it is put back */
	assert_int_equal(check_swap(x, 0, 7), EC_INVARIANT);
	x->served[1] = all;
	look_often(x, 3, 0);
	assert_int_equal(fix_decide(x)->state, RO_AGEING);
	assert_int_equal(check_swap(x, 0, 7), EC_INVARIANT);
	look_after(x, 7200);
	assert_int_equal(fix_decide(x)->action, RA_SWAP);
	assert_int_equal(check_swap(x, 0, 7), EC_OK);
}

static void no_roll_begins_on_a_young_key(void **state)
{
	struct fix *x = world_at(state, RO_AGEING, RA_NONE, 100);
	rotate(x);
	assert_int_equal(fix_decide(x)->state, RO_AGEING);
	assert_int_not_equal(x->d.action, RA_RECORD);
	assert_int_equal(check_swap(x, 0, 8), EC_INVARIANT);
}

/* One instance has swapped; then the other's next record is lost and comes back. */
static void second_swap_waits_for_its_own_record(void **state)
{
	struct fix *x = roll_at(state, RO_SWAPPING, RA_SWAP, 20);
	swapped(x, 0);
	look_after(x, 1);
	struct tlsa t = fix_record(1, 8, 0);
	take_out(x, 0, t);
	fix_look(x);
	assert_int_equal(tlsa_set_add(&x->served[0], &t), EC_OK);
	look_often(x, 3, 0);
	assert_int_equal(fix_decide(x)->state, RO_AGEING);
	assert_int_not_equal(x->d.action, RA_SWAP);
}

static void rollback_too_late(void **state)
{
	struct fix *x = steady(state);
	assert_int_equal(ask(x, RQ_ROLLBACK), EC_NOT_FOUND);
	rotate(x);
	assert_int_equal(ask(x, RQ_ROLLBACK), EC_NOT_FOUND);
	assert_true(fix_until(x, RO_RETIRING, RA_UPDATE, 200));
	assert_int_equal(ask(x, RQ_ROLLBACK), EC_EXPIRED);
	assert_int_equal(check_swap(x, 0, 7), EC_INVARIANT);
}

static void retiring_waits_for_every_server(void **state)
{
	struct fix *x = roll_at(state, RO_RETIRING, RA_UPDATE, 200);
	send_change(x, OUTCOME_OK, NULL);
	tlsa_set_subtract(&x->served[0], &x->d.deletes);
	tlsa_set_subtract(&x->served[1], &x->d.deletes);
	struct tlsa_set deletes = x->d.deletes;
	look_often(x, 5, 0);
	assert_int_equal(fix_decide(x)->state, RO_RETIRING);
	assert_int_not_equal(x->d.action, RA_RETIRE);
	HAS(x->d.why, "ns2.example.org (192.0.2.7) still serves serial 41 with 3 1 1");
	tlsa_set_subtract(&x->served[2], &deletes);
	look_often(x, 3, 0);
	assert_int_equal(fix_decide(x)->action, RA_RETIRE);
	assert_int_equal(x->d.generation, 7);
}

static void whole_roll_ends_steady(void **state)
{
	struct fix *x = roll_at(state, RO_HOLDING, RA_NONE, 60);
	live_for(x, RO_STEADY, RA_NONE, 2000);
	assert_int_equal(x->f->roll.end, ROLL_DONE);
	assert_int_equal(x->active[0], 8);
	assert_int_equal(x->standby[0], 9);
	assert_int_equal(x->retired[0], 0);
	for (unsigned s = 0; s < 3; s++)
		assert_int_equal(x->served[s].num, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_of_states),
		HISTORY(silence_does_not_reset_but_holds),
		HISTORY(list_must_be_newer_than_the_proof),
		HISTORY(certifying_waits_for_validity),
		HISTORY(swapping_takes_every_instance),
		HISTORY(swapping_probes_every_corner),
		HISTORY(holding_keeps_the_old_record),
		HISTORY(rollback_is_instant),
		HISTORY(rollback_waits_for_a_record_that_was_lost),
		HISTORY(no_roll_begins_on_a_young_key),
		HISTORY(second_swap_waits_for_its_own_record),
		HISTORY(rollback_too_late),
		HISTORY(retiring_waits_for_every_server),
		HISTORY(whole_roll_ends_steady),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
