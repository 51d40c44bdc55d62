/* Owns:  the wait rule: has a digest been in DNS for long enough that no cache can
 *        hold a set without it?
 * Never: acts on it; knows nothing of states.
 * Spec:  RFC 7671 8.1 (two TTLs), RFC 7672 4, RFC 7583 3.2 (propagation, then TTL).
 * Start at: age_of. */
#ifndef TLSA_SYNC_AGE_H
#define TLSA_SYNC_AGE_H

#include "tlsa-sync/rollover.h"

/* What keeps the digest young the longest. */
enum age_reason { AGE_OLD, AGE_NO_PROOF, AGE_TTL, AGE_FLOOR, AGE_SIGNATURES, AGE_LATE, AGE_UNWATCHED };

struct age {
	enum age_reason reason;
	int server;       /* AGE_NO_PROOF, AGE_UNWATCHED: which one, or -1 */
	int64_t since_ms; /* T_all, on the counted clock; 0 without proof */
	int64_t left_ms;  /* to go; 0 when old, or without proof */
	int64_t back_ms;  /* the same for going back to it: what was not watched does not count */
	int64_t old_ms;   /* when it is, or was, old; 0 without proof */
	uint32_t ttl_s;   /* TTLmax */
};

/* age_ttl_s is TTLmax in seconds: the largest of any version seen, or sent, and the one we write
 * now. That counts though nobody remembers it: an old journal that was restored does not. */
uint32_t age_ttl_s(const struct facts *f, const struct policy *p);

/* age_of applies the rule to a digest of ours:
 * T_all is the moment the last server gave its k-th good answer in a row. Old is
 * what has T_all + 2 x TTLmax + margin behind it, and T_all + floor; with
 * WAIT_SIGNATURES also the end of every signature seen over a set without it, and of the first over one with it.
 * An update sent lately that would take the record away, or put others of a form into the
 * zone that the key has no record of, may still take effect (ROLLOVER_LATE_MS).
 * And since nobody saw what a server did while we were not looking, all of
 * them have been watched without a gap for one TTLmax + margin. */
struct age age_of(const struct facts *f, const struct policy *p, const uint8_t spki_sha256[32], struct stamp now);

/* age_of_generation is the youngest key's of a generation; AGE_NO_PROOF when it
 * is not known. */
struct age age_of_generation(const struct facts *f, const struct policy *p, unsigned instance, uint64_t generation,
                             struct stamp now);

/* age_late_of_generation looks only at updates that may still take effect: AGE_OLD or
 * AGE_LATE. An emergency that is forced waits for nothing else. */
struct age age_late_of_generation(const struct facts *f, unsigned instance, uint64_t generation, struct stamp now);

/* age_unaware_ms is until when, on the counted clock, an update may take effect that was sent before a key
 * that was swapped to was known, and so has no record of it; 0: there is none. Until then
 * that key's records must stay: they are what makes such an update harmless. */
int64_t age_unaware_ms(const struct facts *f);

#endif
