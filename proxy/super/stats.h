/* Owns:  what the stats and control sockets show, from plain values: text for
 *        people, JSON for programs, OpenMetrics for collectors.
 * Never: gathers a value, reads a clock, or knows a socket.
 * Spec:  OpenMetrics 1.0 (metrics); the control protocol's "report".
 * Start at: struct stats_identity. */
#ifndef PROXY_STATS_H
#define PROXY_STATS_H

#include <jansson.h>

#include "proxy/counters.h"
#include "proxy/super/guard.h"
#include "base/mishaps.h"

/* Everything is borrowed for the call. Functions that return json_t give the
 * caller a new reference, NULL when out of memory; functions that append to
 * `out` return EC_NO_MEMORY. */

struct stats_worker {
	unsigned number;
	int64_t pid; /* 0 = not running */
	uint64_t restarts;
	struct wall since; /* running since, or down since */
	bool acknowledged; /* it presents what all should */
	bool begun; /* its page holds its own gauges, not those of a predecessor that crashed */
	const struct counters *page;
	const char *why; /* down: why, and when it comes back */
};

/* struct stats_router is the process that looks next hops up. */
struct stats_router {
	bool wanted; /* a connector needs it; else it does not run and is not shown */
	int64_t pid; /* 0 = down */
	uint64_t restarts;
	struct wall since;
	unsigned open; /* questions under way */
};

struct stats_info {
	const char *version;
	const char *instance;
	int64_t pid;
	struct wall now;
	struct wall since;
	struct wall reloaded; /* zero = never */
	const char *config_file;
	const char *state; /* "serving", "waiting", "draining" */
	const char *state_why;
	const char *change; /* the change under way, or "" */
	const char *const *listen;
	size_t num_listen;
	const char *backend; /* address */
	const char *backend_state; /* "up", "down: …", "not asked yet" */
	const struct stats_worker *workers;
	size_t num_workers;
	struct stats_router router;
	uint64_t epoch;
	size_t num_identities;
	size_t num_allowed;
	uint64_t num_errors;
};

enum ec stats_info_text(const struct stats_info *i, struct bytes *out) MUST_CHECK;
json_t *stats_info_json(const struct stats_info *i);

struct stats_identity {
	const char *name;
	bool is_default;
	uint64_t active; /* the durable fact; 0 = none */
	uint64_t presented; /* what every worker acknowledged; 0 = nothing yet */
	const struct guard_verdict *verdict;
	struct wall next_look;
	const struct generation *generations;
	size_t num_generations;
	const struct why *damaged; /* one text per damaged generation */
	size_t num_damaged;
};

/* One at a time, for there may be very many. */
enum ec stats_identity_text(const struct stats_identity *id, struct wall now, struct bytes *out) MUST_CHECK;
json_t *stats_identity_json(const struct stats_identity *id);

/* stats_generation_json is one generation as the control protocol shows it. */
json_t *stats_generation_json(const struct generation *g);

/* stats_sessions_text prints what the workers listed: an array of objects with
 * id, worker, client, age_s, state, tls, cipher, sni, helo, messages. Members that
 * are missing or of another type print as "-"; control octets never reach the
 * terminal. `more` counts sessions that were left out, `silent` workers that did
 * not answer in time. */
enum ec stats_sessions_text(json_t *list, uint64_t more, unsigned silent, struct bytes *out) MUST_CHECK;

enum ec stats_errors_text(const struct mishaps *m, struct bytes *out) MUST_CHECK;
json_t *stats_errors_json(const struct mishaps *m);

/* One OpenMetrics exposition is: the head; for each of STATS_FAMILIES its own line and then those
 * of every identity; and the end. */
enum { STATS_FAMILIES = 4 };
enum ec stats_metrics_head(const struct stats_info *i, struct bytes *out) MUST_CHECK;
enum ec stats_metrics_family(unsigned family, struct bytes *out) MUST_CHECK;
enum ec stats_metrics_identity(unsigned family, const struct stats_identity *id, struct bytes *out) MUST_CHECK;
enum ec stats_metrics_end(struct bytes *out) MUST_CHECK;
json_t *stats_metrics_json(const struct stats_info *i);

/* stats_age writes "3d04h", "2h05m", "17s": how long ago. */
enum { STATS_AGE_SIZE = 24 };
void stats_age(char out[STATS_AGE_SIZE], int64_t seconds);

/* enum stats_command is what a line asks for. */
enum stats_command {
	STATS_HELP,
	STATS_INFO,
	STATS_IDENTITIES,
	STATS_SESSIONS,
	STATS_ERRORS,
	STATS_CONNECTORS,
	STATS_REPORT,
	STATS_METRICS,
	STATS_NUM
};

/* stats_parse reads a line: an optional "json", then the command's words; blanks
 * around and case do not matter. Returns EC_UNKNOWN_KEY with words that name what
 * there is. */
enum ec stats_parse(struct slice line, enum stats_command *out, bool *out_json, struct why *why) MUST_CHECK;

/* stats_help returns the text of `help`, one line per command; static. */
const char *stats_help(void);

#endif
