/* Owns:  the questions of workers that the router has not answered yet: a table with bounds, in the
 *        order of their age, and the numbers by which the router knows them.
 * Never: knows what is asked, or reads a clock.
 * Spec:  –
 * Start at: questions_add. */
#ifndef PROXY_QUESTIONS_H
#define PROXY_QUESTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ec.h"

enum {
	QUESTIONS_MAX = 8192,        /* in all */
	QUESTIONS_PER_WORKER = 1000, /* of one worker */
	QUESTIONS_WORKERS = 256      /* workers are numbered below this */
};

/* struct question_asker is a worker in one of its lives: a later process of that number
 * has not asked. */
struct question_asker {
	unsigned worker;
	uint64_t life;
};

struct question {
	struct question_asker asker;
	uint64_t id; /* the asker's own number */
	uint64_t asked_ms;
};

struct question_slot;

/* struct questions lives in its owner's memory; `num` is for reading. */
struct questions {
	unsigned num;

	struct question_slot *slots; /* in use: chained by age; free: chained by `younger` */
	uint16_t oldest, youngest, unused;
	uint64_t serial;
	unsigned per_worker[QUESTIONS_WORKERS];
};

/* questions_init returns EC_NO_MEMORY. questions_fini is allowed even then. */
enum ec questions_init(struct questions *q) MUST_CHECK;
void questions_fini(struct questions *q);

/* questions_full: there is no room for another one of that worker. */
bool questions_full(const struct questions *q, unsigned worker);

/* questions_add keeps a question for which there is room, asked no sooner than all others, and
 * returns the number by which it is found. No number is given twice. */
uint64_t questions_add(struct questions *q, struct question question);

/* questions_oldest is the one that waits the longest, borrowed, or NULL. */
const struct question *questions_oldest(const struct questions *q);

/* questions_take takes one out of the table; questions_take_oldest the one that waits the
 * longest. They return false if there is none. */
bool questions_take(struct questions *q, uint64_t number, struct question *out);
bool questions_take_oldest(struct questions *q, struct question *out);

#endif
