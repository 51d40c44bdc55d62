/* Owns:  key generations on disk, <state_dir>/keys/<identity>/<number>/…, and
 *        the one durable fact per identity: which number is active.
 * Never: shows half a change: a temporary name, fsync, rename, fsync of the
 *        directory. Never uses a number twice. Never decides what to present.
 * Spec:  –
 * Start at: store_open. */
#ifndef CERTS_STORE_FS_H
#define CERTS_STORE_FS_H

#include "base/ec.h"
#include "base/instant.h"
#include "base/slice.h"
#include "certs/disk_fs.h"
#include "certs/generation.h"

enum { STORE_DAMAGED_MAX = 8, STORE_GENERATIONS_MAX = 64 };

struct store;

/* store_open makes <state_dir>/keys if need be (0700) and takes the lock (one
 * process per state_dir). It looks at no identity, so it is as quick with very many.
 * Returns EC_BUSY when another process has it, EC_PERMISSION, EC_NOT_FOUND, EC_IO. */
enum ec store_open(const char *state_dir, struct store **out, struct why *why) MUST_CHECK;
void store_close(struct store *s);

/* struct store_view is what the disk holds for one identity. Generations are in
 * rising order; damaged ones are left out and described, each with its cure. */
struct store_view {
	uint64_t active; /* 0 = none yet */
	uint64_t last; /* the greatest number ever used */
	size_t num;
	struct generation generations[STORE_GENERATIONS_MAX];
	size_t num_damaged;
	uint64_t damaged[STORE_DAMAGED_MAX];
	struct why damaged_why[STORE_DAMAGED_MAX];
};

/* store_view_new clears away what a crash left half made of the identity, and reads
 * it; so it comes before any other use of an identity. One that has nothing on disk gives
 * an empty view. The caller frees it with store_view_free. Returns EC_SYNTAX for a name
 * that is no host name, EC_PERMISSION and EC_IO (also when what was left can't be removed),
 * EC_NO_MEMORY. EC_CORRUPT says that state.json is damaged or gone (`why` says how to mend
 * it): `*out` is set all the same, with `active` 0, so that a generation which DNS pins can
 * go on being served; every change is refused until it is mended. EC_CORRUPT without `*out`:
 * what was left is nothing of ours, or the identity's directory is none. */
enum ec store_view_new(struct store *s, const char *identity, struct store_view **out, struct why *why) MUST_CHECK;
void store_view_free(struct store_view *v);
const struct generation *store_view_find(const struct store_view *v, uint64_t number);

/* store_each calls `each` with every identity that has a directory. */
enum ec store_each(struct store *s, void (*each)(void *arg, const char *identity), void *arg,
                   struct why *why) MUST_CHECK;

/* struct store_key is one key as PEM. store_keys are all of a generation; end it
 * with store_keys_fini. */
struct store_key {
	enum key_algorithm algorithm;
	struct secret key_pem;
	struct bytes chain_pem;
};
struct store_keys {
	size_t num;
	struct store_key keys[KEY_NUM_ALGORITHMS];
};
void store_keys_fini(struct store_keys *k);

/* store_create makes a new generation: a key and a self-signed certificate of
 * `life_s` for each algorithm in the set `algorithms` (1u << enum
 * key_algorithm). Returns EC_NO_SPACE (disk full), EC_PERMISSION and EC_IO with
 * the disk as it was (a number may be used up), EC_RANGE, EC_SYNTAX, EC_CORRUPT.
 *
 * For this and every change below: when the very last sync fails, the change is
 * in place although an error is returned, and may or may not survive a power cut.
 * Each is idempotent or shows in the view, so: look, then try again. */
enum ec store_create(struct store *s, const char *identity, unsigned algorithms, int64_t life_s, struct wall now,
                     uint64_t *out_number, struct why *why) MUST_CHECK;

/* store_import makes a new generation of keys made elsewhere (certs/import_fs.h
 * reads and checks them). */
enum ec store_import(struct store *s, const char *identity, const struct store_keys *keys, struct wall now,
                     uint64_t *out_number, struct why *why) MUST_CHECK;

/* store_read gives the PEMs of a generation, checked: every key matches its
 * certificate and what meta.json says. EC_NOT_FOUND, EC_CORRUPT, EC_PERMISSION
 * when a key file is open to group or others. */
enum ec store_read(struct store *s, const char *identity, uint64_t number, struct store_keys *out,
                   struct why *why) MUST_CHECK;

/* store_csr appends a signing request for a key. */
enum ec store_csr(struct store *s, const char *identity, uint64_t number, enum key_algorithm algorithm,
                  struct bytes *out_pem, struct why *why) MUST_CHECK;

/* store_install replaces the certificate chain of a key, atomically. Returns
 * EC_KEY_MISMATCH unless its leaf certifies this very key, EC_EXPIRED unless it
 * is valid at `now`, EC_SYNTAX, and what store_create does. */
enum ec store_install(struct store *s, const char *identity, uint64_t number, enum key_algorithm algorithm,
                      struct slice chain_pem, struct wall now, struct why *why) MUST_CHECK;

/* store_renew replaces the certificate of a key, whoever gave it, by a self-signed one of
 * the same key. DNS is not concerned: the key stays. Errors as store_install. */
enum ec store_renew(struct store *s, const char *identity, uint64_t number, enum key_algorithm algorithm,
                    int64_t life_s, struct wall now, struct why *why) MUST_CHECK;

/* store_set_active records which generation is presented. Idempotent. Returns
 * EC_NOT_FOUND unless it is on disk and whole. */
enum ec store_set_active(struct store *s, const char *identity, uint64_t number, struct why *why) MUST_CHECK;

/* store_delete removes a generation's files. Idempotent: gone is EC_OK. Returns
 * EC_INVARIANT for the active one. */
enum ec store_delete(struct store *s, const char *identity, uint64_t number, struct why *why) MUST_CHECK;

/* store_set_fault is the tests' seam: see struct disk_fault. */
void store_set_fault(struct store *s, struct disk_fault fault);

#endif
