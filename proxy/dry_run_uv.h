/* Owns:  `danegate --check --probe`: what each mode would do now with each next hop, as a table.
 * Never: sends a message, or a command beyond EHLO and STARTTLS; changes anything but the MTA-STS cache.
 * Spec:  danegate(8); RFC 7672 2; RFC 8461 5.
 * Start at: dry_run. */
#ifndef PROXY_DRY_RUN_UV_H
#define PROXY_DRY_RUN_UV_H

#include <stdio.h>

#include "config/config.h"

/* dry_run looks up, connects to and verifies the next hops of each connector of `cfg`; for `mx`, those of
 * each exact domain that the connector has. Prints one line for each hop to `out`, and behind the table why a hop can't be used.
 * It runs a loop of its own and returns when all is done. Returns the exit status: 0 if every connector
 * has, for each of these domains, a hop that can be used as it is configured; else 1. */
int dry_run(const struct config *cfg, FILE *out);

#endif
