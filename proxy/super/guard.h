/* Owns:  the pin guard's verdicts: which generation on disk may be presented,
 *        given what DNS said; and the words for it.
 * Never: looks anything up (guard_uv does), reads a clock, changes anything.
 * Spec:  RFC 7671 8, RFC 7672 2.2; certs/pin.h has the rules for one key.
 * Start at: guard_choose. */
#ifndef PROXY_GUARD_H
#define PROXY_GUARD_H

#include "certs/pin.h"

/* struct guard_facts is what a validated look-up of an identity's TLSA records
 * gave. */
struct guard_facts {
	enum pin_dns dns;
	struct tlsa_set records; /* PIN_DNS_SECURE */
	uint32_t ttl_s;
	struct why why; /* bogus, failed: what happened */
};

enum guard_state { GUARD_WAITING, GUARD_ALLOWED, GUARD_REFUSED };

/* struct guard_verdict is remembered per identity and shown with its words. */
struct guard_verdict {
	enum guard_state state;
	bool warning; /* allowed, but somebody should look */
	bool pinned; /* DNS pins every key of the generation it is about */
	uint64_t number; /* the generation it is about; 0 = none */
	struct wall at;
	struct why why;
};

/* guard_state_name returns "waiting", "allowed" or "refused"; static. */
const char *guard_state_name(enum guard_state state);

/* guard_judge decides whether `g` may be presented. `presented_before` says that
 * it is or was presented: then no answer from DNS is no obstacle. Sets `*out`
 * but for `at`: EC_PIN_MISMATCH is REFUSED, EC_PIN_UNPROVEN is WAITING. Returns what
 * pin_decide does. */
enum ec guard_judge(const struct guard_facts *facts, const struct generation *g, bool presented_before,
                    struct guard_verdict *out) MUST_CHECK;

/* guard_choose picks what to present at start, among the generations on disk
 * (`num` of them, rising numbers): the active one if it may be; else the newest
 * that DNS does pin; else, when nobody pins us, the newest. `active` is 0 when
 * none was ever presented. Sets `*out` (its number is the choice). Returns
 * EC_PIN_MISMATCH (the words name the digests that DNS pins, ours, and what to
 * do), EC_PIN_UNPROVEN (no answer, and nothing presented before), EC_MISSING
 * when there is no generation at all. */
enum ec guard_choose(const struct guard_facts *facts, const struct generation *generations, size_t num,
                     uint64_t active, struct guard_verdict *out) MUST_CHECK;

#endif
