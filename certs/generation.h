/* Owns:  what a key generation is: number, role, one key per algorithm, digests.
 * Never: a private key; never decides when a role changes (tlsa-sync does).
 * Spec:  design of generations: standby (number > active), active, retired.
 * Start at: struct generation. */
#ifndef CERTS_GENERATION_H
#define CERTS_GENERATION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ec.h"
#include "base/instant.h"
#include "base/slice.h"

enum key_algorithm { KEY_ECDSA_P256, KEY_RSA_3072, KEY_NUM_ALGORITHMS };

/* key_algorithm_name returns the word of files and protocols: "ecdsa-p256",
 * "rsa-3072"; static. key_algorithm_parse returns false for any other. */
const char *key_algorithm_name(enum key_algorithm algorithm);
bool key_algorithm_parse(struct slice text, enum key_algorithm *out);

/* struct cert_digests are the digests of one certificate: of its
 * SubjectPublicKeyInfo (selector 1) and of all of it (selector 0), by matching
 * type 1 (SHA2-256) and 2 (SHA2-512). RFC 6698 2.1. */
struct cert_digests {
	uint8_t spki_sha256[32];
	uint8_t spki_sha512[64];
	uint8_t cert_sha256[32];
	uint8_t cert_sha512[64];
};

/* The leaf and what a server may send above it. */
enum { CERT_CHAIN_MAX = 8 };

enum cert_issuer { CERT_SELF_SIGNED, CERT_CA };

/* struct key_info is what is known in public about one key. */
struct key_info {
	enum key_algorithm algorithm;
	bool certified; /* false: a key without a certificate yet; the fields below but SPKI are zero */
	enum cert_issuer issuer;
	struct wall not_before;
	struct wall not_after;
	size_t num_chain; /* certificates in the chain, the leaf first */
	struct cert_digests chain[CERT_CHAIN_MAX]; /* chain[0].spki_* is set even without a certificate */
};

enum generation_role { GENERATION_STANDBY, GENERATION_ACTIVE, GENERATION_RETIRED };

struct generation {
	uint64_t number;
	enum generation_role role;
	struct wall created;
	size_t num_keys;
	struct key_info keys[KEY_NUM_ALGORITHMS]; /* rising algorithm */
};

/* generation_role_of derives the role; `active` is 0 when there is none yet. */
enum generation_role generation_role_of(uint64_t number, uint64_t active);
const char *generation_role_name(enum generation_role role);

/* generation_key finds the key of `algorithm`, or NULL. */
const struct key_info *generation_key(const struct generation *g, enum key_algorithm algorithm);

/* generation_pack appends what is known of `g` in as little room as it takes, for
 * whoever keeps very many; generation_unpack takes the first one off the front of
 * `in`, role and all. Packed octets are for the same process. generation_pack
 * returns EC_NO_MEMORY. */
enum ec generation_pack(const struct generation *g, struct bytes *out) MUST_CHECK;
void generation_unpack(struct slice *in, struct generation *out);

#endif
