/* Owns:  the pin guard's own look into DNS: the TLSA records of an identity,
 *        validated in this process, asked anew each time.
 * Never: decides (guard.h does), caches, or learns from tlsa-sync.
 * Spec:  RFC 7672 2.2 (where the records are), RFC 6698 3 (the owner name).
 * Start at: guard_ask. */
#ifndef PROXY_GUARD_UV_H
#define PROXY_GUARD_UV_H

#include <uv.h>

#include "config/config.h"
#include "proxy/super/guard.h"

struct guard;
struct guard_call;

/* guard_new makes one with the settings of `dns`, which it copies. Returns what
 * secure_new does; `why` names the file. */
enum ec guard_new(uv_loop_t *loop, const struct config_dns *dns, struct guard **out, struct why *why) MUST_CHECK;

/* guard_free ends all calls (their callbacks get PIN_DNS_FAILED); the loop must run
 * on to free it. NULL is accepted. */
void guard_free(struct guard *g);

/* guard_answered gets what DNS says about _25._tcp.<identity>, once, never from
 * inside guard_ask. `facts` is lent for the call. */
typedef void guard_answered(void *arg, const struct guard_facts *facts);

/* guard_ask starts a look-up. It never fails: what goes wrong is a fact
 * (PIN_DNS_FAILED), given later. `*out_call` is for guard_cancel and valid until the
 * callback. Returns EC_NO_MEMORY only. */
enum ec guard_ask(struct guard *g, const char *identity, guard_answered *done, void *arg,
                  struct guard_call **out_call) MUST_CHECK;

/* guard_cancel: the callback does not run. NULL is accepted. */
void guard_cancel(struct guard_call *call);

#endif
