/* Owns:  DNSSEC-validated look-ups in this process, asynchronous under libuv.
 * Never: blocks the loop; trusts a resolver's AD bit; gives an answer that is older
 *        than SECURE_FRESH_MS before the question.
 * Spec:  RFC 4033-4035, RFC 6840, RFC 9156; unbound.conf(5) for the options.
 * Start at: secure_new.
 *
 * libunbound resolves in a thread of its own (ub_ctx_async(ctx, 1)) and tells the
 * loop through a pipe; callbacks run on the loop's thread only. It has no way to
 * drop one name from its cache, so a libunbound context is used for a short time
 * and then thrown away: see secure_forget. */
#ifndef DNS_SECURE_UB_H
#define DNS_SECURE_UB_H

#include <uv.h>

#include "dns/secure.h"

enum { SECURE_FRESH_MS = 1000 };

struct secure;
struct secure_call;

/* secure_new makes a resolver on `loop` and checks the options. The two files are
 * read now and never again. A trust anchor file without an anchor for the root is
 * refused: everything would seem insecure. Returns EC_NO_MEMORY, EC_MISSING (no
 * trust anchor named, or none in the file), EC_IO (a file can't be read: the why
 * names it), EC_SYNTAX (a forwarder, a file). */
enum ec secure_new(uv_loop_t *loop, const struct secure_options *options, struct secure **out, struct why *why)
	MUST_CHECK;

/* secure_new_at is secure_new, but what concerns `zone` and the names below it
 * is asked of the one server `at` only, each time anew, and that server's own
 * records, keys and signatures are validated. The DS and everything above come by the
 * usual way and may be up to SECURE_PARENTS_MS old, so that polling a server
 * costs the root nothing. One is made per server and zone.
 * Returns also EC_UNSUPPORTED for a zone name that needs escapes. */
enum { SECURE_PARENTS_MS = 300000 };
enum ec secure_new_at(uv_loop_t *loop, const struct secure_options *options, const struct dns_name *zone,
		      const struct sockaddr_storage *at, struct secure **out, struct why *why) MUST_CHECK;

/* secure_done gets the outcome, once, never from inside secure_ask. `answer` and
 * all it points to are lent for the call. It may ask again, cancel other calls
 * and call secure_free. */
typedef void secure_done(void *arg, const struct secure_answer *answer);

/* secure_ask starts a look-up of `name` and `type`, class IN, following aliases.
 * With `timeout_ms` 0 the options' holds. After that time the callback gets
 * SECURE_FAILED with EC_TIMEOUT. `*out_call` (may be NULL) is for secure_cancel and
 * is valid until the callback has run.
 * Freshness: what the answer rests on is fetched after this call, unless another
 * question is under way: then it may be up to SECURE_FRESH_MS old. After
 * secure_forget nothing is older than that.
 * Returns EC_NO_MEMORY, EC_DNS_FAILED (libunbound refused: see why); then the callback
 * never runs. */
enum ec secure_ask(struct secure *s, const struct dns_name *name, uint16_t type, int timeout_ms, secure_done *done,
		   void *arg, struct secure_call **out_call, struct why *why) MUST_CHECK;

/* secure_cancel ends a call: its callback does not run. NULL is allowed. */
void secure_cancel(struct secure_call *call);

/* secure_forget drops whatever libunbound learnt: the next question gets a new
 * context. Questions under way are not lost: they end in the old one. */
void secure_forget(struct secure *s);

/* secure_hold and secure_release stand around several questions that belong
 * together (a walk up the tree): meanwhile one context serves them all, however
 * long it takes. They count. The first secure_hold and the last secure_release
 * forget. Another user of the same `s` calls secure_forget before a question that
 * must be fresh. */
void secure_hold(struct secure *s);
void secure_release(struct secure *s);

/* secure_free cancels all calls and frees `s` when the loop has closed its
 * handles: go on running the loop (uv_run) until it is done. Allowed inside a
 * callback. NULL is allowed. It may wait up to a second for libunbound's thread. */
void secure_free(struct secure *s);

#endif
