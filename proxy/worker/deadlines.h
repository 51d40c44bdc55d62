/* Owns:  when each of many things must be looked at: one coarse timer wheel.
 * Never: reads a clock or fires early; it may fire up to two ticks late.
 * Spec:  –
 * Start at: deadline_set. */
#ifndef PROXY_DEADLINES_H
#define PROXY_DEADLINES_H

#include "base/instant.h"

enum { DEADLINES_SLOTS = 512, DEADLINES_TICK_MS = 50 };

/* struct deadline is embedded in what it watches. Zero-initialised is unset. */
struct deadline {
	struct deadline *prev, *next;
	int64_t at_ms;   /* 0: unset */
	int64_t seen_ms; /* the moment whose slot it hangs in: at or before at_ms */
};

struct deadlines {
	struct deadline slots[DEADLINES_SLOTS]; /* heads of rings */
	int64_t done_tick;                      /* all up to this tick was looked at */
	size_t num;
};

void deadlines_init(struct deadlines *all, struct mono now);
/* deadlines_skip is for a wheel that stood still while nothing was set. */
void deadlines_skip(struct deadlines *all, struct mono now);

/* deadline_set makes `d` fire at `at`, replacing what was set; constant time,
 * and only a comparison when `at` moves later, as it does with each byte of a
 * body. deadline_clear unsets it; unset is fine. */
void deadline_set(struct deadlines *all, struct deadline *d, struct mono at);
void deadline_clear(struct deadlines *all, struct deadline *d);

/* deadlines_next returns one that is due at `now`, unset, or NULL. The caller
 * may set or clear any before asking again. */
struct deadline *deadlines_next(struct deadlines *all, struct mono now);

#endif
