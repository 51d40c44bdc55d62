/* Owns:  the text of the files that zones include: how our records are written, and
 *        how to tell that a file is ours and as we left it.
 * Never: takes over a file that somebody else wrote or changed.
 * Spec:  RFC 1035 5.1 (zone files), RFC 6698 2.2; tlsa-sync(1), PUBLISHERS.
 * Start at: zone_include_print. */
#ifndef TLSA_SYNC_ZONE_INCLUDE_H
#define TLSA_SYNC_ZONE_INCLUDE_H

#include "base/slice.h"
#include "dns/name.h"
#include "dns/tlsa.h"

/* The first line names us, the second has a checksum of all that follows. A file of
 * many records stays well below the maximum. */
enum { ZONE_INCLUDE_MAX = 65536 };

/* zone_include_print appends a file with the records of `set` at `owner`, the
 * same text for the same set. Names have their last dot, so that the zone's
 * $ORIGIN doesn't matter. EC_NO_MEMORY. */
enum ec zone_include_print(const char *identity, const struct dns_name *owner, uint32_t ttl_s, const struct tlsa_set *set,
                           struct bytes *out) MUST_CHECK;

/* zone_include_read takes the records out of a file that zone_include_print made.
 * An empty file has none and may be taken. Returns
 *   EC_EXISTS      somebody else's file: without our first line
 *   EC_CORRUPT     ours, but changed since: the checksum is not that of the rest
 *   EC_UNSUPPORTED ours, but from a version that writes what this one can't read
 * each with words that say what to do; `*out` is then empty. */
enum ec zone_include_read(struct slice text, struct tlsa_set *out, struct why *why) MUST_CHECK;

/* zone_include_diff appends a line "- " or "+ " and the record for each one that is only
 * in `before` or only in `after`. EC_NO_MEMORY. */
enum ec zone_include_diff(const struct dns_name *owner, uint32_t ttl_s, const struct tlsa_set *before,
                          const struct tlsa_set *after, struct bytes *out) MUST_CHECK;

#endif
