#include "base/mishaps.h"

#include <stdio.h>

#include "tests/unit/unit.h"

static bool add(struct mishaps *m, int64_t at, const char *what, const char *where, const char *why)
{
	return mishaps_add(m, (struct wall){ at }, what, where, why);
}

static void repetitions_are_one_entry(void **state)
{
	(void)state;
	struct mishaps m = { 0 };
	assert_true(add(&m, 10, "guard", "mx1", "no answer"));
	assert_false(add(&m, 20, "guard", "mx1", "no answer"));
	/* Something about another identity in between changes nothing. */
	assert_true(add(&m, 25, "guard", "mx2", "no answer"));
	assert_false(add(&m, 30, "guard", "mx1", "no answer"));
	assert_int_equal(m.num, 2);
	assert_int_equal(m.total, 4);
	const struct mishap *x = mishaps_at(&m, 0);
	assert_int_equal(x->first.s, 10);
	assert_int_equal(x->last.s, 30);
	assert_int_equal(x->times, 3);
}

static void another_reason_is_another_entry(void **state)
{
	(void)state;
	struct mishaps m = { 0 };
	assert_true(add(&m, 1, "guard", "mx1", "no answer"));
	assert_true(add(&m, 2, "guard", "mx1", "bogus"));
	/* The first reason again: something else was true in between. */
	assert_true(add(&m, 3, "guard", "mx1", "no answer"));
	assert_true(add(&m, 3, "guard", NULL, "no answer"));
	assert_int_equal(m.num, 4);
	assert_string_equal(mishaps_at(&m, 3)->where, "");
}

static void the_oldest_goes_first(void **state)
{
	(void)state;
	struct mishaps m = { 0 };
	const int num = 3 * MISHAPS_MAX + 5;
	for (int i = 0; i < num; i++) {
		char why[32];
		(void)snprintf(why, sizeof why, "number %d", i);
		assert_true(add(&m, i, "worker", "worker 0", why));
	}
	assert_int_equal(m.num, MISHAPS_MAX);
	assert_int_equal(m.total, num);
	for (size_t i = 0; i < m.num; i++)
		assert_int_equal(mishaps_at(&m, i)->last.s, num - MISHAPS_MAX + (int)i);
}

static void long_texts_are_cut(void **state)
{
	(void)state;
	struct mishaps m = { 0 };
	char text[2000];
	memset(text, 'x', sizeof text);
	text[sizeof text - 1] = '\0';
	assert_true(add(&m, 1, text, text, text));
	assert_false(add(&m, 2, text, text, text));
	assert_int_equal(strlen(mishaps_at(&m, 0)->what), MISHAP_WHAT_SIZE - 1);
	assert_int_equal(strlen(mishaps_at(&m, 0)->why.text), WHY_SIZE - 1);
}

static void hostile_texts_are_made_harmless(void **state)
{
	(void)state;
	struct mishaps m = { 0 };
	assert_true(add(&m, 1, "d", "\x1b]0;x", "an escape \x1b[m, a letter \xc3\xa9, half a one \xe2\x80"));
	assert_string_equal(mishaps_at(&m, 0)->where, "?]0;x");
	assert_string_equal(mishaps_at(&m, 0)->why.text, "an escape ?[m, a letter ?, half a one ?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(repetitions_are_one_entry),
		cmocka_unit_test(another_reason_is_another_entry),
		cmocka_unit_test(the_oldest_goes_first),
		cmocka_unit_test(long_texts_are_cut),
		cmocka_unit_test(hostile_texts_are_made_harmless),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
