/* Owns:  what must be looked up for one route, in which order, and what the answers make
 *        of it: the decision table of RFC 7672 section 2 with MTA-STS behind it.
 * Never: looks anything up, reads a clock, or keeps what an answer points to.
 * Spec:  RFC 7672 2.1, 2.2; RFC 5321 5.1; RFC 7505; RFC 8461 2, 4.1, 5.
 * Start at: plan_new, plan_next.
 *
 * plan_next gives the questions that can be asked now; plan_answer takes the answers, in any
 * order; when plan_is_done says so, plan_route makes the route. Each host goes its own way:
 *
 *   MX ── insecure ──────────────► no DANE          (mandatory: HOP_DNSSEC)
 *   └ secure ► A, AAAA ─ insecure ► CNAME ─ not a secure alias ► no DANE (mandatory: HOP_DNSSEC)
 *              │                    └ secure alias ► TLSA at the host's own name
 *              └ secure ► TLSA where the alias chain ends, then TLSA at the host's own name
 *                         ├ usable records        ► TLS, DANE
 *                         ├ none of them usable   ► TLS                 (mandatory: HOP_TLSA)
 *                         ├ securely denied       ► next name, or no DANE (mandatory: HOP_TLSA)
 *                         └ bogus, no answer      ► HOP_DNSSEC
 *
 * Only where no TLSA record speaks for a host does MTA-STS: DANE outranks it, RFC 8461 2. */
#ifndef PROXY_ROUTER_PLAN_H
#define PROXY_ROUTER_PLAN_H

#include "dns/secure.h"
#include "proxy/relay/route.h"
#include "proxy/router/sts.h"

enum {
	PLAN_HOSTS_MAX = 16,            /* hosts of all MX records and next hops; the best ones are taken */
	PLAN_ASKS_MAX = 2 + PLAN_HOSTS_MAX * 5, /* MX, the policy; A, AAAA, CNAME, two TLSA each */
	PLAN_TTL_LEAST_MS = 5000,       /* also of a route that a failed look-up has marked */
};

struct plan;

/* struct plan_for says whose route it is. Borrowed until plan_free. */
struct plan_for {
	const struct config_connector *connector;
	const char *domain; /* of the recipient; used for `mx` only */
	const char *const *own_names; /* host names of this machine: mail to them would come back, RFC 5321 5.1 */
	size_t num_own_names;
	struct wall now;
};

/* plan_new starts one. Returns EC_NO_MEMORY. */
enum ec plan_new(const struct plan_for *who, struct plan **out, struct why *why) MUST_CHECK;
void plan_free(struct plan *p);

/* A question is a look-up of `type`, following aliases, or, when `policy`, the MTA-STS policy
 * of `name` (a domain). `id` is for the answer. */
struct plan_question {
	unsigned id;
	bool policy;
	struct dns_name name;
	uint16_t type;
};

/* plan_next sets `*out` to a question that was not given out before and returns true, or returns
 * false: nothing more can be asked until an answer came. */
bool plan_next(struct plan *p, struct plan_question *out);

/* plan_answer takes the answer to question `id`, once. `a` is borrowed for the call. */
void plan_answer(struct plan *p, unsigned id, const struct secure_answer *a);

/* plan_policy takes the answer to a question for a policy, which may be relied on for `ttl_ms`: NULL = there
 * is none. Copies. */
void plan_policy(struct plan *p, unsigned id, const struct sts_policy *policy, int64_t ttl_ms);

/* plan_give_up answers all that is still open with "no answer in time". */
void plan_give_up(struct plan *p);

/* plan_is_done tells whether the route can be made; answers still to come would not change it. */
bool plan_is_done(const struct plan *p);

/* plan_route makes the route; plan_is_done holds. Returns EC_NO_MEMORY. */
enum ec plan_route(const struct plan *p, struct route **out) MUST_CHECK;

#endif
