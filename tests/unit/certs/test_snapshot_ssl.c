#include "certs/snapshot_ssl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "certs/make_ssl.h"

static const struct wall now = { 1795300000 };
static const uint8_t seed[SNAPSHOT_SEED_SIZE] = { 1, 2, 3 };

struct made {
	struct secret key;
	struct bytes chain;
};
/* Made once: RSA keys take a while. */
static struct made ec_a, ec_b, rsa_a;

static void make_one(struct made *m, enum key_algorithm algorithm, const char *name)
{
	assert_int_equal(make_key(algorithm, &m->key, NULL), EC_OK);
	assert_int_equal(make_self_signed(slice_of(m->key.p, m->key.len), name, now, 86400, &m->chain, NULL), EC_OK);
}

static int set_up(void **state)
{
	(void)state;
	make_one(&ec_a, KEY_ECDSA_P256, "a.example");
	make_one(&ec_b, KEY_ECDSA_P256, "b.example");
	make_one(&rsa_a, KEY_RSA_3072, "a.example");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	struct made *all[] = { &ec_a, &ec_b, &rsa_a };
	for (size_t i = 0; i < 3; i++) {
		secret_fini(&all[i]->key);
		bytes_fini(&all[i]->chain);
	}
	return 0;
}

static struct snapshot_source source(const char *name, uint64_t generation, enum key_algorithm algorithm, const struct made *m)
{
	return (struct snapshot_source){ .identity = name,
		                         .generation = generation,
		                         .algorithm = algorithm,
		                         .key_pem = slice_of(m->key.p, m->key.len),
		                         .chain_pem = bytes_slice(&m->chain) };
}

static void finding(void **state)
{
	(void)state;
	const struct snapshot_source sources[] = { source("B.example", 2, KEY_ECDSA_P256, &ec_b),
		                                   source("a.example.", 1, KEY_RSA_3072, &rsa_a),
		                                   source("A.example", 1, KEY_ECDSA_P256, &ec_a) };
	struct snapshot *s = NULL;
	struct why why = { 0 };
	assert_int_equal(snapshot_new(sources, 3, "a.EXAMPLE", seed, 5, &s, &why), EC_OK);
	assert_int_equal(snapshot_num(s), 2);
	assert_int_equal(snapshot_epoch(s), 5);
	assert_string_equal(snapshot_at(s, 0)->name, "a.example");
	assert_string_equal(snapshot_at(s, 1)->name, "b.example");
	static const struct {
		const char *sni, *name;
		bool known;
	} cases[] = { { "b.example", "b.example", true },  { "B.EXAMPLE", "b.example", true },
		      { "b.example.", "b.example", true }, { "a.example", "a.example", true },
		      { "", "a.example", false },          { "c.example", "a.example", false },
		      { "b.exampl", "a.example", false },  { "b.example.x", "a.example", false },
		      { ".", "a.example", false },         { "x.b.example", "a.example", false } };
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		bool known = !cases[i].known;
		struct snapshot_identity *id = snapshot_find(s, slice_str(cases[i].sni), &known);
		assert_string_equal(id->name, cases[i].name);
		assert_int_equal(known, cases[i].known);
	}
	/* A NUL inside is a name that nobody has. */
	bool known = true;
	(void)snapshot_find(s, SLICE_LIT("b.example\0.x"), &known);
	assert_false(known);
	struct snapshot_identity *a = snapshot_default(s);
	assert_int_equal(a->num_keys, 2);
	assert_int_equal(a->keys[0].algorithm, KEY_ECDSA_P256);
	assert_int_equal(a->keys[1].algorithm, KEY_RSA_3072);
	assert_non_null(a->keys[0].key);
	assert_int_equal(a->keys[1].num_chain, 1);
	assert_ptr_equal(snapshot_key(a, KEY_RSA_3072), &a->keys[1]);
	assert_null(snapshot_key(snapshot_at(s, 1), KEY_RSA_3072));
	snapshot_unref(s);
}

static unsigned freed;

static void count_free(void *p)
{
	assert_ptr_equal(p, &freed);
	freed++;
}

static void references(void **state)
{
	(void)state;
	const struct snapshot_source sources[] = { source("a.example", 1, KEY_ECDSA_P256, &ec_a) };
	struct snapshot *s = NULL;
	assert_int_equal(snapshot_new(sources, 1, "a.example", seed, 1, &s, NULL), EC_OK);
	snapshot_attach(snapshot_default(s), &freed, count_free);
	assert_ptr_equal(snapshot_ref(s), s);
	snapshot_unref(s);
	assert_int_equal(freed, 0);
	assert_ptr_equal(snapshot_default(s)->attached, &freed);
	snapshot_unref(s);
	assert_int_equal(freed, 1);
	snapshot_unref(NULL);
}

static void refusals(void **state)
{
	(void)state;
	struct snapshot_source a = source("a.example", 1, KEY_ECDSA_P256, &ec_a);
	struct snapshot_source mixed = a, wrong_word = a, other_generation = source("a.example", 2, KEY_RSA_3072, &rsa_a);
	struct snapshot_source empty = a;
	mixed.chain_pem = bytes_slice(&ec_b.chain);
	wrong_word.algorithm = KEY_RSA_3072;
	empty.key_pem = SLICE_LIT("");
	const struct {
		const char *name;
		struct snapshot_source sources[2];
		size_t num;
		const char *fallback;
		enum ec ec;
	} cases[] = {
		{ "nothing", { { 0 } }, 0, "a.example", EC_MISSING },
		{ "default not there", { a }, 1, "b.example", EC_MISSING },
		{ "same key twice", { a, a }, 2, "a.example", EC_DUPLICATE },
		{ "two generations", { a, other_generation }, 2, "a.example", EC_DUPLICATE },
		{ "certificate of another", { mixed }, 1, "a.example", EC_KEY_MISMATCH },
		{ "not the algorithm said", { wrong_word }, 1, "a.example", EC_KEY_MISMATCH },
		{ "no key", { empty }, 1, "a.example", EC_SYNTAX },
	};
	struct snapshot_source b = source("b.example", 1, KEY_ECDSA_P256, &ec_b);
	const struct snapshot_source apart[] = { a, b, source("A.example.", 1, KEY_RSA_3072, &rsa_a) };
	struct snapshot *none = NULL;
	assert_int_equal(snapshot_new(apart, 3, "a.example", seed, 1, &none, NULL), EC_DUPLICATE);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct snapshot *s = NULL;
		struct why why = { 0 };
		enum ec ec = snapshot_new(cases[i].sources, cases[i].num, cases[i].fallback, seed, 1, &s, &why);
		if (ec != cases[i].ec)
			fail_msg("%s: %s: %s", cases[i].name, ec_name(ec), why.text);
		assert_null(s);
		assert_non_null(strstr(why.text, ".example"));
	}
}

/* A swap of one of three: the others are the very same objects, the one before lives on
 * for its connections, and the keys of the one that went are given back with it. */
static void changes(void **state)
{
	(void)state;
	const struct snapshot_source sources[] = { source("a.example", 1, KEY_ECDSA_P256, &ec_a), source("b.example", 1, KEY_ECDSA_P256, &ec_b),
		                                   source("c.example", 1, KEY_ECDSA_P256, &ec_b) };
	const struct snapshot_source swapped = source("B.example", 2, KEY_ECDSA_P256, &ec_a);
	struct snapshot *before = NULL, *after = NULL;
	struct why why = { 0 };
	assert_int_equal(snapshot_new(sources, 3, "a.example", seed, 1, &before, NULL), EC_OK);
	freed = 0;
	snapshot_attach(snapshot_find(before, SLICE_LIT("b.example"), NULL), &freed, count_free);
	assert_int_equal(snapshot_begin(before, seed, 2, &after), EC_OK);
	assert_int_equal(snapshot_put(after, &swapped, 1, &why), EC_OK);
	assert_int_equal(snapshot_drop(after, "C.example"), EC_OK);
	assert_int_equal(snapshot_drop(after, "never.there"), EC_OK);
	assert_int_equal(snapshot_finish(after, "a.example", &why), EC_OK);
	assert_int_equal(snapshot_num(before), 3);
	assert_int_equal(snapshot_num(after), 2);
	assert_int_equal(snapshot_epoch(after), 2);
	assert_ptr_equal(snapshot_default(before), snapshot_default(after));
	assert_int_equal(snapshot_find(before, SLICE_LIT("b.example"), NULL)->generation, 1);
	assert_int_equal(snapshot_find(after, SLICE_LIT("b.example"), NULL)->generation, 2);
	assert_string_equal(snapshot_find(after, SLICE_LIT("c.example"), NULL)->name, "a.example");
	assert_int_equal(freed, 0);
	snapshot_unref(before);
	assert_int_equal(freed, 1);
	/* What can't be used leaves the one before as it was. */
	struct snapshot_source bad = swapped;
	bad.chain_pem = bytes_slice(&ec_b.chain);
	assert_int_equal(snapshot_begin(after, seed, 3, &before), EC_OK);
	assert_int_equal(snapshot_put(before, &bad, 1, &why), EC_KEY_MISMATCH);
	assert_int_equal(snapshot_drop(before, "a.example"), EC_OK);
	assert_int_equal(snapshot_finish(before, "a.example", &why), EC_MISSING);
	snapshot_unref(before);
	assert_string_equal(snapshot_default(after)->name, "a.example");
	assert_int_equal(snapshot_find(after, SLICE_LIT("b.example"), NULL)->generation, 2);
	snapshot_unref(after);
}

static void ticket_of(uint64_t generation, const struct made *m, const uint8_t *with, const char *name,
                      uint8_t out[SNAPSHOT_TICKET_KEY_SIZE])
{
	const struct snapshot_source sources[] = { source(name, generation, KEY_ECDSA_P256, m) };
	struct snapshot *s = NULL;
	assert_int_equal(snapshot_new(sources, 1, name, with, 9, &s, NULL), EC_OK);
	snapshot_ticket_key(s, snapshot_default(s), out);
	snapshot_unref(s);
}

/* The same in every worker, another whenever what is presented is another. */
static void tickets(void **state)
{
	(void)state;
	static const uint8_t other_seed[SNAPSHOT_SEED_SIZE] = { 9 };
	uint8_t keys[5][SNAPSHOT_TICKET_KEY_SIZE], same[SNAPSHOT_TICKET_KEY_SIZE];
	ticket_of(1, &ec_a, seed, "a.example", keys[0]);
	ticket_of(1, &ec_a, seed, "A.example", same);
	assert_memory_equal(keys[0], same, sizeof same);
	ticket_of(2, &ec_a, seed, "a.example", keys[1]);
	ticket_of(1, &ec_b, seed, "a.example", keys[2]);
	ticket_of(1, &ec_a, other_seed, "a.example", keys[3]);
	ticket_of(1, &ec_a, seed, "b.example", keys[4]);
	for (size_t i = 0; i < 5; i++)
		for (size_t j = 0; j < i; j++)
			assert_memory_not_equal(keys[i], keys[j], 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(finding), cmocka_unit_test(references), cmocka_unit_test(refusals),
		                            cmocka_unit_test(changes),
		                            cmocka_unit_test(tickets) };
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
