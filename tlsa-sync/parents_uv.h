/* Owns:  asking whether each zone of an alias chain is still vouched for: its DS at
 *        the parent, validated.
 * Never: decides what that means: alarms do.
 * Spec:  RFC 4035 5.2.
 * Start at: parents_find. */
#ifndef TLSA_SYNC_PARENTS_UV_H
#define TLSA_SYNC_PARENTS_UV_H

#include "dns/zone_uv.h"
#include "tlsa-sync/facts.h"

/* struct parents is one search and its result; zero-initialised it is empty. */
struct parents {
	size_t num;
	struct fact_zone zones[ZONE_HOPS_MAX];
	/* the search under way */
	struct parent {
		struct parents *all;
		struct secure_call *call;
	} parents[ZONE_HOPS_MAX];
	size_t pending;
	void (*done)(void *arg);
	void *arg;
};

/* parents_find asks for the DS of every zone of `map` (NULL: there is none) and calls
 * `done`, possibly before it returns. What could not be asked is DS_UNKNOWN. */
void parents_find(struct parents *p, struct secure *s, const struct zone_map *map, void (*done)(void *arg), void *arg);

/* parents_cancel ends a search without the callback. */
void parents_cancel(struct parents *p);

#endif
