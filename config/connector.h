/* Owns:  what the settings of a connector mean: where a next hop leads, and which of
 *        its exceptions are still in force.
 * Never: looks a name up; reads a clock.
 * Spec:  danegate.yaml(5), connectors; RFC 7672 2.2.1 (which hops DANE can speak for).
 * Start at: config_hop_parse. */
#ifndef CONFIG_CONNECTOR_H
#define CONFIG_CONNECTOR_H

#include <sys/socket.h>

#include "base/instant.h"
#include "config/config.h"

enum config_hop_kind { CONFIG_HOP_MX, CONFIG_HOP_HOST, CONFIG_HOP_ADDRESS, CONFIG_HOP_UNIX };

/* struct config_hop is the `to` of a next hop, taken apart. The slice borrows its
 * text. */
struct config_hop {
	enum config_hop_kind kind;
	struct slice name; /* HOST: the host's name; UNIX: the path */
	uint16_t port; /* HOST, ADDRESS */
	struct sockaddr_storage address; /* ADDRESS, with the port */
};

/* config_hop_parse reads "mx", "mail.example.org:25", "192.0.2.1:25",
 * "[2001:db8::1]:25" or "unix:/path". Returns EC_SYNTAX, EC_RANGE (port or length of
 * the path) or EC_MISSING (no port); `why` says "what is wrong; what would be right".
 * The `to` of a configuration that was read never fails. */
enum ec config_hop_parse(struct slice to, struct config_hop *out, struct why *why) MUST_CHECK;

/* config_hop_is_named tells whether a name leads there, so that TLSA records can
 * speak for it; config_hop_is_local whether it never leaves the machine. */
bool config_hop_is_named(const struct config_hop *hop);
bool config_hop_is_local(const struct config_hop *hop);

/* config_connector_end gives the moment from which the exceptions of a connector are
 * over: the end of the day `until`, UTC. Zero when there is no such day. */
struct wall config_connector_end(const struct config_connector *c);

/* config_connector_expired tells whether `now` is past it. That is an alarm, no error:
 * mail goes on, and is protected again. */
bool config_connector_expired(const struct config_connector *c, struct wall now);

/* What is in force at `now`: `none` counts as `opportunistic` once it has expired. */
enum config_hop_tls config_connector_tls(const struct config_connector *c, struct wall now);
enum config_dane config_connector_dane(const struct config_connector *c, struct wall now);
enum config_mta_sts config_connector_mta_sts(const struct config_connector *c, struct wall now);

#endif
