/* A question's number is its index with a serial number above it, so it is found at once, and
 * one that has been taken out is told from the next one in its place. */
#include "proxy/super/questions.h"

#include <assert.h>
#include <stdlib.h>

enum { NOBODY = UINT16_MAX };
static_assert((int)QUESTIONS_MAX <= (int)NOBODY, "an index is never NOBODY");

struct question_slot {
	struct question question;
	uint64_t number; /* 0 while it is free */
	uint16_t older, younger; /* NOBODY at the ends */
};

enum ec questions_init(struct questions *q)
{
	*q = (struct questions){ .oldest = NOBODY, .youngest = NOBODY, .slots = calloc(QUESTIONS_MAX, sizeof *q->slots) };
	if (q->slots == NULL)
		return EC_NO_MEMORY;
	for (unsigned i = 0; i < QUESTIONS_MAX; i++)
		q->slots[i].younger = i + 1 < QUESTIONS_MAX ? (uint16_t)(i + 1) : NOBODY;
	return EC_OK;
}

void questions_fini(struct questions *q)
{
	free(q->slots);
	*q = (struct questions){ .oldest = NOBODY, .youngest = NOBODY };
}

bool questions_full(const struct questions *q, unsigned worker)
{
	return q->num == QUESTIONS_MAX || q->per_worker[worker] >= QUESTIONS_PER_WORKER;
}

uint64_t questions_add(struct questions *q, struct question question)
{
	assert(!questions_full(q, question.asker.worker));
	uint16_t at = q->unused;
	struct question_slot *s = &q->slots[at];
	q->unused = s->younger;
	*s = (struct question_slot){
		.question = question, .number = ++q->serial * QUESTIONS_MAX + at, .older = q->youngest, .younger = NOBODY,
	};
	if (q->youngest != NOBODY)
		q->slots[q->youngest].younger = at;
	else
		q->oldest = at;
	q->youngest = at;
	q->num++;
	q->per_worker[question.asker.worker]++;
	return s->number;
}

const struct question *questions_oldest(const struct questions *q)
{
	return q->oldest == NOBODY ? NULL : &q->slots[q->oldest].question;
}

bool questions_take(struct questions *q, uint64_t number, struct question *out)
{
	uint16_t at = (uint16_t)(number % QUESTIONS_MAX);
	struct question_slot *s = &q->slots[at];
	if (number == 0 || s->number != number)
		return false;
	*out = s->question;
	if (s->older != NOBODY)
		q->slots[s->older].younger = s->younger;
	else
		q->oldest = s->younger;
	if (s->younger != NOBODY)
		q->slots[s->younger].older = s->older;
	else
		q->youngest = s->older;
	q->num--;
	q->per_worker[s->question.asker.worker]--;
	s->number = 0;
	s->younger = q->unused;
	q->unused = at;
	return true;
}

bool questions_take_oldest(struct questions *q, struct question *out)
{
	return q->oldest != NOBODY && questions_take(q, q->slots[q->oldest].number, out);
}
