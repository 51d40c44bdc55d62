/* Owns:  moments on the two clocks, and durations as text.
 * Never: reads a clock (clock_uv.c in the programs does) or mixes the two.
 * Spec:  RFC 3339 for printed wall-clock times, always UTC.
 * Start at: struct wall. */
#ifndef BASE_INSTANT_H
#define BASE_INSTANT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ec.h"
#include "base/slice.h"

/* struct mono is a moment on the monotonic clock, milliseconds since an
 * arbitrary start; it is meaningless in another process or after a boot. */
struct mono {
	int64_t ms;
};

/* struct wall is a moment on the wall clock, seconds since 1970 UTC. Zero
 * means "never" or "not known". */
struct wall {
	int64_t s;
};

enum { WALL_TEXT_SIZE = 24, DURATION_TEXT_SIZE = 32 };

/* wall_print writes "2026-11-21T14:05:00Z", or "-" for zero. Out of the years
 * 1970 to 9999 it writes the number of seconds. */
void wall_print(char out[WALL_TEXT_SIZE], struct wall t);

/* date_parse reads "2027-01-31" and sets `*out` to the first second of that day, UTC.
 * Returns EC_SYNTAX for anything else, EC_RANGE for a day that there is not or a year
 * before 1970. */
enum ec date_parse(struct slice text, struct wall *out) MUST_CHECK;

/* duration_print writes the shortest exact form: "90s", "36h", "1h30m", "0s". */
void duration_print(char out[DURATION_TEXT_SIZE], int64_t seconds);

/* duration_parse reads "90s", "15m", "1h30m", "48h", "7d", "500ms" (whole numbers, units
 * falling, each once; 0 alone is allowed) into milliseconds. Returns EC_SYNTAX
 * for anything else, a bare number included, and EC_RANGE beyond 100 years. */
enum ec duration_parse(struct slice text, int64_t *out_ms) MUST_CHECK;

#endif
