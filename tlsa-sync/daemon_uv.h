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
enum ec daemon_run(const char *path, const struct config *cfg, bool again, struct config **out_next,
                   struct why *why) MUST_CHECK;

/* daemon_look is for a command where no daemon runs: the journal is read and let go, every
 * server and instance is asked once, `r` is answered; nothing is changed. `*out` is a new
 * reference. Returns the errors of journal_open, EC_NO_MEMORY. */
struct request;
enum ec daemon_look(const struct config *cfg, const struct request *r, json_t **out, struct why *why) MUST_CHECK;

/* struct daemon_job is work done in the foreground. After one look at everything `request`
 * is carried out and `answered` gets what came of it; with DAEMON_AGAIN once more,
 * the request having been changed. Then `tick` gets the answer to a `roll` request several
 * times a second, until it returns true. Answers are lent. */
enum daemon_next { DAEMON_STOP, DAEMON_GO_ON, DAEMON_AGAIN };
struct daemon_job {
	const struct request *request;
	enum daemon_next (*answered)(void *arg, const json_t *answer);
	bool (*tick)(void *arg, const json_t *answer);
	void *arg;
};

/* daemon_drive does a daemon's work until the job is over or SIGINT or SIGTERM comes, which
 * sets `*out_interrupted`. It holds the journal, so no daemon starts meanwhile,
 * and serves the sockets where it can make them. Returns EC_OK, or why it could not start. */
enum ec daemon_drive(const struct config *cfg, const struct daemon_job *job, bool *out_interrupted, struct why *why) MUST_CHECK;

/* For the sockets' files: what they may look at. daemon_no_journal gives the reason, with a
 * code, while there is no journal and so nothing to tell, or EC_OK. */
enum ec daemon_no_journal(const struct daemon *d, struct why *why);
struct controller_world *daemon_world(struct daemon *d);
struct wall daemon_started(const struct daemon *d);

/* daemon_find gives the index of an identity (compared without case), or of the
 * only one for NULL or "". Returns EC_MISSING or EC_NOT_FOUND with the names there are. */
enum ec daemon_find(struct daemon *d, const char *identity, size_t *out, struct why *why) MUST_CHECK;

#endif
