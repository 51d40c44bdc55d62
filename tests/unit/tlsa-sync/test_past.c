/* What nobody was told of: an old journal that was restored, a server that was silent while the zone
 * changed, a clock that stood still, a message that comes late. */
#include "history.h"
#include "tlsa-sync/age.h"

static int64_t age_left_s(struct fix *x, unsigned instance, uint64_t generation)
{
	struct tlsa t = fix_record(instance, generation, 0);
	struct age a = age_of(x->f, &x->p, t.data, fix_now(x));
	assert_int_not_equal(a.reason, AGE_NO_PROOF);
	return (a.left_ms + 999) / 1000;
}

static void all_serve(struct fix *x, struct tlsa_set set)
{
	for (unsigned s = 0; s < x->num_servers; s++)
		x->served[s] = set;
}

/* Asked of the instance, and no answer came: it may have been done. */
static void swap_unheard(struct fix *x, unsigned instance, uint64_t generation)
{
	facts_asked(x->f, instance, ASK_SWAP, generation, fix_now(x));
	facts_ask_done(x->f, instance, OUTCOME_UNKNOWN, "no answer in 5s");
}

/* What is about to be removed is known from the servers' last answers. One that is silent may have
 * another set by now, with another TTL: it is asked first, and what it says counts. */
static void nothing_is_removed_while_a_server_is_silent(void **state)
{
	struct fix *x = roll_at(state, RO_AGEING, RA_NONE, 2000);
	assert_int_equal(x->standby[0], 9);
	x->ttl_s = 86400; /* by hand, and nobody has asked since */
	fix_pass(x, 30);
	for (unsigned s = 0; s < 3; s++)
		silence(x, s);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(fix_report(x, i), EC_OK);
	facts_looked(x->f, fix_now(x));
	fix_probe(x);
	assert_int_equal(ask(x, RQ_ABORT), EC_OK);
	assert_int_equal(fix_decide(x)->state, RO_RETIRING);
	assert_int_not_equal(x->d.action, RA_UPDATE);
	HAS(x->d.waiting_for, "ns0.example.org");
	look_after(x, 60);
	fix_probe(x);
	assert_int_equal(fix_decide(x)->action, RA_UPDATE);
	x->ttl_s = 3600; /* what comes next has ours again */
	live(x, RO_AGEING, RA_NONE);
	HAS(x->d.why, "2 x 86400 s");
}

/* The configured TTL was raised, a set with it was published, and the journal of the day before was
 * restored when that set had just gone: nothing else tells that caches may hold it. */
static void the_configured_ttl_counts_though_nobody_remembers_it(void **state)
{
	struct fix *x = world(state);
	x->p.ttl_s = x->ttl_s = 60;
	assert_true(fix_until(x, RO_STEADY, RA_NONE, 1000));
	assert_int_equal(facts_ttl_max(x->f), 60);
	struct tlsa_set all = x->served[0];
	take_out(x, 0, fix_record(0, 8, 0));
	fix_look(x);
	all_serve(x, all);
	look_often(x, 3, 0);
	assert_int_equal(age_left_s(x, 0, 8), 120);
	x->p.ttl_s = 3600;
	assert_int_equal(age_left_s(x, 0, 8), 7200);
	rotate(x);
	fix_pass(x, 200);
	fix_look(x);
	assert_int_equal(fix_decide(x)->state, RO_AGEING);
	fix_find(x);
	assert_int_equal(check_swap(x, 0, 8), EC_INVARIANT);
	HAS(x->said.text, "caches may still hold");
}

/* Off, and on again at once. One server gave no answer all the while: it may have served the empty
 * set until a moment ago, and it is our own removal that emptied it. */
static void a_silent_server_proves_anew_what_was_put_back(void **state)
{
	struct fix *x = steady(state);
	struct tlsa_set all = x->served[0];
	assert_int_equal(ask(x, RQ_DISABLE), EC_OK);
	live(x, RO_WITHDRAWING, RA_UPDATE);
	send_change(x, OUTCOME_OK, NULL);
	x->served[0] = x->served[1] = (struct tlsa_set){ 0 };
	for (unsigned n = 0; n < 3; n++) {
		fix_pass(x, 5);
		fix_answer(x, 0);
		fix_answer(x, 1);
		silence(x, 2);
	}
	assert_int_equal(ask(x, RQ_ENABLE), EC_OK);
	fix_pass(x, 601);
	fix_answer(x, 0);
	fix_answer(x, 1);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(fix_report(x, i), EC_OK);
	facts_looked(x->f, fix_now(x));
	fix_probe(x);
	assert_int_equal(fix_decide(x)->action, RA_UPDATE);
	send_change(x, OUTCOME_OK, NULL);
	x->served[0] = x->served[1] = all;
	look_at_servers(x, 0);
	silence(x, 2);
	fix_pass(x, 5000); /* so long it went on serving nothing */
	look_often(x, 3, 1);
	assert_int_equal(age_left_s(x, 0, 8), 7200);
}

/* The same when somebody else took the record out, and two servers told. */
static void a_silent_server_proves_anew_what_somebody_took_out(void **state)
{
	struct fix *x = steady(state);
	struct tlsa t = fix_record(0, 8, 0);
	take_out(x, 0, t);
	take_out(x, 1, t);
	look_at_servers(x, 5);
	silence(x, 2);
	live(x, RO_SPREADING, RA_UPDATE); /* it serves the set, and gives us no answer */
	send_change(x, OUTCOME_OK, NULL);
	x->served[0] = x->served[1] = x->served[2];
	for (unsigned n = 0; n < 3; n++) {
		fix_pass(x, 5);
		fix_answer(x, 0);
		fix_answer(x, 1);
	}
	fix_pass(x, 300);
	look_often(x, 3, 0);
	assert_int_equal(age_left_s(x, 0, 8), 7200);
}

/* Off and on again within minutes, and no server gave an answer between the two: the empty set may have been signed
 * until any moment before the set that followed it. That one's signature, as it is first seen, is what may be
 * replayed so long; signing it again later does not count. */
static void the_signature_of_a_set_that_nobody_saw(void **state)
{
	struct fix *x = steady(state);
	x->p.wait = WAIT_SIGNATURES;
	assert_int_equal(ask(x, RQ_DISABLE), EC_OK);
	live(x, RO_WITHDRAWING, RA_UPDATE);
	send_change(x, OUTCOME_OK, NULL);
	assert_int_equal(ask(x, RQ_ENABLE), EC_OK);
	x->served[2] = (struct tlsa_set){ 0 }; /* one that never had it shows that something is to be sent */
	look_after(x, 700);
	fix_probe(x);
	assert_int_equal(fix_decide(x)->action, RA_UPDATE);
	send_change(x, OUTCOME_OK, NULL);
	x->num_servers = 2; /* and that one leaves the zone: the others were never seen without the record */
	fix_find(x);
	int64_t life_s = 30 * 86400;
	x->signature.s = x->clock.wall_ms / 1000 + life_s;
	look_often(x, 3, 10);
	assert_int_equal(age_left_s(x, 0, 8), life_s - 30);
	x->signature.s += 86400;
	look_after(x, 10);
	assert_int_equal(age_left_s(x, 0, 8), life_s - 40);
}

/* The servers turn back to a zone full of former keys' records, and without the next key's, perhaps even without
 * that of the key in use: they are not published before those have made room. */
static void former_records_make_room(void **state)
{
	for (uint64_t newest = 9; newest <= 10; newest++) {
		struct fix *x = world(state);
		x->num_algorithms = 2;
		live(x, RO_STEADY, RA_NONE);
		for (unsigned n = 0; n < 3; n++) {
			rotate(x);
			roll(x);
		}
		assert_int_equal(x->active[0], 10);
		struct tlsa_set old = { 0 };
		for (unsigned i = 0; i < 2; i++)
			for (uint64_t g = 7; g <= newest; g++)
				for (unsigned a = 0; a < 2; a++)
					assert_int_equal(tlsa_set_add(&old, &(struct tlsa[]){ fix_record(i, g, a) }[0]), EC_OK);
		for (unsigned s = 0; s < 3; s++)
			x->served[s] = old;
		assert_true(fix_until(x, RO_RETIRING, RA_UPDATE, 1000));
		assert_int_equal(x->d.deletes.num, 12);
		assert_int_equal(check_decided(x), EC_OK);
		assert_true(fix_until(x, RO_PUBLISHING, RA_UPDATE, 1000));
		assert_int_equal(check_decided(x), EC_OK);
		assert_true(fix_until(x, RO_STEADY, RA_NONE, 3000));
		assert_int_equal(x->served[0].num, 8);
	}
}

/* The machine was asleep, or a copy of it was brought back: the clock that counts has hardly moved. What
 * was seen before may be as old as the other clock says. */
static void what_was_seen_before_a_sleep_is_old(void **state)
{
	static const struct {
		const char *name;
		int64_t wall_s, mono_s;
		bool old;
	} cases[] = {
		{ "asleep for a night", 36000, 2, true },
		{ "set back while nobody looked", -36000, 3600, true },
		{ "set right by a second", 3, 2, false },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct fix *x = roll_at(state, RO_SWAPPING, RA_SWAP, 20);
		x->clock.wall_ms += cases[i].wall_s * 1000;
		x->clock.mono.ms += cases[i].mono_s * 1000;
		if ((fix_decide(x)->action == RA_SWAP) == cases[i].old)
			fail_msg("%s: %s", cases[i].name, x->d.why);
	}
}

/* A server that has joined since the zone was last looked up has an old copy of it. The roll finds it before it
 * changes a key. */
static void a_server_that_joined_before_the_roll_is_met(void **state)
{
	struct fix *x = steady(state);
	look_after(x, 60);
	x->num_servers = 4;
	x->served[3] = x->served[0];
	assert_true(tlsa_set_remove(&x->served[3], &(struct tlsa[]){ fix_record(0, 8, 0) }[0]));
	rotate(x);
	for (unsigned n = 0; n < 50; n++) {
		assert_int_not_equal(fix_decide(x)->action, RA_SWAP);
		if (x->f->num_servers == 4)
			break;
		if (x->d.action == RA_LOOK) /* the three that it knows */
			for (unsigned s = 0; s < 3; s++)
				fix_answer(x, s);
		if (x->d.action == RA_LOOK) {
			assert_int_equal(fix_report(x, 0), EC_OK);
			assert_int_equal(fix_report(x, 1), EC_OK);
			facts_looked(x->f, fix_now(x));
			fix_pass(x, 1);
		} else {
			(void)fix_until(x, RO_NUM_STATES, RA_NUM_ACTIONS, 1);
		}
	}
	assert_int_equal(x->f->num_servers, 4);
	fix_look(x);
	assert_int_not_equal(fix_decide(x)->action, RA_SWAP);
}

/* A roll in a journal that was restored; meanwhile it had ended, and others after it. */
static void an_old_roll_ends(void **state)
{
	struct fix *x = roll_at(state, RO_HOLDING, RA_NONE, 50);
	for (unsigned i = 0; i < 2; i++) {
		x->active[i] = 11, x->standby[i] = 12, x->retired[i] = 0;
		assert_int_equal(fix_report(x, i), EC_OK);
	}
	assert_int_equal(fix_decide(x)->action, RA_RECORD);
	assert_int_equal(x->d.mark, RM_ENDED);
	rollover_record(x->f, &x->p, &x->d, fix_now(x), &x->said);
	assert_int_equal(x->f->roll.end, ROLL_ABORTED);
	HAS(x->said.text, "over long ago");
	fix_serve(x);
	assert_true(fix_until(x, RO_STEADY, RA_NONE, 1000));
}

/* The same of a rollback: one instance had gone back and beyond, the other has not even begun. It must
 * not go forward now. */
static void an_old_rollback_never_goes_forward(void **state)
{
	struct fix *x = roll_at(state, RO_SWAPPING, RA_SWAP, 20);
	swapped(x, 0);
	assert_int_equal(ask(x, RQ_ROLLBACK), EC_OK);
	x->retired[0] = 0; /* the former key was deleted since */
	look_after(x, 1);
	assert_int_equal(fix_decide(x)->action, RA_RECORD);
	assert_int_equal(x->d.mark, RM_ENDED);
	rollover_record(x->f, &x->p, &x->d, fix_now(x), &x->said);
	assert_int_equal(x->f->roll.end, ROLL_ABORTED);
	for (unsigned n = 0; n < 50; n++) {
		assert_int_not_equal(fix_decide(x)->action, RA_SWAP);
		(void)fix_until(x, RO_NUM_STATES, RA_NUM_ACTIONS, 1);
	}
}

/* While DANE was off somebody made the key active that had been given up. */
static void a_key_given_up_and_made_active_by_hand(void **state)
{
	struct fix *x = roll_at(state, RO_AGEING, RA_NONE, 2000);
	assert_int_equal(ask(x, RQ_ABORT), EC_OK); /* of 9 */
	assert_int_equal(x->f->num_withdrawn, 2);
	assert_int_equal(ask(x, RQ_DISABLE), EC_OK);
	live(x, RO_DISABLED, RA_NONE);
	for (unsigned i = 0; i < 2; i++)
		x->active[i] = 9, x->standby[i] = 0;
	assert_int_equal(ask(x, RQ_ENABLE), EC_OK);
	fix_look(x);
	assert_int_equal(fix_decide(x)->mark, RM_FORGET);
	rollover_record(x->f, &x->p, &x->d, fix_now(x), &x->said);
	assert_int_equal(x->f->num_withdrawn, 0);
	live(x, RO_STEADY, RA_NONE);
	struct tlsa t = fix_record(0, 9, 0);
	assert_true(serves(x, 0, t));
	assert_int_equal(x->standby[0], 10);
}

/* In an emergency the key in use is younger than an update that may still take effect, and would put former keys'
 * records into the zone: it must not find that empty. */
static void off_waits_for_updates_older_than_the_key(void **state)
{
	struct fix *x = world_at(state, RO_AGEING, RA_NONE, 3000);
	int64_t begun = caches_now(x);
	assert_int_equal(ask(x, RQ_ABORT), EC_OK);
	live(x, RO_AGEING, RA_NONE);
	assert_int_equal(x->standby[0], 9);
	assert_int_equal(ask(x, RQ_EMERGENCY_FORCED), EC_OK);
	assert_true(fix_until(x, RO_RETIRING, RA_UPDATE, 100));
	assert_int_equal(x->active[1], 9);
	assert_int_equal(ask(x, RQ_DISABLE), EC_OK);
	for (unsigned n = 0; n < 20; n++) {
		look_after(x, 5);
		assert_int_not_equal(fix_decide(x)->action, RA_UPDATE);
	}
	assert_int_equal(x->d.state, RO_WITHDRAWING);
	HAS(x->d.why, "an update sent before the present key was made may still take effect until ");
	assert_int_equal(check_deletes(x, &x->served[0]), EC_INVARIANT);
	HAS(x->said.text, "an update sent before the key in use was known");
	assert_true(fix_until(x, RO_WITHDRAWING, RA_UPDATE, 1000));
	assert_true(caches_now(x) >= begun + 600);
	assert_int_equal(check_decided(x), EC_OK);
	assert_true(fix_until(x, RO_DISABLED, RA_NONE, 3000));
}

/* A forced emergency asked for the swap and heard nothing; then DANE was switched off and on. The key that
 * may be presented by now is not given up, however young. */
static void a_standby_that_may_be_presented_is_kept(void **state)
{
	struct fix *x = world_at(state, RO_AGEING, RA_NONE, 3000);
	assert_int_equal(ask(x, RQ_EMERGENCY_FORCED), EC_OK);
	live(x, RO_SWAPPING, RA_SWAP);
	unsigned i = x->d.instance;
	swap_unheard(x, i, 8);
	assert_int_equal(ask(x, RQ_DISABLE), EC_OK);
	assert_int_equal(ask(x, RQ_ENABLE), EC_OK);
	(void)ask(x, RQ_ABORT); /* the other instance's */
	assert_false(facts_withdrawn(x->f, i, 8));
	assert_true(facts_withdrawn(x->f, 1 - i, 8));
}

/* The removal got no answer, and DANE is on again before it took effect anywhere. If it takes effect after the
 * swap, senders were told for a while that there is no record, and trusted the former key. */
static void off_and_on_with_a_removal_on_its_way(struct fix *x)
{
	assert_int_equal(ask(x, RQ_DISABLE), EC_OK);
	live(x, RO_WITHDRAWING, RA_UPDATE);
	send_change(x, OUTCOME_UNKNOWN, "no answer in 5s");
	assert_int_equal(ask(x, RQ_ENABLE), EC_OK);
}

static void a_swap_waits_for_a_removal_on_its_way(void **state)
{
	struct fix *x = steady(state);
	off_and_on_with_a_removal_on_its_way(x);
	rotate(x);
	int64_t asked = caches_now(x);
	live(x, RO_AGEING, RA_NONE);
	HAS(x->d.why, "may still take effect");
	live(x, RO_SWAPPING, RA_SWAP);
	assert_true(caches_now(x) - asked >= 600);
}

static void a_forced_swap_waits_for_a_removal_on_its_way(void **state)
{
	struct fix *x = steady(state);
	off_and_on_with_a_removal_on_its_way(x);
	assert_int_equal(ask(x, RQ_EMERGENCY), EC_PIN_UNPROVEN);
	assert_int_equal(ask(x, RQ_EMERGENCY_FORCED), EC_OK);
	int64_t asked = caches_now(x);
	live(x, RO_SWAPPING, RA_SWAP);
	assert_true(caches_now(x) - asked >= 590);
}

/* A day's TTL, by hand and for a while; then a rotation that is asked for and called off: that is a steady
 * state again, and the day is not over. */
static void a_ttl_outlives_a_rotation_called_off(void **state)
{
	struct fix *x = steady(state);
	x->ttl_s = 86400;
	look_after(x, 300);
	x->ttl_s = 3600;
	look_after(x, 300);
	rotate(x);
	live(x, RO_SWAPPING, RA_LOOK);
	assert_int_equal(ask(x, RQ_ABORT), EC_OK);
	live(x, RO_STEADY, RA_NONE);
	assert_true(x->f->settled.count_ms != 0);
	assert_int_equal(facts_ttl_max(x->f), 86400);
}

/* The denial was given with two hours until a short while before DANE is off. */
static void a_ttl_outlives_being_off(void **state)
{
	struct fix *x = steady(state);
	assert_int_equal(ask(x, RQ_DISABLE), EC_OK);
	x->ttl_s = 7200;
	for (unsigned n = 0; x->f->off.gone.count_ms == 0 && n < 100; n++)
		(void)fix_until(x, RO_NUM_STATES, RA_NUM_ACTIONS, 1);
	look_often(x, 40, 300);
	x->ttl_s = 60;
	live(x, RO_DISABLED, RA_NONE);
	assert_int_equal(facts_ttl_max(x->f), 7200);
	look_often(x, 30, 600);
	x->f->off.done = (struct stamp){ 0 };
	live(x, RO_DISABLED, RA_NONE);
	assert_int_equal(facts_ttl_max(x->f), 60); /* and no longer than it must */
}

/* ---- off, on the word of an old journal ---- */

/* It knows generations 7 and 8; since then the key was rolled to 9, whose record is where no server that
 * answers has it yet. */
static void off_removes_the_record_of_every_key_there_is(void **state)
{
	struct fix *x = steady(state);
	x->active[0] = 9, x->standby[0] = 0;
	assert_int_equal(ask(x, RQ_DISABLE), EC_OK);
	fix_look(x);
	assert_int_equal(fix_decide(x)->action, RA_UPDATE);
	struct tlsa t = fix_record(0, 9, 0);
	assert_true(tlsa_set_has(&x->d.deletes, &t));
	assert_int_equal(check_decided(x), EC_OK);
}

static void off_removes_nothing_on_old_news_alone(void **state)
{
	struct fix *x = steady(state);
	fix_pass(x, 300);
	assert_int_equal(ask(x, RQ_DISABLE), EC_OK);
	for (unsigned s = 0; s < 3; s++)
		silence(x, s);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(fix_report(x, i), EC_OK);
	facts_looked(x->f, fix_now(x));
	assert_int_not_equal(fix_decide(x)->action, RA_UPDATE);
	HAS(x->d.why, "no server answers");
	/* one does, and one instance does not: what that has made since nobody can say */
	fix_answer(x, 1);
	down(x, 1);
	assert_int_not_equal(fix_decide(x)->action, RA_UPDATE);
	assert_string_equal(x->d.waiting_for, "edge-2");
	/* either will do */
	assert_int_equal(fix_report(x, 1), EC_OK);
	assert_int_equal(fix_decide(x)->action, RA_UPDATE);
	down(x, 1);
	fix_answer(x, 0);
	fix_answer(x, 2);
	assert_int_equal(fix_decide(x)->action, RA_UPDATE);
}

/* Three instances with three generations of two keys: more records than one update can remove. A part of them
 * alone in the zone would match nothing, unless it is the part that is presented. */
static void off_in_two_parts(void **state)
{
	static const char *const names[] = { "edge-1", "edge-2", "edge-3" };
	struct fix *x = world(state);
	x->num_algorithms = 2;
	x->num_instances = 3;
	x->active[2] = 7;
	assert_int_equal(facts_set_instances(x->f, names, 3), EC_OK);
	assert_true(fix_until(x, RO_STEADY, RA_NONE, 1000));
	for (unsigned i = 0; i < 3; i++)
		x->retired[i] = 6;
	fix_look(x);
	assert_int_equal(ask(x, RQ_DISABLE), EC_OK);
	live(x, RO_WITHDRAWING, RA_UPDATE);
	struct tlsa active = fix_record(0, 7, KEY_RSA_3072), standby = fix_record(0, 8, KEY_RSA_3072);
	assert_true(tlsa_set_has(&x->d.deletes, &standby));
	assert_false(tlsa_set_has(&x->d.deletes, &active));
	fix_until(x, RO_NUM_STATES, RA_NUM_ACTIONS, 1);
	assert_int_not_equal(fix_decide(x)->action, RA_UPDATE); /* a look first */
	live(x, RO_WITHDRAWING, RA_UPDATE);
	assert_true(tlsa_set_has(&x->d.deletes, &active));
	live(x, RO_DISABLED, RA_NONE);
	for (unsigned s = 0; s < 3; s++)
		assert_int_equal(x->served[s].num, 0);
}

/* On again; one server has turned back to the zone of last week, which has our records. The others get their
 * first ones all the same: so it must be seen what each address presents. */
static void on_again_is_a_first_publication_wherever_nothing_is(void **state)
{
	struct fix *x = steady(state);
	struct tlsa_set all = x->served[0];
	assert_int_equal(ask(x, RQ_DISABLE), EC_OK);
	live(x, RO_DISABLED, RA_NONE);
	assert_int_equal(ask(x, RQ_ENABLE), EC_OK);
	x->served[2] = all;
	x->active[1] = 20; /* as it was free to be, and nobody has heard */
	look_at_servers(x, 700);
	down(x, 1);
	for (unsigned n = 0; n < 20; n++) {
		assert_int_not_equal(fix_decide(x)->action, RA_UPDATE);
		assert_int_equal(check_adds(x, &all), EC_INVARIANT);
		look_at_servers(x, 5);
		down(x, 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HISTORY(nothing_is_removed_while_a_server_is_silent),
		HISTORY(the_configured_ttl_counts_though_nobody_remembers_it),
		HISTORY(a_silent_server_proves_anew_what_was_put_back),
		HISTORY(a_silent_server_proves_anew_what_somebody_took_out),
		HISTORY(the_signature_of_a_set_that_nobody_saw),
		HISTORY(former_records_make_room),
		HISTORY(what_was_seen_before_a_sleep_is_old),
		HISTORY(a_server_that_joined_before_the_roll_is_met),
		HISTORY(an_old_roll_ends),
		HISTORY(an_old_rollback_never_goes_forward),
		HISTORY(a_key_given_up_and_made_active_by_hand),
		HISTORY(a_standby_that_may_be_presented_is_kept),
		HISTORY(a_swap_waits_for_a_removal_on_its_way),
		HISTORY(a_forced_swap_waits_for_a_removal_on_its_way),
		HISTORY(off_waits_for_updates_older_than_the_key),
		HISTORY(a_ttl_outlives_a_rotation_called_off),
		HISTORY(a_ttl_outlives_being_off),
		HISTORY(off_removes_the_record_of_every_key_there_is),
		HISTORY(off_removes_nothing_on_old_news_alone),
		HISTORY(off_in_two_parts),
		HISTORY(on_again_is_a_first_publication_wherever_nothing_is),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
