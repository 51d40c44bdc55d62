/* Owns:  the search for a valid chain from a leaf to one of several trust anchors, in a
 *        pool of certificates that anybody may have sent.
 * Never: decides what is a trust anchor (certs/dane_ssl.c does).
 * Spec:  RFC 5280 6.1 (validation); RFC 7671 5.2; RFC 7672 3.2.3 (names).
 * Start at: path_find. */
#ifndef CERTS_PATH_SSL_H
#define CERTS_PATH_SSL_H

#include <openssl/base.h>

#include "certs/dane_ssl.h"

/* struct path_anchor says which record makes a certificate, or a bare key, a trust anchor. */
struct path_certificate {
	X509 *x;
	const struct dane_record *anchor; /* NULL: it is none */
};

struct path_key {
	EVP_PKEY *key;
	const struct dane_record *anchor;
};

/* struct path_pool: certificates[0] is the leaf, never an anchor. It owns what is in it. */
struct path_pool {
	size_t num_certificates;
	struct path_certificate certificates[DANE_CHAIN_MAX + DANE_RECORDS_MAX];
	size_t num_keys;
	struct path_key keys[DANE_RECORDS_MAX];
};

/* path_add takes `x`, unless the pool has it already; then the record is all that is kept. */
void path_add(struct path_pool *pool, X509 *x, const struct dane_record *anchor);
void path_add_key(struct path_pool *pool, EVP_PKEY *key, const struct dane_record *anchor);
void path_pool_fini(struct path_pool *pool);

/* path_find tries every chain that starts at the leaf and ends at a trust anchor: where
 * certificates share a name (cross signing, a changed key) the first that fits by name
 * need not be the right one. It gives DANE_OK for the first valid chain whose leaf has
 * one of the names of `p`, and sets `*used`; else what came nearest. The work is bounded,
 * whatever was sent. */
enum dane_result path_find(const struct path_pool *pool, const struct dane_presented *p,
                           const struct dane_record **used, struct why *why);

/* path_has_name tells whether one of the reference identifiers `names` is in `leaf`:
 * among its DNS-IDs, or, with `cn_too` and if it has none, its CNs. RFC 7672 3.2.3. An
 * identifier that is an address is looked for among its addresses. RFC 5280 4.2.1.6. */
bool path_has_name(X509 *leaf, const char *const *names, size_t num, bool cn_too);

#endif
