/* Owns:  the part of `status` below the table: for one identity what is in DNS,
 *        what each instance holds, what each server answers, the time left.
 * Never: decides; prints a byte of a peer raw.
 * Spec:  –
 * Start at: details_text. */
#ifndef TLSA_SYNC_DETAILS_H
#define TLSA_SYNC_DETAILS_H

#include "tlsa-sync/view.h"

/* details_text appends the lines of one identity. EC_NO_MEMORY. */
enum ec details_text(const struct view *v, struct bytes *out) MUST_CHECK;

/* details_server says in a few words how a server stands: "serves all 2 records",
 * or what is wrong. */
void details_server(const struct view *v, unsigned server, struct why *out);

#endif
