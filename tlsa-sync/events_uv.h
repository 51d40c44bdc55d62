/* Owns:  telling the operator's command (tlsa_sync.on_event) what happens: a short queue,
 *        one run at a time.
 * Never: makes anybody wait; cares what the command makes of it.
 * Spec:  tlsa-sync(1), EVENTS.
 * Start at: events_tell. */
#ifndef TLSA_SYNC_EVENTS_UV_H
#define TLSA_SYNC_EVENTS_UV_H

#include <uv.h>

#include "base/instant.h"
#include "base/mishaps.h"
#include "config/config.h"
#include "tlsa-sync/view.h"

enum { EVENTS_QUEUE = 64, EVENTS_TIMEOUT_MS = 30000 };

struct events;

/* events_new makes a teller for `command`, which is borrowed, or `*out` NULL when it
 * is empty. Failures go to the log and to `mishaps`. EC_NO_MEMORY. */
enum ec events_new(uv_loop_t *loop, const struct config_list *command, struct mishaps *mishaps, struct events **out) MUST_CHECK;

/* events_tell queues {"event","identity","state","words","at"}. When EVENTS_QUEUE are waiting
 * the oldest goes. `e` may be NULL: then nobody wants to know. */
void events_tell(struct events *e, const char *event, const char *identity, const char *state, const char *words,
                 struct wall at);

/* events_count gives the counts; zeroes for NULL. */
struct events_counts events_count(const struct events *e);

/* events_free ends the run under way and forgets what waits. The loop must run on.
 * NULL is allowed. */
void events_free(struct events *e);

#endif
