/* Owns:  the stats socket: one line in, the answer out, then it closes.
 * Never: changes anything; renders nothing (stats.h does).
 * Spec:  danegate(8), STATS SOCKET.
 * Start at: stats_open. */
#ifndef PROXY_STATS_UV_H
#define PROXY_STATS_UV_H

#include "base/ec.h"

struct supervisor;

/* stats_open makes the socket (mode 0660: user and group) of the configuration. Errors as
 * wire_listen. */
enum ec stats_open(struct supervisor *s, struct why *why) MUST_CHECK;

/* stats_close removes the socket and ends its connections. */
void stats_close(struct supervisor *s);

#endif
