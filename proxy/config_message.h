/* Owns:  reading the configuration in the supervisor's "config" message, which goes to workers and
 *        router alike.
 * Never: opens a file: the supervisor has read it.
 * Spec:  proxy/worker/worker_uv.h, proxy/router/router_uv.h.
 * Start at: config_message_parse. */
#ifndef PROXY_CONFIG_MESSAGE_H
#define PROXY_CONFIG_MESSAGE_H

#include <jansson.h>

#include "config/config.h"

/* config_message_parse reads the members "text" and "name" (may be missing) of `message`. `*out` is the
 * caller's. Returns EC_SYNTAX (malformed), EC_NO_MEMORY, and what config_parse does, with its first
 * complaint in `why`. */
enum ec config_message_parse(const json_t *message, struct config **out, struct why *why) MUST_CHECK;

#endif
