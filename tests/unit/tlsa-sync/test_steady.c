/* Between two rolls: what is watched, whose records are left alone, what is given up. */
#include "history.h"

static void steady_rotates_when_due(void **state)
{
	struct fix *x = world(state);
	x->p.rotate_every_s = 90 * 86400;
	assert_true(fix_until(x, RO_STEADY, RA_NONE, 1000));
	HAS(x->d.why, "next rotation 20");
	x->f->rotated.s -= 90 * 86400;
	fix_look(x);
	x->p.blocked = "mx2.example.org is rolling";
	assert_int_equal(fix_decide(x)->state, RO_STEADY);
	HAS(x->d.why, "mx2.example.org is rolling");
	x->p.blocked = NULL;
	assert_int_equal(fix_decide(x)->mark, RM_START);
	assert_true(fix_until(x, RO_SWAPPING, RA_SWAP, 50));
}

static void steady_notices_a_missing_record(void **state)
{
	struct fix *x = steady(state);
	struct tlsa t = fix_record(1, 8, 0);
	for (unsigned s = 0; s < 3; s++)
		take_out(x, s, t);
	look_after(x, 300);
	assert_int_not_equal(fix_decide(x)->state, RO_STEADY);
	assert_int_equal(x->d.mark, RM_UNSETTLED);
	rollover_record(x->f, &x->p, &x->d, fix_now(x), &x->said);
	look_after(x, 60);
	assert_int_equal(fix_decide(x)->action, RA_UPDATE);
	assert_true(tlsa_set_has(&x->d.adds, &t));
}

static void foreign_records_are_reported_not_touched(void **state)
{
	struct fix *x = steady(state);
	struct tlsa t = fix_record(200, 1, 0); /* 3 1 1, not ours */
	publish_by_hand(x, t);
	look_after(x, 300);
	fix_decide(x);
	assert_int_equal(x->d.state, RO_STEADY); /* another 3 1 1 harms nobody */
	assert_true(x->d.num_alarms >= 1);
	HAS(x->d.alarms[0], "a record we did not make is published: 3 1 1 c901005a");
	for (int n = 0; n < 50; n++) {
		assert_false(fix_until(x, RO_RETIRING, RA_NUM_ACTIONS, 1));
		assert_int_equal(x->d.deletes.num, 0);
	}
}

static void foreign_kind_is_in_the_way(void **state)
{
	struct fix *x = steady(state);
	struct tlsa t = { .usage = 2, .selector = 1, .matching = 1, .len = 32, .data = { 9, 9 } };
	struct tlsa unusable = { .usage = 1, .selector = 1, .matching = 1, .len = 32, .data = { 9, 9 } };
	assert_int_equal(tlsa_set_add(&x->served[1], &unusable), EC_OK);
	look_after(x, 300);
	assert_int_equal(fix_decide(x)->state, RO_STEADY); /* no client uses it */
	assert_int_equal(tlsa_set_add(&x->served[1], &t), EC_OK);
	fix_look(x);
	assert_int_equal(fix_decide(x)->state, RO_SPREADING);
	HAS(x->d.why, "serves 2 1 1 09090000");
	x->p.own_rrset = true;
	assert_true(fix_until(x, RO_RETIRING, RA_UPDATE, 50));
	assert_true(tlsa_set_has(&x->d.deletes, &t));
	assert_int_equal(rollover_check_write(x->f, &x->p, &x->d.adds, &x->d.deletes, fix_now(x), NULL), EC_OK);
}

static void abort_before_age_withdraws(void **state)
{
	struct fix *x = roll_at(state, RO_AGEING, RA_NONE, 2000); /* of the key after the next */
	assert_int_equal(x->standby[0], 9);
	struct tlsa old = fix_record(0, 9, 0);
	assert_int_equal(ask(x, RQ_ABORT), EC_OK);
	HAS(x->said.text, "withdrawn");
	assert_true(fix_until(x, RO_RETIRING, RA_UPDATE, 50));
	assert_true(tlsa_set_has(&x->d.deletes, &old));
	struct tlsa active = fix_record(0, 8, 0);
	assert_false(tlsa_set_has(&x->d.deletes, &active));
	assert_int_equal(check_decided(x), EC_OK);
	assert_true(fix_until(x, RO_RETIRING, RA_RETIRE, 50));
	assert_int_equal(x->d.generation, 9);
}

static void abort_of_a_rotation_keeps_the_aged_key(void **state)
{
	struct fix *x = steady(state);
	rotate(x);
	assert_int_equal(ask(x, RQ_ROTATE), EC_BUSY);
	assert_int_equal(ask(x, RQ_ABORT), EC_OK);
	assert_true(fix_until(x, RO_STEADY, RA_NONE, 50));
	assert_int_equal(x->f->roll.end, ROLL_ABORTED);
	assert_int_equal(x->active[0], 7);
	assert_int_equal(x->standby[0], 8);
	assert_int_equal(ask(x, RQ_ABORT), EC_NOT_FOUND);
}

static void abort_after_a_swap_is_refused(void **state)
{
	struct fix *x = roll_at(state, RO_SWAPPING, RA_SWAP, 20);
	facts_asked(x->f, 0, ASK_SWAP, 8, fix_now(x));
	assert_int_equal(ask(x, RQ_ABORT), EC_BUSY);
	HAS(x->said.text, "rollback");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HISTORY(steady_rotates_when_due),
		HISTORY(steady_notices_a_missing_record),
		HISTORY(foreign_records_are_reported_not_touched),
		HISTORY(foreign_kind_is_in_the_way),
		HISTORY(abort_before_age_withdraws),
		HISTORY(abort_of_a_rotation_keeps_the_aged_key),
		HISTORY(abort_after_a_swap_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
