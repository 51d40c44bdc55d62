#include "tests/unit/unit.h"

#include <stdlib.h>

#include "proxy/census.h"

static const uint64_t seed[2] = { 1, 2 };

/* Key n has cell n / 16 % 16 of the first row and n % 16 of the second: easy to make meet. */
static uint64_t by_hand(const uint64_t s[2], const uint8_t *p, size_t len)
{
	assert_int_equal(s[0], 1);
	assert_int_equal(s[1], 2);
	assert_int_equal(len, CENSUS_KEY + 1);
	return (uint64_t)(p[0] % 16) << 32 | (uint64_t)(p[0] / 16);
}

static struct census *make(unsigned num)
{
	struct census *c = calloc(1, census_size(num));
	assert_non_null(c);
	census_begin(c, num, seed);
	return c;
}

static uint64_t add(struct census *c, unsigned slot, enum census_kind kind, uint8_t n)
{
	uint8_t key[CENSUS_KEY] = { n };
	bool fresh;
	return census_add(c, by_hand, slot, kind, key, &fresh);
}

static void drop(struct census *c, unsigned slot, enum census_kind kind, uint8_t n)
{
	uint8_t key[CENSUS_KEY] = { n };
	bool gone;
	census_drop(c, by_hand, slot, kind, key, &gone);
}

static void test_sums(void **state)
{
	struct census *c = make(3);
	(void)state;
	assert_int_equal(add(c, 0, CENSUS_ADDRESS, 0x12), 1);
	assert_int_equal(add(c, 2, CENSUS_ADDRESS, 0x12), 2);
	assert_int_equal(add(c, 0, CENSUS_ADDRESS, 0x12), 3);
	/* Another kind is another count. */
	assert_int_equal(add(c, 1, CENSUS_PREFIX, 0x12), 1);
	/* One cell shared: the other row knows better. */
	assert_int_equal(add(c, 0, CENSUS_ADDRESS, 0x13), 1);
	assert_int_equal(add(c, 1, CENSUS_ADDRESS, 0x22), 1);
	/* Both shared, each with another: too high, by the lesser. */
	assert_int_equal(add(c, 1, CENSUS_ADDRESS, 0x23), 2);
	drop(c, 0, CENSUS_ADDRESS, 0x12);
	assert_int_equal(add(c, 1, CENSUS_ADDRESS, 0x12), 4); /* 3, and one of 0x13 here, of 0x22 there */
	census_clear(c, 0);
	assert_int_equal(add(c, 1, CENSUS_ADDRESS, 0x12), 3);
	census_clear(c, 1);
	assert_int_equal(add(c, 1, CENSUS_ADDRESS, 0x12), 2);
	assert_int_equal(add(c, 1, CENSUS_PREFIX, 0x12), 1);
	free(c);
}

/* Never too few, and behind the last leaving nothing. */
static void test_never_too_few(void **state)
{
	enum { SLOTS = 4, STEPS = 50000 };
	struct census *c = make(SLOTS);
	unsigned in[SLOTS][256] = { { 0 } }, random = 99, exact = 0;
	(void)state;
	for (int step = 0; step < STEPS; step++) {
		unsigned slot = (unsigned)rand_r(&random) % SLOTS;
		uint8_t n = (uint8_t)(rand_r(&random) % 40 * 6);
		if (in[slot][n] > 0 && rand_r(&random) % 2 == 0) {
			drop(c, slot, CENSUS_PREFIX, n);
			in[slot][n]--;
			continue;
		}
		in[slot][n]++;
		uint64_t true_count = 0, said = add(c, slot, CENSUS_PREFIX, n);
		for (unsigned s = 0; s < SLOTS; s++)
			true_count += in[s][n];
		assert_true(said >= true_count);
		exact += said == true_count;
	}
	assert_true(exact > 0);
	for (unsigned s = 0; s < SLOTS; s++)
		for (unsigned n = 0; n < 256; n++)
			for (; in[s][n] > 0; in[s][n]--)
				drop(c, s, CENSUS_PREFIX, (uint8_t)n);
	for (unsigned n = 0; n < 256; n++) {
		assert_int_equal(add(c, 0, CENSUS_PREFIX, (uint8_t)n), 1);
		drop(c, 0, CENSUS_PREFIX, (uint8_t)n);
	}
	free(c);
}

static void test_check(void **state)
{
	struct census *c = make(2);
	(void)state;
	assert_int_equal(census_check(c, census_size(2), 1), EC_OK);
	assert_int_equal(census_check(c, census_size(2), 2), EC_CORRUPT);
	assert_int_equal(census_check(c, census_size(2) - 1, 0), EC_CORRUPT);
	assert_int_equal(census_check(c, 100, 0), EC_CORRUPT);
	c->magic++;
	assert_int_equal(census_check(c, census_size(2), 0), EC_CORRUPT);
	free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sums),
		cmocka_unit_test(test_never_too_few),
		cmocka_unit_test(test_check),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
