/* The invariants, one by one: what the guard refuses whatever was decided. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fixture.h"

static struct tlsa_set set_of(unsigned num, const struct tlsa *items)
{
	struct tlsa_set s = { 0 };
	for (unsigned i = 0; i < num; i++)
		(void)!tlsa_set_add(&s, &items[i]);
	return s;
}

static enum ec write_of(struct fix *x, const struct tlsa_set *adds, const struct tlsa_set *deletes, struct why *why)
{
	return rollover_check_write(x->f, &x->p, adds, deletes, fix_now(x), why);
}

/* A roll that has just begun to retire generation 7 on both instances. */
static void retiring(struct fix *x)
{
	struct why why;
	assert_true(fix_steady(x));
	assert_int_equal(rollover_request(x->f, &x->p, RQ_ROTATE, fix_now(x), &why), EC_OK);
	assert_true(fix_until(x, RO_RETIRING, RA_UPDATE, 200));
}

static void adds_of_wrong_kinds(void **state)
{
	(void)state;
	struct fix x;
	assert_true(fix_steady(&x));
	struct tlsa_set none = { 0 };
	static const struct {
		const char *name;
		uint8_t usage, selector, matching;
		const char *words;
	} cases[] = {
		{ "PKIX-TA", 0, 1, 1, "usages 0 and 1" },
		{ "PKIX-EE", 1, 1, 1, "usages 0 and 1" },
		{ "full", 3, 1, 0, "matching type 0" },
		{ "certificate", 3, 0, 1, "no instance reports" },
		{ "SHA2-512", 3, 1, 2, "no instance reports" },
		{ "DANE-TA", 2, 1, 1, "no instance reports" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct tlsa_set adds = x.served[0];
		struct tlsa t = fix_record(0, 8, 0);
		struct why why = { 0 };
		t.usage = cases[i].usage, t.selector = cases[i].selector, t.matching = cases[i].matching;
		assert_int_equal(tlsa_set_add(&adds, &t), EC_OK);
		if (write_of(&x, &adds, &none, &why) != EC_INVARIANT || strstr(why.text, cases[i].words) == NULL)
			fail_msg("%s: %s", cases[i].name, why.text);
	}
	free(x.f);
}

static void adds_of_wrong_digests(void **state)
{
	(void)state;
	/* SHA2-256 of nothing, from FIPS 180-4's test vectors */
	static const char empty[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
	struct fix x;
	struct why why;
	uint8_t digest[32];
	assert_true(fix_steady(&x));
	assert_true(hex_decode(digest, 32, slice_str(empty)));
	struct tlsa_set adds = x.served[0], none = { 0 };
	struct tlsa t = tlsa_311(digest);
	assert_int_equal(tlsa_set_add(&adds, &t), EC_OK);
	assert_int_equal(write_of(&x, &adds, &none, &why), EC_INVARIANT);
	assert_non_null(strstr(why.text, "empty string"));
	adds = x.served[0];
	t = fix_record(5, 5, 0);
	assert_int_equal(tlsa_set_add(&adds, &t), EC_OK);
	assert_int_equal(write_of(&x, &adds, &none, &why), EC_INVARIANT);
	assert_int_equal(write_of(&x, &x.served[0], &none, &why), EC_OK);
	/* a digest of nothing is not even taken from a report */
	struct generation g = { .number = 8, .num_keys = 1 };
	memcpy(g.keys[0].chain[0].spki_sha256, digest, 32);
	struct report r = { .active = 7, .presented = 7, .num_generations = 1, .generations = &g };
	assert_int_equal(facts_report(x.f, 0, &r, fix_now(&x), &why), EC_INVARIANT);
	free(x.f);
}

static void adds_without_a_key_in_use(void **state)
{
	(void)state;
	struct fix x;
	struct why why;
	fix_make(&x);
	assert_true(fix_until(&x, RO_PUBLISHING, RA_UPDATE, 100));
	struct tlsa_set adds = x.d.adds, none = { 0 };
	struct tlsa t = fix_record(1, 7, 0);
	assert_true(tlsa_set_remove(&adds, &t));
	assert_int_equal(write_of(&x, &adds, &none, &why), EC_INVARIANT);
	assert_non_null(strstr(why.text, "in use"));
	free(x.f);
}

static void deletes_of_keys_in_use(void **state)
{
	(void)state;
	struct fix x;
	struct why why;
	struct tlsa_set none = { 0 };
	retiring(&x);
	struct tlsa t = fix_record(0, 8, 0);
	struct tlsa_set deletes = set_of(1, &t);
	assert_int_equal(write_of(&x, &none, &deletes, &why), EC_INVARIANT);
	assert_non_null(strstr(why.text, "presents"));
	assert_int_equal(write_of(&x, &none, &x.d.deletes, &why), EC_OK);
	/* active, though not presented now: it would be after a restart */
	x.f->instances[0].active = 7;
	assert_int_equal(write_of(&x, &none, &x.d.deletes, &why), EC_INVARIANT);
	x.f->instances[0].active = 8;
	/* back to 7 was asked, and nothing heard since */
	facts_asked(x.f, 0, ASK_SWAP, 7, fix_now(&x));
	assert_int_equal(write_of(&x, &none, &x.d.deletes, &why), EC_INVARIANT);
	assert_non_null(strstr(why.text, "may be presenting"));
	free(x.f);
}

static void deletes_before_the_window_is_over(void **state)
{
	(void)state;
	struct fix x;
	struct why why;
	struct tlsa_set none = { 0 };
	retiring(&x);
	x.f->roll.retiring = (struct stamp){ 0 };
	assert_int_equal(write_of(&x, &none, &x.d.deletes, &why), EC_INVARIANT);
	free(x.f);
}

static void deletes_on_old_news(void **state)
{
	(void)state;
	struct fix x;
	struct why why;
	struct tlsa_set none = { 0 };
	retiring(&x);
	facts_instance_failed(x.f, 1, "connection refused", fix_now(&x));
	assert_int_equal(write_of(&x, &none, &x.d.deletes, &why), EC_INVARIANT);
	assert_non_null(strstr(why.text, "edge-2"));
	assert_int_equal(fix_report(&x, 1), EC_OK);
	assert_int_equal(write_of(&x, &none, &x.d.deletes, &why), EC_OK);
	fix_pass(&x, 200);
	assert_int_equal(write_of(&x, &none, &x.d.deletes, &why), EC_INVARIANT);
	fix_look(&x);
	assert_int_equal(write_of(&x, &none, &x.d.deletes, &why), EC_INVARIANT);
	assert_non_null(strstr(why.text, "203.0.113.9:25"));
	fix_probe(&x);
	assert_int_equal(write_of(&x, &none, &x.d.deletes, &why), EC_OK);
	/* somebody nobody told us about presents it */
	uint8_t old[32];
	fix_spki(old, 1, 7, 0);
	facts_probe(x.f, "[2001:db8::9]:25", KEY_ECDSA_P256, SNI_NONE, old, NULL, fix_now(&x));
	assert_int_equal(write_of(&x, &none, &x.d.deletes, &why), EC_INVARIANT);
	assert_non_null(strstr(why.text, "[2001:db8::9]:25"));
	free(x.f);
}

static void deletes_of_strangers(void **state)
{
	(void)state;
	struct fix x;
	struct why why;
	struct tlsa_set none = { 0 };
	retiring(&x);
	struct tlsa t = fix_record(9, 9, 0);
	struct tlsa_set deletes = set_of(1, &t);
	assert_int_equal(write_of(&x, &none, &deletes, &why), EC_INVARIANT);
	assert_non_null(strstr(why.text, "not ours"));
	x.p.own_rrset = true;
	assert_int_equal(write_of(&x, &none, &deletes, &why), EC_OK);
	free(x.f);
}

static void one_change_at_a_time(void **state)
{
	(void)state;
	struct fix x;
	struct why why;
	retiring(&x);
	x.standby[0] = 9;
	assert_int_equal(fix_report(&x, 0), EC_OK);
	struct tlsa_set adds;
	assert_int_equal(rollover_wanted(x.f, &x.p, &adds), EC_OK);
	assert_int_equal(adds.num, 3);
	assert_int_equal(write_of(&x, &adds, &x.d.deletes, &why), EC_INVARIANT);
	assert_non_null(strstr(why.text, "one change at a time"));
	assert_int_equal(write_of(&x, &x.d.deletes, &x.d.deletes, &why), EC_INVARIANT);
	free(x.f);
}

static void server_without_the_new_record(void **state)
{
	(void)state;
	struct fix x;
	struct why why;
	struct tlsa_set none = { 0 };
	retiring(&x);
	struct tlsa t = fix_record(0, 8, 0);
	assert_true(tlsa_set_remove(&x.served[2], &t));
	fix_look(&x);
	assert_int_equal(write_of(&x, &none, &x.d.deletes, &why), EC_INVARIANT);
	assert_non_null(strstr(why.text, "ns2.example.org (192.0.2.7)"));
	free(x.f);
}

/* Everything that proves age, taken away piece by piece. */
static void swaps_without_proof(void **state)
{
	(void)state;
	for (unsigned piece = 0; piece < 10; piece++) {
		struct fix x;
		struct why why = { 0 };
		assert_true(fix_steady(&x));
		assert_int_equal(rollover_request(x.f, &x.p, RQ_ROTATE, fix_now(&x), &why), EC_OK);
		assert_true(fix_until(&x, RO_SWAPPING, RA_SWAP, 20));
		assert_int_equal(rollover_check_swap(x.f, &x.p, 0, 8, fix_now(&x), &why), EC_OK);
		struct tlsa t = fix_record(0, 8, 0);
		uint64_t generation = 8;
		switch (piece) {
		case 0: generation = 9; break;
		case 1:
			assert_true(tlsa_set_remove(&x.served[1], &t));
			fix_answer(&x, 1);
			break;
		case 2: facts_silence(x.f, 2, "no answer", fix_now(&x)); break;
		case 3: fix_pass(&x, 300); break;
		case 4:
			for (size_t i = 0; i < x.f->num_agrees; i++)
				x.f->agrees[i].proof_ms = fix_now(&x).count_ms - 7199 * 1000;
			break;
		case 5:
			for (size_t i = 0; i < x.f->num_agrees; i++)
				x.f->agrees[i].run_ms = fix_now(&x).count_ms - 3599 * 1000;
			break;
		case 6:
			x.p.wait = WAIT_SIGNATURES;
			for (size_t i = 0; i < x.f->num_digests; i++)
				x.f->digests[i].old_signature_count_ms = fix_now(&x).count_ms + 1000;
			break;
		case 7: x.p.floor_s = 86400 * 365; break;
		case 8:
			for (size_t i = 0; i < x.f->num_keys; i++)
				x.f->keys[i].certified = false;
			break;
		case 9:
			x.ttl_s = 86400;
			fix_answer(&x, 0);
			break;
		default: break;
		}
		if (rollover_check_swap(x.f, &x.p, 0, generation, fix_now(&x), &why) != EC_INVARIANT)
			fail_msg("piece %u", piece);
		free(x.f);
	}
}

/* Switched off: what was ordered in, and nobody has seen yet, must go with the rest. */
static void removals_that_are_not_whole(void **state)
{
	(void)state;
	struct fix x;
	struct why why;
	struct tlsa_set none = { 0 }, seen;
	fix_make(&x);
	x.sha512 = true;
	assert_true(fix_until(&x, RO_STEADY, RA_NONE, 1000));
	seen = x.served[0];
	x.p.forms = 1u << FORM_311 | 1u << FORM_312;
	fix_pass(&x, 300);
	fix_look(&x);
	assert_true(fix_until(&x, RO_PUBLISHING, RA_UPDATE, 20));
	facts_update_sent(x.f, &x.d.adds, &x.d.deletes, 3600, fix_now(&x));
	facts_update_done(x.f, OUTCOME_UNKNOWN, "no answer in 5s", fix_now(&x));
	assert_int_equal(rollover_request(x.f, &x.p, RQ_DISABLE, fix_now(&x), &why), EC_OK);
	assert_int_equal(write_of(&x, &none, &seen, &why), EC_INVARIANT);
	assert_non_null(strstr(why.text, "not deleted with the others"));
	assert_true(fix_until(&x, RO_WITHDRAWING, RA_UPDATE, 20));
	assert_int_equal(x.d.deletes.num, 8);
	assert_int_equal(write_of(&x, &none, &x.d.deletes, &why), EC_OK);
	/* nor is anything added now */
	assert_int_equal(write_of(&x, &seen, &none, &why), EC_INVARIANT);
	assert_int_equal(rollover_check_swap(x.f, &x.p, 0, 8, fix_now(&x), &why), EC_INVARIANT);
	free(x.f);
}

/* A removal of the next key's record that was lost may be late instead. */
static void swaps_before_a_late_removal(void **state)
{
	(void)state;
	struct fix x;
	struct why why;
	assert_true(fix_steady(&x));
	struct tlsa t = fix_record(0, 8, 0);
	struct tlsa_set none = { 0 }, deletes = set_of(1, &t);
	assert_int_equal(rollover_check_swap(x.f, &x.p, 0, 8, fix_now(&x), &why), EC_OK);
	facts_update_sent(x.f, &none, &deletes, 3600, fix_now(&x));
	facts_update_done(x.f, OUTCOME_UNKNOWN, "no answer in 5s", fix_now(&x));
	fix_pass(&x, 598);
	fix_look(&x);
	assert_int_equal(rollover_check_swap(x.f, &x.p, 0, 8, fix_now(&x), &why), EC_INVARIANT);
	assert_non_null(strstr(why.text, "may still take effect"));
	fix_pass(&x, 3);
	fix_look(&x);
	assert_int_equal(rollover_check_swap(x.f, &x.p, 0, 8, fix_now(&x), &why), EC_OK);
	free(x.f);
}

/* However well aged: a set with a stranger's other kind would not match. */
static void swaps_beside_another_kind(void **state)
{
	(void)state;
	struct fix x;
	struct why why;
	assert_true(fix_steady(&x));
	struct tlsa t = { .usage = 2, .selector = 1, .matching = 1, .len = 32, .data = { 9, 9 } };
	assert_int_equal(rollover_check_swap(x.f, &x.p, 0, 8, fix_now(&x), &why), EC_OK);
	assert_int_equal(tlsa_set_add(&x.f->servers[1].set, &t), EC_OK);
	assert_int_equal(rollover_check_swap(x.f, &x.p, 0, 8, fix_now(&x), &why), EC_INVARIANT);
	assert_non_null(strstr(why.text, "serves 2 1 1 0909"));
	free(x.f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(adds_of_wrong_kinds),   cmocka_unit_test(adds_of_wrong_digests),
		cmocka_unit_test(adds_without_a_key_in_use), cmocka_unit_test(deletes_of_keys_in_use),
		cmocka_unit_test(deletes_before_the_window_is_over), cmocka_unit_test(deletes_on_old_news),
		cmocka_unit_test(deletes_of_strangers),  cmocka_unit_test(one_change_at_a_time),
		cmocka_unit_test(server_without_the_new_record), cmocka_unit_test(swaps_without_proof),
		cmocka_unit_test(removals_that_are_not_whole), cmocka_unit_test(swaps_before_a_late_removal),
		cmocka_unit_test(swaps_beside_another_kind),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
