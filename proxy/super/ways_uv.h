/* Owns:  the router process as the supervisor sees it: running it while a connector needs look-ups,
 *        with the settings in force, and carrying questions of workers to it and the answers back.
 * Never: reads what a route says; leaves a question without an answer.
 * Spec:  router_uv.h (its lines), relay/route.h.
 * Start at: ways_configure, ways_ask. */
#ifndef PROXY_WAYS_UV_H
#define PROXY_WAYS_UV_H

#include <jansson.h>
#include <uv.h>

#include "base/instant.h"
#include "base/slice.h"
#include "config/config.h"
#include "proxy/super/questions.h"

enum { WAYS_SILENT_MS = 25000 }; /* the router answers every question sooner, or is ended */

struct ways;

/* on_answer gets each answer with `do`:`route` and the worker's own number of the question; it takes
 * the reference; perhaps from inside ways_ask. on_mishap: something that people should know. */
struct ways_events {
	void (*on_answer)(void *arg, struct question_asker asker, json_t *answer);
	void (*on_mishap)(void *arg, const char *why);
};

/* ways_new returns NULL without memory. No process is started yet. */
struct ways *ways_new(uv_loop_t *loop, struct ways_events events, void *arg);

/* ways_configure gives the router these settings, now and whenever it starts, and starts it or ends it: it
 * runs while a connector of `cfg` needs look-ups. `text` is the configuration without what the router
 * has no use for; `own_names` are host names of this machine (route to them is a loop); it takes the
 * reference. Copies. Returns EC_NO_MEMORY. */
enum ec ways_configure(struct ways *w, const struct config *cfg, struct slice text, json_t *own_names) MUST_CHECK;

/* ways_ask carries a question on. One that the router can't be asked, or is silent about, is answered
 * with HOP_DNS; one that can't be read is passed over, as there is no telling what it asks. */
void ways_ask(struct ways *w, struct question_asker asker, const json_t *question);

/* struct ways_facts is the router as `show info` shows it. */
struct ways_facts {
	bool wanted;
	int64_t pid; /* 0 = down */
	uint64_t restarts;
	struct wall since;
	unsigned open; /* questions under way */
};
struct ways_facts ways_facts(const struct ways *w);

/* ways_free ends the process; on_answer is not called any more. Handles are closed as the loop
 * runs on. NULL is accepted. */
void ways_free(struct ways *w);

#endif
