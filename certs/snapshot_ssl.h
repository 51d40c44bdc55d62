/* Owns:  the immutable set of identities that a worker serves: keys and chains.
 * Never: changes once made: a swap makes a new one, and live connections keep
 *        the one they began with. Not for several threads: each worker has its own.
 * Spec:  RFC 6066 3 (SNI), RFC 7672 8.1 (any name is answered), RFC 5077.
 * Start at: snapshot_new. */
#ifndef CERTS_SNAPSHOT_SSL_H
#define CERTS_SNAPSHOT_SSL_H

#include <openssl/base.h>

#include "base/ec.h"
#include "base/slice.h"
#include "certs/generation.h"
#include "certs/load_ssl.h"

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

/* struct snapshot_identity belongs to the snapshot. `keys` has one entry per
 * algorithm, rising; each has key, chain (CRYPTO_BUFFER, fit for
 * SSL_CTX_set_chain_and_key) and digests. */
struct snapshot_identity {
	char *name; /* lower case, no dot at the end */
	uint64_t generation;
	size_t num_keys;
	struct loaded keys[KEY_NUM_ALGORITHMS];
	/* Whatever the TLS room makes of it once (its SSL_CTXs): set by
	 * snapshot_attach, freed with the snapshot. */
	void *attached;
	void (*attached_free)(void *attached);
};

/* snapshot_new parses and checks everything and returns a snapshot with one
 * reference, the caller's. `seed` is secret random bytes, the same for all
 * workers, from which session ticket keys are derived. Returns EC_MISSING when
 * `default_identity` is not among the sources, EC_DUPLICATE, EC_SYNTAX,
 * EC_KEY_MISMATCH, EC_UNSUPPORTED, EC_NO_MEMORY; `why` names the identity. */
enum ec snapshot_new(const struct snapshot_source *sources, size_t num_sources, const char *default_identity,
                     const uint8_t seed[SNAPSHOT_SEED_SIZE], uint64_t epoch, struct snapshot **out,
                     struct why *why) MUST_CHECK;

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
struct loaded *snapshot_key(struct snapshot_identity *id, enum key_algorithm algorithm);

/* snapshot_attach hangs `p` on the identity; `free_p` is called with the
 * snapshot's end. Once per identity. */
void snapshot_attach(struct snapshot_identity *id, void *p, void (*free_p)(void *p));

/* snapshot_ticket_key derives the identity's session ticket key: it changes with
 * the seed, the name, the generation and the keys, so that no ticket outlives
 * the key it was issued under. Fit for SSL_CTX_set_tlsext_ticket_keys. */
void snapshot_ticket_key(const struct snapshot *s, const struct snapshot_identity *id,
                         uint8_t out[SNAPSHOT_TICKET_KEY_SIZE]);

#endif
