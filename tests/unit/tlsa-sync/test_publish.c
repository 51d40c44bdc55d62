/* The first key and the next come into DNS: prepared, published, seen on every server. */
#include "history.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
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
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
