/* Owns:  the stats socket: one line in, the answer out, the end.
 * Never: changes anything.
 * Spec:  tlsa-sync(1), SOCKETS; OpenMetrics 1.0 for `show metrics`.
 * Start at: stats_line. */
#ifndef TLSA_SYNC_STATS_UV_H
#define TLSA_SYNC_STATS_UV_H

#include "tlsa-sync/daemon_uv.h"

/* stats_line appends the answer to "help", "show info|rollover|history|errors|metrics",
 * or one of them after "json". Returns EC_NO_MEMORY. An unknown command is answered
 * with what there is. */
enum ec stats_line(struct daemon *d, const char *line, struct bytes *out) MUST_CHECK;

#endif
