/* Owns:  one UPDATE's way to a server and back, over TCP.
 * Never: sends twice. Settling what a lost reply leaves open is for the caller.
 * Spec:  RFC 2136 6 (TCP), RFC 7766, RFC 1035 4.2.2 (length prefix).
 * Start at: update_send. */
#ifndef DNS_UPDATE_UV_H
#define DNS_UPDATE_UV_H

#include <uv.h>

#include "dns/update_ldns.h"

struct update_call;

/* update_done gets the outcome, once, never from inside update_send. Beside the
 * codes of update_check:
 *   EC_IO, EC_TIMEOUT   could not connect: certainly nothing was changed
 *   EC_OUTCOME_UNKNOWN  the request went out (or part of it), and no readable
 *                       reply came back: ask the servers what they serve
 * A rehearsal changes nothing, so of it nothing is unknown: those are EC_IO, EC_TIMEOUT, EC_SYNTAX then.
 * `outcome` and `why` are lent for the call; `outcome` is zeroed unless a reply was read. */
typedef void update_done(void *arg, enum ec ec, const struct update_outcome *outcome, const struct why *why);

/* update_send connects to `server`, sends `u` signed with `key` (borrowed until
 * the callback has run or update_cancel; NULL = unsigned) and reads the reply, all within
 * `timeout_ms` (0 = 10000). `*out_call` (may be NULL) is for update_cancel and is
 * valid until the callback has run. Errors as update_build, and EC_IO; then the callback never
 * runs. */
enum ec update_send(uv_loop_t *loop, const struct sockaddr_storage *server, const struct update *u,
		    const struct tsig_key *key, int timeout_ms, update_done *done, void *arg,
		    struct update_call **out_call, struct why *why) MUST_CHECK;

/* update_cancel closes the connection; the callback does not run. What was sent
 * may still be applied. NULL is allowed. The loop must run on to free it. */
void update_cancel(struct update_call *call);

#endif
