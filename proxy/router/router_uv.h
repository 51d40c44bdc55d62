/* Owns:  the router process: the only one that looks up where the mail of connectors goes.
 * Never: holds a key, speaks SMTP, or outlives its supervisor.
 * Spec:  relay/route.h has questions and answers.
 * Start at: router_run. */
#ifndef PROXY_ROUTER_UV_H
#define PROXY_ROUTER_UV_H

enum { ROUTER_FD_WIRE = 3, ROUTER_OPEN_MAX = 8192 };

/* router_run is the whole life of `danegate --router`: descriptor
 * ROUTER_FD_WIRE is the wire. Returns the exit
 * status: 0 when the wire closed, 1 when it could not start.
 *
 * From the supervisor, one JSON object per line:
 *   {"do":"config","number":N,"text":…,"name":"file name for errors","own_names":[…]}
 *     first, and again on reload; questions under way begin anew   -> {"configured":N} | {"configured":N,"why":…}
 *   {"route":ID,"connector":…,"domain":…}                          -> {"route":ID,…}, see relay/route.h
 * A question that can't be read is logged and has no answer; over ROUTER_OPEN_MAX at once are refused. */
int router_run(void);

#endif
