/* Against a plain array: the same names after thousands of random changes, while
 * copies made on the way stay as they were. */
#include "base/names.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/unit.h"

enum { NAMES = 400, COPIES = 16 };

struct value {
	struct names_item item;
	char name[32];
};

static unsigned alive;

static void value_end(struct names_item *item)
{
	alive--;
	free(item);
}

static struct value *value_new(unsigned number)
{
	struct value *v = calloc(1, sizeof *v);
	(void)snprintf(v->name, sizeof v->name, "mx%u.example.org", number);
	v->item = (struct names_item){ .refs = 1, .name = v->name, .end = value_end };
	alive++;
	return v;
}

static struct names_item *find(const struct names *n, unsigned number)
{
	char name[32];
	(void)snprintf(name, sizeof name, "mx%u.example.org", number);
	return names_find(n, slice_str(name));
}

/* What the set must hold: a value for each number, or NULL. */
struct model {
	struct names_item *values[NAMES];
};

static void check(const struct names *n, const struct model *m)
{
	size_t num = 0;
	for (unsigned i = 0; i < NAMES; i++) {
		assert_ptr_equal(find(n, i), m->values[i]);
		num += m->values[i] != NULL;
	}
	assert_int_equal(names_num(n), num);
	for (size_t i = 1; i < num; i++)
		assert_true(strcmp(names_at(n, i - 1)->name, names_at(n, i)->name) < 0);
}

static void change(struct names *n, struct model *m, unsigned number, bool there)
{
	char name[32];
	(void)snprintf(name, sizeof name, "mx%u.example.org", number);
	if (!there) {
		assert_int_equal(names_remove(n, slice_str(name)), EC_OK);
		m->values[number] = NULL;
		return;
	}
	struct value *v = value_new(number);
	assert_int_equal(names_put(n, &v->item), EC_OK);
	m->values[number] = &v->item;
	names_item_unref(&v->item); /* the set's own reference holds it */
}

static void like_an_array(void **state)
{
	(void)state;
	struct names n = { 0 }, copies[COPIES];
	struct model m = { 0 }, then[COPIES];
	srand(1);
	for (unsigned c = 0; c < COPIES; c++) {
		for (unsigned i = 0; i < 300; i++)
			change(&n, &m, (unsigned)rand() % NAMES, rand() % 3 != 0);
		copies[c] = names_copy(&n);
		then[c] = m;
	}
	for (unsigned c = 0; c < COPIES; c++)
		check(&copies[c], &then[c]);
	/* Changing a copy does not change the original either. */
	change(&copies[0], &then[0], 1, true);
	change(&copies[0], &then[0], 2, false);
	check(&copies[0], &then[0]);
	check(&n, &m);
	for (unsigned c = 0; c < COPIES; c++)
		names_fini(&copies[c]);
	check(&n, &m);
	names_fini(&n);
	assert_int_equal(alive, 0);
}

static void names_compare_without_case(void **state)
{
	(void)state;
	struct names n = { 0 };
	struct model m = { 0 };
	static const struct {
		struct slice name;
		bool there;
	} cases[] = {
		{ SLICE_LIT("mx1.example.org"), true },    { SLICE_LIT("MX1.Example.ORG."), true }, { SLICE_LIT("mx1.example.or"), false },
		{ SLICE_LIT("mx1.example.orgs"), false },  { SLICE_LIT(""), false },                { SLICE_LIT("."), false },
		{ SLICE_LIT("mx1.example.org\0"), false }, { SLICE_LIT("\0"), false },              { SLICE_LIT("mx1.example.org.."), false },
	};
	for (size_t i = 0; i < NUM(cases); i++)
		assert_null(names_find(&n, cases[i].name));
	for (unsigned i = 0; i < 40; i++)
		change(&n, &m, i, true);
	for (size_t i = 0; i < NUM(cases); i++)
		assert_int_equal(names_find(&n, cases[i].name) != NULL, cases[i].there);
	char text[8];
	assert_int_equal(names_canonical(SLICE_LIT("A.b.EX."), text, sizeof text), EC_OK);
	assert_string_equal(text, "a.b.ex");
	assert_int_equal(names_canonical(SLICE_LIT("a.b.exam"), text, sizeof text), EC_NO_SPACE);
	names_fini(&n);
	assert_int_equal(alive, 0);
}

/* The way to a name stays short, however many there are and in whatever order they came. */
static void stays_flat(void **state)
{
	(void)state;
	enum { MANY = 9000, DEPTH_MAX = 50 };
	struct names n = { 0 };
	for (unsigned i = 0; i < MANY; i++) {
		struct value *v = value_new(1000 + i); /* the worst order for a tree: the right one */
		assert_int_equal(names_put(&n, &v->item), EC_OK);
		names_item_unref(&v->item);
	}
	assert_int_equal(names_num(&n), MANY);
	assert_true(names_depth(&n) < DEPTH_MAX);
	names_fini(&n);
	assert_int_equal(alive, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(like_an_array),
		cmocka_unit_test(names_compare_without_case),
		cmocka_unit_test(stays_flat),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
