/* Owns:  what the supervisor knows of the connectors: what is in force for each, whether
 *        it is up, how transactions went; and how that is shown.
 * Never: asks for it, reads a clock, or knows a socket.
 * Spec:  danegate(8), show connectors, report; OpenMetrics 1.0.
 * Start at: struct exits_state. */
#ifndef PROXY_EXITS_STATE_H
#define PROXY_EXITS_STATE_H

#include <jansson.h>

#include "config/config.h"
#include "proxy/relay/ledger.h"

/* What the workers said about one connector last. */
struct exit_said {
	char name[ROUTE_CONNECTOR_SIZE];
	bool known, up;
	struct why why;    /* down: why */
	char offers[256];  /* up: EHLO keywords */
};

struct exits_state {
	struct exit_said *items;
	size_t num;
	struct ledger ledger; /* since the start */
};

/* exits_state_set makes room for the connectors of `cfg`; those that were there already keep
 * what was said. Returns EC_NO_MEMORY, with everything as it was. */
enum ec exits_state_set(struct exits_state *s, const struct config *cfg) MUST_CHECK;
void exits_state_fini(struct exits_state *s);

/* exits_state_note takes the "backend" object of a worker's message; see worker_uv.h. Returns what was
 * noted, or NULL if it names no connector of ours. */
const struct exit_said *exits_state_note(struct exits_state *s, const json_t *backend);

/* exits_summary writes "up", "down: …", "not asked yet", or of several "2 up, store down: …". */
void exits_summary(const struct exits_state *s, struct writer *w);

/* exits_expired calls `tell` for each connector whose exception is over at `now`. */
typedef void exits_tell(void *arg, const struct config_connector *c, const char *words);
void exits_expired(const struct config *cfg, struct wall now, exits_tell *tell, void *arg);

/* What `show connectors` and `report` say, as text (appended; EC_NO_MEMORY) and JSON (a new
 * reference, NULL without memory). `drained` is a JSON array of hop names. The report has one row
 * for each connector and domain, the weakest link first: nothing gets through, then the least trust. */
enum ec exits_text(const struct exits_state *s, const struct config *cfg, const json_t *drained, struct wall now,
                   struct bytes *out) MUST_CHECK;
json_t *exits_json(const struct exits_state *s, const struct config *cfg, const json_t *drained, struct wall now);
enum ec exits_report_text(const struct exits_state *s, struct wall since, struct bytes *out) MUST_CHECK;
json_t *exits_report_json(const struct exits_state *s, struct wall since);

/* exits_metrics appends counts by connector: danegate_connector_transactions_total by trust and
 * danegate_connector_refusals_total by reason. EC_NO_MEMORY. */
enum ec exits_metrics(const struct exits_state *s, struct bytes *out) MUST_CHECK;

#endif
