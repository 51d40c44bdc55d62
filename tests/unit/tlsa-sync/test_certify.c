/* Issuer `command`: which certificate is due, when it is tried again, renewals that are asked for. */
#include "certificates.h"

static void due_at_a_third_or_as_told(void **state)
{
	(void)state;
	struct fix x;
	steady(&x, 31);
	assert_int_equal(next_of(&x).step, CERTIFY_IDLE);
	assert_int_equal(next_of(&x).wait_ms, INT64_C(1000) * DAY);
	x.p.renew_before_s = 40 * DAY;
	assert_int_equal(next_of(&x).step, CERTIFY_RUN);
	x.p.renew_before_s = 10 * DAY;
	assert_int_equal(next_of(&x).step, CERTIFY_IDLE);
	x.p.renew_before_s = 0;
	fix_pass(&x, DAY);
	assert_int_equal(next_of(&x).step, CERTIFY_RUN);
	x.p.issuer = ISSUER_SELF_SIGNED; /* danegate does it */
	assert_int_equal(next_of(&x).step, CERTIFY_IDLE);
	x.p.issuer = ISSUER_FILES;
	assert_int_equal(next_of(&x).step, CERTIFY_IDLE);
	free(x.f);
}

static void a_self_signed_one_is_due_at_once_but_not_of_a_standby(void **state)
{
	(void)state;
	struct fix x;
	steady(&x, 80);
	assert_true(key_of(&x, 0, 8)->self_signed);
	assert_int_equal(next_of(&x).step, CERTIFY_IDLE);
	key_of(&x, 1, 7)->self_signed = true;
	struct certify c = next_of(&x);
	assert_int_equal(c.step, CERTIFY_RUN);
	assert_int_equal(c.instance, 1);
	assert_int_equal(c.generation, 7);
	assert_int_equal(c.tries, 1);
	free(x.f);
}

static void the_decision_runs_it_in_any_state(void **state)
{
	(void)state;
	struct fix x;
	steady(&x, 80);
	key_of(&x, 0, 7)->self_signed = true;
	const struct decision *d = fix_decide(&x);
	assert_int_equal(d->state, RO_STEADY);
	assert_int_equal(d->action, RA_CERTIFY);
	assert_int_equal(d->instance, 0);
	assert_int_equal(d->generation, 7);
	assert_int_equal(d->tries, 1);
	/* while it runs everything else goes on, and it is not begun again */
	facts_issue_sent(x.f, 0, 7, KEY_ECDSA_P256, 1, fix_now(&x));
	assert_int_equal(next_of(&x).step, CERTIFY_RUNNING);
	fix_pass(&x, 600);
	d = fix_decide(&x);
	assert_int_not_equal(d->action, RA_CERTIFY);
	assert_int_not_equal(d->action, RA_NONE); /* looks */
	free(x.f);
}

static void pauses_double_and_are_bounded(void **state)
{
	(void)state;
	struct fix x;
	steady(&x, 20);
	x.num_instances = 2;
	key_of(&x, 1, 7)->not_after.s += 70 * DAY; /* one key only is due */
	int64_t want_s = 300;
	for (unsigned n = 1; n < 20; n++) {
		struct certify c = next_of(&x);
		assert_int_equal(c.step, CERTIFY_RUN);
		assert_int_equal(c.tries, n);
		tried(&x, &c, OUTCOME_FAILED, "lego exited with status 1: no");
		c = next_of(&x);
		assert_int_equal(c.step, CERTIFY_LATER);
		assert_int_equal(c.wait_ms, want_s * 1000);
		fix_pass(&x, want_s - 1);
		assert_int_equal(next_of(&x).step, CERTIFY_LATER);
		fix_pass(&x, 1);
		want_s = 2 * want_s < CERTIFY_RETRY_MAX_S ? 2 * want_s : CERTIFY_RETRY_MAX_S;
	}
	assert_int_equal(want_s, CERTIFY_RETRY_MAX_S);
	free(x.f);
}

static void one_that_never_succeeds_does_not_keep_the_other(void **state)
{
	(void)state;
	struct fix x;
	steady(&x, 20);
	struct certify c = next_of(&x);
	unsigned first = c.instance;
	tried(&x, &c, OUTCOME_FAILED, "no");
	fix_pass(&x, 300);
	c = next_of(&x);
	assert_int_equal(c.step, CERTIFY_RUN);
	assert_int_not_equal(c.instance, first);
	tried(&x, &c, OUTCOME_OK, NULL);
	key_of(&x, c.instance, 7)->not_after.s += 70 * DAY;
	fix_pass(&x, 1);
	x.f->instances[c.instance].heard = fix_now(&x);
	/* that one helped: the turn is the first one's at once */
	c = next_of(&x);
	assert_int_equal(c.step, CERTIFY_RUN);
	assert_int_equal(c.instance, first);
	assert_int_equal(c.tries, 1);
	free(x.f);
}

static void after_success_the_report_is_awaited(void **state)
{
	(void)state;
	struct fix x;
	steady(&x, 20);
	key_of(&x, 1, 7)->not_after.s += 70 * DAY;
	struct certify c = next_of(&x);
	tried(&x, &c, OUTCOME_OK, NULL);
	assert_int_equal(next_of(&x).step, CERTIFY_LOOK);
	assert_int_equal(fix_decide(&x)->action, RA_LOOK);
	key_of(&x, 0, 7)->not_after.s += 70 * DAY;
	fix_pass(&x, 1);
	x.f->instances[0].heard = fix_now(&x);
	assert_int_equal(next_of(&x).step, CERTIFY_IDLE);
	/* due again with the certificate just issued: it does not go round in circles */
	x.p.renew_before_s = 100 * DAY;
	key_of(&x, 1, 7)->not_after.s += 700 * DAY;
	c = next_of(&x);
	assert_int_equal(c.step, CERTIFY_LATER);
	struct why why = { 0 };
	assert_true(certify_trouble(x.f, &x.p, fix_now(&x), &why));
	HAS(why.text, "renew_before is longer than its life");
	free(x.f);
}

static void an_unknown_outcome_is_settled_by_the_report(void **state)
{
	(void)state;
	struct fix x;
	steady(&x, 20);
	key_of(&x, 1, 7)->not_after.s += 70 * DAY;
	struct certify c = next_of(&x);
	tried(&x, &c, OUTCOME_UNKNOWN, "installing it: no answer");
	assert_int_equal(next_of(&x).step, CERTIFY_LOOK);
	fix_pass(&x, 1);
	x.f->instances[0].heard = fix_now(&x);
	c = next_of(&x);
	assert_int_equal(c.step, CERTIFY_LATER); /* it was not installed */
	free(x.f);
}

/* With renew_before longer than their life both are due again at once: neither is an excuse for the other. */
static void two_that_are_always_due_pause(void **state)
{
	(void)state;
	struct fix x;
	steady(&x, 80);
	x.p.renew_before_s = 100 * DAY;
	for (unsigned n = 0; n < 2; n++) {
		struct certify c = next_of(&x);
		assert_int_equal(c.step, n == 0 ? CERTIFY_RUN : CERTIFY_LATER);
		fix_pass(&x, c.wait_ms / 1000 + 1);
		c = next_of(&x);
		assert_int_equal(c.step, CERTIFY_RUN);
		tried(&x, &c, OUTCOME_OK, NULL);
		fix_pass(&x, 1);
		for (unsigned i = 0; i < x.num_instances; i++)
			x.f->instances[i].heard = fix_now(&x);
	}
	free(x.f);
}

static enum ec renew(struct fix *x, const char *part)
{
	struct why why = { 0 };
	enum ec ec = rollover_request(x->f, &x->p, RQ_RENEW, fix_now(x), &why);
	HAS(why.text, part);
	return ec;
}

static bool renewing(struct fix *x, const char *part)
{
	struct why why = { 0 };
	bool is = certify_renewing(x->f, &x->p, fix_now(x), &why);
	HAS(why.text, part);
	return is;
}

/* Two instances: the certificate of each one's active key, once, and no other; until each reports another. */
static void a_renewal_asked_for(void **state)
{
	(void)state;
	static const struct {
		enum policy_issuer issuer;
		const char *words, *progress;
	} cases[] = { { ISSUER_COMMAND, "the issuer's command gets a new certificate", "is replaced: getting one" },
		      { ISSUER_SELF_SIGNED, "danegate signs the certificate anew", "is replaced: danegate signs it anew" } };
	for (size_t n = 0; n < sizeof cases / sizeof cases[0]; n++) {
		struct fix x;
		steady(&x, 80);
		x.sha512 = true;
		for (unsigned i = 0; i < x.num_instances; i++) {
			x.ca_of[i][KEY_ECDSA_P256] = x.active[i];
			assert_int_equal(fix_report(&x, i), EC_OK);
		}
		x.p.issuer = cases[n].issuer;
		assert_int_equal(next_of(&x).step, CERTIFY_IDLE);
		assert_false(renewing(&x, ""));
		/* a try of long ago, with its pause, does not count */
		struct certify c = { .generation = x.active[0], .tries = 9 };
		tried(&x, &c, OUTCOME_FAILED, "some time ago");
		fix_pass(&x, 1);
		assert_int_equal(renew(&x, cases[n].words), EC_OK);
		assert_int_equal(renew(&x, "under way already"), EC_OK);
		assert_int_equal(x.f->num_renewals, x.num_instances);
		fix_pass(&x, 1);
		unsigned seen = 0;
		for (unsigned i = 0; i < x.num_instances; i++) {
			c = next_of(&x);
			assert_int_equal(c.step, CERTIFY_RUN);
			assert_int_equal(c.tries, 1);
			assert_true(c.generation == x.active[c.instance] && (seen & 1u << c.instance) == 0);
			assert_true(renewing(&x, cases[n].progress));
			seen |= 1u << c.instance;
			bool known = n == 0 || i == 0;
			tried(&x, &c, known ? OUTCOME_OK : OUTCOME_UNKNOWN, "installing it: no answer");
			assert_int_equal(x.f->num_renewals, x.num_instances - i - (known ? 1 : 0));
			fix_pass(&x, 1);
			x.renewals++;
			assert_int_equal(fix_report(&x, c.instance), EC_OK);
			x.renewals--;
		}
		assert_int_equal(x.f->num_renewals, 0);
		assert_false(renewing(&x, ""));
		assert_int_equal(next_of(&x).step, CERTIFY_IDLE);
		free(x.f);
	}
}

static void a_renewal_that_does_not_help_or_can_t_be(void **state)
{
	(void)state;
	struct fix x;
	struct why why = { 0 };
	steady(&x, 80);
	assert_int_equal(renew(&x, "not reported a certificate yet"), EC_BUSY);
	x.sha512 = true;
	for (unsigned i = 0; i < x.num_instances; i++)
		assert_int_equal(fix_report(&x, i), EC_OK);
	x.p.issuer = ISSUER_FILES;
	assert_int_equal(renew(&x, "comes from files"), EC_UNSUPPORTED);
	assert_int_equal(x.f->num_renewals, 0);
	x.p.issuer = ISSUER_SELF_SIGNED;
	assert_int_equal(renew(&x, "signs the certificate anew"), EC_OK);
	fix_pass(&x, 1);
	struct certify first = next_of(&x);
	assert_int_equal(first.step, CERTIFY_RUN);
	tried(&x, &first, OUTCOME_FAILED, "the disk is full");
	assert_int_equal(next_of(&x).step, CERTIFY_LATER);
	assert_true(renewing(&x, "the disk is full"));
	assert_true(certify_trouble(x.f, &x.p, fix_now(&x), &why));
	/* done, and the same certificate is reported as before: it is not gone round for ever */
	fix_pass(&x, CERTIFY_RETRY_MAX_S);
	for (unsigned i = 0; i < x.num_instances; i++) {
		struct certify c = { .instance = i, .generation = x.active[i], .tries = 1 };
		tried(&x, &c, OUTCOME_OK, NULL);
		fix_pass(&x, 1);
		assert_int_equal(fix_report(&x, i), EC_OK);
	}
	assert_false(renewing(&x, ""));
	free(x.f);
}

static void who_does_not_answer_is_not_asked(void **state)
{
	(void)state;
	struct fix x;
	steady(&x, 20);
	facts_instance_failed(x.f, 0, "no such socket", fix_now(&x));
	assert_int_equal(next_of(&x).instance, 1);
	facts_instance_failed(x.f, 1, "no such socket", fix_now(&x));
	assert_int_equal(next_of(&x).step, CERTIFY_IDLE);
	free(x.f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(due_at_a_third_or_as_told),
		cmocka_unit_test(a_self_signed_one_is_due_at_once_but_not_of_a_standby),
		cmocka_unit_test(the_decision_runs_it_in_any_state),
		cmocka_unit_test(pauses_double_and_are_bounded),
		cmocka_unit_test(one_that_never_succeeds_does_not_keep_the_other),
		cmocka_unit_test(after_success_the_report_is_awaited),
		cmocka_unit_test(an_unknown_outcome_is_settled_by_the_report),
		cmocka_unit_test(two_that_are_always_due_pause),
		cmocka_unit_test(a_renewal_asked_for),
		cmocka_unit_test(a_renewal_that_does_not_help_or_can_t_be),
		cmocka_unit_test(who_does_not_answer_is_not_asked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
