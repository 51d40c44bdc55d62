/* Owns:  changing records in DNS: one seam, and behind it the ways to do it (RFC
 *        2136 updates, a command, files that zones include). Holds what they need:
 *        the TSIG key, the command.
 * Never: repeats a change, or settles what became of one: the servers are asked.
 * Spec:  tlsa-sync(1), PUBLISHERS.
 * Start at: struct publish_change, publisher_send; a new way is a row of `kinds`. */
#ifndef TLSA_SYNC_PUBLISH_UV_H
#define TLSA_SYNC_PUBLISH_UV_H

#include <uv.h>

#include "config/config.h"
#include "dns/zone_uv.h"
#include "tlsa-sync/facts.h"

struct publisher;
struct publisher_call;

/* publisher_new makes the one that tlsa_sync.publisher names, and reads the TSIG secret
 * if it needs one. `cfg` is borrowed and has to outlive it. Without a tsig_name updates go
 * out unsigned (a primary may allow addresses). Errors as config_load_tsig, EC_SYNTAX
 * for the key's name, EC_NO_MEMORY. */
enum ec publisher_new(uv_loop_t *loop, const struct config *cfg, struct publisher **out, struct why *why) MUST_CHECK;

/* struct publish_change is one change of the records of `identity`, at the end of the
 * alias chain of `map`. Adds and deletes are exact records. `wanted` is all that DNS should hold
 * of ours afterwards: for those who can only write whole sets. Lent for the call. */
struct publish_change {
	const char *identity;
	const struct zone_map *map;
	uint32_t ttl_s;
	struct tlsa_set adds;
	struct tlsa_set deletes;
	struct tlsa_set wanted;
};

/* struct publish_result says what came of it. Lent for the callback.
 *   OUTCOME_OK       accepted; of a rehearsal: it would be, as far as can be told
 *   OUTCOME_FAILED   refused, or it could not be asked: nothing was changed
 *   OUTCOME_UNKNOWN  it may have been changed
 * `words` is never empty for a rehearsal, nor when it did not succeed. */
struct publish_result {
	enum outcome outcome;
	const char *words;
	struct slice more; /* of a rehearsal: further lines for a person, may be empty */
};

/* publisher_done gets the result, once, never from inside the call that began it. */
typedef void publisher_done(void *arg, const struct publish_result *result);

/* publisher_send makes the change. Returns EC_MISSING (no primary known), EC_INVARIANT,
 * EC_NO_MEMORY, EC_IO and whatever update_build or command_start refuse, with words; then nothing was
 * done and nothing is reported. `*out` is for publisher_cancel, valid until the
 * callback has run. */
enum ec publisher_send(struct publisher *p, const struct publish_change *change, publisher_done *done, void *arg,
                       struct publisher_call **out, struct why *why) MUST_CHECK;

/* publisher_rehearse does all of it but the change: what is wrong with the key, the
 * rights, the command or the file is found before it matters. `adds` and `deletes` may be
 * empty. Otherwise as publisher_send. */
enum ec publisher_rehearse(struct publisher *p, const struct publish_change *change, publisher_done *done, void *arg,
                           struct publisher_call **out, struct why *why) MUST_CHECK;

/* publisher_cancel: no callback; what was sent may still be applied. NULL is allowed. */
void publisher_cancel(struct publisher_call *call);

/* publisher_free: after its calls have ended or were cancelled. NULL is allowed. */
void publisher_free(struct publisher *p);

#endif
