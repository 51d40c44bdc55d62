/* Owns:  one rehearsal without a daemon: find the zone, ask every instance what it wants
 *        published, and let the publisher try all but the change.
 * Never: changes anything; reads or writes the journal.
 * Spec:  tlsa-sync(1), check-publisher.
 * Start at: check_publisher. */
#ifndef TLSA_SYNC_CHECK_PUBLISHER_UV_H
#define TLSA_SYNC_CHECK_PUBLISHER_UV_H

#include "config/config.h"

/* check_publisher rehearses a change of identity number `index`, blocking, and appends what
 * came of it to `out`, lines for a person. Returns EC_OK when a change would be accepted as far as
 * can be told, EC_DNS_REFUSED when not, EC_NO_MEMORY. An instance that does not
 * answer is mentioned, and no reason to fail. */
enum ec check_publisher(const struct config *cfg, size_t index, struct bytes *out) MUST_CHECK;

#endif
