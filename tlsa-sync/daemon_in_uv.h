/* Owns:  what the daemon, and a command that does without one, share: the one object,
 *        and how it is made and ended.
 * Never: is included by anything but daemon_uv.c and daemon_alone_uv.c.
 * Spec:  –
 * Start at: struct daemon. */
#ifndef TLSA_SYNC_DAEMON_IN_UV_H
#define TLSA_SYNC_DAEMON_IN_UV_H

#include "base/wire_uv.h"
#include "tlsa-sync/daemon_uv.h"

enum { DAEMON_SIGNALS = 3 };

struct client;

struct daemon {
	uv_loop_t loop;
	const char *path; /* of the configuration; NULL: it can't be read again */
	const struct config *cfg;
	struct controller_world world;
	struct mishaps mishaps;
	struct wire_listener *control;
	struct wire_listener *stats;
	uv_signal_t signals[DAEMON_SIGNALS];
	struct client *clients;
	struct wall started;
	struct config *next; /* the configuration to go on with */
	bool interrupted;    /* SIGINT or SIGTERM came */
	struct why no_journal; /* why the journal can't be used; empty: it can */
	enum ec no_journal_ec;
	uv_timer_t retry;    /* while it can't */
	enum ec ended;       /* why it gave up later; EC_OK: it did not */
	struct why ended_why;
};

/* daemon_make makes an object with its loop, and nothing in it. EC_NO_MEMORY. */
enum ec daemon_make(const struct config *cfg, struct daemon **out, struct why *why) MUST_CHECK;

/* The parts, in the order in which they are made. daemon_open_publisher, with the
 * teller of events, may be left out by who changes nothing, daemon_open_sockets and daemon_open_signals by who needs none. */
enum ec daemon_open_journal(struct daemon *d, struct why *why) MUST_CHECK;
enum ec daemon_open_publisher(struct daemon *d, struct why *why) MUST_CHECK;
enum ec daemon_open_controllers(struct daemon *d, struct why *why) MUST_CHECK;
enum ec daemon_open_sockets(struct daemon *d, struct why *why) MUST_CHECK;
void daemon_open_signals(struct daemon *d);

/* daemon_end closes whatever there is, in reverse, lets the loop run until every
 * handle has closed, and frees `d`. */
void daemon_end(struct daemon *d);

#endif
