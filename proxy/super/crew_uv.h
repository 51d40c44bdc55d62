/* Owns:  the worker processes: starting them, starting them anew, what every one
 *        of them must hold (configuration, keys, listening or not), the
 *        acknowledgements, and the end.
 * Never: reads the key store, looks into DNS, or decides what to present.
 * Spec:  worker_uv.h has the messages.
 * Start at: crew_new, crew_present. */
#ifndef PROXY_CREW_UV_H
#define PROXY_CREW_UV_H

#include <jansson.h>
#include <uv.h>

#include "base/ec.h"
#include "base/instant.h"
#include "base/slice.h"
#include "proxy/counters.h"
#include "proxy/listen_fs.h"
#include "proxy/super/feed.h"

struct crew;

/* struct crew_events: on_mishap gets what `show errors` should list; on_message a
 * line from a worker that crew itself has no use for, borrowed. */
struct crew_events {
	void (*on_mishap)(void *arg, const char *what, const char *where, const char *why);
	void (*on_message)(void *arg, unsigned worker, json_t *message);
};

/* crew_new takes `listeners` (one set per worker) and makes the counter pages.
 * No process is started yet. Returns EC_NO_MEMORY, EC_IO; the listeners are
 * closed then. */
enum ec crew_new(uv_loop_t *loop, struct listeners *listeners, struct crew_events events, void *arg, struct crew **out,
                 struct why *why) MUST_CHECK;

/* crew_configure sets the configuration text that every worker gets, running ones
 * now, later ones when they start, and with it the CA files (trust_files_fs.h), which it takes. Copies
 * the rest. `done` (may be NULL) is called once, perhaps
 * inside: EC_OK when every running worker goes by it; else EC_TIMEOUT, EC_IO (one could not
 * take it, `why` has its words), EC_CANCELLED (crew_drain), EC_BUSY (a newer text came).
 * Returns EC_NO_MEMORY, and does not call `done` then. */
typedef void crew_configured(void *arg, enum ec ec, const struct why *why);
enum ec crew_configure(struct crew *c, const char *text, size_t len, const char *file_name, json_t *files, crew_configured *done,
                       void *arg) MUST_CHECK;

/* crew_drain_hop makes every worker leave a next hop alone, or use it again; workers that start
 * later too. crew_drained gives the names of those that are drained, a borrowed JSON array.
 * Returns EC_LIMIT when too many are, EC_NO_MEMORY. */
enum { CREW_DRAINED_MAX = 256 };
enum ec crew_drain_hop(struct crew *c, const char *name, bool drained) MUST_CHECK;
const json_t *crew_drained(const struct crew *c);

/* crew_send gives one worker a message (worker_uv.h), which it takes; one that is down does not
 * get it. */
void crew_send(struct crew *c, unsigned worker, json_t *message);

/* crew_start starts every worker; call it once, after crew_configure. */
void crew_start(struct crew *c);

/* struct crew_change is what becomes of the identities: `parcels` are added, or take
 * the place of those of the same name; `gone` are taken away; `standard` is the name
 * of the default one, and `seed` (SNAPSHOT_SEED_SIZE octets) stays the same for life.
 * All is borrowed for the call. */
struct crew_change {
	const uint8_t *seed;
	const char *standard;
	struct parcel *const *parcels;
	size_t num_parcels;
	const char *const *gone;
	size_t num_gone;
};

/* crew_present brings a change to every worker; what it does not name is neither sent
 * nor looked at. Returns EC_NO_MEMORY, and nothing has happened then.
 * When every running worker has acknowledged, `commit` (may be NULL) makes the
 * change durable; then `done` gets EC_OK. In every other case nothing has
 * changed: the workers were given what they had before, and one that acknowledges
 * neither is ended, so that no process can present what was not agreed. `done`
 * then gets EC_TIMEOUT (a worker made no progress), EC_TLS (a worker could not take it:
 * see `why`), EC_CANCELLED (crew_drain), or what `commit` returned; once, and perhaps before
 * crew_present returns when no worker runs. One at a time. */
typedef enum ec crew_commit(void *arg, struct why *why);
typedef void crew_presented(void *arg, enum ec ec, const struct why *why);
enum ec crew_present(struct crew *c, const struct crew_change *change, crew_commit *commit, crew_presented *done,
                     void *arg) MUST_CHECK;
uint64_t crew_epoch(const struct crew *c);

/* crew_listen makes every worker accept sessions, now and after each restart. */
void crew_listen(struct crew *c);
bool crew_listening(const struct crew *c);

/* crew_sessions asks every worker for its sessions; `done` (perhaps called inside) gets a borrowed array,
 * how many sessions were left out, and how many workers did not answer in time. */
typedef void crew_listed(void *arg, json_t *list, uint64_t more, unsigned silent);
void crew_sessions(struct crew *c, crew_listed *done, void *arg);

/* struct crew_member is one worker as `show info` shows it; borrowed. */
struct crew_member {
	int64_t pid; /* 0 = down */
	uint64_t restarts;
	struct wall since;
	bool acknowledged;
	bool begun; /* it has taken keys: before that its page holds the gauges of its predecessor */
	const struct counters *page;
	const char *why;
};
unsigned crew_num(const struct crew *c);
struct crew_member crew_at(const struct crew *c, unsigned i);

/* crew_drain closes the listeners, lets workers finish what they do and ends
 * those that need longer than `timeout_ms`. `done` is called when all are gone, perhaps inside.
 * A second call ends all of them at once. */
void crew_drain(struct crew *c, int64_t timeout_ms, void (*done)(void *arg), void *arg);

/* crew_free frees after crew_drain's `done`, or a crew that was never started;
 * handles are closed as the loop runs on. NULL is accepted. */
void crew_free(struct crew *c);

#endif
