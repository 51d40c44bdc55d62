/* Owns:  finding the MTA-STS policy of a domain: the TXT record, the cache, the fetch; and keeping
 *        policies fresh in the background.
 * Never: answers a caller later than it wishes to wait: it cancels.
 * Spec:  RFC 8461 3, 5.1.
 * Start at: sts_new.
 *
 * sts_look ► TXT of _mta-sts.DOMAIN ► sts_cache_decide ─ USE, NONE ► told
 *                                     └ FETCH ► A, AAAA of mta-sts.DOMAIN ► fetch_start ► kept, told
 * A fetch goes on when whoever asked has gone, so that the next one finds the policy. */
#ifndef PROXY_ROUTER_STS_LOOK_UV_H
#define PROXY_ROUTER_STS_LOOK_UV_H

#include <uv.h>

#include "config/config.h"
#include "dns/secure_ub.h"
#include "proxy/router/sts.h"

struct sts;
struct sts_call;

/* sts_new makes one on `loop`; `secure` is borrowed until sts_free. What the cache directory has is loaded; one that
 * can't be used is logged, and policies are then kept in memory only. Returns EC_NO_MEMORY. */
enum ec sts_new(uv_loop_t *loop, struct secure *secure, const struct config *cfg, struct sts **out, struct why *why) MUST_CHECK;

/* sts_found gets the policy (lent; NULL: there is none) and how long that may be relied on. */
typedef void sts_found(void *arg, const struct sts_policy *policy, int64_t ttl_ms);

/* sts_look asks for the policy of `domain` (small letters, A-labels). `found` is called once, never from inside,
 * unless sts_cancel comes first. Returns EC_NO_MEMORY. */
enum ec sts_look(struct sts *s, const char *domain, sts_found *found, void *arg, struct sts_call **out) MUST_CHECK;
void sts_cancel(struct sts_call *call);

/* sts_known sets `*out` to a policy that is known and holds, without asking anybody; else false. */
bool sts_known(const struct sts *s, const char *domain, struct sts_policy *out);

/* sts_free cancels all; the loop runs on to free it. NULL is allowed. */
void sts_free(struct sts *s);

#endif
