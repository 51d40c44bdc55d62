/* Owns:  a little DNS for tests of the router: what is in it is written as lines, and a plan is led through it.
 * Never: opens a socket.
 * Spec:  –
 * Start at: plan_through. */
#ifndef TESTS_UNIT_PROXY_SMALL_DNS_H
#define TESTS_UNIT_PROXY_SMALL_DNS_H

#include "proxy/router/plan.h"

/* A line is "NAME TYPE STATUS [>CANONICAL] [ttl=N] [VALUE[, VALUE…] | nodata | nxdomain]"; STATUS is secure, insecure, bogus
 * or failed. What is not there has "secure nodata"; `everything_insecure` makes that "insecure nodata".
 *   "example.test MX secure 10 mx1.example.test, 20 mx2.example.test"
 *   "mx1.example.test A secure >host.test 192.0.2.1" */
struct small_dns {
	const char *const *lines; /* NULL-ended */
	const char *policy;       /* of MTA-STS, a file; NULL = none */
	bool everything_insecure;
	bool policy_is_late; /* its question is not answered */
	bool reversed;       /* answers come in the opposite order of the questions */
	char asked[4096];    /* "NAME TYPE;" of every question, filled in */
	unsigned num_asked;
};

/* plan_through answers what `p` asks until it is done; false if it wants nothing more and is not. */
bool plan_through(struct plan *p, struct small_dns *dns);

/* route_text writes what a route says, one hop a line:
 *   "mx1.example.test:25 10/0 must dane mx1.example.test,example.test records=1 192.0.2.1\n"
 *   "mx1.example.test:25 10/0 refused HOP_DNSSEC\n"   "refused HOP_NULL_MX\n" */
void route_text(const struct route *r, char *out, size_t size);

#endif
