/* Owns:  the swap: presenting another generation of one identity, on request.
 * Never: without a fresh, validated answer from DNS that pins it, or that nobody
 *        pins us; never half: all workers or none.
 * Spec:  RFC 7671 8.1, RFC 7672 2.2.
 * Start at: swap_run. */
#ifndef PROXY_SWAP_UV_H
#define PROXY_SWAP_UV_H

#include <stdint.h>

#include "base/ec.h"

struct supervisor;

/* swap_done gets the outcome, once, perhaps before swap_run returns:
 *   EC_OK            every worker presents it, and it is recorded as active
 *   EC_NOT_FOUND     no such identity, or generation on disk
 *   EC_BUSY          another change is under way: `why` says which
 *   EC_PIN_MISMATCH, EC_PIN_UNPROVEN   the pin guard refuses: the old key stays
 *   others           as present_run and crew_present: the old key stays
 * `why` has words in every case. */
typedef void swap_done(void *arg, enum ec ec, const struct why *why);

/* swap_run presents generation `number` of `identity`. Idempotent: if it is
 * presented already nothing is done. A retired generation still on disk will do
 * as well (rollback). */
void swap_run(struct supervisor *s, const char *identity, uint64_t number, swap_done *done, void *arg);

#endif
