/* Owns:  one presentation: which generation of each identity, their keys from the
 *        disk to every worker, and the durable fact that follows.
 * Never: asks the pin guard: whoever calls has done that. Keeps no key.
 * Spec:  worker_uv.h ("identities").
 * Start at: present_run. */
#ifndef PROXY_PRESENT_UV_H
#define PROXY_PRESENT_UV_H

#include "proxy/super/supervisor_uv.h"

/* struct present_set says what to present; the first identity of `ids` is the
 * default one. Numbers of 0 are left out. */
struct present_set {
	size_t num;
	struct identity **ids;
	uint64_t *numbers;
};

/* present_current makes the set of what the keeper's identities present or are
 * about to (their candidates). End it with present_fini. EC_NO_MEMORY. */
enum ec present_current(struct supervisor *s, struct present_set *out) MUST_CHECK;
enum ec present_of(struct identity *const *ids, size_t num, struct present_set *out) MUST_CHECK;
void present_put(struct present_set *set, const struct identity *id, uint64_t number);
void present_fini(struct present_set *set);

/* present_run reads the keys and gives them to every worker. With `strict` a
 * generation that could not be recorded as active is not presented either;
 * without (at start), that is a mishap, and serving mail comes first. It takes
 * `set`. Then `done` gets EC_OK, with `presented` and `active` of each identity up
 * to date and candidates cleared; or an error, and nothing has changed. It returns
 * errors of its own, and `done` is not called then: EC_MISSING (nothing for the
 * default identity), EC_NOT_FOUND, EC_CORRUPT, EC_PERMISSION, EC_LIMIT (the keys
 * don't fit into one message), EC_NO_MEMORY.
 *
 * A crash between the last acknowledgement and the durable fact is harmless:
 * at that moment DNS pins both generations, and the next start picks the recorded
 * one if it is pinned, else one that is. */
typedef void present_done(void *arg, enum ec ec, const struct why *why);
enum ec present_run(struct supervisor *s, struct present_set *set, bool strict, present_done *done, void *arg,
                    struct why *why) MUST_CHECK;

#endif
