/* Owns:  which TLSA records an SMTP client goes by, whether one of them matches one
 *        certificate, and which names a certificate stands for.
 * Never: decodes a key, checks a signature or a date (certs/dane_ssl.h), hashes
 *        anything, or reads a clock.
 * Spec:  RFC 6698 2.1, RFC 7671 4, 5, 9; RFC 7672 2.2, 3.1, 3.2.3, 5; RFC 6125 6.4.3.
 * Start at: dane_select.
 *
 * Not struct tlsa: that is for what we publish and cuts data at 64 octets. A client
 * must compare whole certificates, so records are borrowed rdata here. */
#ifndef CERTS_DANE_H
#define CERTS_DANE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/ec.h"
#include "base/slice.h"
#include "certs/generation.h"
#include "dns/tlsa.h"

/* More usable records than this are never published in earnest: each key in use, and
 * each on its way, needs one per kind. */
enum { DANE_RECORDS_MAX = 32 };

/* struct dane_record is one usable record. `data` borrows from the rdata. */
struct dane_record {
	enum tlsa_usage usage; /* TLSA_DANE_TA or TLSA_DANE_EE, nothing else */
	enum tlsa_selector selector;
	enum tlsa_matching matching;
	struct slice data;
};

struct dane_records {
	size_t num;
	struct dane_record items[DANE_RECORDS_MAX];
};

/* dane_record_read reads wire rdata. Returns EC_SYNTAX (shorter than four octets), or
 * EC_UNSUPPORTED for a record that no SMTP client may use, and `why` says what is wrong:
 * usage PKIX-TA or PKIX-EE (RFC 7672 3.1.3) or unknown, selector or matching type unknown,
 * a digest of the wrong length, a Full(0) that is not the DER of a certificate or of a
 * SubjectPublicKeyInfo (RFC 7671 4). Only the outer shape of the DER is looked at here;
 * dane_decode (certs/dane_ssl.h) looks at the rest. */
enum ec dane_record_read(struct slice rdata, struct dane_record *out, struct why *why) MUST_CHECK;

/* dane_select takes from an RRset (`rdata`, any number, any order, doubles too) what a
 * client goes by: drops the unusable, then of each usage and selector every digest weaker
 * than the strongest there (SHA2-512 over SHA2-256). Full(0) is no digest and stays.
 * RFC 7671 9; RFC 7672 5. Of more than DANE_RECORDS_MAX the first ones stay, after all
 * have been looked at. out->num 0: there are records, and all are unusable: TLS without
 * authentication is all that can be asked for (RFC 7672 2.2); `why` has the last reason. */
void dane_select(const struct slice *rdata, size_t num, struct dane_records *out, struct why *why);

/* struct dane_certificate is what one presented certificate is compared by. `der` and
 * `spki` (the whole SubjectPublicKeyInfo) are borrowed. */
struct dane_certificate {
	struct slice der;
	struct slice spki;
	struct cert_digests digests;
};

/* dane_matches compares association data, whatever the usage. RFC 6698 2.1. */
bool dane_matches(const struct dane_record *r, const struct dane_certificate *c);

/* dane_name_matches tells whether `presented`, a name in a certificate, stands for the
 * host `name`: without case, a final dot of `name` ignored; "*." stands for exactly one
 * whole label, and only in front of at least two more. RFC 7672 3.2.3. */
bool dane_name_matches(struct slice presented, struct slice name);

/* dane_print_kind writes "DANE-EE(3) SPKI(1) SHA2-256(1)". */
void dane_print_kind(char out[TLSA_KIND_SIZE], const struct dane_record *r);

#endif
