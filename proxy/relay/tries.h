/* Owns:  in which order the addresses of a route are tried.
 * Never: connects.
 * Spec:  RFC 5321 5.1: by preference, among equals by chance, every address of a host.
 * Start at: tries_plan. */
#ifndef PROXY_RELAY_TRIES_H
#define PROXY_RELAY_TRIES_H

#include "proxy/relay/health.h"
#include "proxy/relay/route.h"

/* At most this many addresses are tried: a client waits meanwhile. */
enum { TRIES_MAX = 8 };

struct tries {
	unsigned num;
	struct {
		uint8_t hop;
		uint8_t address; /* of the hop; 0 for a unix socket */
	} items[TRIES_MAX];
	/* What else there is to say: a hop that must not be used, and why; or that some
	 * were left out because they are drained. SMTP_R_NONE: nothing. */
	enum smtp_reply_id refused;
	unsigned refused_hop;
	bool drained;
};

/* tries_plan orders the addresses of the hops that may be tried: by priority and
 * preference, among equals drawn by weight with the random number `chance`. Those that
 * failed lately come last, in the same order; drained ones (by host name and port, or by
 * address and port) not at all. */
void tries_plan(const struct route *r, const struct health *h, struct mono now, uint64_t chance, struct tries *out);

/* tries_name writes how health.h calls an address of a hop; tries_host how it calls all of them. */
void tries_name(char out[HEALTH_NAME_SIZE], const struct route_hop *hop, unsigned address);
void tries_host(char out[HEALTH_NAME_SIZE], const struct route_hop *hop);

#endif
