/* Owns:  one presentation: which generation of each identity, their keys from the
 *        disk to every worker, and the durable fact that follows.
 * Never: asks the pin guard: whoever calls has done that. Keeps no key.
 * Spec:  worker_uv.h ("identities").
 * Start at: present_run. */
#ifndef PROXY_PRESENT_UV_H
#define PROXY_PRESENT_UV_H

#include "proxy/super/supervisor_uv.h"

/* struct present_set says what becomes of the identities that it names; what it does not
 * name stays as it is. `standard` will be the default one. All is borrowed; the arrays
 * are its own. */
struct present_set {
	struct identity *standard;
	size_t num;
	struct identity **ids;
	uint64_t *numbers;
	size_t num_gone; /* no longer presented */
	const char **gone;
};

/* present_set_new makes room for `num` identities and `num_gone` names. End it with
 * present_fini. EC_NO_MEMORY. */
enum ec present_set_new(struct identity *standard, size_t num, size_t num_gone, struct present_set *out) MUST_CHECK;
void present_put(struct present_set *set, struct identity *id, uint64_t number);
void present_fini(struct present_set *set);

/* present_run reads the keys and gives them to every worker. With `strict` a
 * generation that could not be read or recorded as active is not presented, and nothing else
 * either; without, that is a mishap, and serving mail comes first: of many, some
 * are then recorded a moment later (watch_uv). It takes `set`.
 * Then `done` gets EC_OK, with `presented` and `active` of each identity up
 * to date and candidates cleared; or an error, and nothing has changed; without `strict`
 * candidates are cleared even then. It returns
 * errors of its own, and `done` is not called then: EC_MISSING (nothing for the
 * default identity), EC_NOT_FOUND, EC_CORRUPT, EC_PERMISSION, EC_NO_MEMORY.
 *
 * A crash between the last acknowledgement and the durable fact is harmless:
 * at that moment DNS pins both generations, and the next start picks the recorded
 * one if it is pinned, else one that is. */
typedef void present_done(void *arg, enum ec ec, const struct why *why);
enum ec present_run(struct supervisor *s, struct present_set *set, bool strict, present_done *done, void *arg,
                    struct why *why) MUST_CHECK;

#endif
