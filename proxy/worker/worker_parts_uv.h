/* Owns:  struct worker, for worker_*.c only.
 * Never: included from anywhere else.
 * Spec:  –
 * Start at: struct worker. */
#ifndef PROXY_WORKER_PARTS_UV_H
#define PROXY_WORKER_PARTS_UV_H

#include "base/wire_uv.h"
#include "proxy/worker/listen_uv.h"
#include "proxy/relay/probe_uv.h"
#include "proxy/worker/work_uv.h"

struct worker {
	struct work work; /* first: work's callbacks find the worker through it */
	struct wire *wire;
	struct door *door;
	struct probe *probe;
	uv_timer_t drain_timer;
	bool backend_said, backend_up; /* what the supervisor was told last */
	uint32_t backend_flags;
	bool failed; /* exit status */
	bool over;   /* the loop is being stopped */
};

/* worker_on_line acts on one message of the supervisor. */
void worker_on_line(void *arg, struct wire *w, char *line, size_t len);
/* worker_tell_backend reports the backend's state if that is news. */
void worker_tell_backend(struct work *w, bool up, const char *why);

/* worker_drain stops accepting and exits when sessions are done, or in time. */
void worker_drain(struct worker *w);
/* worker_fail gives up: without a configuration there is nothing to serve. */
void worker_fail(struct worker *w, const char *what, const char *why);

#endif
