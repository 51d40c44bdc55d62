/* Owns:  finding a route: it asks what a plan wants to know, all at once, and bounds the time.
 * Never: decides what an answer means: plan.h does. Answers later than FIND_MS.
 * Spec:  plan.h
 * Start at: find_start. */
#ifndef PROXY_ROUTER_FIND_UV_H
#define PROXY_ROUTER_FIND_UV_H

#include <uv.h>

#include "dns/secure_ub.h"
#include "proxy/router/plan.h"
#include "proxy/router/sts_look_uv.h"

enum {
	FIND_MS = 20000,       /* the longest that a question takes */
	FIND_POLICY_MS = 10000 /* of which an MTA-STS policy gets this, RFC 8461 3.3 */
};

struct find;

/* struct find_with is what looking up is done with; borrowed until the callback or find_cancel. */
struct find_with {
	uv_loop_t *loop;
	struct secure *secure;
	struct sts *sts;
};

/* find_done gets the route, once, never from inside find_start; the share is the callee's. NULL: out of memory.
 * `failed` tells that a look-up did not succeed. */
typedef void find_done(void *arg, struct route *route, bool failed);

/* find_start finds the route for `who`, whose members are borrowed as with_ is; the strings as well. Returns
 * EC_NO_MEMORY. */
enum ec find_start(const struct find_with *with, const struct plan_for *who, find_done *done, void *arg, struct find **out,
                   struct why *why) MUST_CHECK;

/* find_cancel: the callback does not run. NULL is allowed. The loop runs on to free it. */
void find_cancel(struct find *f);

#endif
