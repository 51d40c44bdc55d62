/* Owns:  the supervisor process: what it is made of, its start, its end.
 * Never: speaks SMTP or TLS, or holds a DNS credential.
 * Spec:  danegate(8).
 * Start at: supervisor_run.
 *
 * Order at start: configuration, ports (as root), the user, key store, sockets,
 * workers; then the pin guard looks into DNS for each identity, the workers get
 * the keys it allowed, and only when all of them hold the default identity's keys
 * do they listen. Until then senders find a closed port and come back. */
#ifndef PROXY_SUPERVISOR_UV_H
#define PROXY_SUPERVISOR_UV_H

#include <uv.h>

#include "base/wire_uv.h"
#include "certs/snapshot_ssl.h"
#include "config/config.h"
#include "proxy/super/crew_uv.h"
#include "proxy/super/exits_state.h"
#include "proxy/super/guard_uv.h"
#include "proxy/super/keeper_fs.h"
#include "base/mishaps.h"
#include "proxy/super/watch_uv.h"

struct client;
struct ways;
struct asker;

enum { CHANGE_SIZE = 320 };

/* struct supervisor is shared by the modules of this process; each member says
 * who writes it. All run on the one loop. */
struct supervisor {
	uv_loop_t loop;
	const char *config_path;
	struct config *cfg; /* reload_uv */
	struct keeper keeper; /* reload_uv; each identity: see keeper_fs.h */
	struct guard *guard; /* reload_uv */
	struct crew *crew;
	struct ways *ways; /* the router, and the questions of workers to it */
	struct watch watch; /* watch_uv */
	struct mishaps mishaps; /* supervisor_mishap */
	uint8_t seed[SNAPSHOT_SEED_SIZE]; /* of the workers' session ticket keys */
	struct wall since;
	struct wall reloaded;
	char change[CHANGE_SIZE]; /* the change under way in words, or ""; change_begin */
	bool reload_wanted; /* SIGHUP came while another change was under way */
	struct exits_state exits; /* what the workers say about the connectors */
	uv_timer_t exceptions; /* looks for those that are over */
	bool draining;
	struct wire_listener *control; /* control_uv */
	struct client *clients;
	struct wire_listener *stats; /* stats_uv */
	struct asker *askers;
	uv_signal_t signals[3];
	unsigned num_signals;
};

/* supervisor_run starts the daemon with the configuration at `path` and returns
 * when it has ended: 0 after a drain, 2 for a configuration with errors (all
 * printed), 1 when it could not start. */
int supervisor_run(const char *path);

/* supervisor_mishap logs an error and keeps it for `show errors`. Something that
 * repeats is logged once. `where` may be NULL. */
void supervisor_mishap(struct supervisor *s, const char *what, const char *where, const char *why);

/* supervisor_now is the wall clock. */
struct wall supervisor_now(void);

/* supervisor_configure gives the workers the settings in force, and `files`, which it takes;
 * see crew_configure. */
enum ec supervisor_configure(struct supervisor *s, json_t *files, crew_configured *done, void *arg) MUST_CHECK;

/* change_begin marks that a change is under way, in words, or returns EC_BUSY (the
 * words say which) or EC_CANCELLED (stopping). change_end ends it and starts what
 * has been waiting for that. */
enum ec change_begin(struct supervisor *s, struct why *why, const char *format, ...)
	__attribute__((format(printf, 3, 4))) MUST_CHECK;
void change_end(struct supervisor *s);

/* supervisor_stop drains and ends; a second call does not wait for sessions. */
void supervisor_stop(struct supervisor *s);

#endif
