/* Owns:  where an identity takes mail: the addresses to probe, configured or found
 *        by validated look-ups.
 * Never: takes a part of them for all: when one look-up fails there are none.
 * Spec:  RFC 5321 5.1, RFC 7672 2.2.1.
 * Start at: addresses_find. */
#ifndef TLSA_SYNC_ADDRESSES_UV_H
#define TLSA_SYNC_ADDRESSES_UV_H

#include "config/config.h"
#include "dns/secure_ub.h"
#include "tlsa-sync/facts.h"

/* struct addresses is one search and its result; zero-initialised it is empty. */
struct addresses {
	unsigned num;
	struct sockaddr_storage items[FACT_ADDRESSES]; /* with the port to probe */
	struct why why;                                /* why there are none */
	/* the search under way */
	const struct dns_name *host;
	uint16_t port;
	unsigned pending;
	struct secure_call *calls[2];
	void (*done)(void *arg);
	void *arg;
};

/* addresses_find takes tlsa_sync.probe.addresses, or looks up A and AAAA of `host`
 * (borrowed until it is done), and calls `done`, possibly before it returns. */
void addresses_find(struct addresses *a, struct secure *s, const struct config *cfg, const struct dns_name *host,
                    void (*done)(void *arg), void *arg);

/* addresses_cancel ends a search without the callback. */
void addresses_cancel(struct addresses *a);

#endif
