/* Owns:  questions to one named server, by UDP or TCP, under libuv.
 * Never: chooses a server, follows an alias or validates; retries elsewhere.
 * Spec:  RFC 1035 4.2, RFC 7766 (TCP), RFC 6891.
 * Start at: ask_server. */
#ifndef DNS_ASK_ARES_H
#define DNS_ASK_ARES_H

#include <uv.h>

#include "dns/record.h"

struct ask;
struct ask_call;

struct ask_flags {
	bool rd;     /* recursion desired: off for authoritative servers */
	bool dnssec; /* DO bit */
	bool tcp;    /* TCP from the start; without it TCP follows a truncated answer */
};

/* ask_new makes an asker on `loop`. Any number of calls may be under way; each
 * has its own channel and ends on its own. Returns EC_NO_MEMORY, EC_IO. */
enum ec ask_new(uv_loop_t *loop, struct ask **out, struct why *why) MUST_CHECK;

/* ask_done gets the outcome, once, never from inside ask_server.
 *   EC_OK           `packet` is a response to this question from that server,
 *                   whatever its rcode; give it to packet_parse
 *   EC_TIMEOUT      no answer in time
 *   EC_IO           refused connection, unreachable and the like
 *   EC_SYNTAX       it answered something that is not DNS or not to this question
 *   EC_NO_MEMORY
 * `packet` and `why` are lent for the call. It may ask again, cancel, and call
 * ask_free. */
typedef void ask_done(void *arg, enum ec ec, struct slice packet, const struct why *why);

/* ask_server asks `server` (address and port) for `name` and `type`. Within
 * `timeout_ms` (0 = 5000) UDP is tried up to three times. `*out_call` (may be
 * NULL) is for ask_cancel and is valid until the callback has run. Returns EC_NO_MEMORY, EC_IO;
 * then the callback never runs. */
enum ec ask_server(struct ask *a, const struct sockaddr_storage *server, const struct dns_name *name, uint16_t type,
		   struct ask_flags flags, int timeout_ms, ask_done *done, void *arg, struct ask_call **out_call,
		   struct why *why) MUST_CHECK;

/* ask_cancel ends a call: its callback does not run. NULL is allowed. */
void ask_cancel(struct ask_call *call);

/* ask_free cancels all calls and frees `a` when the loop has closed its handles:
 * go on running the loop until then. Allowed inside a callback; NULL too. */
void ask_free(struct ask *a);

#endif
