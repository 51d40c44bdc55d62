/* Each row of the table of states: what it waits for, what it does, what it says. */
#include "history.h"
#include "tlsa-sync/age.h"

static void table_of_states(void **state)
{
	(void)state;
	assert_true(step_table_ok(rollover_states, RO_NUM_STATES));
}

static void preparing_waits_for_a_report(void **state)
{
	struct fix *x = world(state);
	down(x, 0);
	const struct decision *d = fix_decide(x);
	assert_int_equal(d->state, RO_PREPARING);
	assert_string_equal(d->waiting_for, "edge-1");
	HAS(d->why, "waiting for edge-1 to report its keys: connection refused");
	assert_int_equal(d->action, RA_FIND); /* it may as well find the zone meanwhile */
}

static void preparing_asks_each_instance(void **state)
{
	struct fix *x = world_at(state, RO_PREPARING, RA_PREPARE, 50);
	assert_int_equal(x->d.instance, 0);
	x->standby[0] = 8;
	assert_int_equal(fix_report(x, 0), EC_OK);
	facts_instance_failed(x->f, 1, "no such socket", fix_now(x));
	const struct decision *d = fix_decide(x);
	assert_int_equal(d->state, RO_PREPARING);
	HAS(d->why, "edge-2");
	HAS(d->why, "no such socket");
}

static void one_instance_down_does_not_keep_the_other(void **state)
{
	struct fix *x = world_at(state, RO_PREPARING, RA_PREPARE, 50);
	facts_instance_failed(x->f, 0, "no such socket", fix_now(x));
	const struct decision *d = fix_decide(x);
	assert_int_equal(d->action, RA_PREPARE);
	assert_int_equal(d->instance, 1);
}

static void first_publication_is_whole(void **state)
{
	struct fix *x = world(state);
	x->num_algorithms = 2;
	assert_true(fix_until(x, RO_PUBLISHING, RA_UPDATE, 100));
	/* two instances x two algorithms x (active + standby) */
	assert_int_equal(x->d.adds.num, 8);
	assert_int_equal(x->d.deletes.num, 0);
	for (unsigned i = 0; i < 2; i++)
		for (uint64_t g = 7; g <= 8; g++)
			for (unsigned a = 0; a < 2; a++) {
				struct tlsa t = fix_record(i, g, a);
				assert_true(tlsa_set_has(&x->d.adds, &t));
			}
	assert_int_equal(rollover_check_write(x->f, &x->p, &x->d.adds, &x->d.deletes, fix_now(x), NULL), EC_OK);
}

static void publishing_says_why_refused(void **state)
{
	struct fix *x = world_at(state, RO_PUBLISHING, RA_UPDATE, 100);
	send_change(x, OUTCOME_FAILED, "REFUSED: TSIG key not allowed for this zone");
	const struct decision *d = fix_decide(x);
	assert_int_equal(d->state, RO_PUBLISHING);
	HAS(d->why, "REFUSED: TSIG key not allowed for this zone");
	assert_int_not_equal(d->action, RA_UPDATE); /* not at once */
	look_after(x, 31);
	assert_int_equal(fix_decide(x)->action, RA_UPDATE);
}

static void unknown_outcome_is_settled_by_asking(void **state)
{
	struct fix *x = world_at(state, RO_PUBLISHING, RA_UPDATE, 100);
	facts_update_sent(x->f, &x->d.adds, &x->d.deletes, 3600, fix_now(x));
	/* a crash here leaves just this: sent, outcome not known */
	assert_int_not_equal(fix_decide(x)->action, RA_UPDATE);
	assert_int_equal(x->d.state, RO_PUBLISHING);
	HAS(x->d.why, "was not answered");
	fix_pass(x, 6);
	assert_int_equal(fix_decide(x)->action, RA_LOOK);
	/* it did take effect, on one server so far */
	x->served[0] = x->f->update.adds;
	fix_look(x);
	assert_int_equal(fix_decide(x)->state, RO_SPREADING);
	assert_int_not_equal(x->d.action, RA_UPDATE);
}

static void lost_update_is_sent_again(void **state)
{
	struct fix *x = world_at(state, RO_PUBLISHING, RA_UPDATE, 100);
	send_change(x, OUTCOME_UNKNOWN, "no answer in 5s");
	fix_pass(x, 11);
	assert_int_equal(fix_decide(x)->action, RA_LOOK);
	fix_look(x);
	assert_int_equal(fix_decide(x)->action, RA_UPDATE);
}

/* Both instances have a next key, and the servers are known: not what they serve. */
static void prepared(struct fix *x)
{
	for (unsigned i = 0; i < 2; i++) {
		x->standby[i] = 8;
		assert_int_equal(fix_report(x, i), EC_OK);
	}
	fix_find(x);
}

static void looks_before_the_first_write(void **state)
{
	struct fix *x = world(state);
	prepared(x);
	/* instances known, servers listed but never asked: their TTL counts */
	assert_int_equal(fix_decide(x)->state, RO_PUBLISHING);
	assert_int_equal(x->d.action, RA_LOOK);
}

static void spreading_names_server_address_serial(void **state)
{
	struct fix *x = world_at(state, RO_PUBLISHING, RA_UPDATE, 100);
	send_change(x, OUTCOME_OK, NULL);
	x->served[0] = x->served[1] = x->d.adds;
	look_often(x, 4, 5);
	const struct decision *d = fix_decide(x);
	assert_int_equal(d->state, RO_SPREADING);
	assert_string_equal(d->waiting_for, "ns2.example.org (192.0.2.7)");
	HAS(d->why, "ns2.example.org (192.0.2.7) still serves serial 41 without 3 1 1 0107005a");
}

static void spreading_needs_k_in_a_row(void **state)
{
	struct fix *x = world_at(state, RO_PUBLISHING, RA_UPDATE, 100);
	send_change(x, OUTCOME_OK, NULL);
	x->served[0] = x->served[1] = x->served[2] = x->d.adds;
	struct tlsa_set all = x->d.adds;
	fix_look(x);
	fix_look(x);
	assert_int_equal(fix_decide(x)->state, RO_SPREADING);
	HAS(x->d.why, "2 of 3 times");
	x->served[1] = (struct tlsa_set){ 0 }; /* an address with two servers behind it */
	fix_answer(x, 1);
	x->served[1] = all;
	fix_look(x);
	assert_int_equal(fix_decide(x)->state, RO_SPREADING);
	fix_look(x);
	fix_look(x);
	assert_int_equal(fix_decide(x)->state, RO_AGEING);
}

static void silence_breaks_the_row(void **state)
{
	struct fix *x = world_at(state, RO_PUBLISHING, RA_UPDATE, 100);
	x->served[0] = x->served[1] = x->served[2] = x->d.adds;
	fix_look(x);
	fix_look(x);
	silence(x, 2);
	const struct decision *d = fix_decide(x);
	assert_int_equal(d->state, RO_SPREADING);
	fix_answer(x, 2);
	fix_look(x);
	assert_int_equal(fix_decide(x)->state, RO_SPREADING);
	fix_look(x);
	assert_int_equal(fix_decide(x)->state, RO_AGEING);
}

/* Bogus and insecure answers prove nothing, whatever is in them. */
static void only_validated_answers_count(void **state)
{
	static const struct {
		enum fact_validity validity;
		const char *words;
	} cases[] = { { VALIDITY_BOGUS, "does not validate" }, { VALIDITY_INSECURE, "not securely signed" },
		      { VALIDITY_UNKNOWN, "not known" } };
	for (size_t i = 0; i < 3; i++) {
		struct fix *x = world_at(state, RO_PUBLISHING, RA_UPDATE, 100);
		x->served[0] = x->served[1] = x->served[2] = x->d.adds;
		x->validity = cases[i].validity;
		look_often(x, 10, 0);
		assert_int_equal(fix_decide(x)->state, RO_SPREADING);
		HAS(x->d.why, cases[i].words);
	}
}

/* The moment the wait ends, to the second, for each part of the rule. */
static int64_t age_left_s(struct fix *x, unsigned algorithm)
{
	struct tlsa t = fix_record(0, 8, algorithm);
	struct age a = age_of(x->f, &x->p, t.data, fix_now(x));
	assert_int_not_equal(a.reason, AGE_NO_PROOF);
	return (a.left_ms + 999) / 1000;
}

static void wait_rule(void **state)
{
	static const struct {
		const char *name;
		uint32_t ttl_before, negative, ttl_s;
		enum wait_rule wait;
		int64_t signature_s, floor_s, margin_s, want_s;
	} cases[] = {
		{ "two TTLs of the records we write", 0, 300, 3600, WAIT_TWO_TTL, 86400, 0, 0, 7200 },
		{ "the larger TTL of the set before", 86400, 0, 3600, WAIT_TWO_TTL, 0, 0, 0, 172800 },
		{ "the smaller TTL of the set before", 60, 0, 3600, WAIT_TWO_TTL, 0, 0, 0, 7200 },
		{ "the negative TTL of an absent set", 0, 10800, 60, WAIT_TWO_TTL, 0, 0, 0, 21600 },
		{ "senders cache on top", 0, 60, 60, WAIT_TWO_TTL, 0, 0, 100, 220 },
		{ "floor above", 0, 60, 60, WAIT_TWO_TTL, 0, 172800, 0, 172800 },
		{ "floor below", 0, 60, 3600, WAIT_TWO_TTL, 0, 60, 0, 7200 },
		{ "signatures above", 3600, 0, 3600, WAIT_SIGNATURES, 1209600, 0, 0, 1209600 },
		{ "signatures below", 3600, 0, 3600, WAIT_SIGNATURES, 60, 0, 0, 7200 },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct fix *x = world(state);
		x->p.wait = cases[i].wait;
		x->p.floor_s = cases[i].floor_s;
		x->p.cache_margin_s = cases[i].margin_s;
		x->p.ttl_s = cases[i].ttl_s;
		if (cases[i].ttl_before != 0)
			for (unsigned n = 0; n < 2; n++)
				publish_by_hand(x, fix_record(n, 7, 0));
		x->ttl_s = cases[i].ttl_before != 0 ? cases[i].ttl_before : cases[i].negative;
		x->signature.s = x->clock.wall_ms / 1000 + cases[i].signature_s;
		prepared(x);
		fix_look(x);
		fix_probe(x);
		fix_decide(x);
		assert_int_equal(x->d.action, RA_UPDATE);
		facts_update_sent(x->f, &x->d.adds, &x->d.deletes, x->p.ttl_s, fix_now(x));
		facts_update_done(x->f, OUTCOME_OK, NULL, fix_now(x));
		fix_serve(x);
		x->ttl_s = cases[i].ttl_s;
		x->signature.s += 10000000; /* signed anew; this is not an old signature */
		look_often(x, 3, 0);
		if (age_left_s(x, 0) != cases[i].want_s)
			fail_msg("%s: %lld s, not %lld", cases[i].name, (long long)age_left_s(x, 0),
			         (long long)cases[i].want_s);
	}
}

static void ageing_says_until_when(void **state)
{
	struct fix *x = world_at(state, RO_AGEING, RA_NUM_ACTIONS, 100);
	HAS(x->d.why, "caches may hold the old set until ");
	HAS(x->d.why, "2 x 3600 s");
	assert_true(x->d.at.s >= x->clock.wall_ms / 1000 + 7199 && x->d.at.s <= x->clock.wall_ms / 1000 + 7201);
}

static void regression_resets_the_clock(void **state)
{
	struct fix *x = world_at(state, RO_AGEING, RA_NONE, 100);
	struct tlsa_set all = x->served[2];
	look_after(x, 6000);
	assert_true(age_left_s(x, 0) > 1000);
	take_out(x, 2, fix_record(0, 8, 0));
	fix_look(x);
	assert_int_equal(fix_decide(x)->state, RO_SPREADING);
	HAS(x->d.why, "ns2.example.org (192.0.2.7) still serves");
	x->served[2] = all;
	look_often(x, 3, 0);
	assert_int_equal(age_left_s(x, 0), 7200);
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

static void pause_costs_one_ttl(void **state)
{
	struct fix *x = steady(state);
	assert_int_equal(age_left_s(x, 0), 0);
	look_after(x, 661); /* 2 x watch + 60 s = 660 s is the longest pause that is none */
	assert_int_equal(age_left_s(x, 0), 3600);
	assert_int_equal(fix_decide(x)->state, RO_AGEING);
	HAS(x->d.why, "nobody watched");
}

static void new_server_has_to_prove_itself(void **state)
{
	struct fix *x = steady(state);
	x->num_servers = 4;
	fix_find(x);
	assert_int_equal(fix_decide(x)->state, RO_PUBLISHING + 1);
	HAS(x->d.why, "ns3.example.org (192.0.2.8)");
}

static void server_that_left_is_not_forgotten(void **state)
{
	struct fix *x = world_at(state, RO_PUBLISHING, RA_UPDATE, 100);
	x->served[0] = x->served[1] = x->d.adds; /* ns2 stays behind */
	look_often(x, 3, 0);
	fix_pass(x, 500);
	look_often(x, 3, 0);
	x->num_servers = 2;
	fix_find(x);
	assert_int_equal(age_left_s(x, 0), 7200); /* from now on, not from when the others agreed */
}

static void server_that_left_late_is_not_forgotten(void **state)
{
	struct fix *x = world_at(state, RO_PUBLISHING, RA_UPDATE, 100);
	x->served[0] = x->served[1] = x->d.adds;
	look_often(x, 3, 0);
	fix_pass(x, 500);
	x->served[2] = x->d.adds;
	look_often(x, 3, 0);
	fix_pass(x, 100);
	x->num_servers = 2;
	fix_find(x);
	assert_int_equal(age_left_s(x, 0), 7100); /* it served the old set for 500 s longer than the others */
}

static void list_must_be_newer_than_the_proof(void **state)
{
	struct fix *x = roll_at(state, RO_SWAPPING, RA_SWAP, 20);
	x->f->zone_found.count_ms = 1;
	assert_int_equal(fix_decide(x)->action, RA_FIND);
	assert_int_equal(rollover_check_swap(x->f, &x->p, 0, 8, fix_now(x), NULL), EC_INVARIANT);
}

static void each_algorithm_ages(void **state)
{
	struct fix *x = world(state);
	x->num_algorithms = 2;
	assert_true(fix_until(x, RO_STEADY, RA_NONE, 1000));
	struct tlsa_set all = x->served[0];
	take_out(x, 0, fix_record(0, 8, KEY_RSA_3072));
	fix_look(x);
	x->served[0] = all;
	look_often(x, 3, 0);
	assert_int_equal(age_left_s(x, KEY_ECDSA_P256), 0);
	assert_int_equal(age_left_s(x, KEY_RSA_3072), 7200);
	assert_int_equal(age_of_generation(x->f, &x->p, 0, 8, fix_now(x)).left_ms, 7200 * 1000);
	assert_int_equal(rollover_check_swap(x->f, &x->p, 0, 8, fix_now(x), NULL), EC_INVARIANT);
}

static void clocks_only_lengthen(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		int64_t wall_s, mono_s;
		bool boot;
		int64_t counted_s;
	} cases[] = {
		{ "both go on", 100, 100, false, 100 },          { "wall jumps forward", 86400, 100, false, 100 },
		{ "wall jumps back", -86400, 100, false, 0 },    { "wall runs slow", 90, 100, false, 90 },
		{ "machine slept", 5000, 10, false, 10 },        { "a boot, later", 100, -5000, true, 0 },
		{ "a boot, wall ahead", 99999, -5000, true, 0 }, { "a boot, wall behind", -99999, -5000, true, 0 },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct facts *f = facts_new("x");
		struct reading r = { INT64_C(1795269600000), { 1000000 }, "b1" };
		int64_t before = facts_tick(f, &r).count_ms;
		r.wall_ms += cases[i].wall_s * 1000;
		r.mono.ms += cases[i].mono_s * 1000;
		if (cases[i].boot)
			strcpy(r.boot, "b2");
		int64_t counted = facts_tick(f, &r).count_ms - before;
		if (counted != cases[i].counted_s * 1000)
			fail_msg("%s: %lld ms", cases[i].name, (long long)counted);
		free(f);
	}
}

static void boot_is_a_pause(void **state)
{
	struct fix *x = steady(state);
	strcpy(x->clock.boot, "b2");
	x->clock.mono.ms = 10;
	assert_int_equal(fix_decide(x)->action, RA_FIND);
	fix_pass(x, 1);
	fix_find(x);
	assert_int_equal(fix_decide(x)->action, RA_LOOK);
	fix_look(x);
	assert_int_equal(age_left_s(x, 0), 3600);
}

static void signatures_survive_a_wrong_clock(void **state)
{
	struct fix *x = world(state);
	x->p.wait = WAIT_SIGNATURES;
	assert_true(fix_until(x, RO_AGEING, RA_NONE, 100));
	int64_t left = age_left_s(x, 0);
	assert_true(left > 13 * 86400);
	x->clock.wall_ms += INT64_C(30) * 86400 * 1000; /* somebody sets the clock */
	assert_true(age_left_s(x, 0) > 13 * 86400);
	x->clock.wall_ms -= INT64_C(60) * 86400 * 1000;
	assert_true(age_left_s(x, 0) > 30 * 86400);
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

static void old_ttls_outlive_the_steady_state(void **state)
{
	struct fix *x = world_at(state, RO_AGEING, RA_NONE, 100);
	/* a day's TTL is seen shortly before all is steady, then an hour's again */
	x->ttl_s = 86400;
	fix_look(x);
	x->ttl_s = 3600;
	assert_true(fix_until(x, RO_STEADY, RA_NONE, 5000));
	assert_int_equal(facts_ttl_max(x->f), 3600); /* two days have passed: nobody holds that version */
	x->ttl_s = 86400;
	look_after(x, 300);
	x->ttl_s = 3600;
	x->f->settled = (struct stamp){ 0 };
	look_after(x, 300);
	assert_true(facts_ttl_max(x->f) == 86400);
	facts_ttls_prune(x->f, 0, fix_now(x));
	assert_true(facts_ttl_max(x->f) == 86400);
}

static void the_ttl_we_write_counts(void **state)
{
	(void)state;
	struct facts *f = facts_new("x");
	struct reading r = { 5000000, { 5000000 }, "b" };
	struct tlsa_set adds = { 0 }, deletes = { 0 };
	facts_update_sent(f, &adds, &deletes, 7200, facts_tick(f, &r));
	assert_int_equal(facts_ttl_max(f), 7200); /* it may be served before anybody looks */
	free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_of_states),
		HISTORY(preparing_waits_for_a_report),
		HISTORY(preparing_asks_each_instance),
		HISTORY(one_instance_down_does_not_keep_the_other),
		HISTORY(first_publication_is_whole),
		HISTORY(publishing_says_why_refused),
		HISTORY(unknown_outcome_is_settled_by_asking),
		HISTORY(lost_update_is_sent_again),
		HISTORY(looks_before_the_first_write),
		HISTORY(spreading_names_server_address_serial),
		HISTORY(spreading_needs_k_in_a_row),
		HISTORY(silence_breaks_the_row),
		HISTORY(only_validated_answers_count),
		HISTORY(wait_rule),
		HISTORY(ageing_says_until_when),
		HISTORY(regression_resets_the_clock),
		HISTORY(silence_does_not_reset_but_holds),
		HISTORY(pause_costs_one_ttl),
		HISTORY(new_server_has_to_prove_itself),
		HISTORY(server_that_left_is_not_forgotten),
		HISTORY(server_that_left_late_is_not_forgotten),
		HISTORY(list_must_be_newer_than_the_proof),
		HISTORY(each_algorithm_ages),
		cmocka_unit_test(clocks_only_lengthen),
		HISTORY(boot_is_a_pause),
		HISTORY(signatures_survive_a_wrong_clock),
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
		HISTORY(steady_rotates_when_due),
		HISTORY(steady_notices_a_missing_record),
		HISTORY(foreign_records_are_reported_not_touched),
		HISTORY(foreign_kind_is_in_the_way),
		HISTORY(abort_before_age_withdraws),
		HISTORY(abort_of_a_rotation_keeps_the_aged_key),
		HISTORY(abort_after_a_swap_is_refused),
		HISTORY(old_ttls_outlive_the_steady_state),
		cmocka_unit_test(the_ttl_we_write_counts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
