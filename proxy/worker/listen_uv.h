/* Owns:  accepting: a worker's listening sockets under its loop, who is let in,
 *        and what happens when descriptors run out.
 * Never: makes or binds a socket (the supervisor does); takes so many at once
 *        that open sessions wait.
 * Spec:  RFC 5321 3.8, 4.2.1 (421 at once); RFC 7672 9.2.
 * Start at: door_new. */
#ifndef PROXY_LISTEN_UV_H
#define PROXY_LISTEN_UV_H

#include "proxy/worker/work_uv.h"

struct door;

/* door_new takes the `num` bound sockets at `fds`. Nothing is accepted yet.
 * Returns EC_NO_MEMORY, EC_IO; the sockets are the door's in any case. */
enum ec door_new(struct work *w, const int *fds, size_t num, struct door **out, struct why *why) MUST_CHECK;

/* door_open makes the sockets listen and accepts from now on; door_shut stops
 * accepting, and the kernel queues newcomers. Both are idempotent. Returns EC_IO. */
enum ec door_open(struct door *d, struct why *why) MUST_CHECK;
void door_shut(struct door *d);

/* door_resume goes on after descriptors had run out; call it when one is free. */
void door_resume(struct door *d);

/* door_close takes in everybody who is queued, then closes the sockets, and frees
 * the door in time. NULL is accepted. */
void door_close(struct door *d);

#endif
