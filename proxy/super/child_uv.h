/* Owns:  a child process of ours and the wire to it: starting it, seeing both of them end, and
 *        starting it anew after a pause that grows while it crashes.
 * Never: knows what the process is for, or what the lines on its wire mean.
 * Spec:  –
 * Start at: child_start. */
#ifndef PROXY_CHILD_UV_H
#define PROXY_CHILD_UV_H

#include <jansson.h>
#include <uv.h>

#include "base/instant.h"
#include "base/slice.h"
#include "proxy/super/backoff.h"

/* The descriptors that it is born with: 0 is nothing, 1 and 2 are ours, then the wire, then
 * those of its plan. */
enum { CHILD_FD_WIRE = 3, CHILD_FD_FIRST = 4 };

/* on_up: a process was started; lines may be sent. on_line: one JSON value from it, borrowed;
 * other lines are passed over. on_drained (may be NULL): all that was sent has been written.
 * on_down: process and wire are gone; if it is wanted it will be started anew. on_mishap: it could
 * not be started, or has ended without being asked to or with an error. It may be sent lines, ended
 * and retired inside each of them, and child_fini be called in on_down. */
struct child_events {
	void (*on_up)(void *arg);
	void (*on_line)(void *arg, json_t *line);
	void (*on_drained)(void *arg);
	void (*on_down)(void *arg);
	void (*on_mishap)(void *arg, const char *why);
};

/* struct child_plan is what each of its lives begins with: this same program, with `args` (from
 * its name on, NULL-ended) and copies of `fds`. What it points to is borrowed until child_fini. */
struct child_plan {
	const char *const *args;
	const int *fds;
	unsigned num_fds;
	const struct child_events *events;
	void *arg;
};

/* struct child lives in its owner's memory. The first members are for reading. */
struct child {
	bool wanted;
	uint64_t restarts;
	struct wall since; /* up since, or down since */

	struct child_plan plan;
	uv_loop_t *loop;
	uv_process_t process;
	uv_timer_t timer; /* down: until the restart; up without a wire: until the kill */
	struct wire *wire;
	bool running; /* the process handle is in use */
	bool exited;
	bool started_before;
	bool stopped;
	int64_t started_ms;
	struct backoff backoff;
	void (*freed)(void *arg);
};

void child_init(struct child *c, uv_loop_t *loop, struct child_plan plan);

/* child_start: it is wanted. Starts the process, also in the midst of a pause; one that is ending
 * is started anew after its end. A failure counts as a crash: on_mishap, and another try later. */
void child_start(struct child *c);

/* child_retire: it is not wanted any more, and its end is no mishap unless by a signal or with
 * another status than 0; how to end is left to itself. child_stop besides ends it, by closing
 * its wire; a signal then is no mishap, as it may be ours. */
void child_retire(struct child *c);
void child_stop(struct child *c);

/* child_kill ends the process at once. */
void child_kill(struct child *c);

bool child_is_up(const struct child *c);
/* child_is_gone: neither process nor wire are left. */
bool child_is_gone(const struct child *c);
/* child_pid is 0 while it is down. */
int64_t child_pid(const struct child *c);

/* child_send and child_send_json do nothing while it is down; child_send_json takes the
 * reference. */
void child_send(struct child *c, struct slice line);
void child_send_json(struct child *c, json_t *line);

/* child_fini is for one that is gone, and not wanted or never started; `freed` is called when
 * its memory may go. */
void child_fini(struct child *c, void (*freed)(void *arg), void *arg);

#endif
