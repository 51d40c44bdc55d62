/* Owns:  the PROXY protocol version 2 header we put before a backend dialogue.
 * Never: reads one.
 * Spec:  HAProxy's proxy-protocol.txt, section 2.2.
 * Start at: proxy_v2_encode. */
#ifndef PROXY_RELAY_PROXY_HEADER_H
#define PROXY_RELAY_PROXY_HEADER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ec.h"
#include "base/slice.h"

enum { PROXY_V2_MAX = 16 + 36 };

/* struct proxy_end is one end of the client's connection: 4 or 16 octets in
 * network order. */
struct proxy_end {
	bool v6;
	uint8_t addr[16];
	uint16_t port;
};

/* proxy_v2_encode writes the header for a TCP connection from `client` to
 * `local`. If one end is IPv4 and the other IPv6, IPv4 is written as a mapped
 * address (::ffff:a.b.c.d). Returns EC_NO_SPACE if `w` is too small. */
enum ec proxy_v2_encode(struct writer *w, const struct proxy_end *client, const struct proxy_end *local) MUST_CHECK;

/* proxy_v2_encode_own does it for a connection that is no client's: we have something to ask
 * ourselves. */
enum ec proxy_v2_encode_own(struct writer *w) MUST_CHECK;

#endif
