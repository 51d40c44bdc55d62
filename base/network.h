/* Owns:  a network as a value: "192.0.2.0/24", "2001:db8::/32".
 * Never: resolves a name; guesses what bits behind the prefix were meant to say.
 * Spec:  RFC 4632 3.1, RFC 4291 2.3.
 * Start at: network_parse. */
#ifndef BASE_NETWORK_H
#define BASE_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "base/ec.h"
#include "base/slice.h"

struct network {
	struct sockaddr_storage base; /* port 0, the bits behind the prefix 0 */
	unsigned bits;
};

/* network_parse reads ADDRESS/BITS; an address alone is the network of just that
 * one. Returns EC_SYNTAX (a name, brackets, a port, an IPv4-mapped address, which
 * could match nobody: see address_unmap) or EC_RANGE (too many bits; bits set
 * behind the prefix, with the network that was meant in `why`). */
enum ec network_parse(struct slice text, struct network *out, struct why *why) MUST_CHECK;

/* network_has tells whether `a` is in it; networks_have, in one of `num`. The port
 * does not matter. Unmap `a` before: see address_unmap. */
bool network_has(const struct network *n, const struct sockaddr_storage *a);
bool networks_have(const struct network *all, size_t num, const struct sockaddr_storage *a);

#endif
