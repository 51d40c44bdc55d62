/* Owns:  struct worker, for worker_*.c only.
 * Never: included from anywhere else.
 * Spec:  –
 * Start at: struct worker. */
#ifndef PROXY_WORKER_PARTS_UV_H
#define PROXY_WORKER_PARTS_UV_H

#include "base/wire_uv.h"
#include "proxy/worker/listen_uv.h"
#include "proxy/relay/ledger.h"
#include "proxy/worker/probe_uv.h"
#include "proxy/worker/work_uv.h"

struct worker {
	struct work work; /* first: work's callbacks find the worker through it */
	struct wire *wire;
	struct door *door;
	struct probe *probe;
	/* Identities come in parts: `draft` holds those so far, and is served with the
	 * last. NULL: none are on their way, or a part of them was refused. */
	struct snapshot *draft;
	uint64_t draft_parts;
	uv_timer_t drain_timer;
	struct ledger ledger; /* since it was handed on */
	uv_timer_t ledger_timer;
	bool failed; /* exit status */
	bool over;   /* the loop is being stopped */
};

/* worker_on_line acts on one message of the supervisor. */
void worker_on_line(void *arg, struct wire *w, char *line, size_t len);

/* worker_exits_uv.c. _init makes what sessions need for the ways out; EC_NO_MEMORY. _fini is for when
 * sessions and probe have ended. _on_route and _on_hop act on messages; _tell_ledger hands the
 * counts on now. */
enum ec worker_exits_init(struct worker *w) MUST_CHECK;
void worker_exits_fini(struct worker *w);
void worker_on_route(struct worker *w, json_t *message);
void worker_set_drained(struct worker *w, json_t *names);
void worker_on_hop(struct worker *w, json_t *message);
void worker_tell_ledger(struct worker *w);

/* worker_drain stops accepting and exits when sessions are done, or in time. */
void worker_drain(struct worker *w);
/* worker_fail gives up: without a configuration there is nothing to serve. */
void worker_fail(struct worker *w, const char *what, const char *why);

#endif
