/* Issuer `command`: which certificate is due, when it is tried again, what a roll waits for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fixture.h"
#include "tlsa-sync/certify.h"

#define HAS(text, part) do { if (strstr((text), (part)) == NULL) fail_msg("\"%s\" lacks \"%s\"", (text), (part)); } while (0)

enum { DAY = 86400 };

/* Just after a look at the servers, if that is what is wanted first. */
static struct certify next_of(struct fix *x)
{
	struct certify out;
	certify_next(x->f, &x->p, fix_now(x), &out);
	if (out.step != CERTIFY_LOOK)
		return out;
	facts_looked(x->f, fix_now(x));
	certify_next(x->f, &x->p, fix_now(x), &out);
	return out;
}

static struct fact_key *key_of(struct fix *x, unsigned instance, uint64_t generation)
{
	for (size_t i = 0; i < x->f->num_keys; i++)
		if (x->f->keys[i].instance == instance && x->f->keys[i].generation == generation)
			return &x->f->keys[i];
	fail_msg("no such key");
	return NULL;
}

/* A world in the steady state whose keys have certificates of the CA's, 90 days long, `left_days`
 * of them to come. */
static void steady(struct fix *x, int64_t left_days)
{
	assert_true(fix_steady(x));
	x->p.issuer = ISSUER_COMMAND;
	x->p.retry_s = 300;
	for (size_t i = 0; i < x->f->num_keys; i++) {
		struct fact_key *k = &x->f->keys[i];
		k->self_signed = k->generation != x->active[k->instance];
		k->not_after.s = x->clock.wall_ms / 1000 + left_days * DAY;
		k->not_before.s = k->not_after.s - 90 * DAY;
	}
}

static void tried(struct fix *x, const struct certify *c, enum outcome outcome, const char *words)
{
	facts_issue_sent(x->f, c->instance, c->generation, c->algorithm, c->tries, fix_now(x));
	fix_pass(x, 7);
	facts_issue_done(x->f, outcome, words, fix_now(x));
}

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

/* A roll gets its certificate before the swap; a CA that fails holds it up with its words, and an
 * expired or early certificate is told apart. */
static void a_roll_waits_for_the_ca(void **state)
{
	(void)state;
	struct fix x;
	struct why why;
	steady(&x, 80);
	for (unsigned i = 0; i < 2; i++)
		x.ca_of[i][0] = 7;
	assert_int_equal(rollover_request(x.f, &x.p, RQ_ROTATE, fix_now(&x), &why), EC_OK);
	assert_true(fix_until(&x, RO_CERTIFYING, RA_CERTIFY, 50));
	assert_int_equal(x.d.generation, 8);
	HAS(x.d.why, "the ecdsa-p256 certificate of generation 8 of edge-1 is self-signed");
	struct certify c = next_of(&x);
	tried(&x, &c, OUTCOME_FAILED, "/bin/lego exited with status 1: connection refused");
	const struct decision *d = fix_decide(&x);
	assert_int_equal(d->state, RO_CERTIFYING);
	assert_int_not_equal(d->action, RA_CERTIFY);
	HAS(d->why, "connection refused");
	HAS(d->why, "(tried 1 time; again at ");
	assert_string_equal(d->waiting_for, "the issuer");
	/* the other instance's turn, then the first one's again, and the roll goes on by itself */
	if (!fix_until(&x, RO_SWAPPING, RA_SWAP, 400))
		fail_msg("%s: %s", rollover_states[x.d.state].name, x.d.why);
	assert_true(fix_until(&x, RO_STEADY, RA_NONE, 1000));
	assert_int_equal(x.active[0], 8);
	assert_int_equal(x.active[1], 8);
	free(x.f);
}

/* A zone taken over with 3 0 1 of the certificate there is: a new one would not match it. Only once
 * the key's own record is in every cache does that not matter. RFC 7671 5.1, 8.4. */
static void a_pinned_certificate_stays_until_the_key_is_pinned(void **state)
{
	(void)state;
	struct fix x;
	fix_make(&x);
	x.p.issuer = ISSUER_COMMAND;
	x.p.retry_s = 300;
	struct tlsa by_hand = fix_record(0, 99, 0);
	by_hand.selector = 0;
	for (unsigned s = 0; s < x.num_servers; s++)
		assert_int_equal(tlsa_set_add(&x.served[s], &by_hand), EC_OK);
	assert_true(fix_until(&x, RO_PUBLISHING, RA_UPDATE, 100));
	assert_true(key_of(&x, 0, 7)->self_signed);
	assert_int_equal(next_of(&x).step, CERTIFY_IDLE);
	/* gone from every server, and still in caches */
	for (unsigned s = 0; s < x.num_servers; s++)
		tlsa_set_subtract(&x.served[s], &(struct tlsa_set){ 1, { by_hand } });
	fix_look(&x);
	assert_int_equal(next_of(&x).step, CERTIFY_IDLE);
	fix_pass(&x, 3600);
	fix_look(&x);
	assert_int_equal(next_of(&x).step, CERTIFY_IDLE);
	fix_pass(&x, 3600 + 660);
	fix_look(&x);
	assert_int_equal(next_of(&x).step, CERTIFY_RUN);
	free(x.f);
	/* beside records of ours that have aged it is no matter */
	steady(&x, 20);
	x.f->cert_pinned = fix_now(&x);
	assert_int_equal(next_of(&x).step, CERTIFY_RUN);
	free(x.f);
}

/* One more wait is as long as the others are: the floor, the signatures; and such a record was there until
 * the first answer without it. */
static void a_pinned_certificate_stays_for_as_long_as_any_cache_may_know_it(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		int64_t silent_s, floor_s;
		enum wait_rule wait;
		int64_t least_s; /* from the first answer without it */
	} cases[] = {
		{ "two TTLs", 0, 0, WAIT_TWO_TTL, 7200 },
		{ "a server was silent before it", 9000, 0, WAIT_TWO_TTL, 7200 },
		{ "floor", 0, 30000, WAIT_TWO_TTL, 30000 },
		{ "signatures", 0, 0, WAIT_SIGNATURES, 14 * DAY - 600 },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct fix x;
		fix_make(&x);
		x.p.issuer = ISSUER_COMMAND;
		x.p.floor_s = cases[i].floor_s;
		x.p.wait = cases[i].wait;
		struct tlsa by_hand = fix_record(0, 99, 0);
		by_hand.selector = 0;
		assert_int_equal(tlsa_set_add(&x.served[1], &by_hand), EC_OK);
		assert_true(fix_until(&x, RO_PUBLISHING, RA_UPDATE, 100));
		fix_pass(&x, cases[i].silent_s);
		tlsa_set_subtract(&x.served[1], &(struct tlsa_set){ 1, { by_hand } });
		fix_look(&x);
		fix_pass(&x, cases[i].least_s);
		fix_look(&x);
		if (next_of(&x).step != CERTIFY_IDLE)
			fail_msg("%s: too early", cases[i].name);
		fix_pass(&x, 1400);
		fix_look(&x);
		if (next_of(&x).step != CERTIFY_RUN)
			fail_msg("%s: too late", cases[i].name);
		free(x.f);
	}
}

/* A server that was never asked, or turned back to an old zone since, may have such a record. */
static void no_certificate_before_the_zone_was_looked_at(void **state)
{
	(void)state;
	struct fix x;
	struct certify raw;
	struct why why = { 0 };
	fix_make(&x);
	x.p.issuer = ISSUER_COMMAND;
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(fix_report(&x, i), EC_OK);
	facts_zone_failed(x.f, "SERVFAIL", fix_now(&x));
	assert_int_equal(next_of(&x).step, CERTIFY_IDLE);
	fix_find(&x);
	fix_answer(&x, 0);
	fix_answer(&x, 1);
	facts_silence(x.f, 2, "no answer in 5s", fix_now(&x));
	assert_int_equal(next_of(&x).step, CERTIFY_IDLE);
	assert_false(certify_fit(x.f, &x.p, key_of(&x, 0, 7), false, fix_now(&x), &why));
	HAS(why.text, "not before every server has told");
	fix_answer(&x, 2);
	assert_int_equal(next_of(&x).step, CERTIFY_RUN);
	free(x.f);
	/* once all was seen, a server that is silent keeps nobody from renewing… */
	steady(&x, 20);
	facts_silence(x.f, 2, "no answer in 5s", fix_now(&x));
	assert_int_equal(next_of(&x).step, CERTIFY_RUN);
	/* …except where there was such a record */
	x.f->cert_pinned.count_ms = 1;
	assert_int_equal(next_of(&x).step, CERTIFY_IDLE);
	free(x.f);
	/* and it is looked just before */
	steady(&x, 20);
	fix_pass(&x, 300);
	certify_next(x.f, &x.p, fix_now(&x), &raw);
	assert_int_equal(raw.step, CERTIFY_LOOK);
	fix_look(&x);
	certify_next(x.f, &x.p, fix_now(&x), &raw);
	assert_int_equal(raw.step, CERTIFY_RUN);
	free(x.f);
}

/* The command fails, or ends in the dark with or without effect, at random: the roll completes, and
 * nothing is presented in its course but what the CA has certified. */
static void a_roll_with_a_ca_of_moods(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 25; seed++) {
		struct fix x;
		struct why why;
		unsigned runs = 0;
		srand(seed);
		steady(&x, 80);
		for (unsigned i = 0; i < 2; i++)
			x.ca_of[i][0] = 7;
		assert_int_equal(rollover_request(x.f, &x.p, RQ_ROTATE, fix_now(&x), &why), EC_OK);
		while (x.active[0] < 8 && fix_until(&x, RO_CERTIFYING, RA_CERTIFY, 3000)) {
			if (++runs > 40)
				fail_msg("seed %u: %s", seed, x.d.why);
			const struct decision d = x.d;
			int mood = rand() % 4;
			facts_issue_sent(x.f, d.instance, d.generation, d.algorithm, d.tries, fix_now(&x));
			fix_pass(&x, rand() % 100);
			if (mood < 2)
				x.ca_of[d.instance][d.algorithm] = d.generation;
			facts_issue_done(x.f, mood == 0 ? OUTCOME_OK : mood == 3 ? OUTCOME_FAILED : OUTCOME_UNKNOWN, "moods", fix_now(&x));
			for (unsigned i = 0; i < 2; i++)
				assert_true(x.active[i] <= x.ca_of[i][0]);
		}
		assert_true(fix_until(&x, RO_STEADY, RA_NONE, 3000));
		for (unsigned i = 0; i < 2; i++) {
			assert_int_equal(x.active[i], 8);
			assert_int_equal(x.ca_of[i][0], 8);
		}
		free(x.f);
	}
}

static void other_issuers_are_waited_for_and_never_run(void **state)
{
	(void)state;
	static const struct {
		enum policy_issuer issuer;
		const char *words;
	} cases[] = { { ISSUER_SELF_SIGNED, "danegate signs it anew by itself" },
		      { ISSUER_FILES, "put a valid one into the files" } };
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct fix x;
		struct why why = { 0 };
		steady(&x, 80);
		x.p.issuer = cases[i].issuer;
		struct fact_key *k = key_of(&x, 0, 8);
		assert_true(certify_fit(x.f, &x.p, k, false, fix_now(&x), &why));
		k->not_after.s = x.clock.wall_ms / 1000;
		assert_false(certify_fit(x.f, &x.p, k, false, fix_now(&x), &why));
		HAS(why.text, "expired since");
		HAS(why.text, cases[i].words);
		k->not_after.s += 90 * DAY;
		k->not_before.s = x.clock.wall_ms / 1000 + 60;
		assert_false(certify_fit(x.f, &x.p, k, true, fix_now(&x), &why));
		HAS(why.text, "not valid before");
		k->certified = false;
		assert_false(certify_fit(x.f, &x.p, k, true, fix_now(&x), &why));
		HAS(why.text, "no certificate");
		free(x.f);
	}
}

static void in_a_hurry_a_self_signed_one_will_do(void **state)
{
	(void)state;
	struct fix x;
	struct why why = { 0 };
	steady(&x, 80);
	assert_false(certify_fit(x.f, &x.p, key_of(&x, 0, 8), false, fix_now(&x), &why));
	assert_true(certify_fit(x.f, &x.p, key_of(&x, 0, 8), true, fix_now(&x), &why));
	free(x.f);
}

static void alarm_if(struct fix *x, const char *part, bool wanted)
{
	const struct decision *d = fix_decide(x);
	bool has = false;
	for (size_t i = 0; i < d->num_alarms; i++)
		has = has || strstr(d->alarms[i], part) != NULL;
	if (has != wanted)
		fail_msg("%s%s", wanted ? "no alarm: " : "", part);
}

static void dates_are_watched(void **state)
{
	(void)state;
	struct fix x;
	steady(&x, 16);
	x.p.issuer = ISSUER_SELF_SIGNED;
	alarm_if(&x, "certificate", false);
	struct fact_key *k = key_of(&x, 0, 7);
	k->not_after.s -= 2 * DAY; /* 14 of 88 days */
	alarm_if(&x, "edge-1 presents an ecdsa-p256 certificate that expires at ", true);
	k->not_after.s = x.clock.wall_ms / 1000;
	alarm_if(&x, "edge-1 presents an ecdsa-p256 certificate that expired at ", true);
	k->not_after.s += 90 * DAY;
	k->not_before.s = x.clock.wall_ms / 1000 + 60;
	alarm_if(&x, "edge-1 presents an ecdsa-p256 certificate that is not valid before ", true);
	/* the standby's are nobody's business yet */
	k->not_before.s -= 90 * DAY;
	key_of(&x, 0, 8)->not_after.s = 5;
	alarm_if(&x, "certificate", false);
	free(x.f);
}

/* The alarm of a CA that fails says why, and stays word for word the same until the next try. */
static void a_failing_ca_is_an_alarm(void **state)
{
	(void)state;
	struct fix x;
	steady(&x, 20);
	struct certify c = next_of(&x);
	alarm_if(&x, "no new certificate", false);
	tried(&x, &c, OUTCOME_FAILED, "/bin/lego exited with status 1: no");
	alarm_if(&x, "no new certificate for generation 7 of edge-1, ecdsa-p256: /bin/lego exited with status 1: no (tried 1 time", true);
	char before[sizeof x.d.alarms[0]];
	memcpy(before, x.d.alarms[0], sizeof before);
	fix_pass(&x, 100);
	alarm_if(&x, before, true);
	free(x.f);
}

/* ---- what a command printed ---- */

#define BEGIN "-----BEGIN CERTIFICATE-----\n"
#define END "-----END CERTIFICATE-----\n"

static void chain_is_cut_out(void **state)
{
	(void)state;
	static const struct {
		const char *name, *in;
		enum ec ec;
		const char *out;
	} cases[] = {
		{ "one", BEGIN "QUJD\n" END, EC_OK, BEGIN "QUJD\n" END },
		{ "two, chatter around", "hello\n" BEGIN "QUJD\n" END "\nand the next:\n" BEGIN "REVG=\r\n" END "bye", EC_OK,
		  BEGIN "QUJD\n" END BEGIN "REVG=\r\n" END },
		{ "a key beside it stays out", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n" BEGIN "QUJD\n" END, EC_OK,
		  BEGIN "QUJD\n" END },
		{ "nothing", "", EC_MISSING, NULL },
		{ "words", "no certificate today", EC_MISSING, NULL },
		{ "cut off", BEGIN "QUJD\n", EC_SYNTAX, NULL },
		{ "cut off in the second", BEGIN "QUJD\n" END BEGIN "QUJD\n", EC_SYNTAX, NULL },
		{ "no base64", BEGIN "QU*D\n" END, EC_SYNTAX, NULL },
		{ "one in another", BEGIN "QUJD\n" BEGIN "QUJD\n" END, EC_SYNTAX, NULL },
		{ "empty", BEGIN END, EC_SYNTAX, NULL },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct bytes out = { 0 };
		struct why why = { 0 };
		enum ec ec = certify_chain(slice_str(cases[i].in), &out, &why);
		if (ec != cases[i].ec)
			fail_msg("%s: %s", cases[i].name, ec_name(ec));
		if (ec == EC_OK && !slice_eq(bytes_slice(&out), slice_str(cases[i].out)))
			fail_msg("%s: %.*s", cases[i].name, (int)bytes_len(&out), (const char *)bytes_slice(&out).p);
		if (ec != EC_OK)
			assert_true(why.text[0] != '\0');
		bytes_fini(&out);
	}
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
		cmocka_unit_test(a_roll_waits_for_the_ca),
		cmocka_unit_test(a_pinned_certificate_stays_until_the_key_is_pinned),
		cmocka_unit_test(a_pinned_certificate_stays_for_as_long_as_any_cache_may_know_it),
		cmocka_unit_test(no_certificate_before_the_zone_was_looked_at),
		cmocka_unit_test(a_roll_with_a_ca_of_moods),
		cmocka_unit_test(other_issuers_are_waited_for_and_never_run),
		cmocka_unit_test(in_a_hurry_a_self_signed_one_will_do),
		cmocka_unit_test(dates_are_watched),
		cmocka_unit_test(a_failing_ca_is_an_alarm),
		cmocka_unit_test(chain_is_cut_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
