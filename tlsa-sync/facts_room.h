/* Owns:  what facts.c, facts_set.c and facts_dns.c share, and nobody else needs.
 * Never: is included outside of them.
 * Spec:  –
 * Start at: facts.h. */
#ifndef TLSA_SYNC_FACTS_ROOM_H
#define TLSA_SYNC_FACTS_ROOM_H

#include "tlsa-sync/facts.h"

/* facts_text copies `text` (NULL: nothing) into `size` bytes, cut if need be. */
void facts_text(char *out, size_t size, const char *text);

/* facts_form tells whether a record is of one of our forms, of whatever key. */
bool facts_form(const struct tlsa *t, enum record_form *out);

/* facts_digest_named: is there any record of the key in the set? */
bool facts_digest_named(const struct fact_digest *d, const struct tlsa_set *set);

/* facts_old_signature notes that a set without the digest is signed until
 * `expires`: on the wall clock and on the counted one, since either may jump. */
void facts_old_signature(struct fact_digest *d, struct wall expires, struct stamp now);

#endif
