/* Owns:  the connectors of one configuration as a worker has them: what is needed to
 *        open a link of each, what each was last seen to offer, and what EHLO may
 *        therefore offer.
 * Never: opens a link or a file: CA certificates come with the configuration.
 * Spec:  RFC 5321 4.1.1.1; danegate.yaml(5), connectors.
 * Start at: exits_new, struct exit_way. */
#ifndef PROXY_CONNECTOR_SSL_H
#define PROXY_CONNECTOR_SSL_H

#include <jansson.h>

#include "config/config.h"
#include "proxy/relay/route.h"
#include "proxy/smtp/caps.h"
#include "proxy/smtp/connectors.h"
#include "proxy/tls/client_ssl.h"

/* struct exit_way is one connector. */
struct exit_way {
	const struct config_connector *config;
	const char *name;
	bool fixed_way;  /* nothing to look up */
	bool per_domain; /* the way depends on the recipient's domain */
	struct tls_store *ca;
	uint8_t (*pins)[TLS_CLIENT_PIN_SIZE];
	size_t num_pins;
	struct route *fixed; /* fixed_way: the route, good until then */
	int64_t fixed_until_ms;
	unsigned num_links;  /* open now */
	struct smtp_caps caps; /* seen last */
	int64_t caps_ms;       /* when; 0: not yet */
	int64_t due_ms;        /* not looked at again before that (probe_uv.h) */
	/* What the supervisor was told last. */
	bool said, said_up;
	uint32_t said_flags;
};

struct exits {
	struct connectors *table; /* of domains: smtp/connectors.h; way i is its connector i */
	struct exit_way *ways;
	size_t num;
	struct tls_store *system; /* NULL unless something needs it */
	struct config_connector backend; /* the section `backend` as a connector; borrows from the configuration */
	struct config_next_hop backend_hop;
	struct smtp_caps offer; /* what all of those that are known offer */
};

/* exits_new makes them for `cfg`, which must outlive them. `files` has the text of each file that
 * exits_files names (member: its path); NULL: none. Returns EC_NO_MEMORY, EC_MISSING (a file without a
 * certificate, or not there), EC_SYNTAX, EC_RANGE (a hop). */
enum ec exits_new(const struct config *cfg, const json_t *files, struct exits *out, struct why *why) MUST_CHECK;
void exits_fini(struct exits *e);

/* exits_files appends to the JSON array `list` the path of each CA file that `cfg` needs. Returns
 * EC_NO_MEMORY. */
enum ec exits_files(const struct config *cfg, json_t *list) MUST_CHECK;

/* exit_fixed_route gives the route of a fixed way at this time, borrowed until the next call. Returns
 * what route_static does. */
enum ec exit_fixed_route(struct exit_way *w, struct mono now, struct wall today, struct route **out, struct why *why)
	MUST_CHECK;

/* exits_saw notes what a connector offers, seen just now, and brings `offer` up to date. `offer` holds
 * what every connector offers that has been seen; of one that has not been yet nothing is
 * promised, if it can be looked at without a message, which the probe soon does. */
void exits_saw(struct exits *e, size_t i, const struct smtp_caps *caps, struct mono now);

#endif
