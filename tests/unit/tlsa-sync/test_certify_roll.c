/* Issuer `command` and the rest: what a roll waits for, pinned certificates, other issuers, alarms. */
#include "certificates.h"

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
