/* Owns:  the immutable set of identities that a worker serves: keys and chains.
 * Never: changes once made: a swap makes a new one, and live connections keep
 *        the one they began with; both share the identities that stay as they are,
 *        so a swap of one costs the same however many there are. Not for several
 *        threads: each worker has its own.
 * Spec:  RFC 6066 3 (SNI), RFC 7672 8.1 (any name is answered), RFC 5077.
 * Start at: snapshot_new. */
#ifndef CERTS_SNAPSHOT_SSL_H
#define CERTS_SNAPSHOT_SSL_H

#include <openssl/base.h>

#include "base/ec.h"
#include "base/names.h"
#include "base/slice.h"
#include "certs/generation.h"

enum { SNAPSHOT_SEED_SIZE = 32, SNAPSHOT_TICKET_KEY_SIZE = 48 };

struct snapshot;

/* struct snapshot_source is one key of one identity, borrowed. All sources of an
 * identity carry the same generation. */
struct snapshot_source {
	const char *identity;
	uint64_t generation;
	enum key_algorithm algorithm;
	struct slice key_pem;
	struct slice chain_pem;
};

/* struct presented_key is a key and its chain, fit for SSL_CTX_set_chain_and_key. */
struct presented_key {
	enum key_algorithm algorithm;
	uint8_t spki_sha256[32];
	EVP_PKEY *key;
	CRYPTO_BUFFER **chain; /* DER, the leaf first */
	size_t num_chain;
};

/* struct snapshot_identity belongs to all snapshots that hold it. `keys` has one
 * entry per algorithm, rising. */
struct snapshot_identity {
	struct names_item item;
	char *name; /* lower case, no dot at the end */
	uint64_t generation;
	size_t num_keys;
	struct presented_key keys[KEY_NUM_ALGORITHMS];
	/* Whatever the TLS room makes of it once (its SSL_CTXs): set by
	 * snapshot_attach, freed with the identity. */
	void *attached;
	void (*attached_free)(void *attached);
};

/* snapshot_new parses and checks everything and returns a snapshot with one
 * reference, the caller's. `seed` is secret random bytes, the same for all
 * workers, from which session ticket keys are derived. Sources of one identity
 * stand side by side. Returns EC_MISSING when `default_identity` is not among the
 * sources, EC_DUPLICATE, EC_SYNTAX, EC_KEY_MISMATCH, EC_UNSUPPORTED, EC_NO_MEMORY;
 * `why` names the identity. */
enum ec snapshot_new(const struct snapshot_source *sources, size_t num_sources, const char *default_identity,
                     const uint8_t seed[SNAPSHOT_SEED_SIZE], uint64_t epoch, struct snapshot **out,
                     struct why *why) MUST_CHECK;

/* The same in steps, so that no message and no pause grows with the number of
 * identities: snapshot_begin makes one that holds what `base` (may be NULL) does;
 * snapshot_put adds an identity, or replaces the one of that name; snapshot_drop
 * leaves one out; after snapshot_finish it can be served, and changes no more.
 * Errors as snapshot_new; one that fails is only fit for snapshot_unref. `base` and
 * the new one have the same seed. */
enum ec snapshot_begin(const struct snapshot *base, const uint8_t seed[SNAPSHOT_SEED_SIZE], uint64_t epoch,
                       struct snapshot **out) MUST_CHECK;
enum ec snapshot_put(struct snapshot *s, const struct snapshot_source *sources, size_t num, struct why *why) MUST_CHECK;
enum ec snapshot_drop(struct snapshot *s, const char *identity) MUST_CHECK;
enum ec snapshot_finish(struct snapshot *s, const char *default_identity, struct why *why) MUST_CHECK;

/* snapshot_ref adds a reference and returns `s`; snapshot_unref drops one and
 * frees with the last. NULL is accepted by unref. */
struct snapshot *snapshot_ref(struct snapshot *s);
void snapshot_unref(struct snapshot *s);

uint64_t snapshot_epoch(const struct snapshot *s);
size_t snapshot_num(const struct snapshot *s);
/* snapshot_at counts in order of names; snapshot_default never fails. */
struct snapshot_identity *snapshot_at(struct snapshot *s, size_t i);
struct snapshot_identity *snapshot_default(struct snapshot *s);

/* snapshot_find returns the identity whose name is `sni` (without case, a dot at
 * the end ignored), or the default identity: an unknown or absent name never
 * fails a handshake. `*out_known` (may be NULL) tells which. RFC 7672 8.1. */
struct snapshot_identity *snapshot_find(struct snapshot *s, struct slice sni, bool *out_known);

/* snapshot_key finds the key of `algorithm`, or NULL. */
struct presented_key *snapshot_key(struct snapshot_identity *id, enum key_algorithm algorithm);

/* snapshot_attach hangs `p` on the identity; `free_p` is called with the
 * identity's end. Once per identity. */
void snapshot_attach(struct snapshot_identity *id, void *p, void (*free_p)(void *p));

/* snapshot_ticket_key derives the identity's session ticket key: it changes with
 * the seed, the name, the generation and the keys, so that no ticket outlives
 * the key it was issued under. Fit for SSL_CTX_set_tlsext_ticket_keys. */
void snapshot_ticket_key(const struct snapshot *s, const struct snapshot_identity *id,
                         uint8_t out[SNAPSHOT_TICKET_KEY_SIZE]);

#endif
