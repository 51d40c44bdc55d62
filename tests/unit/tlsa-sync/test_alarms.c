/* What in DNS is worth an alarm, and what is not. */
#include "history.h"

static bool alarmed(struct fix *x, const char *words)
{
	fix_decide(x);
	for (size_t i = 0; i < x->d.num_alarms; i++)
		if (strstr(x->d.alarms[i], words) != NULL)
			return true;
	return false;
}

static struct fix *calm(void **state)
{
	struct fix *x = steady(state);
	fix_look(x);
	fix_decide(x);
	if (x->d.num_alarms != 0)
		fail_msg("all is well, and yet: %s", x->d.alarms[0]);
	return x;
}

static void the_chain_of_trust(void **state)
{
	static const struct {
		enum fact_ds ds;
		const char *words; /* NULL: none */
	} cases[] = { { DS_UNKNOWN, NULL }, { DS_THERE, NULL }, { DS_MISSING, "no DS at its parent" },
		      { DS_ABOVE, "a zone above" }, { DS_BOGUS, "does not validate" } };
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct fix *x = calm(state);
		struct fact_zone zones[] = { { "example.org", DS_THERE }, { "alias.example.net", cases[i].ds } };
		facts_set_zones(x->f, zones, 2);
		assert_int_equal(alarmed(x, "alias.example.net"), cases[i].words != NULL);
		if (cases[i].words != NULL)
			assert_true(alarmed(x, cases[i].words));
		assert_false(alarmed(x, "example.org has"));
	}
}

/* A signer that works renews long before the end: the alarm comes with a twentieth of the
 * life left, and never later than two TTLs before it. */
static void signatures_run_out(void **state)
{
	static const struct {
		uint32_t signed_s;
		int64_t left_s;
		bool want;
	} cases[] = {
		{ 0, 7200, false },         { 0, 7199, true },           { 14 * 86400, 60480, false }, { 14 * 86400, 60479, true },
		{ 7200, 7200, false },      { 7200, 7199, true },        { 0, -5, true },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct fix *x = calm(state);
		struct fact_server *s = &x->f->servers[1];
		s->upkeep.signed_s = cases[i].signed_s;
		int64_t now = fix_now(x).wall.s;
		s->signature_expires.s = now + cases[i].left_s;
		if (alarmed(x, "the signature over TLSA") != cases[i].want)
			fail_msg("case %zu, TLSA", i);
		assert_int_equal(alarmed(x, "ns1.example.org (192.0.2.6)"), cases[i].want);
		s->signature_expires.s = now + 30 * 86400;
		s->upkeep.keys_signed_until.s = now + cases[i].left_s;
		if (alarmed(x, "the signature over DNSKEY") != cases[i].want)
			fail_msg("case %zu, DNSKEY", i);
	}
}

static void a_server_without_keys(void **state)
{
	struct fix *x = calm(state);
	x->f->servers[2].upkeep.keys_asked = true;
	assert_true(alarmed(x, "ns2.example.org (192.0.2.7) serves no DNSKEY"));
	x->f->servers[2].upkeep.keys_there = true;
	assert_false(alarmed(x, "DNSKEY"));
}

/* RFC 6781 4.4.1: a secondary gives up before the signatures it holds do. */
static void expire_against_signatures(void **state)
{
	struct fix *x = calm(state);
	x->f->servers[0].upkeep.signed_s = 7 * 86400;
	x->f->servers[0].upkeep.expire_s = 7 * 86400;
	assert_false(alarmed(x, "expire"));
	x->f->servers[0].upkeep.expire_s = 7 * 86400 + 1;
	assert_true(alarmed(x, "longer than signatures last, 168h"));
	x->f->servers[0].upkeep.signed_s = 0; /* not known */
	assert_false(alarmed(x, "expire"));
}

/* A secondary that nobody asks may lag for `refresh`; the wait is two TTLs and what is
 * configured on top. */
static void refresh_against_the_wait(void **state)
{
	static const struct {
		uint32_t refresh_s;
		int64_t margin_s, floor_s;
		bool want;
	} cases[] = { { 7200, 0, 0, false }, { 7201, 0, 0, true }, { 7201, 1, 0, false }, { 86400, 0, 0, true },
		      { 86400, 0, 86400, false }, { 86400, 0, 86399, true }, { 0, 0, 0, false } };
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct fix *x = calm(state);
		x->p.cache_margin_s = cases[i].margin_s;
		x->p.floor_s = cases[i].floor_s;
		for (unsigned s = 0; s < x->num_servers; s++)
			x->f->servers[s].upkeep.refresh_s = cases[i].refresh_s;
		if (alarmed(x, "refresh") != cases[i].want)
			fail_msg("case %zu", i);
		size_t said = 0;
		for (size_t a = 0; a < x->d.num_alarms; a++)
			said += strstr(x->d.alarms[a], "refresh") != NULL;
		assert_int_equal(said, cases[i].want); /* once for the zone, not for each server */
	}
}

/* What makes senders defer is said as such; that a server has nothing at all does not. */
static void senders_would_defer(void **state)
{
	struct fix *x = calm(state);
	x->served[1] = (struct tlsa_set){ .num = 1, .items = { fix_record(2, 99, 0) } };
	fix_look(x);
	assert_true(alarmed(x, "ns1.example.org (192.0.2.6) serves no record of the ecdsa-p256 key that edge-1 presents"));
	x->served[1] = (struct tlsa_set){ 0 };
	fix_look(x);
	assert_false(alarmed(x, "serves no record of"));
}

static void records_that_went_away(void **state)
{
	struct fix *x = calm(state);
	struct tlsa next = fix_record(0, 8, 0);
	look_after(x, 3600);
	assert_false(alarmed(x, "does not serve"));
	take_out(x, 2, next);
	fix_look(x);
	assert_true(alarmed(x, "ns2.example.org (192.0.2.7) does not serve 3 1 1 0108005a..., which was published at"));
	/* ordered again a moment ago: that it is not everywhere yet is how it goes */
	struct tlsa_set adds = { .num = 1, .items = { next } }, none = { 0 };
	facts_update_sent(x->f, &adds, &none, 3600, fix_now(x));
	facts_update_done(x->f, OUTCOME_OK, "", fix_now(x));
	assert_false(alarmed(x, "does not serve"));
	look_after(x, 3600);
	assert_true(alarmed(x, "does not serve"));
}

/* A silent server is not blamed for what it served before. */
static void silence_is_one_alarm(void **state)
{
	struct fix *x = calm(state);
	x->served[1] = (struct tlsa_set){ .num = 1, .items = { fix_record(2, 99, 0) } };
	fix_look(x);
	silence(x, 1);
	assert_true(alarmed(x, "gives no answer since"));
	assert_false(alarmed(x, "senders that ask it"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HISTORY(the_chain_of_trust),
		HISTORY(signatures_run_out),
		HISTORY(a_server_without_keys),
		HISTORY(expire_against_signatures),
		HISTORY(refresh_against_the_wait),
		HISTORY(senders_would_defer),
		HISTORY(records_that_went_away),
		HISTORY(silence_is_one_alarm),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
