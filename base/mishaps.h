/* Owns:  the recent errors that `show errors` lists: when, what, where, why.
 * Never: logs or reads a clock.
 * Spec:  –
 * Start at: mishaps_add. */
#ifndef BASE_MISHAPS_H
#define BASE_MISHAPS_H

#include <stddef.h>
#include <stdint.h>

#include "base/ec.h"
#include "base/instant.h"

enum { MISHAPS_MAX = 64, MISHAP_WHAT_SIZE = 32, MISHAP_WHERE_SIZE = 256 };

struct mishap {
	struct wall first;
	struct wall last;
	uint64_t times; /* the same thing in a row is one entry */
	char what[MISHAP_WHAT_SIZE]; /* "swap", "guard", "worker": the log's event */
	char where[MISHAP_WHERE_SIZE]; /* the identity, the worker, the file; may be "" */
	struct why why;
};

/* struct mishaps is a ring of the last MISHAPS_MAX; zeroed it is empty. */
struct mishaps {
	uint64_t total; /* ever, repetitions included */
	size_t num;
	size_t next; /* where the next one goes */
	struct mishap items[MISHAPS_MAX];
};

/* mishaps_add notes one. Texts may come from other machines and are shown on
 * terminals: only printable ASCII is kept, each other letter becomes '?'. If the latest entry with the same `what` and `where` has
 * the same `why`, that entry's time and count change instead. `where` may be NULL.
 * Returns whether it was new, so that a caller need not log repetitions. */
bool mishaps_add(struct mishaps *m, struct wall now, const char *what, const char *where, const char *why);

/* mishaps_at returns the i-th, 0 = the oldest. */
const struct mishap *mishaps_at(const struct mishaps *m, size_t i);

#endif
