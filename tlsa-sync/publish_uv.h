/* Owns:  writing records into the zone: RFC 2136 updates to the primary, signed
 *        with the TSIG key, which it holds.
 * Never: repeats an update, or settles what became of one: the servers are asked.
 * Spec:  RFC 2136, RFC 8945.
 * Start at: publisher_send. */
#ifndef TLSA_SYNC_PUBLISH_UV_H
#define TLSA_SYNC_PUBLISH_UV_H

#include <uv.h>

#include "config/config.h"
#include "dns/zone_uv.h"
#include "tlsa-sync/facts.h"

struct publisher;
struct publisher_call;

/* publisher_new reads the TSIG secret named in `cfg`, which is borrowed and has to
 * outlive it. Without a tsig_name updates go out unsigned (a primary may
 * allow addresses). Errors as config_load_tsig, EC_SYNTAX for the key's name. */
enum ec publisher_new(uv_loop_t *loop, const struct config *cfg, struct publisher **out, struct why *why) MUST_CHECK;

/* publisher_done gets the outcome, once, never from inside publisher_send:
 *   OUTCOME_OK       the primary accepted it
 *   OUTCOME_FAILED   it refused, or could not be reached, with words
 *   OUTCOME_UNKNOWN  it went out and no credible answer came back, with words */
typedef void publisher_done(void *arg, enum outcome outcome, const struct why *why);

/* publisher_send adds and deletes exact records at the end of the alias chain of
 * `map`. Where the server is not configured, the addresses of the SOA's MNAME are
 * tried in turn until one can be reached. One at a time per call object.
 * Returns EC_MISSING (no primary known), EC_INVARIANT, EC_NO_MEMORY, EC_IO and
 * whatever update_build refuses; then nothing was sent and nothing is reported.
 * `*out` is for publisher_cancel, valid until the callback has run. */
enum ec publisher_send(struct publisher *p, const struct zone_map *map, uint32_t ttl_s, const struct tlsa_set *adds,
                       const struct tlsa_set *deletes, publisher_done *done, void *arg, struct publisher_call **out,
                       struct why *why) MUST_CHECK;

/* publisher_cancel: no callback; what was sent may still be applied. NULL is allowed. */
void publisher_cancel(struct publisher_call *call);

/* publisher_free: after its calls have ended or were cancelled. NULL is allowed. */
void publisher_free(struct publisher *p);

#endif
