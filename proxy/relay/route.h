/* Owns:  a route: what a transaction needs to know to reach the next hops of a
 *        connector, and with which proof; as a value, and as JSON between processes.
 * Never: looks anything up, connects, or reads a clock.
 * Spec:  RFC 7672 2, 3; RFC 8461 4, 5; RFC 5321 5.1.
 * Start at: struct route.
 *
 * The router answers {"route": ID, "connector": …, "domain": …} with a route (proxy/router);
 * next hops with nothing to look up get theirs from route_static, in the worker itself. */
#ifndef PROXY_ROUTE_H
#define PROXY_ROUTE_H

#include <jansson.h>
#include <sys/socket.h>

#include "base/instant.h"
#include "base/slice.h"
#include "config/config.h"
#include "proxy/smtp/reply.h"

enum {
	ROUTE_HOPS_MAX = 32,
	ROUTE_ADDRESSES_MAX = 8,
	ROUTE_NAMES_MAX = 3,
	ROUTE_RECORDS_MAX = 16,
	ROUTE_RDATA_MAX = 8192,        /* octets of one record */
	ROUTE_RDATA_TOTAL = 256 << 10, /* octets of all records of a route */
	ROUTE_NAME_SIZE = 256,         /* a host name and a NUL */
	ROUTE_PATH_SIZE = 108,         /* sun_path */
	ROUTE_WHY_SIZE = 256,
	ROUTE_CONNECTOR_SIZE = 64,
	ROUTE_TTL_MAX_MS = 3600000
};

enum route_tls { ROUTE_TLS_NONE, ROUTE_TLS_MAY, ROUTE_TLS_MUST };

/* What the certificate must prove. ANY: nothing. DANE: one of `records`, with `names` as
 * the reference identifiers. NAMES: a chain to the connector's CA (MTA-STS: to the
 * system's store, whatever the connector says) and one of `names`. PINS: one of the
 * connector's pins. Other than ANY only with ROUTE_TLS_MUST. */
enum route_verify { ROUTE_VERIFY_ANY, ROUTE_VERIFY_DANE, ROUTE_VERIFY_NAMES, ROUTE_VERIFY_PINS };

/* The mode of the domain's MTA-STS policy, RFC 8461 3.2 and 5. NONE: no policy, mode none,
 * or MTA-STS doesn't apply. */
enum route_sts { ROUTE_STS_NONE, ROUTE_STS_TESTING, ROUTE_STS_ENFORCE };

struct route_hop {
	char name[ROUTE_NAME_SIZE]; /* host name, or the address as text; "" for a unix socket */
	uint16_t port;
	char path[ROUTE_PATH_SIZE]; /* unix socket, or "" */
	uint32_t priority;   /* of the connector's next hop; the lowest first */
	uint32_t preference; /* of the MX record, among equal priorities; else 0 */
	uint32_t weight;     /* at least 1: by chance among equals in both */
	bool mx;             /* found in DNS by the domain: may lead back to this host (RFC 5321 5.1) */
	unsigned num_addresses;
	struct sockaddr_storage addresses[ROUTE_ADDRESSES_MAX]; /* with the port */
	enum route_tls tls;
	enum route_verify verify;
	unsigned num_names;
	char names[ROUTE_NAMES_MAX][ROUTE_NAME_SIZE]; /* the first one goes into SNI, RFC 7672 8.1 */
	unsigned num_records;
	struct slice records[ROUTE_RECORDS_MAX]; /* rdata of the usable TLSA records; owned by the route */
	bool sts;        /* verified for MTA-STS: a failure is SMTP_R_HOP_STS */
	bool sts_listed; /* the policy (enforce or testing) names this host */
	enum smtp_reply_id refused; /* SMTP_R_NONE: may be tried; else why not, and no addresses */
	char why[ROUTE_WHY_SIZE];   /* words, printable ASCII; "" unless refused */
};

/* struct route is shared: it does not change once it is made. With `refused` there
 * are no hops. `hops` are in the order of (priority, preference). */
struct route {
	unsigned shares;
	int64_t ttl_ms; /* 1 to ROUTE_TTL_MAX_MS, from when it was received */
	enum smtp_reply_id refused; /* SMTP_R_NONE, or the answer to every recipient */
	char why[ROUTE_WHY_SIZE];
	enum route_sts sts_mode;
	unsigned num_hops;
	struct route_hop *hops;
	uint8_t *rdata; /* what the records point into */
};

/* route_share takes another share and returns `r`; route_free gives one back and
 * frees with the last. NULL is allowed in route_free. */
struct route *route_share(struct route *r);
void route_free(struct route *r);

/* struct route_question is what a worker asks the router. */
struct route_question {
	uint64_t id;
	char connector[ROUTE_CONNECTOR_SIZE];
	char domain[ROUTE_NAME_SIZE]; /* "" when the route does not depend on it */
};

/* route_question_json returns a new JSON object, or NULL without memory.
 * route_question_parse reads one; other members are passed over. Returns EC_SYNTAX (a
 * member is missing or of the wrong type, a text is not printable ASCII), EC_LIMIT. */
json_t *route_question_json(const struct route_question *q);
enum ec route_question_parse(const json_t *json, struct route_question *out, struct why *why) MUST_CHECK;

/* route_json returns the answer to question `id` as a new JSON object, or NULL without memory. */
json_t *route_json(const struct route *r, uint64_t id);

/* route_answer_id reads the number of the question that an answer, good or bad, is for.
 * Returns EC_SYNTAX. */
enum ec route_answer_id(const json_t *json, uint64_t *out_id) MUST_CHECK;

/* route_parse reads an answer; `*out` is the caller's share. It is believed whole or not at
 * all. Returns EC_SYNTAX (a member is missing, of the wrong type, or contradicts another),
 * EC_LIMIT (more or longer than the bounds above), EC_NO_MEMORY. Members it does not know are
 * passed over. */
enum ec route_parse(const json_t *json, struct route **out, struct why *why) MUST_CHECK;

/* struct route_modes is what a connector demands at one moment: see config/connector.h. */
struct route_modes {
	enum config_hop_tls tls;
	enum config_dane dane;
	enum config_mta_sts mta_sts;
	struct wall until; /* the end of the exceptions in force; 0 = none are */
};
struct route_modes route_modes_at(const struct config_connector *c, struct wall now);

/* route_is_static: none of the connector's next hops needs a look-up. route_is_per_domain: the
 * route depends on the recipient's domain (`mx`). */
bool route_is_static(const struct config_connector *c);
bool route_is_per_domain(const struct config_connector *c);

/* route_static makes the route of a connector for which route_is_static holds; it is good until
 * `ttl_ms` has passed (the end of an exception changes it). `*out` is the caller's share.
 * With `dane: mandatory` every hop is refused: an address has no TLSA records. Returns EC_UNSUPPORTED
 * (route_is_static does not hold), EC_LIMIT (over ROUTE_HOPS_MAX next hops), EC_SYNTAX (not an
 * address), EC_NO_MEMORY. */
enum ec route_static(const struct config_connector *c, struct wall now, struct route **out, struct why *why) MUST_CHECK;

/* route_refused tells whether no hop may be tried, and with which reply: the route's own, or of its hops'
 * the first that says "later", or else the first. SMTP_R_NONE: some hop may be tried. `*out_why` (may be
 * NULL) is borrowed from `r`. */
enum smtp_reply_id route_refused(const struct route *r, const char **out_why);

/* route_refusal makes a route that is refused as a whole. Returns EC_NO_MEMORY. */
enum ec route_refusal(enum smtp_reply_id refused, const char *why, int64_t ttl_ms, struct route **out) MUST_CHECK;

/* --- for those that make routes --- */

/* route_make makes one with `num_hops` zeroed hops (weight 1) and room for `rdata_len` octets, for
 * its maker to fill before anybody else sees it; `*out` is the caller's share. Returns EC_LIMIT, EC_NO_MEMORY. */
enum ec route_make(size_t num_hops, size_t rdata_len, struct route **out) MUST_CHECK;

/* route_hop_demand sets what the connector asks of a hop for which neither DANE nor MTA-STS says
 * anything: TLS or not, and with `tls: require` pins or else a name. hop->name is set already. */
void route_hop_demand(const struct config_connector *c, const struct route_modes *modes, struct route_hop *hop);

/* route_hop_refuse marks a hop as one that must not be tried, and takes its addresses away. */
void route_hop_refuse(struct route_hop *hop, enum smtp_reply_id refused, const char *why);

/* route_hop_order copies priority and weight, as much as a hop holds. */
void route_hop_order(const struct config_next_hop *next, struct route_hop *hop);

/* route_hop_static fills a zeroed hop from a next hop that needs no look-up. Returns EC_SYNTAX. */
enum ec route_hop_static(const struct config_connector *c, const struct route_modes *modes,
                         const struct config_next_hop *next, struct route_hop *hop, struct why *why) MUST_CHECK;

/* route_next_is_static: that next hop needs no look-up. */
bool route_next_is_static(const struct config_next_hop *next);

/* route_sort puts the hops into their order; equal ones keep theirs. */
void route_sort(struct route *r);

/* route_ttl is `ttl_ms` within the bounds, and no longer than until the end of an exception. */
int64_t route_ttl(const struct route_modes *modes, struct wall now, int64_t ttl_ms);

/* The words of JSON, static: "may", "dane", "enforce", "HOP_DNS". */
const char *route_tls_name(enum route_tls tls);
const char *route_verify_name(enum route_verify verify);
const char *route_sts_name(enum route_sts sts);
const char *route_refused_name(enum smtp_reply_id id);

#endif
