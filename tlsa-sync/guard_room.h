/* Owns:  what the two halves of the guard share: how it sees a record and a key.
 * Never: is included by the decision, nor includes anything of it.
 * Spec:  RFC 7671 8, RFC 7672 3.1.
 * Start at: guard.c. */
#ifndef TLSA_SYNC_GUARD_ROOM_H
#define TLSA_SYNC_GUARD_ROOM_H

#include "tlsa-sync/rollover.h"

/* Reports and answers may be this much older than decide allows: it was made
 * a moment ago. */
enum { GUARD_SLACK_MS = 60 * 1000 };

/* Our kinds of record are 3 1 1 and 3 1 2, told apart by the matching type. guard_is_of: is
 * it one of this key? guard_record makes it. guard_has: does the set have the key's of this
 * matching type, guard_has_kind: anybody's? */
bool guard_is_of(const struct tlsa *t, const struct fact_key *k);
struct tlsa guard_record(const struct fact_key *k, unsigned matching);
bool guard_has(const struct tlsa_set *set, const struct fact_key *k, unsigned matching);
bool guard_has_kind(const struct tlsa_set *set, unsigned matching);

/* guard_matches: for each of our kinds in the set, is the key's there? And one at least. */
bool guard_matches(const struct tlsa_set *set, const struct fact_key *k);

/* guard_forced: is it an emergency that the operator forced, knowing what senders would see? */
bool guard_forced(const struct facts *f);

/* guard_foreign finds a usable record that is not of our kinds, or NULL. */
const struct tlsa *guard_foreign(const struct tlsa_set *set);

/* guard_oldest is the moment before which news is stale. */
int64_t guard_oldest(const struct facts *f, const struct policy *p, struct stamp now);

#endif
