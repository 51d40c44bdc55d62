/* Owns:  the running tlsa-sync: one loop with the controllers, the journal, the
 *        agents, the publisher, the sockets and the signals.
 * Never: forks, or changes its user (the service manager does).
 * Spec:  tlsa-sync(1).
 * Start at: daemon_run. */
#ifndef TLSA_SYNC_DAEMON_UV_H
#define TLSA_SYNC_DAEMON_UV_H

#include "config/config.h"
#include "tlsa-sync/controller_uv.h"

struct daemon;

/* daemon_run runs until SIGTERM or SIGINT (`*out_next` is NULL then), or until
 * SIGHUP asked for a new configuration that was found good: `*out_next`, the caller's, to
 * be run instead. A bad one is logged, and the daemon runs on. Everything that counts is
 * in the journal, so an end and a new start lose nothing.
 * `path` is where to read it again; `cfg` is borrowed. Returns EC_OK, or why it could
 * not start. */
enum ec daemon_run(const char *path, const struct config *cfg, struct config **out_next, struct why *why) MUST_CHECK;

/* For the sockets' files: what they may look at. */
struct controller_world *daemon_world(struct daemon *d);
struct wall daemon_started(const struct daemon *d);

/* daemon_find gives the index of an identity (compared without case), or of the
 * only one for NULL or "". Returns EC_MISSING or EC_NOT_FOUND with the names there are. */
enum ec daemon_find(struct daemon *d, const char *identity, size_t *out, struct why *why) MUST_CHECK;

#endif
