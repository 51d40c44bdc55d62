/* Owns:  reading keys and chains that somebody else made (issuer `files`).
 * Never: accepts a key and a chain that don't belong together, however the files
 *        were replaced under its hands.
 * Spec:  –
 * Start at: import_read. */
#ifndef CERTS_IMPORT_FS_H
#define CERTS_IMPORT_FS_H

#include "certs/store_fs.h"

struct import_pair {
	const char *chain; /* path */
	const char *key; /* path */
};

/* import_read reads every pair as one object: if a file changes while it is
 * being read, it starts over (a few times). Two pairs of one algorithm are
 * EC_DUPLICATE. Returns EC_NOT_FOUND, EC_PERMISSION (key open to group or
 * others), EC_KEY_MISMATCH, EC_SYNTAX, EC_UNSUPPORTED, EC_LIMIT, EC_AGAIN when
 * the files keep changing. `why` names the file. End `out` with store_keys_fini. */
enum ec import_read(const struct import_pair *pairs, size_t num, struct store_keys *out, struct why *why) MUST_CHECK;

/* import_same tells whether `keys` have the same SPKIs as generation `g`: then
 * only the certificate was renewed, and DNS is not concerned. */
bool import_same_keys(const struct store_keys *keys, const struct generation *g);
/* import_same_chains also compares the certificates: nothing changed at all. */
bool import_same_chains(const struct store_keys *keys, const struct generation *g);

#endif
