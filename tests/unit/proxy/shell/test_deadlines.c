#include "tests/unit/unit.h"

#include <stdlib.h>

#include "proxy/worker/deadlines.h"

static struct mono at(int64_t ms)
{
	return (struct mono){ ms };
}

static void test_fires_once_and_not_early(void **state)
{
	static struct deadlines all;
	struct deadline d = { 0 };
	(void)state;
	deadlines_init(&all, at(1000));
	assert_null(deadlines_next(&all, at(999999)));
	deadlines_init(&all, at(1000));
	deadline_set(&all, &d, at(1234));
	assert_null(deadlines_next(&all, at(1234)));
	assert_ptr_equal(deadlines_next(&all, at(1234 + 2 * DEADLINES_TICK_MS)), &d);
	assert_int_equal(all.num, 0);
	assert_null(deadlines_next(&all, at(99999)));
}

static void test_moved_and_cleared(void **state)
{
	static struct deadlines all;
	struct deadline d = { 0 }, e = { 0 };
	(void)state;
	deadlines_init(&all, at(1));
	deadline_set(&all, &d, at(5000));
	deadline_set(&all, &d, at(50000)); /* later */
	assert_null(deadlines_next(&all, at(20000)));
	deadline_set(&all, &d, at(21000)); /* sooner */
	deadline_set(&all, &e, at(21000));
	deadline_clear(&all, &e);
	deadline_clear(&all, &e);
	assert_ptr_equal(deadlines_next(&all, at(22000)), &d);
	assert_null(deadlines_next(&all, at(60000)));
	assert_int_equal(all.num, 0);
}

static void test_already_past(void **state)
{
	static struct deadlines all;
	struct deadline d = { 0 };
	(void)state;
	deadlines_init(&all, at(100000));
	deadline_set(&all, &d, at(3));
	assert_ptr_equal(deadlines_next(&all, at(100000 + DEADLINES_TICK_MS)), &d);
}

static void test_standing_still(void **state)
{
	static struct deadlines all;
	struct deadline d = { 0 };
	(void)state;
	deadlines_init(&all, at(1));
	deadlines_skip(&all, at(10000000));
	deadline_set(&all, &d, at(10000500));
	assert_null(deadlines_next(&all, at(10000400)));
	assert_ptr_equal(deadlines_next(&all, at(10000700)), &d);
}

/* Against a model: a plain array of moments. Now and then the loop sleeps for
 * longer than a turn of the wheel. */
static void test_random_against_an_array(void **state)
{
	enum { NUM_D = 300, STEPS = 30000, LATE = 2 * DEADLINES_TICK_MS };
	static struct deadlines all;
	static struct deadline d[NUM_D];
	static int64_t want[NUM_D]; /* 0: unset */
	unsigned seed = 7;
	int64_t now = 5000, before = now;
	(void)state;
	deadlines_init(&all, at(now));
	for (int step = 0; step < STEPS; step++) {
		size_t i = (size_t)rand_r(&seed) % NUM_D;
		int what = rand_r(&seed) % 10;
		if (what < 6) {
			want[i] = now + 1 + rand_r(&seed) % (rand_r(&seed) % 5 == 0 ? 200000 : 4000);
			deadline_set(&all, &d[i], at(want[i]));
		} else if (what == 6) {
			want[i] = 0;
			deadline_clear(&all, &d[i]);
		} else {
			before = now;
			now += rand_r(&seed) % (rand_r(&seed) % 500 == 0 ? 90000 : 120);
			struct deadline *due;
			while ((due = deadlines_next(&all, at(now))) != NULL) {
				size_t j = (size_t)(due - d);
				assert_true(want[j] != 0 && want[j] <= now);
				/* Not later than two ticks after the last look that was too early. */
				assert_true(want[j] > before - LATE);
				want[j] = 0;
			}
			for (size_t j = 0; j < NUM_D; j++)
				assert_true(want[j] == 0 || want[j] > now - LATE);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fires_once_and_not_early), cmocka_unit_test(test_moved_and_cleared),
		cmocka_unit_test(test_already_past),             cmocka_unit_test(test_standing_still),
		cmocka_unit_test(test_random_against_an_array),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
