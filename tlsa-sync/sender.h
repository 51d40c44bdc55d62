/* Owns:  what a DANE sender would make of one TLSA answer and one presented key.
 * Never: decides anything about a roll; sees what a cache holds.
 * Spec:  RFC 6698 2.1, RFC 7671 5, 9 (digest agility), RFC 7672 2.2, 3.1.
 * Start at: sender_sees. */
#ifndef TLSA_SYNC_SENDER_H
#define TLSA_SYNC_SENDER_H

#include "tlsa-sync/facts.h"

enum sender_verdict {
	SENDER_VERIFIES,        /* a record matches: mail flows, authenticated */
	SENDER_NO_DANE,         /* no records, or not signed: mail flows, with TLS if nobody strips it */
	SENDER_UNAUTHENTICATED, /* records, but none that can be used: TLS is demanded, nobody checks the key */
	SENDER_MISMATCH,        /* records, and none matches: mail is deferred */
	SENDER_BOGUS,           /* the answer does not validate: mail is deferred */
	SENDER_UNKNOWN,         /* it is not known whether the answer validates */
	SENDER_NUM
};

/* sender_sees judges the answer `set` of that validity against a key. Of records that
 * pin something above the certificate (DANE-TA) only its issuer is known here, and names are not
 * compared. `*out_match` (may be NULL) is the record that matches, when one does. */
enum sender_verdict sender_sees(const struct tlsa_set *set, enum fact_validity validity, const struct fact_key *k,
                                struct tlsa *out_match);

/* sender_words says it: "verifies the key and delivers". Static. */
const char *sender_words(enum sender_verdict verdict);
/* sender_name is the word for programs: "verifies". Static. */
const char *sender_name(enum sender_verdict verdict);

#endif
