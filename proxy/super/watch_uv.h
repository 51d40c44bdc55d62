/* Owns:  looking, again and again: the pin guard for each identity – at start until
 *        one generation may be presented, then as a watch – and the upkeep of
 *        certificates.
 * Never: takes a presented key away: what DNS says later is shown and alarmed,
 *        and changing nothing is the last good state.
 * Spec:  RFC 7672 2.2; the pin guard's rules in guard.h.
 * Start at: watch_start. */
#ifndef PROXY_WATCH_UV_H
#define PROXY_WATCH_UV_H

#include <uv.h>

#include "base/ec.h"

struct supervisor;
struct identity;

/* struct watch is a part of struct supervisor. */
struct watch {
	uv_timer_t timer;
	unsigned num_looks; /* under way */
	int64_t upkeep_at_ms;
	bool represent; /* certificates changed: workers must get them */
	bool represent_later; /* that failed: again with the next upkeep */
	struct supervisor *supervisor;
	bool started;
};

/* watch_start begins; identities are looked at as they fall due, new ones at once. */
void watch_start(struct supervisor *s);
void watch_stop(struct supervisor *s);

/* watch_forget cancels a look under way, before the identity or the guard goes. */
void watch_forget(struct supervisor *s, struct identity *id);

/* watch_soon makes the next look at `id` due now. */
void watch_soon(struct supervisor *s, struct identity *id);

/* watch_settle gives the workers what waits to be presented, unless another
 * change is under way; change_end calls it. */
void watch_settle(struct supervisor *s);

#endif
