/* Owns:  who may have one more session: how many this worker has, and how many each
 *        client address and each network has in all workers.
 * Never: remembers anybody without an open session; never reads a clock.
 * Spec:  RFC 7672 9.2: who is over a limit is refused whole, never served without TLS.
 * Start at: clients_enter. */
#ifndef PROXY_CLIENTS_H
#define PROXY_CLIENTS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/ec.h"
#include "proxy/census.h"

/* An address is what one host has: in IPv6 it may choose among a whole /64
 * (RFC 7084, RFC 8981). A network is what one customer commonly has (RFC 6177). */
enum { CLIENTS_ADDRESS_IP4 = 32, CLIENTS_ADDRESS_IP6 = 64, CLIENTS_PREFIX_IP4 = 24, CLIENTS_PREFIX_IP6 = 56 };

struct clients;

enum clients_verdict {
	CLIENTS_WELCOME,
	CLIENTS_OVER_SESSIONS,
	CLIENTS_OVER_ADDRESS,
	CLIENTS_OVER_PREFIX,
};

struct clients_limits {
	uint64_t sessions; /* of this worker */
	uint64_t per_address;
	uint64_t per_prefix;
};

/* clients_new counts nobody yet. It writes `slot` of `census`, which it borrows, and
 * which must be empty. NULL: no memory. */
struct clients *clients_new(struct census *census, unsigned slot, census_hash *hash);
void clients_free(struct clients *c);

/* clients_enter counts one more session of `who` (port ignored; ::ffff:a.b.c.d
 * is a.b.c.d), or says why not and counts nothing. */
enum clients_verdict clients_enter(struct clients *c, const struct clients_limits *limits,
                                   const struct sockaddr_storage *who);
/* clients_enter_unnamed counts one more session of somebody who will be known
 * later, from a PROXY header: against `sessions` only. clients_name then says who
 * it is; when that one is over a limit, it counts nothing and the session stays
 * unnamed. */
enum clients_verdict clients_enter_unnamed(struct clients *c, const struct clients_limits *limits);
enum clients_verdict clients_name(struct clients *c, const struct clients_limits *limits,
                                  const struct sockaddr_storage *who);
/* clients_leave undoes one clients_enter or clients_name that welcomed `who`;
 * NULL: a session that is still unnamed. */
void clients_leave(struct clients *c, const struct sockaddr_storage *who);

size_t clients_num_sessions(const struct clients *c);
/* clients_num_addresses counts an IPv6 /64 once. It may be off by those that share
 * cells of the census: a number for people. */
size_t clients_num_addresses(const struct clients *c);

#endif
