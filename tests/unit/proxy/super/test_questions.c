/* Thousands of random questions and answers, against the plain way of keeping them; and the bounds. */
#include "proxy/super/questions.h"

#include <stdlib.h>

#include "tests/unit/unit.h"

enum { KEPT_MAX = 400 };

/* struct kept is the plain way: in the order in which they were asked. */
struct kept {
	uint64_t numbers[KEPT_MAX], ids[KEPT_MAX];
	size_t num;
};

static void forget(struct kept *k, size_t i)
{
	k->num--;
	memmove(&k->numbers[i], &k->numbers[i + 1], (k->num - i) * sizeof k->numbers[0]);
	memmove(&k->ids[i], &k->ids[i + 1], (k->num - i) * sizeof k->ids[0]);
}

static void add(struct questions *q, struct kept *k, uint64_t id)
{
	const struct question question = { .asker = { .worker = (unsigned)(id % 3), .life = id * 7 }, .id = id, .asked_ms = id * 2 };
	uint64_t number = questions_add(q, question);
	for (size_t i = 0; i < k->num; i++)
		assert_true(k->numbers[i] != number);
	k->numbers[k->num] = number;
	k->ids[k->num++] = id;
}

static void is(const struct question *q, uint64_t id)
{
	assert_non_null(q);
	assert_int_equal(q->id, id);
	assert_int_equal(q->asked_ms, id * 2);
	assert_int_equal(q->asker.worker, id % 3);
	assert_int_equal(q->asker.life, id * 7);
}

static void like_the_plain_way(void **state)
{
	(void)state;
	struct questions q;
	struct question out;
	static struct kept k;
	uint64_t gone = 0;
	k.num = 0;
	assert_int_equal(questions_init(&q), EC_OK);
	assert_null(questions_oldest(&q));
	srand(1);
	for (uint64_t id = 1; id < 20000; id++) {
		size_t at = k.num == 0 ? 0 : (size_t)rand() % k.num;
		if (k.num < KEPT_MAX && (k.num == 0 || rand() % 2 == 0)) {
			add(&q, &k, id);
		} else if (rand() % 3 == 0) {
			assert_true(questions_take_oldest(&q, &out));
			is(&out, k.ids[0]);
			gone = k.numbers[0];
			forget(&k, 0);
		} else {
			assert_true(questions_take(&q, k.numbers[at], &out));
			is(&out, k.ids[at]);
			gone = k.numbers[at];
			forget(&k, at);
		}
		/* What was answered is not answered again, whoever has its place now. */
		assert_false(questions_take(&q, gone, &out));
		assert_int_equal(q.num, k.num);
		if (k.num > 0)
			is(questions_oldest(&q), k.ids[0]);
		else
			assert_null(questions_oldest(&q));
	}
	questions_fini(&q);
}

static void strange_numbers_are_nobodys(void **state)
{
	(void)state;
	struct questions q;
	struct question out;
	assert_int_equal(questions_init(&q), EC_OK);
	assert_false(questions_take(&q, 0, &out));
	assert_false(questions_take_oldest(&q, &out));
	uint64_t number = questions_add(&q, (struct question){ .id = 1 });
	const uint64_t strange[] = { 0, 1, number - 1, number + 1, number + QUESTIONS_MAX, number - QUESTIONS_MAX, UINT64_MAX };
	for (size_t i = 0; i < NUM(strange); i++)
		assert_false(questions_take(&q, strange[i], &out));
	assert_int_equal(q.num, 1);
	assert_true(questions_take(&q, number, &out));
	questions_fini(&q);
}

/* Worker 0 may ask so much, and the others still may; in all there is a bound, too. */
static void the_bounds(void **state)
{
	(void)state;
	struct questions q;
	struct question out;
	assert_int_equal(questions_init(&q), EC_OK);
	for (unsigned round = 0; round < 2; round++) {
		unsigned num = 0;
		for (; num < QUESTIONS_MAX; num++) {
			unsigned worker = num / QUESTIONS_PER_WORKER;
			assert_false(questions_full(&q, worker));
			assert_true(worker == 0 || questions_full(&q, worker - 1));
			(void)questions_add(&q, (struct question){ .asker.worker = worker, .id = num });
		}
		assert_int_equal(q.num, QUESTIONS_MAX);
		assert_true(questions_full(&q, QUESTIONS_WORKERS - 1));
		/* One answer makes room for one, of this worker, too. */
		assert_true(questions_take_oldest(&q, &out));
		assert_int_equal(out.asker.worker, 0);
		assert_false(questions_full(&q, 0));
		(void)questions_add(&q, out);
		assert_true(questions_full(&q, 0));
		while (questions_take_oldest(&q, &out))
			num--;
		assert_int_equal(num, 0);
	}
	questions_fini(&q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(like_the_plain_way),
		cmocka_unit_test(strange_numbers_are_nobodys),
		cmocka_unit_test(the_bounds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
