/* Owns:  the supervisor's view of its identities: settings, the generations on
 *        disk, what is presented, and the pin guard's last verdict.
 * Never: decides what is presented; keeps a private key in memory.
 * Spec:  certs/store_fs.h (the disk), design of generations.
 * Start at: struct identity. */
#ifndef PROXY_KEEPER_FS_H
#define PROXY_KEEPER_FS_H

#include "certs/store_fs.h"
#include "config/config.h"
#include "proxy/super/backoff.h"
#include "proxy/super/guard.h"

struct guard_call;

/* struct identity: the keeper writes the first group from configuration and
 * disk, `change_uv` and `watch_uv` the second. */
struct identity {
	char *name; /* lower case, no dot at the end */
	const struct config_identity *settings; /* of the configuration in force */
	uint64_t active; /* the durable fact */
	uint64_t last;
	struct generation *generations; /* rising */
	size_t num_generations;
	struct why *damaged;
	size_t num_damaged;

	uint64_t presented; /* what every worker acknowledged; 0 = nothing */
	struct guard_verdict verdict;
	uint64_t candidate; /* the guard allowed it, and it waits to be presented; 0 = none */
	struct backoff retry;
	int64_t look_at_ms; /* the next look, on the loop's clock */
	uint32_t ttl_s; /* of the last answer */
	struct guard_call *call; /* a look under way */
	void *owner;
};

struct keeper {
	struct store *store;
	size_t num;
	struct identity **items; /* in the configuration's order: the first is the default */
};

/* keeper_open opens the key store of `state_dir`. Errors as store_open. */
enum ec keeper_open(struct keeper *k, const char *state_dir, struct why *why) MUST_CHECK;
void keeper_close(struct keeper *k);

/* keeper_find returns NULL when there is none; without case, a last dot ignored. */
struct identity *keeper_find(const struct keeper *k, const char *name);

/* identity_new reads an identity from disk, without putting it into the keeper,
 * and makes its first generation when there is none at all: a key and a
 * self-signed certificate, or the files of issuer `files`. `settings` is borrowed.
 * Errors as store_view_new, store_create, import_read. */
enum ec identity_new(struct keeper *k, const struct config_identity *settings, struct wall now, struct identity **out,
                     struct why *why) MUST_CHECK;
void identity_free(struct identity *id);

const struct generation *identity_find(const struct identity *id, uint64_t number);
/* identity_key finds generation `number`'s key of `algorithm`, or NULL. */
const struct key_info *identity_key(const struct identity *id, uint64_t number, enum key_algorithm algorithm);

/* identity_refresh reads the disk again. On failure the view stays as it was. */
enum ec identity_refresh(struct keeper *k, struct identity *id, struct why *why) MUST_CHECK;

/* identity_prepare sets `*out_number` to the standby generation: the newest
 * above the active one, or a new one. Issuer `files` makes none: EC_MISSING then
 * says where to put the files. */
enum ec identity_prepare(struct keeper *k, struct identity *id, struct wall now, uint64_t *out_number,
                         struct why *why) MUST_CHECK;

/* identity_retire deletes a generation. EC_INVARIANT for one that is active,
 * presented or about to be; gone already is EC_OK. */
enum ec identity_retire(struct keeper *k, struct identity *id, uint64_t number, struct why *why) MUST_CHECK;

/* identity_upkeep signs anew what renewal_due says, with the same keys, and takes in
 * what issuer `files` brought.
 * `*out_changed` says that something was written, `*out_presented` that it
 * concerns the generation presented, so workers must get it. On error what could
 * be done was done. */
enum ec identity_upkeep(struct keeper *k, struct identity *id, struct wall now, bool *out_changed,
                        bool *out_presented, struct why *why) MUST_CHECK;

/* identity_newest_import returns the newest generation, for issuer `files`, when it
 * is newer than what is presented; else 0. */
uint64_t identity_newest_import(const struct identity *id);

#endif
