/* Owns:  the supervisor's view of its identities: settings, the generations on
 *        disk, what is presented, and the pin guard's last verdict.
 * Never: decides what is presented; keeps a private key in memory.
 * Spec:  certs/store_fs.h (the disk), design of generations.
 * Start at: struct identity. */
#ifndef PROXY_KEEPER_FS_H
#define PROXY_KEEPER_FS_H

#include "base/names.h"
#include "certs/store_fs.h"
#include "config/config.h"
#include "proxy/super/agenda.h"
#include "proxy/super/backoff.h"
#include "proxy/super/guard.h"

struct guard_call;

/* struct identity: the keeper writes the first group from configuration and
 * disk, `swap_uv`, `reload_uv` and `watch_uv` the second. There may be very many: what
 * is rare or large is not held in it. */
struct identity {
	struct names_item item; /* in the keeper's index */
	char *name; /* lower case, no dot at the end */
	const struct config_identity *settings; /* of the configuration in force */
	bool read; /* from disk: else nothing is known of it yet, and nothing may be changed */
	uint64_t active; /* the durable fact */
	uint64_t last;
	struct bytes packed; /* what is on disk, rising: identity_generations */
	size_t num_generations;
	struct why *damaged;
	size_t num_damaged;

	uint64_t presented; /* what every worker acknowledged; 0 = nothing */
	struct guard_verdict verdict;
	uint64_t candidate; /* the guard allowed it, and it waits to be presented; 0 = none */
	bool renewed; /* what is presented has another certificate: workers must get it */
	struct identity *before_waiting, *after_waiting; /* watch_uv: those with something to present */
	bool waiting;
	bool kept; /* reload_uv: the configuration being read has it, too */
	struct backoff retry;
	struct agenda_item look; /* the next one, on the loop's clock */
	uint32_t ttl_s; /* of the last answer */
	struct guard_call *call; /* a look under way */
	void *owner;
};

struct keeper {
	struct store *store;
	size_t num;
	struct identity **items; /* in the configuration's order: the first is the default */
	struct names index;
};

/* keeper_open opens the key store of `state_dir`. Errors as store_open. */
enum ec keeper_open(struct keeper *k, const char *state_dir, struct why *why) MUST_CHECK;
void keeper_close(struct keeper *k);

/* keeper_find returns NULL when there is none; without case, a last dot ignored. */
struct identity *keeper_find(const struct keeper *k, const char *name);

/* keeper_index makes the index of `items`. Returns EC_NO_MEMORY. */
enum ec keeper_index(struct identity *const *items, size_t num, struct names *out) MUST_CHECK;

/* identity_new makes one that has not been read from disk, without putting it into the
 * keeper. `settings` is borrowed. EC_NO_MEMORY. */
enum ec identity_new(const struct config_identity *settings, struct identity **out, struct why *why) MUST_CHECK;
void identity_free(struct identity *id);

/* identity_read reads it from disk, if that was not done, and makes the first generation if
 * there is none at all: a key and a self-signed certificate, or the files of issuer
 * `files`. Errors as store_view_new, store_create, import_read. */
enum ec identity_read(struct keeper *k, struct identity *id, struct wall now, struct why *why) MUST_CHECK;

/* So many new identities, the default one first, are read before a start or a reload
 * goes on, and fail it if they can't be; the others while mail is served (watch_uv). */
enum { KEEPER_READ_NOW = 32 };

/* identity_generations returns all of them, rising, in memory that the caller frees;
 * NULL when there are none, or no memory. */
struct generation *identity_generations(const struct identity *id);
/* identity_find sets `*out` to generation `number`; false when it is not there. */
bool identity_find(const struct identity *id, uint64_t number, struct generation *out);

/* identity_note_active takes note of what store_set_active has recorded. */
void identity_note_active(struct identity *id, uint64_t number);

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
