/* Owns:  reading PEM: a private key, a certificate chain, and their digests.
 * Never: opens a file, reads a clock, or verifies a chain against a CA.
 * Spec:  RFC 7468 (PEM), RFC 5280, RFC 6698 2.1 (what is digested).
 * Start at: load_pair. */
#ifndef CERTS_LOAD_SSL_H
#define CERTS_LOAD_SSL_H

#include <openssl/base.h>

#include "base/ec.h"
#include "base/instant.h"
#include "base/slice.h"
#include "certs/generation.h"

enum { LOAD_PEM_MAX = 256 << 10, LOAD_NAMES_MAX = 100 };

/* struct loaded is a key and its chain in the library's form. `key` is NULL when
 * only a chain was read, `num_chain` is 0 when only a key was. The caller ends
 * it with loaded_fini; zero-initialised is empty. */
struct loaded {
	struct key_info info;
	EVP_PKEY *key;
	CRYPTO_BUFFER *chain[CERT_CHAIN_MAX]; /* DER, the leaf first */
	size_t num_chain;
	char *names[LOAD_NAMES_MAX]; /* DNS names in the leaf's SAN */
	size_t num_names;
};

/* load_key reads one unencrypted PKCS#8, SEC1 or PKCS#1 private key. Sets
 * info.algorithm and the SPKI digests in info.chain[0]. Returns EC_SYNTAX,
 * EC_UNSUPPORTED (an EC curve other than P-256, RSA below 2048 bits, any other
 * kind), EC_LIMIT, EC_NO_MEMORY. RSA of 2048 bits and more counts as rsa-3072:
 * what we make has 3072 bits, what is imported may differ. */
enum ec load_key(struct slice key_pem, struct loaded *out, struct why *why) MUST_CHECK;

/* load_chain reads a chain, the leaf first. Sets everything but `key`. Returns
 * EC_SYNTAX, EC_UNSUPPORTED, EC_LIMIT (more than CERT_CHAIN_MAX), EC_NO_MEMORY. */
enum ec load_chain(struct slice chain_pem, struct loaded *out, struct why *why) MUST_CHECK;

/* load_pair reads both and returns EC_KEY_MISMATCH unless the leaf certifies
 * exactly this key. */
enum ec load_pair(struct slice key_pem, struct slice chain_pem, struct loaded *out, struct why *why) MUST_CHECK;

void loaded_fini(struct loaded *l);

/* loaded_check_now returns EC_EXPIRED unless the leaf is valid at `now`. Large
 * senders count an expired DANE-EE certificate as a failure although RFC 7672
 * 3.1.1 tells them not to. */
enum ec loaded_check_now(const struct loaded *l, struct wall now, struct why *why) MUST_CHECK;

/* loaded_covers tells whether a SAN name of the leaf matches `host`, without
 * case; "*." matches exactly one label. RFC 6125 6.4. */
bool loaded_covers(const struct loaded *l, const char *host);

#endif
