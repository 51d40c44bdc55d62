/* Owns:  verification of a presented chain: against TLSA records (DANE), or against
 *        the certificates of a CA store and a name.
 * Never: looks anything up, reads a clock, or falls back from one to the other.
 * Spec:  RFC 7671 5, 10; RFC 7672 3.1, 3.2; RFC 5280 6; RFC 8461 4.2.
 * Start at: dane_verify. */
#ifndef CERTS_DANE_SSL_H
#define CERTS_DANE_SSL_H

#include <openssl/base.h>

#include "base/ec.h"
#include "base/instant.h"
#include "certs/dane.h"

enum {
	DANE_NAMES_MAX = 4, /* reference identifiers, RFC 7672 3.2.2 */
	DANE_CHAIN_MAX = 16 /* certificates of a presented chain that are looked at */
};

/* The worse, the later: of several ways that failed, the answer is the one that got furthest. */
enum dane_result {
	DANE_OK,
	DANE_EXPIRED,  /* a chain to a trust anchor and the right name, but not valid now (or not yet) */
	DANE_NAME,     /* a chain to a trust anchor, but the certificate is for other names */
	DANE_MISMATCH, /* nothing matches, or no valid chain leads to what does */
	DANE_UNUSABLE  /* there is no record to go by */
};
enum { DANE_NUM_RESULTS = DANE_UNUSABLE + 1 };

/* dane_result_name returns "ok", "expired", "name", "mismatch", "unusable"; static. */
const char *dane_result_name(enum dane_result r);

/* dane_decode drops the Full(0) records whose certificate or key can't be decoded: they
 * are as unusable as those that dane_select drops (RFC 7671 4). Where all that counts is
 * whether anything usable is left, call it behind dane_select. dane_verify does it itself. */
void dane_decode(struct dane_records *records, struct why *why);

/* struct dane_presented is the other side and the moment. All is borrowed. `chain` is DER, as the server sent
 * it, the leaf first. `names` are reference identifiers, no final dot needed: the TLSA
 * base domain, then the next-hop domain (RFC 7672 3.2.2); matched by any DNS-ID of the
 * leaf, by its CN only when it has no DNS-ID (3.2.3). */
struct dane_presented {
	const struct slice *chain;
	size_t num_chain;
	const char *const *names;
	size_t num_names;
	struct wall now;
};

/* dane_verify tries all records.
 *
 * DANE-EE(3) is matched with the leaf, and then nothing else counts: no name, no date, no
 * signature (RFC 7671 5.1, RFC 7672 3.1.1).
 *
 * DANE-TA(2) is matched with each certificate above the leaf, and there must be a valid
 * chain from the leaf to it: signatures, dates (of an anchor only if it is self-signed: RFC
 * 5280 6.1 asks for none of it), CA bits, path lengths, name constraints, the purpose "TLS
 * server", a name (RFC 7671 5.2, RFC 7672 3.1.2). Never with the leaf itself: who pins a leaf writes DANE-EE, and a client that
 * let a leaf be its own CA would differ from the rest (OpenSSL, Postfix). The whole
 * certificate of a 2 0 0 record is a trust anchor also when it was not sent (5.2.2), and
 * so is the key of a 2 1 0 record (5.2.3): then it must have signed a certificate of the
 * chain, which may be the leaf. Every path is tried that the presented certificates allow.
 *
 * `records` come from dane_select. `*used` (or NULL) is the record that decided an
 * OK, else NULL. `why` says in words how it went, also for OK. */
enum dane_result dane_verify(const struct dane_records *records, const struct dane_presented *p,
                             const struct dane_record **used, struct why *why);

/* dane_verify_store verifies as for DANE-TA, against the CA certificates in `store`
 * instead of records: OK, EXPIRED, NAME, or MISMATCH for "no trusted chain". Only DNS-IDs
 * count (RFC 8461 4.2); without names none is checked. Borrows `store`. */
enum dane_result dane_verify_store(X509_STORE *store, const struct dane_presented *p, struct why *why);

#endif
