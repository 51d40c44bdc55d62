/* Owns:  the pieces of the key store on disk: names, state.json, the files of one
 *        generation. For store_fs.c alone.
 * Never: changes more than one piece.
 * Spec:  –
 * Start at: store_generation_read. */
#ifndef CERTS_STORE_PARTS_FS_H
#define CERTS_STORE_PARTS_FS_H

#include "certs/store_fs.h"

enum { STORE_NAME_SIZE = 256, STORE_FILE_SIZE = 64 };

struct store {
	struct disk disk;
	int lock;
	int keys; /* <state_dir>/keys */
	char *path; /* the same, for people */
};

struct store_state {
	bool found;
	uint64_t active;
	uint64_t last;
};

/* store_canonical writes the identity in lower case without a last dot. It names
 * a directory, so only what a host name is made of passes: EC_SYNTAX. */
enum ec store_canonical(const char *identity, char out[STORE_NAME_SIZE], struct why *why) MUST_CHECK;

/* store_parse_number reads "17", but not "017" or "17x". */
bool store_parse_number(const char *name, uint64_t *out);
void store_number_name(char out[STORE_FILE_SIZE], const char *prefix, uint64_t number);
/* store_key_name writes "ecdsa-p256.key" and the like. */
void store_key_name(char out[STORE_FILE_SIZE], enum key_algorithm algorithm, const char *suffix);
void store_close_fd(int fd);

/* store_state_read reads state.json in `dir`, an identity's directory. `*out_disk`
 * is the greatest number that has a directory. EC_CORRUPT: damaged, or gone while
 * there are generations; out->last is then what the disk shows. */
enum ec store_state_read(int dir, struct store_state *out, uint64_t *out_disk, struct why *why) MUST_CHECK;
enum ec store_state_write(struct store *s, int dir, const struct store_state *state, struct why *why) MUST_CHECK;

/* store_key_write and store_meta_write fill a new generation's directory. */
enum ec store_key_write(struct store *s, int dir, const struct store_key *key, struct why *why) MUST_CHECK;
enum ec store_meta_write(struct store *s, int dir, const struct store_keys *keys, struct wall now,
                         struct why *why) MUST_CHECK;

/* store_generation_read reads and checks all of one generation; on EC_OK `keys`
 * is the caller's to end. EC_NOT_FOUND, EC_PERMISSION, EC_CORRUPT with the cure. */
enum ec store_generation_read(const struct store *s, const char *identity, int dir, uint64_t number,
                              struct generation *out, struct store_keys *keys, struct why *why) MUST_CHECK;

#endif
