/* Owns:  one worker process: starting it, its wire, its counter page, seeing it
 *        end, and starting it anew after a pause that grows while it crashes.
 * Never: knows what the lines on the wire mean; crew_uv does.
 * Spec:  worker_uv.h (the descriptors a worker is born with).
 * Start at: hand_start. */
#ifndef PROXY_HAND_UV_H
#define PROXY_HAND_UV_H

#include <jansson.h>
#include <uv.h>

#include "base/ec.h"
#include "base/instant.h"
#include "base/slice.h"
#include "proxy/super/backoff.h"
#include "proxy/super/feed.h"
#include "proxy/census.h"
#include "proxy/counters.h"

struct hand;

/* on_up: a process was started; lines may be sent. on_line: one JSON value from
 * it, borrowed. on_down: process and wire are gone; unless hand_retire was called
 * it will be started anew. on_drained: all that was sent has been written. on_mishap:
 * something that people should know. */
struct hand_events {
	void (*on_up)(void *arg, struct hand *h);
	void (*on_line)(void *arg, struct hand *h, json_t *line);
	void (*on_down)(void *arg, struct hand *h);
	void (*on_drained)(void *arg, struct hand *h);
	void (*on_mishap)(void *arg, struct hand *h, const char *why);
};

/* struct hand lives in its owner's memory, zeroed before hand_init. Members are
 * for reading; the second group is the owner's own. */
struct hand {
	unsigned number;
	uint64_t restarts;
	struct wall since; /* up since, or down since */
	struct why why; /* the last mishap */
	const struct counters *page;

	uint64_t acked;
	struct feed feed; /* under way while `feeding` */
	bool feeding;
	uint64_t configured;
	bool listed;

	uv_loop_t *loop;
	const struct hand_events *events;
	void *arg;
	const int *listeners;
	unsigned num_listeners;
	uv_process_t process;
	uv_timer_t timer; /* down: until the restart; up without a wire: until the kill */
	struct wire *wire;
	bool running; /* the process handle is in use */
	bool exited;
	bool started_before;
	bool retired;
	int page_fd;
	struct census *census;
	int census_fd;
	int64_t started_ms;
	struct backoff backoff;
	void (*freed)(void *arg);
};

/* hand_init makes the counter page. `listeners` (num_listeners descriptors), `census`
 * (whose slot `number` is the worker's, and is cleared when it ends), `census_fd` and
 * `events` are borrowed until hand_fini. Returns EC_IO; hand_fini is due even then. */
enum ec hand_init(struct hand *h, uv_loop_t *loop, unsigned number, const int *listeners, unsigned num_listeners,
                  struct census *census, int census_fd, const struct hand_events *events, void *arg,
                  struct why *why) MUST_CHECK;

/* hand_start starts the process. A failure counts as a crash: on_mishap, and
 * another try later. */
void hand_start(struct hand *h);
bool hand_is_up(const struct hand *h);
/* hand_is_gone: neither process nor wire are left. */
bool hand_is_gone(const struct hand *h);
int64_t hand_pid(const struct hand *h);

/* hand_send and hand_send_json do nothing while it is down; hand_send_json takes the
 * reference. */
void hand_send(struct hand *h, struct slice line);
void hand_send_json(struct hand *h, json_t *line);

/* hand_kill ends it at once. hand_retire: when it ends it is not started anew,
 * and its end is no mishap. */
void hand_kill(struct hand *h);
void hand_retire(struct hand *h);

/* hand_fini, for a hand that is gone, gives the page back and closes the timer;
 * `freed` is called when the memory may go. */
void hand_fini(struct hand *h, void (*freed)(void *arg), void *arg);

#endif
