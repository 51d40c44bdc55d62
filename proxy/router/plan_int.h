/* Owns:  the inside of a plan, for the files that make it up: plan.c asks and hears, plan_host.c
 *        judges one host, plan_route.c writes the route.
 * Never: included by anything else.
 * Spec:  plan.h
 * Start at: struct plan. */
#ifndef PROXY_ROUTER_PLAN_INT_H
#define PROXY_ROUTER_PLAN_INT_H

#include "proxy/router/plan.h"

enum { NO_HOST = UINT16_MAX };

enum ask_kind { ASK_MX, ASK_POLICY, ASK_ADDRESS, ASK_CNAME, ASK_TLSA_FAR, ASK_TLSA_OWN };

struct ask {
	enum ask_kind kind;
	uint16_t host;
	bool given;
	bool answered;
	struct dns_name name;
	uint16_t type;
};

/* What TLSA records say about a host. */
enum host_dane { HOST_SILENT, HOST_UNUSABLE, HOST_RECORDS };

struct host {
	const struct config_next_hop *next;
	bool from_mx;
	bool dane_applies;
	uint32_t preference;
	uint16_t port;
	struct dns_name name;
	char text[ROUTE_NAME_SIZE];

	unsigned open_addresses; /* answers still to come */
	unsigned num_v4, num_v6;
	struct sockaddr_storage v4[ROUTE_ADDRESSES_MAX], v6[ROUTE_ADDRESSES_MAX];
	bool failed, bogus, insecure; /* of the address look-ups; insecure counts only with addresses */
	struct dns_name canonical;    /* where the alias chain ends */

	enum host_dane dane;
	bool tlsa_insecure;
	char base[ROUTE_NAME_SIZE]; /* the TLSA base domain */
	unsigned num_records;
	struct {
		size_t at, len;
	} records[ROUTE_RECORDS_MAX];
	struct bytes rdata;

	enum smtp_reply_id refused;
	char why[ROUTE_WHY_SIZE];
};

struct plan {
	struct plan_for who;
	struct route_modes modes;
	bool own_proof;    /* the connector has pins or a CA of its own */
	bool pins_decide;  /* and DANE is not asked, as the pins say all */
	int64_t ttl_ms;
	struct dns_name domain;
	char domain_text[ROUTE_NAME_SIZE];
	char alias_text[ROUTE_NAME_SIZE]; /* the domain is an alias of it, or "" */
	bool mx_secure;
	enum smtp_reply_id mx_refused;
	char mx_why[ROUTE_WHY_SIZE];
	bool has_policy;
	struct sts_policy policy;
	unsigned num_hosts;
	struct host hosts[PLAN_HOSTS_MAX];
	unsigned num_asks;
	struct ask asks[PLAN_ASKS_MAX];
};

/* plan_failed notes that a look-up failed: what failed may work soon, so the route is not kept for
 * longer than need be. */
void plan_failed(struct plan *p);

/* plan_ask adds a question. */
void plan_ask(struct plan *p, enum ask_kind kind, uint16_t host, const struct dns_name *name, uint16_t type);

/* plan_mx_hop is the connector's next hop `mx`, or NULL. */
const struct config_next_hop *plan_mx_hop(const struct plan *p);

/* host_text writes a host name as text, or returns false: what is in it can be no host's name, or it is
 * too long for a route. */
bool host_text(const struct dns_name *name, char out[ROUTE_NAME_SIZE]);

/* host_add adds a host and asks for its addresses. Without room it is left out: hosts come in the order in
 * which they would be tried. */
void host_add(struct plan *p, const struct config_next_hop *next, const struct dns_name *name, bool from_mx,
              uint32_t preference, uint16_t port);

/* host_heard takes an answer to a question about `h`. */
void host_heard(struct plan *p, struct host *h, enum ask_kind kind, const struct secure_answer *a);

#endif
