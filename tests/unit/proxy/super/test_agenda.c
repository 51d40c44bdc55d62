/* Thousands of random changes, against the plain way of finding who is next. */
#include "proxy/super/agenda.h"

#include <stdlib.h>

#include "tests/unit/unit.h"

enum { ITEMS = 300 };
static struct agenda_item items[ITEMS];

static struct agenda_item *plain_first(void)
{
	struct agenda_item *first = NULL;
	for (size_t i = 0; i < ITEMS; i++) {
		struct agenda_item *x = &items[i];
		if (x->place != 0 && (first == NULL || x->due < first->due || (x->due == first->due && x->turn < first->turn)))
			first = x;
	}
	return first;
}

static void like_the_plain_way(void **state)
{
	(void)state;
	struct agenda a = { 0 };
	assert_null(agenda_first(&a));
	assert_int_equal(agenda_room(&a, ITEMS), EC_OK);
	srand(1);
	for (unsigned i = 0; i < 20000; i++) {
		struct agenda_item *x = &items[rand() % ITEMS];
		if (rand() % 3 == 0)
			agenda_drop(&a, x);
		else
			agenda_set(&a, x, rand() % 50);
		assert_ptr_equal(agenda_first(&a), plain_first());
	}
	for (struct agenda_item *x; (x = agenda_first(&a)) != NULL;) {
		assert_ptr_equal(x, plain_first());
		agenda_drop(&a, x);
		assert_int_equal(x->place, 0);
	}
	agenda_fini(&a);
}

static void turns_are_kept(void **state)
{
	(void)state;
	struct agenda a = { 0 };
	struct agenda_item some[5] = { 0 };
	assert_int_equal(agenda_room(&a, NUM(some)), EC_OK);
	for (size_t i = 0; i < NUM(some); i++)
		agenda_set(&a, &some[i], 7);
	agenda_set(&a, &some[0], 7); /* asks again: last */
	for (size_t i = 1; i <= NUM(some); i++) {
		assert_ptr_equal(agenda_first(&a), &some[i % NUM(some)]);
		agenda_drop(&a, agenda_first(&a));
	}
	agenda_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(like_the_plain_way), cmocka_unit_test(turns_are_kept) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
