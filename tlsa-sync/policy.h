/* Owns:  the step from the configuration to the policy the rollover looks at.
 * Never: decides anything.
 * Spec:  danegate.yaml(5), tlsa_sync.
 * Start at: policy_of. */
#ifndef TLSA_SYNC_POLICY_H
#define TLSA_SYNC_POLICY_H

#include "config/config.h"
#include "tlsa-sync/rollover.h"

/* policy_of makes the policy of identity number `index`. Parts of a second are
 * rounded up: a wait may only grow. `blocked` is left NULL. */
struct policy policy_of(const struct config *cfg, size_t index);

#endif
