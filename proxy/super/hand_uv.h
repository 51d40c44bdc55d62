/* Owns:  one worker: its process with the counter page and the descriptors that it is born
 *        with, and what is known of it.
 * Never: knows what the lines on its wire mean; crew_uv does.
 * Spec:  worker_uv.h (the descriptors a worker is born with).
 * Start at: hand_init. */
#ifndef PROXY_HAND_UV_H
#define PROXY_HAND_UV_H

#include <uv.h>

#include "base/ec.h"
#include "proxy/counters.h"
#include "proxy/super/child_uv.h"
#include "proxy/super/feed.h"

struct crew;

/* struct hand lives in its crew's memory, zeroed before hand_init. The second group is
 * the crew's own. */
struct hand {
	unsigned number;
	struct child child;
	const struct counters *page; /* the same one in all its lives */

	struct crew *crew;
	struct why why; /* the last mishap of its process */
	uint64_t acked;
	struct feed feed; /* under way while `feeding` */
	bool feeding;
	uint64_t configured;
	bool listed;

	int page_fd;
	int *fds;
	char count[16], slot[16];
	const char *args[6];
};

/* hand_init makes the counter page, and a child that is not started yet; `events` get the hand.
 * `listeners` (num_listeners descriptors) and `census_fd`, in which `number` is the worker's slot,
 * stay the crew's, and open as long as the child is wanted. `events` is borrowed until hand_fini.
 * Returns EC_IO, EC_NO_MEMORY; hand_fini is due even then. */
enum ec hand_init(struct hand *h, uv_loop_t *loop, unsigned number, const int *listeners, unsigned num_listeners,
                  int census_fd, const struct child_events *events, struct crew *crew, struct why *why) MUST_CHECK;

/* hand_fini, for a hand whose child is gone, gives the page back; `freed` is called when the
 * memory may go. */
void hand_fini(struct hand *h, void (*freed)(void *arg), void *arg);

#endif
