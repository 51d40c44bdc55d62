/* Owns:  the last things that went wrong, for `show errors`: a ring in which the
 *        same complaint said again only counts up.
 * Never: logs; keeps more than MISHAPS_MAX.
 * Spec:  –
 * Start at: mishaps_add. */
#ifndef TLSA_SYNC_MISHAPS_H
#define TLSA_SYNC_MISHAPS_H

#include "base/ec.h"
#include "base/instant.h"

enum { MISHAPS_MAX = 32, MISHAP_WHERE = 128, MISHAP_WORDS = 320 };

struct mishap {
	struct wall first;
	struct wall last;
	unsigned count;
	char where[MISHAP_WHERE]; /* "mx1.example.org update" */
	char words[MISHAP_WORDS];
};

/* Zero-initialised it is empty. */
struct mishaps {
	unsigned num;
	struct mishap items[MISHAPS_MAX]; /* the latest `last` first */
};

/* mishaps_add notes one; the oldest goes when there are too many. Returns true
 * when it is new, not a repetition of one still in the ring. */
bool mishaps_add(struct mishaps *m, struct wall now, const char *where, const char *words);

#endif
