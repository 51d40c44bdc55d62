/* Owns:  making private keys, self-signed certificates and signing requests.
 * Never: opens a file or reads a clock.
 * Spec:  RFC 5280, RFC 2986 (CSR), RFC 7468 (PEM), RFC 7671 5.1 (what DANE-EE
 *        asks of a certificate: nothing but the key).
 * Start at: make_key. */
#ifndef CERTS_MAKE_SSL_H
#define CERTS_MAKE_SSL_H

#include "base/ec.h"
#include "base/instant.h"
#include "base/slice.h"
#include "certs/generation.h"

/* Certificates start this long before `now`, for senders whose clock is slow. */
enum { MAKE_BACKDATE_S = 3600 };

/* make_key makes a private key as PKCS#8 PEM; the caller ends it with
 * secret_fini. Returns EC_NO_MEMORY, EC_TLS. RSA takes up to some seconds. */
enum ec make_key(enum key_algorithm algorithm, struct secret *out_pem, struct why *why) MUST_CHECK;

/* make_self_signed appends a PEM certificate for `identity` (SAN dNSName and,
 * where it fits in 64 bytes, CN), serverAuth, random serial number, valid from
 * an hour before `now` to `now` + `life_s`. Returns EC_SYNTAX for a bad key,
 * EC_RANGE, EC_NO_MEMORY, EC_TLS. */
enum ec make_self_signed(struct slice key_pem, const char *identity, struct wall now, int64_t life_s,
                         struct bytes *out_pem, struct why *why) MUST_CHECK;

/* make_csr appends a PEM signing request for the key, SAN = `identity`. Same
 * errors. RFC 2986. */
enum ec make_csr(struct slice key_pem, const char *identity, struct bytes *out_pem, struct why *why) MUST_CHECK;

#endif
