/* Owns:  `explain`: why an identity waits, the facts behind it for each server and each
 *        instance, and what a sender would see now.
 * Never: decides; prints a byte of a peer raw.
 * Spec:  –
 * Start at: explain_text. */
#ifndef TLSA_SYNC_EXPLAIN_H
#define TLSA_SYNC_EXPLAIN_H

#include <jansson.h>

#include "tlsa-sync/view.h"

/* explain_text appends it for people, explain_json returns a new reference for
 * programs, or NULL. EC_NO_MEMORY. */
enum ec explain_text(const struct view *v, bool colour, struct bytes *out) MUST_CHECK;
json_t *explain_json(const struct view *v);

#endif
