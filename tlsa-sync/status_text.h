/* Owns:  `status` as a table for people: identity, state, since, waiting for,
 *        next, at; the reason and the alarms below.
 * Never: decides; prints a byte of a peer raw.
 * Spec:  –
 * Start at: status_text. */
#ifndef TLSA_SYNC_STATUS_TEXT_H
#define TLSA_SYNC_STATUS_TEXT_H

#include "tlsa-sync/rollover.h"

/* status_text appends the table of `num` identities, given in parallel arrays, to
 * `out`. `colour` adds ANSI colours. EC_NO_MEMORY. */
enum ec status_text(const struct facts *const *facts, const struct decision *decisions, size_t num,
                    struct stamp now, bool colour, struct bytes *out) MUST_CHECK;

#endif
