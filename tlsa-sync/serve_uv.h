/* Owns:  the control socket: what the commands ask the daemon, JSON lines.
 * Never: blocks; decides.
 * Spec:  tlsa-sync(1), SOCKETS.
 * Start at: serve_line. */
#ifndef TLSA_SYNC_SERVE_UV_H
#define TLSA_SYNC_SERVE_UV_H

#include <jansson.h>

#include "tlsa-sync/daemon_uv.h"
#include "tlsa-sync/request.h"

/* serve_request answers one request with {"ok":true,...} or
 * {"ok":false,"ec":"EC_...","why":"..."}: a new reference, or NULL when out of memory.
 *   status   "text" for people and "identities"
 *   roll     the state in short, and how the last roll stands
 *   plan, explain, history   the same name has the value for programs; "text"
 *   rotate, rollback, abort, disable, enable   "text": what was noted */
json_t *serve_request(struct daemon *d, const struct request *r);

/* serve_line is the same for a line of the socket. */
json_t *serve_line(struct daemon *d, const char *line, size_t len);

#endif
