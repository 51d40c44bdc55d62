/* The messages, read as a worker reads them: part by part, what it held before becomes
 * what it is to hold. */
#include "proxy/super/feed.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/unit.h"

enum { MANY = 1000 };

static void put(struct holding *h, unsigned number, unsigned generation)
{
	char name[32], json[256];
	(void)snprintf(name, sizeof name, "mx%u.example.org", number);
	(void)snprintf(json, sizeof json, "{\"name\":\"%s\",\"generation\":%u,\"keys\":\"%0150d\"}", name, generation, 0);
	struct parcel *p = parcel_new(name, slice_str(json));
	assert_non_null(p);
	assert_int_equal(names_put(&h->parcels, &p->item), EC_OK);
	names_item_unref(&p->item);
}

static struct holding many(unsigned generation)
{
	struct holding h = { .standard = strdup("mx0.example.org") };
	for (unsigned i = 0; i < MANY; i++)
		put(&h, i, generation);
	return h;
}

/* What the model of a worker holds: the generation of each, 0 = none. */
struct model {
	unsigned generations[MANY + 10];
};

static unsigned number_of(const char *name)
{
	unsigned number = 0;
	assert_int_equal(sscanf(name, "mx%u.example.org", &number), 1);
	return number;
}

/* Takes all parts of `f`; returns how many there were. `out_head` gets the first. */
static unsigned take_all(struct feed *f, struct model *m, json_t **out_head)
{
	bool more = true;
	unsigned parts = 0;
	while (more) {
		struct bytes line = { 0 };
		assert_int_equal(feed_next(f, &line, &more), EC_OK);
		assert_true(line.secret);
		struct slice s = bytes_slice(&line);
		assert_true(s.len < FEED_PART + 1024);
		assert_null(memchr(s.p, '\n', s.len));
		json_t *j = json_loadb((const char *)s.p, s.len, JSON_REJECT_DUPLICATES, NULL), *x;
		assert_non_null(j);
		assert_int_equal(json_integer_value(json_object_get(j, "part")), parts++);
		assert_int_equal(json_integer_value(json_object_get(j, "epoch")), f->epoch);
		assert_int_equal(json_is_true(json_object_get(j, "more")), more);
		size_t i;
		json_array_foreach(json_object_get(j, "gone"), i, x)
			m->generations[number_of(json_string_value(x))] = 0;
		json_array_foreach(json_object_get(j, "identities"), i, x)
			m->generations[number_of(json_string_value(json_object_get(x, "name")))] =
				(unsigned)json_integer_value(json_object_get(x, "generation"));
		if (parts == 1)
			*out_head = json_incref(j);
		json_decref(j);
		bytes_fini(&line);
	}
	return parts;
}

static void all_of_them(void **state)
{
	(void)state;
	struct holding h = many(3);
	struct model m = { 0 };
	struct feed f = { .to = &h, .epoch = 9, .seed = "5a5a" };
	json_t *head = NULL;
	unsigned parts = take_all(&f, &m, &head);
	assert_in_range(parts, 3, 8); /* of about 200 octets each */
	assert_string_equal(json_string_value(json_object_get(head, "default")), "mx0.example.org");
	assert_string_equal(json_string_value(json_object_get(head, "seed")), "5a5a");
	assert_null(json_object_get(head, "base"));
	for (unsigned i = 0; i < MANY; i++)
		assert_int_equal(m.generations[i], 3);
	json_decref(head);
	holding_fini(&h);
}

/* One list of names leads there and back, whether or not the change was taken. */
static void there_and_back(void **state)
{
	(void)state;
	static const char *const changed[] = { "mx5.example.org", "mx1001.example.org", "mx7.example.org", "mx1002.example.org" };
	struct holding before = many(1), after = { 0 };
	assert_int_equal(holding_copy(&before, &after), EC_OK);
	put(&after, 5, 2);
	put(&after, 1001, 1);
	assert_int_equal(names_remove(&after.parcels, SLICE_LIT("mx7.example.org")), EC_OK);
	struct model m = { 0 };
	json_t *head = NULL;
	struct feed f = { .to = &before, .epoch = 1, .seed = "5a" };
	(void)take_all(&f, &m, &head);
	json_decref(head);
	const struct model first = m;

	f = (struct feed){ .to = &after, .epoch = 2, .seed = "5a", .changed = changed, .num_changed = NUM(changed), .base = { 1 }, .num_base = 1 };
	assert_int_equal(take_all(&f, &m, &head), 1);
	assert_int_equal(json_array_size(json_object_get(head, "identities")), 2); /* nothing of the others */
	assert_int_equal(json_array_size(json_object_get(head, "base")), 1);
	json_decref(head);
	assert_int_equal(m.generations[5], 2);
	assert_int_equal(m.generations[1001], 1);
	assert_int_equal(m.generations[7], 0);
	assert_int_equal(m.generations[6], 1);

	for (unsigned taken = 0; taken < 2; taken++) {
		struct model back = taken ? m : first;
		f = (struct feed){ .to = &before, .epoch = 3, .seed = "5a", .changed = changed, .num_changed = NUM(changed), .base = { 2, 1 }, .num_base = 2 };
		assert_int_equal(take_all(&f, &back, &head), 1);
		assert_int_equal(json_integer_value(json_array_get(json_object_get(head, "base"), 1)), 1);
		json_decref(head);
		assert_memory_equal(&back, &first, sizeof back);
	}
	holding_fini(&before);
	holding_fini(&after);
}

/* Only the default identity changes: a message with nothing in it. */
static void nothing_but_the_default(void **state)
{
	(void)state;
	struct holding h = many(1);
	struct model m = { 0 };
	json_t *head = NULL;
	static const char *const none[] = { NULL };
	struct feed f = { .to = &h, .epoch = 2, .seed = "5a", .changed = none, .base = { 1 }, .num_base = 1 };
	assert_int_equal(take_all(&f, &m, &head), 1);
	assert_int_equal(json_array_size(json_object_get(head, "identities")), 0);
	json_decref(head);
	holding_fini(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(all_of_them), cmocka_unit_test(there_and_back), cmocka_unit_test(nothing_but_the_default) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
