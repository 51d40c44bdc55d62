#include "certs/generation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void names(void **state)
{
	(void)state;
	for (unsigned i = 0; i < KEY_NUM_ALGORITHMS; i++) {
		enum key_algorithm a = KEY_NUM_ALGORITHMS;
		assert_true(key_algorithm_parse(slice_str(key_algorithm_name((enum key_algorithm)i)), &a));
		assert_int_equal(a, i);
	}
	enum key_algorithm a;
	assert_false(key_algorithm_parse(SLICE_LIT("rsa-2048"), &a));
	assert_false(key_algorithm_parse(SLICE_LIT(""), &a));
	assert_false(key_algorithm_parse(SLICE_LIT("ECDSA-P256"), &a));
}

static void roles(void **state)
{
	(void)state;
	assert_int_equal(generation_role_of(7, 7), GENERATION_ACTIVE);
	assert_int_equal(generation_role_of(8, 7), GENERATION_STANDBY);
	assert_int_equal(generation_role_of(6, 7), GENERATION_RETIRED);
	assert_int_equal(generation_role_of(1, 0), GENERATION_STANDBY);
	assert_string_equal(generation_role_name(GENERATION_STANDBY), "standby");
	assert_string_equal(generation_role_name(GENERATION_ACTIVE), "active");
	assert_string_equal(generation_role_name(GENERATION_RETIRED), "retired");
}

static void keys(void **state)
{
	(void)state;
	struct generation g = { .num_keys = 1, .keys = { { .algorithm = KEY_RSA_3072 } } };
	assert_ptr_equal(generation_key(&g, KEY_RSA_3072), &g.keys[0]);
	assert_null(generation_key(&g, KEY_ECDSA_P256));
}

/* What is packed comes back whole: every field, two keys, whole chains, and a key without a
 * certificate; and a common one takes a fraction of the struct's room. */
static void packing(void **state)
{
	(void)state;
	struct generation all[3] = { { .number = 7, .role = GENERATION_ACTIVE, .created = { 1795300000 }, .num_keys = 2 },
		                     { .number = 8, .role = GENERATION_STANDBY, .num_keys = 1 },
		                     { .number = 9, .num_keys = 0 } };
	for (unsigned a = 0; a < 2; a++) {
		struct key_info *k = &all[0].keys[a];
		*k = (struct key_info){ .algorithm = (enum key_algorithm)a, .certified = true, .issuer = CERT_CA, .not_before = { 1 },
			                .not_after = { 2 }, .num_chain = a == 0 ? CERT_CHAIN_MAX : 1 };
		for (size_t i = 0; i < k->num_chain; i++)
			memset(&k->chain[i], 0x10 * (int)(a + 1) + (int)i, sizeof k->chain[i]);
	}
	memset(all[1].keys[0].chain[0].spki_sha256, 0xab, 32);
	struct bytes packed = { 0 };
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(generation_pack(&all[i], &packed), EC_OK);
	struct slice in = bytes_slice(&packed);
	for (size_t i = 0; i < 3; i++) {
		struct generation g;
		size_t before = in.len;
		generation_unpack(&in, &g);
		assert_memory_equal(&g, &all[i], sizeof g);
		assert_true(i != 1 || before - in.len < 320);
	}
	assert_int_equal(in.len, 0);
	bytes_fini(&packed);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(names), cmocka_unit_test(roles), cmocka_unit_test(keys), cmocka_unit_test(packing) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
