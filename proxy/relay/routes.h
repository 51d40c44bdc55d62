/* Owns:  the routes that a worker knows, each for its TTL, and the questions that are
 *        under way: many sessions that want one route ask once.
 * Never: asks by itself (a callback does) or reads a clock; refuses mail for want of room:
 *        then a route is asked for again.
 * Spec:  –
 * Start at: routes_want. */
#ifndef PROXY_RELAY_ROUTES_H
#define PROXY_RELAY_ROUTES_H

#include "base/ec.h"
#include "base/instant.h"
#include "proxy/relay/route.h"

struct routes;
struct routes_wait;

/* routes_ask sends a question on; false: it can't be sent, and no answer will come. */
typedef bool routes_ask(void *arg, const struct route_question *q);
/* routes_found gets the route, borrowed for the call; it may be a refused one. It may call
 * every function here but routes_free. */
typedef void routes_found(void *arg, struct route *r);

/* So many hops are kept, of all routes together; a route without hops counts as one. */
enum { ROUTES_MAX = 16384 };

struct routes *routes_new(routes_ask *ask, void *arg);
/* routes_free tells nobody. NULL is accepted. */
void routes_free(struct routes *t);

/* routes_get gives the route if it is known and fresh, borrowed until the next call; else NULL.
 * `domain` is as domain_fold writes it, "" if the route does not depend on it. */
struct route *routes_get(struct routes *t, const char *connector, const char *domain, struct mono now);

/* routes_want asks for a route that routes_get does not have; `found` is called once, later, unless
 * routes_cancel comes first. Returns EC_NO_MEMORY, EC_RANGE (too long a name), EC_CLOSED (it
 * can't be asked). */
enum ec routes_want(struct routes *t, const char *connector, const char *domain, routes_found *found, void *arg,
                    struct routes_wait **out) MUST_CHECK;
/* routes_cancel: NULL is accepted. */
void routes_cancel(struct routes_wait *w);

/* routes_answer takes an answer: to a question nobody waits for it is only kept. One that can't
 * be read is a refusal (HOP_DNS) to those who wait; then the words are in `why` and it
 * returns EC_SYNTAX or EC_LIMIT. */
enum ec routes_answer(struct routes *t, const json_t *answer, struct mono now, struct why *why) MUST_CHECK;

/* routes_forget drops what is known, as the configuration has changed; answers under way
 * still go to those who wait, and are not kept. */
void routes_forget(struct routes *t);

size_t routes_num(const struct routes *t);

#endif
