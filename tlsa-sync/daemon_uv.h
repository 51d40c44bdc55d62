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

enum daemon_end { DAEMON_STOPPED, DAEMON_RELOAD };

/* daemon_run runs until SIGTERM or SIGINT (DAEMON_STOPPED) or until SIGHUP asked
 * for a new configuration and it was found good (DAEMON_RELOAD, with the
 * new one in `*cfg`; the old one is freed): then it is to be run again. A bad
 * new configuration is logged and the old one stays in force. Everything that
 * counts is in the journal, so an end and a new start lose nothing.
 * `path` is where the configuration came from. Returns EC_OK, or why it could not start. */
enum ec daemon_run(const char *path, struct config **cfg, enum daemon_end *out, struct why *why) MUST_CHECK;

/* For the sockets' files: what they may look at. */
struct controller_world *daemon_world(struct daemon *d);
struct wall daemon_started(const struct daemon *d);

/* daemon_find gives the index of an identity (compared without case), or of the
 * only one for NULL or "". Returns EC_MISSING or EC_NOT_FOUND with the names there are. */
enum ec daemon_find(struct daemon *d, const char *identity, size_t *out, struct why *why) MUST_CHECK;

#endif
