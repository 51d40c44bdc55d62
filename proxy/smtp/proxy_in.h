/* Owns:  reading the PROXY protocol header that a load balancer puts before the
 *        client's first octet, version 1 (text) or 2 (binary).
 * Never: decides who may send one: the shell asks only on connections from
 *        proxy.proxy_protocol_from, and there it is mandatory.
 * Spec:  haproxy.org/download/2.8/doc/proxy-protocol.txt, section 2.
 * Start at: proxy_in_parse. */
#ifndef PROXY_SMTP_PROXY_IN_H
#define PROXY_SMTP_PROXY_IN_H

#include <stdbool.h>
#include <sys/socket.h>

#include "base/ec.h"
#include "base/slice.h"

/* Version 1 has at most 107 octets, CRLF included (2.1). Version 2 has 16 and as
 * many as it says (2.2): room for addresses and for what balancers put behind
 * them, not for the 64 KiB that it could say. */
enum { PROXY_IN_V1_MAX = 107, PROXY_IN_V2_HEAD = 16, PROXY_IN_V2_REST_MAX = 2048 };
enum { PROXY_IN_MAX = PROXY_IN_V2_HEAD + PROXY_IN_V2_REST_MAX };

/* struct proxy_in is what the header says. */
struct proxy_in {
	bool named; /* false: LOCAL, UNKNOWN, or a family without TCP addresses: the peer itself is the client */
	struct sockaddr_storage client; /* ::ffff:a.b.c.d comes as a.b.c.d; port 0 is possible */
	struct sockaddr_storage local;  /* where the client connected to */
};

/* proxy_in_parse looks at all that came so far. Returns EC_OK and sets `*out_used`
 * to the header's length: what is behind it is the client's; EC_AGAIN while these
 * are the first octets of a header; EC_SYNTAX as soon as they can't be. Never
 * takes anything unless EC_OK; independent of how the octets were cut. */
enum ec proxy_in_parse(struct slice in, struct proxy_in *out, size_t *out_used) MUST_CHECK;

#endif
