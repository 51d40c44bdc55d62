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
#include "proxy/super/agenda.h"

struct supervisor;
struct identity;

/* struct watch is a part of struct supervisor. */
struct watch {
	uv_timer_t timer;
	struct agenda agenda; /* of looks */
	unsigned num_looks; /* under way */
	struct identity *first, *last; /* those with something to present, in the order of asking */
	int64_t rest_until_ms; /* before that nothing more is presented */
	int64_t upkeep_at_ms; /* the next round */
	size_t upkeep_next; /* where the round under way goes on */
	bool upkeep_runs;
	struct supervisor *supervisor;
	bool started;
};

/* watch_room makes room for `num` identities; watch_add needs it. Returns EC_NO_MEMORY. */
enum ec watch_room(struct supervisor *s, size_t num) MUST_CHECK;

/* watch_add makes the first look at an identity due now; watch_drop ends all looks and
 * presents it no more, before it goes. */
void watch_add(struct supervisor *s, struct identity *id);
void watch_drop(struct supervisor *s, struct identity *id);

/* watch_start begins; identities are looked at as they fall due, new ones at once. */
void watch_start(struct supervisor *s);
void watch_stop(struct supervisor *s);

/* watch_forget cancels a look under way, before the guard goes; it is due again now. */
void watch_forget(struct supervisor *s, struct identity *id);

/* watch_soon makes the next look at `id` due now. */
void watch_soon(struct supervisor *s, struct identity *id);

/* watch_again: what was chosen for `id` could not be presented; it is chosen anew, a moment
 * later. */
void watch_again(struct supervisor *s, struct identity *id);

/* watch_offer notes that `id` has something to present: a candidate, or a renewed
 * certificate. watch_settle gives the workers what waits to be presented, unless another
 * change is under way; change_end calls it. */
void watch_offer(struct supervisor *s, struct identity *id);
void watch_settle(struct supervisor *s);

/* watch_record_soon: what is presented, and not recorded as active, is recorded now,
 * as fast as the disk takes it. */
void watch_record_soon(struct supervisor *s);

#endif
