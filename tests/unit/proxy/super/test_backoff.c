#include "proxy/super/backoff.h"

#include "tests/unit/unit.h"

static void grows_to_its_bound(void **state)
{
	(void)state;
	struct backoff b = { .first_ms = 100, .max_ms = 1000 };
	const int64_t want[] = { 100, 200, 400, 800, 1000, 1000 };
	for (size_t i = 0; i < NUM(want); i++)
		assert_int_equal(backoff_next(&b), want[i]);
	backoff_reset(&b);
	assert_int_equal(backoff_next(&b), 100);
}

static void long_life_is_restarted_at_once(void **state)
{
	(void)state;
	struct backoff b = { .first_ms = 100, .max_ms = 1000 };
	assert_int_equal(backoff_after_crash(&b, 5000, 1000), 0);
	assert_int_equal(backoff_after_crash(&b, 1000, 1000), 0);
	assert_int_equal(backoff_after_crash(&b, 999, 1000), 100);
	assert_int_equal(backoff_after_crash(&b, 0, 1000), 200);
	assert_int_equal(backoff_after_crash(&b, 1000, 1000), 0);
	assert_int_equal(backoff_after_crash(&b, 0, 1000), 100);
}

static void never_beyond_the_bound(void **state)
{
	(void)state;
	struct backoff b = { .first_ms = 700, .max_ms = 500 };
	for (int i = 0; i < 200; i++)
		assert_in_range(backoff_next(&b), 1, 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grows_to_its_bound),
		cmocka_unit_test(long_life_is_restarted_at_once),
		cmocka_unit_test(never_beyond_the_bound),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
