/* Owns:  the control socket: what the commands ask the daemon, JSON lines.
 * Never: blocks; decides.
 * Spec:  tlsa-sync(1), SOCKETS.
 * Start at: serve_line. */
#ifndef TLSA_SYNC_SERVE_UV_H
#define TLSA_SYNC_SERVE_UV_H

#include <jansson.h>

#include "tlsa-sync/daemon_uv.h"

/* serve_line answers one request line:
 *   {"do":"hello"}
 *   {"do":"status","identity":X or none = all,"colour":bool}  "text" and "identities"
 *   {"do":"roll","identity":X}     the state in short, and how the last roll stands
 *   {"do":"rotate"|"abort"|"rollback","identity":X}
 *   {"do":"plan","identity":X,"rotate":bool}
 *   {"do":"history","identity":X or none = all,"num":N}
 * with {"ok":true,...} or {"ok":false,"ec":"EC_...","why":"..."}: a new reference,
 * or NULL when out of memory. */
json_t *serve_line(struct daemon *d, const char *line, size_t len);

#endif
