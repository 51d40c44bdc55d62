/* Owns:  the pin guard's decision: may these keys be presented?
 * Never: looks anything up, reads a clock, or remembers.
 * Spec:  RFC 7671 5, 8, 9; RFC 7672 2.1, 2.2, 3.1.
 * Start at: pin_decide. */
#ifndef CERTS_PIN_H
#define CERTS_PIN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/ec.h"
#include "certs/generation.h"
#include "dns/tlsa.h"

/* What the validated look-up of the identity's TLSA records gave. */
enum pin_dns {
	PIN_DNS_SECURE, /* validated: `records` is the whole set, perhaps empty */
	PIN_DNS_ABSENT, /* validated denial: there are no TLSA records */
	PIN_DNS_INSECURE, /* the zone is not securely delegated: nobody uses its TLSA records */
	PIN_DNS_BOGUS, /* validation failed */
	PIN_DNS_FAILED /* no answer */
};

struct pin_question {
	enum pin_dns dns;
	const struct tlsa_set *records; /* PIN_DNS_SECURE; borrowed */
	const char *dns_why; /* bogus, failed: what happened; may be NULL */
	const struct key_info *keys; /* everything that would be presented, one per algorithm */
	size_t num_keys;
	bool presented_before; /* exactly these keys were presented by us already */
};

struct pin_answer {
	bool allowed;
	bool warning; /* allowed, but somebody should look: `why` says at what */
	bool pinned; /* DNS does pin every key */
};

/* pin_decide returns EC_OK (out->allowed), EC_PIN_MISMATCH or EC_PIN_UNPROVEN,
 * with words in `why` in every case.
 *
 * A secure set must match, for each (usage, selector, matching type) it uses and
 * for each key presented: a sender may keep only the strongest digest of a usage
 * and selector (RFC 7671 9), and any combination may be the one it looks at
 * (8.4). Usages 0 and 1 are unusable for SMTP (RFC 7672 3.1.3) and so is what we
 * don't know; if nothing usable is left, senders still require TLS but match
 * nothing (2.2): allowed, with a warning. Without records nobody pins us:
 * allowed. Bogus or no answer: only what was presented before may go on. */
enum ec pin_decide(const struct pin_question *q, struct pin_answer *out, struct why *why) MUST_CHECK;

/* pin_matches tells whether one usable record matches one key and its chain. */
bool pin_matches(const struct tlsa *record, const struct key_info *key);

#endif
