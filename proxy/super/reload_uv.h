/* Owns:  the reload: another configuration for the running daemon, whole or not
 *        at all.
 * Never: leaves the running configuration half changed.
 * Spec:  danegate.yaml(5) says which settings need a restart.
 * Start at: reload_run. */
#ifndef PROXY_RELOAD_UV_H
#define PROXY_RELOAD_UV_H

#include <jansson.h>

#include "base/ec.h"

struct supervisor;

/* reload_done gets the outcome, once, perhaps before reload_run returns. `details`
 * (borrowed) is an array of texts: the settings that changed, or, on error,
 * every complaint (`file:line:col: key: …`). Errors: those of config_load,
 * EC_UNSUPPORTED (settings that need a restart, by name), EC_BUSY, EC_PIN_MISMATCH and
 * EC_PIN_UNPROVEN (the key of a new default identity), and those of identity_new, guard_new and
 * present_run. */
typedef void reload_done(void *arg, enum ec ec, const struct why *why, json_t *details);

/* reload_run reads the file anew, checks all of it, makes what new identities need,
 * asks the pin guard about a new default one, gives the workers the keys and then
 * the settings. Other new identities are in force at once, and presented when
 * the pin guard allows it: `show identities` says what each waits for. */
void reload_run(struct supervisor *s, reload_done *done, void *arg);

#endif
