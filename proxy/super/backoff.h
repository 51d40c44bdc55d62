/* Owns:  how long to wait before the next try, growing up to a bound.
 * Never: reads a clock.
 * Spec:  –
 * Start at: backoff_next. */
#ifndef PROXY_BACKOFF_H
#define PROXY_BACKOFF_H

#include <stdint.h>

/* struct backoff is a value: set `first_ms` and `max_ms`, leave `last_ms` zero. */
struct backoff {
	int64_t first_ms;
	int64_t max_ms;
	int64_t last_ms;
};

/* backoff_next returns the wait before the next try: first_ms, then twice the
 * last one, at most max_ms. backoff_reset starts over. */
int64_t backoff_next(struct backoff *b);
void backoff_reset(struct backoff *b);

/* backoff_after_crash is for a process that lived for `lived_ms`: one that lived
 * for `long_ms` or more is restarted at once (0) and the count starts over. */
int64_t backoff_after_crash(struct backoff *b, int64_t lived_ms, int64_t long_ms);

#endif
