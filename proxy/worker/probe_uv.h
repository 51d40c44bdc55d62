/* Owns:  looking at what the backend offers, so that our EHLO is true: at start,
 *        and again when no session has seen it for a while.
 * Never: delays a session. Until the first answer EHLO offers only what we do
 *        ourselves; while the backend is down, what it offered last.
 * Spec:  RFC 5321 4.1.1.1.
 * Start at: probe_start. */
#ifndef PROXY_PROBE_UV_H
#define PROXY_PROBE_UV_H

#include "proxy/worker/work_uv.h"

struct probe;

/* probe_start begins at once and goes on until probe_stop. NULL: no memory. */
struct probe *probe_start(struct work *w);
/* probe_again looks at once: the configuration has changed. */
void probe_again(struct probe *p);
/* probe_stop ends it and frees it in time. NULL is accepted. */
void probe_stop(struct probe *p);

#endif
