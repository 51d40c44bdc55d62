/* Owns:  the listening sockets, one set per worker, and giving up root.
 * Never: accepts, or calls listen: a worker does, once the pin guard allowed it.
 * Spec:  socket(7) SO_REUSEPORT, ipv6(7) IPV6_V6ONLY.
 * Start at: listeners_open. */
#ifndef PROXY_LISTEN_FS_H
#define PROXY_LISTEN_FS_H

#include "base/ec.h"
#include "config/config.h"

/* struct listeners holds num_sets × num_addresses sockets, bound and not
 * listening: set s, address a is fds[s * num_addresses + a]. */
struct listeners {
	unsigned num_sets;
	unsigned num_addresses;
	int *fds;
};

/* listeners_open binds every address `num_sets` times with SO_REUSEPORT. First it
 * makes sure, by binding without that, that nobody else has the port: with it a
 * second daemon of the same user would silently get half of the connections. It
 * waits up to two seconds for a predecessor that is just ending. Returns
 * EC_EXISTS (port taken), EC_PERMISSION (a port below 1024), EC_NOT_FOUND (no such
 * address here), EC_SYNTAX, EC_IO; `why` names the address and a cure. */
enum ec listeners_open(const struct config_list *addresses, unsigned num_sets, struct listeners *out,
                       struct why *why) MUST_CHECK;
void listeners_close(struct listeners *l);

/* privilege_drop makes the process the user's for good: groups, group, user, then
 * no_new_privs. With "" it only sets no_new_privs. Without root it returns EC_OK
 * if it is the user's already. Returns EC_NOT_FOUND, EC_PERMISSION, EC_IO. */
enum ec privilege_drop(const char *user, struct why *why) MUST_CHECK;

#endif
