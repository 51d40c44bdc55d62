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

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(names), cmocka_unit_test(roles), cmocka_unit_test(keys) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
