/* Owns:  a TLSA record as a value, and sets of them.
 * Never: hashes anything; says whether a record matches a key (certs/pin.h).
 * Spec:  RFC 6698 2.1 (fields), 2.2 (text); RFC 7218 (names); RFC 7671,
 *        RFC 7672 3.1 (what SMTP clients can use).
 * Start at: struct tlsa. */
#ifndef DNS_TLSA_H
#define DNS_TLSA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ec.h"
#include "base/slice.h"

enum tlsa_usage { TLSA_PKIX_TA, TLSA_PKIX_EE, TLSA_DANE_TA, TLSA_DANE_EE };
enum tlsa_selector { TLSA_CERT, TLSA_SPKI };
enum tlsa_matching { TLSA_FULL, TLSA_SHA256, TLSA_SHA512 };

enum {
	TLSA_DATA_MAX = 64,
	TLSA_SET_MAX = 16,
	/* "255 255 255 " + 128 digits + "… (65535 octets)" + NUL */
	TLSA_TEXT_SIZE = 192,
	/* "DANE-EE(3) SPKI(1) SHA2-256(1)" and the like */
	TLSA_KIND_SIZE = 64
};

/* struct tlsa: `len` is the true length of the association data; of data longer
 * than TLSA_DATA_MAX (whole certificates, always somebody else's records) only
 * the start is kept, and `rest` is a plain checksum of what follows, enough to
 * tell two such records apart, not to trust one. Make values with
 * tlsa_from_rdata, tlsa_parse or tlsa_311; unused bytes are zero. */
struct tlsa {
	uint8_t usage;
	uint8_t selector;
	uint8_t matching;
	uint16_t len;
	uint64_t rest;
	uint8_t data[TLSA_DATA_MAX];
};

/* tlsa_311 makes DANE-EE(3) SPKI(1) SHA2-256(1): the only kind we write. */
struct tlsa tlsa_311(const uint8_t spki_sha256[32]);

/* tlsa_from_rdata reads wire rdata. Returns EC_SYNTAX when it is shorter than
 * the three fixed octets plus one of data. RFC 6698 2.1. */
enum ec tlsa_from_rdata(struct slice rdata, struct tlsa *out) MUST_CHECK;

/* tlsa_to_rdata writes wire rdata to `out` and its length to `*out_len`.
 * Returns EC_UNSUPPORTED for data longer than TLSA_DATA_MAX. */
enum ec tlsa_to_rdata(const struct tlsa *t, uint8_t out[3 + TLSA_DATA_MAX], size_t *out_len) MUST_CHECK;

/* tlsa_parse reads "3 1 1 <hex>"; blanks may split the hex, and the names of
 * RFC 7218 may stand for the numbers. Returns EC_SYNTAX, or EC_RANGE for a number
 * over 255 or data over TLSA_DATA_MAX octets. RFC 6698 2.2. */
enum ec tlsa_parse(struct slice text, struct tlsa *out, struct why *why) MUST_CHECK;

/* tlsa_print writes "3 1 1 <hex>"; tlsa_print_kind only the parameters, in the
 * words of RFC 7218: "DANE-EE(3) SPKI(1) SHA2-256(1)". */
void tlsa_print(char out[TLSA_TEXT_SIZE], const struct tlsa *t);
void tlsa_print_kind(char out[TLSA_KIND_SIZE], const struct tlsa *t);

bool tlsa_eq(const struct tlsa *a, const struct tlsa *b);

/* tlsa_usable says whether an SMTP client can match with it: usage DANE-TA or
 * DANE-EE (PKIX ones are unusable, RFC 7672 3.1.3), selector and matching type
 * known, digest of the right length. `why` says what is wrong. Records that are
 * all unusable still make a client demand TLS (RFC 7672 2.2). */
bool tlsa_usable(const struct tlsa *t, struct why *why);

/* tlsa_empty_digest is true for a digest of the empty string, which a failed
 * hashing pipeline publishes. */
bool tlsa_empty_digest(const struct tlsa *t);

/* struct tlsa_set is a set: no order, no duplicates. Zeroed it is empty. */
struct tlsa_set {
	unsigned num;
	struct tlsa items[TLSA_SET_MAX];
};

/* tlsa_set_add adds unless already there. Returns EC_NO_SPACE when full. */
enum ec tlsa_set_add(struct tlsa_set *s, const struct tlsa *t) MUST_CHECK;
/* tlsa_set_remove says whether it was there. */
bool tlsa_set_remove(struct tlsa_set *s, const struct tlsa *t);
bool tlsa_set_has(const struct tlsa_set *s, const struct tlsa *t);
/* tlsa_set_eq: the same members; tlsa_set_covers: `s` has all of `part`. */
bool tlsa_set_eq(const struct tlsa_set *a, const struct tlsa_set *b);
bool tlsa_set_covers(const struct tlsa_set *s, const struct tlsa_set *part);
/* tlsa_set_union adds all of `more` to `s`. EC_NO_SPACE leaves `s` as it was.
 * tlsa_set_subtract removes from `s` what `less` has. */
enum ec tlsa_set_union(struct tlsa_set *s, const struct tlsa_set *more) MUST_CHECK;
void tlsa_set_subtract(struct tlsa_set *s, const struct tlsa_set *less);

#endif
