/* The wait: since when, for how long, and what begins it anew. */
#include "history.h"
#include "tlsa-sync/age.h"

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
		{ "signatures above", 3600, 0, 3600, WAIT_SIGNATURES, 1209600, 0, 0, 1209650 },
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
		x->signature.s += 50; /* the old set may have been signed so late, unseen */
		look_often(x, 1, 0);
		x->signature.s += 10000000; /* signed anew: this tells nothing of the old set */
		look_often(x, 2, 0);
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
		HISTORY(wait_rule),
		HISTORY(ageing_says_until_when),
		HISTORY(regression_resets_the_clock),
		HISTORY(pause_costs_one_ttl),
		HISTORY(new_server_has_to_prove_itself),
		HISTORY(server_that_left_is_not_forgotten),
		HISTORY(server_that_left_late_is_not_forgotten),
		HISTORY(each_algorithm_ages),
		cmocka_unit_test(clocks_only_lengthen),
		HISTORY(boot_is_a_pause),
		HISTORY(signatures_survive_a_wrong_clock),
		HISTORY(old_ttls_outlive_the_steady_state),
		cmocka_unit_test(the_ttl_we_write_counts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
