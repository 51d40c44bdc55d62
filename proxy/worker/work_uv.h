/* Owns:  what all sessions of a worker share: loop, settings, keys, counters,
 *        deadlines, buffers that hold nothing between two wake-ups.
 * Never: knows what a session does.
 * Spec:  –
 * Start at: struct work. */
#ifndef PROXY_WORK_UV_H
#define PROXY_WORK_UV_H

#include <uv.h>

#include "base/ec.h"
#include "base/instant.h"
#include "base/slice.h"
#include "certs/snapshot_ssl.h"
#include "config/config.h"
#include "proxy/worker/clients.h"
#include "proxy/counters.h"
#include "proxy/worker/deadlines.h"
#include "proxy/relay/dial_uv.h"
#include "proxy/relay/health.h"
#include "proxy/relay/opening_uv.h"
#include "proxy/relay/routes.h"
#include "proxy/relay/trust.h"
#include "proxy/smtp/session.h"
#include "proxy/worker/connector_ssl.h"

/* struct settings is one configuration; sessions share the one they began with. */
struct settings {
	const struct config *config;
	struct smtp_limits limits;
	struct exits exits;
	struct clients_limits clients;
	/* proxy.proxy_protocol_from and smtp.bare_newline_exempt. */
	struct network *balancers, *exempt;
	size_t num_balancers, num_exempt;
	unsigned refs;
	struct config *owned;
};

/* settings_new takes `config`; `files` as exits_new has them. Returns EC_NO_MEMORY, or what
 * exits_new says. settings_unref accepts NULL. */
enum ec settings_new(struct config *config, const json_t *files, struct settings **out, struct why *why) MUST_CHECK;
struct settings *settings_ref(struct settings *s);
void settings_unref(struct settings *s);
/* settings_balancer tells whether `peer` owes us a PROXY header; settings_exempt,
 * whether bare newlines of `client` are normalized. Both unmapped. */
bool settings_balancer(const struct settings *s, const struct sockaddr_storage *peer);
bool settings_exempt(const struct settings *s, const struct sockaddr_storage *client);

/* One read takes at most this much; the plain buffer has room for one read behind
 * what an earlier one left over. */
enum { WORK_READ = 64 << 10, WORK_PLAIN = 2 * WORK_READ + SMTP_SESSION_INPUT };
/* From this much unread input on, a session that can't use it stops reading.
 * Below, reading goes on, so that the client's end is noticed. */
enum { WORK_HELD_MAX = 16 << 10 };

struct conn;

struct work {
	uv_loop_t loop;
	struct counters *counters;
	struct census *census;
	struct settings *settings; /* of new sessions */
	struct snapshot *snapshot; /* of new handshakes; NULL until identities arrive */
	struct clients *clients;
	struct deadlines deadlines;
	uv_timer_t tick;
	struct conn *conns; /* newest first */
	size_t num_conns;
	struct routes *routes; /* of connectors with something to look up */
	struct health health;  /* of next hops */
	/* Scratch: used within one wake-up. */
	uint8_t cipher[WORK_READ];
	uint8_t plain[WORK_PLAIN];
	uint8_t from_backend[LINK_SCRATCH];
	struct bytes replies;
	uint64_t next_id;
	uint64_t next_chance; /* for the order among equal hops */
	bool draining;
	/* Something for the worker: a session ended; a connector is up or not; a transaction went
	 * through a connector for a domain, with such trust (`refused` is SMTP_R_NONE) or not. */
	void (*on_session_end)(struct work *w);
	void (*on_exit)(struct work *w, struct exit_way *way, bool up, const char *why);
	void (*on_trust)(struct work *w, const struct exit_way *way, struct slice domain, enum trust trust,
	                 enum smtp_reply_id refused);
};

/* work_init prepares all but settings, snapshot, routes and callbacks. It borrows the
 * shared memories; of `census` it writes `slot`. Returns
 * EC_NO_MEMORY, EC_IO. */
enum ec work_init(struct work *w, struct counters *counters, struct census *census, unsigned slot,
                  struct why *why) MUST_CHECK;

struct mono work_now(const struct work *w);
void work_count(struct work *w, enum counter which);
void work_count_by(struct work *w, enum counter which, int64_t by);
/* work_count_refused counts a client that was not welcome. */
void work_count_refused(struct work *w, enum clients_verdict verdict);

/* work_new_id writes 16 hex digits, different for each session of the worker and
 * not to be guessed from another worker's. */
enum { WORK_ID_SIZE = 17 };
void work_new_id(struct work *w, char out[WORK_ID_SIZE]);

/* work_route finds where a connector's mail for `domain` goes ("": it does not depend on one). Returns
 * EC_OK with `*out`, borrowed until the next call; EC_AGAIN: `found` is called once, later, unless
 * routes_cancel(*out_wait) comes first; else what exit_fixed_route and routes_want return, with words. */
enum ec work_route(struct work *w, struct exit_way *way, const char *domain, struct route **out, routes_found *found,
                   void *arg, struct routes_wait **out_wait, struct why *why) MUST_CHECK;
/* exit_opening is what all openings on `route` for connector `way` of `exits` have in common, whoever
 * opens: what the route is proven with, and who we are. work_opening adds what those of a worker have
 * in common, for connector `i` of `s`: the client, what is told of it, times and callback are left to
 * be set. */
struct opening_setup exit_opening(const struct exits *exits, const struct exit_way *way, const struct config *cfg,
                                  struct route *route);
struct opening_setup work_opening(struct work *w, const struct settings *s, size_t i, struct route *route);

/* work_saw_exit notes what connector `i` of `s` offers, seen just now; work_missed_exit, that
 * none of its hops could be used. */
void work_saw_exit(struct work *w, struct settings *s, size_t i, const struct smtp_caps *caps);
void work_missed_exit(struct work *w, struct settings *s, size_t i, const char *why);
/* work_trust notes how a transaction for `domain` went through `way`. */
void work_trust(struct work *w, const struct exit_way *way, struct slice domain, enum trust trust,
                enum smtp_reply_id refused);

/* work_watch makes `d` fire at `at`; work_unwatch undoes it. */
void work_watch(struct work *w, struct deadline *d, struct mono at);
void work_unwatch(struct work *w, struct deadline *d);

#endif
