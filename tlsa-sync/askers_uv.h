/* Owns:  what all identities share when they ask DNS: turns, so that a thousand identities do not all ask at the same
 *        moment; and the validating resolvers, one per turn for the walk from the root, one per server and zone.
 * Never: knows what is asked, or why.
 * Spec:  –
 * Start at: askers_at, turn_ask.
 *
 * Each resolver that is in use has a libunbound context behind it: a thread and about 1.5 MB. So those that serve the same
 * zone from the same server are one, and of the rest only ASKERS_WARM keep what they have learnt about the zones above. */
#ifndef TLSA_SYNC_ASKERS_UV_H
#define TLSA_SYNC_ASKERS_UV_H

#include "config/config.h"
#include "dns/secure_ub.h"

enum {
	ASKERS_WARM = 64,
	ASKERS_TURNS = 32 /* at a time */
};

struct askers;
struct asker;

/* askers_new makes the first resolver; `cfg` is borrowed and has to outlive it. Returns the errors of secure_new. askers_free
 * is for when nobody holds an asker or waits for a turn any more. The loop must run on. NULL is allowed. */
enum ec askers_new(uv_loop_t *loop, const struct config *cfg, struct askers **out, struct why *why) MUST_CHECK;
void askers_free(struct askers *all);

/* askers_at lends the resolver that asks server `at` alone about `zone` and what is below it; asker_back gives it back
 * (NULL is allowed): before that all its calls have to be over or cancelled. Errors as secure_new_at. */
enum ec askers_at(struct askers *all, const struct dns_name *zone, const struct sockaddr_storage *at, struct asker **out,
                  struct why *why) MUST_CHECK;
void asker_back(struct asker *x);

/* asker_ask is secure_ask of that resolver. */
enum ec asker_ask(struct asker *x, const struct dns_name *name, uint16_t type, int timeout_ms, secure_done *done, void *arg,
                  struct secure_call **out_call, struct why *why) MUST_CHECK;

/* struct turn lives in its owner's memory; zero-initialised it has none and waits for none. */
struct turn {
	struct askers *all; /* NULL: none */
	void (*go)(void *arg);
	void *arg;
	struct secure *root; /* the resolver that is lent to it for its turn; while it waits NULL */
	struct turn *next;   /* of those that wait */
};

/* turn_ask waits in line; `go` is called when it is its turn, never from inside. turn_end ends the turn, or the
 * waiting; without either it does nothing. All that was asked of turn->root has to be over or cancelled by then, and
 * who gets it next calls secure_forget. */
void turn_ask(struct askers *all, struct turn *t, void (*go)(void *arg), void *arg);
void turn_end(struct turn *t);

#endif
