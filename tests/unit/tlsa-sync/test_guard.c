/* The invariants, one by one: what the guard refuses whatever was decided. */
#include "history.h"

/* A roll that has just begun to retire generation 7 on both instances. */
static struct fix *retiring(void **state)
{
	return roll_at(state, RO_RETIRING, RA_UPDATE, 200);
}

static void adds_of_wrong_kinds(void **state)
{
	struct fix *x = steady(state);
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
		struct tlsa_set adds = x->served[0];
		struct tlsa t = fix_record(0, 8, 0);
		t.usage = cases[i].usage, t.selector = cases[i].selector, t.matching = cases[i].matching;
		assert_int_equal(tlsa_set_add(&adds, &t), EC_OK);
		if (check_adds(x, &adds) != EC_INVARIANT || strstr(x->said.text, cases[i].words) == NULL)
			fail_msg("%s: %s", cases[i].name, x->said.text);
	}
}

static void adds_of_wrong_digests(void **state)
{
	/* SHA2-256 of nothing, from FIPS 180-4's test vectors */
	static const char empty[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
	uint8_t digest[32];
	struct fix *x = steady(state);
	assert_true(hex_decode(digest, 32, slice_str(empty)));
	struct tlsa_set adds = x->served[0];
	struct tlsa t = tlsa_311(digest);
	assert_int_equal(tlsa_set_add(&adds, &t), EC_OK);
	assert_int_equal(check_adds(x, &adds), EC_INVARIANT);
	HAS(x->said.text, "empty string");
	adds = x->served[0];
	t = fix_record(5, 5, 0);
	assert_int_equal(tlsa_set_add(&adds, &t), EC_OK);
	assert_int_equal(check_adds(x, &adds), EC_INVARIANT);
	assert_int_equal(check_adds(x, &x->served[0]), EC_OK);
	/* a digest of nothing is not even taken from a report */
	struct generation g = { .number = 8, .num_keys = 1 };
	memcpy(g.keys[0].chain[0].spki_sha256, digest, 32);
	struct report r = { .active = 7, .presented = 7, .num_generations = 1, .generations = &g };
	assert_int_equal(facts_report(x->f, 0, &r, fix_now(x), &x->said), EC_INVARIANT);
}

static void adds_without_a_key_in_use(void **state)
{
	struct fix *x = world_at(state, RO_PUBLISHING, RA_UPDATE, 100);
	struct tlsa_set adds = x->d.adds;
	struct tlsa t = fix_record(1, 7, 0);
	assert_true(tlsa_set_remove(&adds, &t));
	assert_int_equal(check_adds(x, &adds), EC_INVARIANT);
	HAS(x->said.text, "in use");
}

/* Who asks for another name is shown the default identity: what that presents is not this one's affair. */
static void first_adds_beside_the_default_identity(void **state)
{
	struct fix *x = world_at(state, RO_PUBLISHING, RA_UPDATE, 100);
	presents(x, "203.0.113.9:25", SNI_OTHER, 0, 99);
	presents(x, "203.0.113.9:25", SNI_NONE, 0, 99);
	assert_int_equal(check_adds(x, &x->d.adds), EC_INVARIANT);
	HAS(x->said.text, "203.0.113.9:25 presents a key that would have no record");
	x->p.default_identity = false;
	assert_int_equal(check_adds(x, &x->d.adds), EC_OK);
	/* nor does it prove that anything answers for this one */
	for (size_t i = 0; i < x->f->num_probes; i++)
		if (x->f->probes[i].sni == SNI_RIGHT)
			x->f->probes[i].saw = false;
	assert_int_equal(check_adds(x, &x->d.adds), EC_INVARIANT);
	HAS(x->said.text, "no key was seen at");
	presents(x, "203.0.113.9:25", SNI_RIGHT, 0, 99);
	assert_int_equal(check_adds(x, &x->d.adds), EC_INVARIANT);
	HAS(x->said.text, "presents a key that would have no record");
}

static void deletes_of_keys_in_use(void **state)
{
	struct fix *x = retiring(state);
	struct tlsa_set deletes = { .num = 1, .items = { fix_record(0, 8, 0) } };
	assert_int_equal(check_deletes(x, &deletes), EC_INVARIANT);
	HAS(x->said.text, "presents");
	assert_int_equal(check_deletes(x, &x->d.deletes), EC_OK);
	/* active, though not presented now: it would be after a restart */
	x->f->instances[0].active = 7;
	assert_int_equal(check_deletes(x, &x->d.deletes), EC_INVARIANT);
	x->f->instances[0].active = 8;
	/* back to 7 was asked, and nothing heard since */
	facts_asked(x->f, 0, ASK_SWAP, 7, fix_now(x));
	assert_int_equal(check_deletes(x, &x->d.deletes), EC_INVARIANT);
	HAS(x->said.text, "may be presenting");
}

static void deletes_before_the_window_is_over(void **state)
{
	struct fix *x = retiring(state);
	x->f->roll.retiring = (struct stamp){ 0 };
	assert_int_equal(check_deletes(x, &x->d.deletes), EC_INVARIANT);
}

static void deletes_on_old_news(void **state)
{
	struct fix *x = retiring(state);
	down(x, 1);
	assert_int_equal(check_deletes(x, &x->d.deletes), EC_INVARIANT);
	HAS(x->said.text, "edge-2");
	assert_int_equal(fix_report(x, 1), EC_OK);
	assert_int_equal(check_deletes(x, &x->d.deletes), EC_OK);
	fix_pass(x, 200);
	assert_int_equal(check_deletes(x, &x->d.deletes), EC_INVARIANT);
	fix_look(x);
	assert_int_equal(check_deletes(x, &x->d.deletes), EC_INVARIANT);
	HAS(x->said.text, "203.0.113.9:25");
	fix_probe(x);
	assert_int_equal(check_deletes(x, &x->d.deletes), EC_OK);
	/* somebody nobody told us about presents it */
	presents(x, "[2001:db8::9]:25", SNI_NONE, 1, 7);
	assert_int_equal(check_deletes(x, &x->d.deletes), EC_INVARIANT);
	HAS(x->said.text, "[2001:db8::9]:25");
}

static void deletes_of_strangers(void **state)
{
	struct fix *x = retiring(state);
	struct tlsa_set deletes = { .num = 1, .items = { fix_record(9, 9, 0) } };
	assert_int_equal(check_deletes(x, &deletes), EC_INVARIANT);
	HAS(x->said.text, "not ours");
	x->p.own_rrset = true;
	assert_int_equal(check_deletes(x, &deletes), EC_OK);
}

static void one_change_at_a_time(void **state)
{
	struct fix *x = retiring(state);
	x->standby[0] = 9;
	assert_int_equal(fix_report(x, 0), EC_OK);
	struct tlsa_set adds;
	assert_int_equal(rollover_wanted(x->f, &x->p, &adds), EC_OK);
	assert_int_equal(adds.num, 3);
	assert_int_equal(check_write(x, &adds, &x->d.deletes), EC_INVARIANT);
	HAS(x->said.text, "one change at a time");
	assert_int_equal(check_write(x, &x->d.deletes, &x->d.deletes), EC_INVARIANT);
}

static void server_without_the_new_record(void **state)
{
	struct fix *x = retiring(state);
	take_out(x, 2, fix_record(0, 8, 0));
	fix_look(x);
	assert_int_equal(check_deletes(x, &x->d.deletes), EC_INVARIANT);
	HAS(x->said.text, "ns2.example.org (192.0.2.7)");
}

/* Everything that proves age, taken away piece by piece. */
static void swaps_without_proof(void **state)
{
	for (unsigned piece = 0; piece < 10; piece++) {
		struct fix *x = roll_at(state, RO_SWAPPING, RA_SWAP, 20);
		assert_int_equal(check_swap(x, 0, 8), EC_OK);
		uint64_t generation = 8;
		switch (piece) {
		case 0: generation = 9; break;
		case 1:
			take_out(x, 1, fix_record(0, 8, 0));
			fix_answer(x, 1);
			break;
		case 2: facts_silence(x->f, 2, "no answer", fix_now(x)); break;
		case 3: fix_pass(x, 300); break;
		case 4:
			for (size_t i = 0; i < x->f->num_agrees; i++)
				x->f->agrees[i].proof_ms = fix_now(x).count_ms - 7199 * 1000;
			break;
		case 5:
			for (size_t i = 0; i < x->f->num_agrees; i++)
				x->f->agrees[i].run_ms = fix_now(x).count_ms - 3599 * 1000;
			break;
		case 6:
			x->p.wait = WAIT_SIGNATURES;
			for (size_t i = 0; i < x->f->num_digests; i++)
				x->f->digests[i].old_signature_count_ms = fix_now(x).count_ms + 1000;
			break;
		case 7: x->p.floor_s = 86400 * 365; break;
		case 8:
			for (size_t i = 0; i < x->f->num_keys; i++)
				x->f->keys[i].certified = false;
			break;
		case 9:
			x->ttl_s = 86400;
			fix_answer(x, 0);
			break;
		default: break;
		}
		if (check_swap(x, 0, generation) != EC_INVARIANT)
			fail_msg("piece %u", piece);
	}
}

/* Switched off: what was ordered in, and nobody has seen yet, must go with the rest. */
static void removals_that_are_not_whole(void **state)
{
	struct fix *x = world(state);
	x->sha512 = true;
	assert_true(fix_until(x, RO_STEADY, RA_NONE, 1000));
	struct tlsa_set seen = x->served[0];
	x->p.forms = 1u << FORM_311 | 1u << FORM_312;
	look_after(x, 300);
	assert_true(fix_until(x, RO_PUBLISHING, RA_UPDATE, 20));
	send_change(x, OUTCOME_UNKNOWN, "no answer in 5s");
	assert_int_equal(ask(x, RQ_DISABLE), EC_OK);
	assert_int_equal(check_deletes(x, &seen), EC_INVARIANT);
	HAS(x->said.text, "not deleted with the others");
	assert_true(fix_until(x, RO_WITHDRAWING, RA_UPDATE, 20));
	assert_int_equal(x->d.deletes.num, 8);
	assert_int_equal(check_deletes(x, &x->d.deletes), EC_OK);
	/* nor is anything added now */
	assert_int_equal(check_adds(x, &seen), EC_INVARIANT);
	assert_int_equal(check_swap(x, 0, 8), EC_INVARIANT);
}

/* A removal of the next key's record that was lost may be late instead. */
static void swaps_before_a_late_removal(void **state)
{
	struct fix *x = steady(state);
	struct tlsa_set none = { 0 }, deletes = { .num = 1, .items = { fix_record(0, 8, 0) } };
	assert_int_equal(check_swap(x, 0, 8), EC_OK);
	facts_update_sent(x->f, &none, &deletes, 3600, fix_now(x));
	facts_update_done(x->f, OUTCOME_UNKNOWN, "no answer in 5s", fix_now(x));
	look_after(x, 598);
	assert_int_equal(check_swap(x, 0, 8), EC_INVARIANT);
	HAS(x->said.text, "may still take effect");
	look_after(x, 3);
	assert_int_equal(check_swap(x, 0, 8), EC_OK);
}

/* However well aged: a set with a stranger's other kind would not match. */
static void swaps_beside_another_kind(void **state)
{
	struct fix *x = steady(state);
	struct tlsa t = { .usage = 2, .selector = 1, .matching = 1, .len = 32, .data = { 9, 9 } };
	assert_int_equal(check_swap(x, 0, 8), EC_OK);
	assert_int_equal(tlsa_set_add(&x->f->servers[1].set, &t), EC_OK);
	assert_int_equal(check_swap(x, 0, 8), EC_INVARIANT);
	HAS(x->said.text, "serves 2 1 1 0909");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HISTORY(adds_of_wrong_kinds),
		HISTORY(adds_of_wrong_digests),
		HISTORY(adds_without_a_key_in_use),
		HISTORY(first_adds_beside_the_default_identity),
		HISTORY(deletes_of_keys_in_use),
		HISTORY(deletes_before_the_window_is_over),
		HISTORY(deletes_on_old_news),
		HISTORY(deletes_of_strangers),
		HISTORY(one_change_at_a_time),
		HISTORY(server_without_the_new_record),
		HISTORY(swaps_without_proof),
		HISTORY(removals_that_are_not_whole),
		HISTORY(swaps_before_a_late_removal),
		HISTORY(swaps_beside_another_kind),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
