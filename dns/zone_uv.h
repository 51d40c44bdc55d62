/* Owns:  finding out who is responsible for a name: the alias chain from it, the
 *        zone of each hop, every address of every name server, the primary.
 * Never: takes an answer that did not validate; asks the servers it found.
 * Spec:  RFC 1034 4.3.2, 3.6.2 (aliases); RFC 2308 5 (negative TTL); RFC 7671 6.
 * Start at: zone_find. */
#ifndef DNS_ZONE_UV_H
#define DNS_ZONE_UV_H

#include "dns/secure_ub.h"

enum {
	ZONE_HOPS_MAX = DNS_ALIAS_MAX + 1,
	ZONE_SERVERS_MAX = 32, /* name and address pairs in one zone */
	ZONE_PRIMARY_MAX = 4
};

struct zone_server {
	struct dns_name name;
	struct sockaddr_storage address;
};

/* struct zone_info is one zone. `num_ns` counts the names in its NS RRset; one
 * without any address is in `lame` (only the first is kept): a proof that needs
 * every server can't be had then. */
struct zone_info {
	struct dns_name apex;
	struct dns_soa soa;
	uint32_t negative_ttl_s; /* min(SOA TTL, minimum): RFC 2308 5 */
	unsigned num_ns;
	unsigned num_servers;
	struct zone_server servers[ZONE_SERVERS_MAX];
	bool cut; /* more servers than ZONE_SERVERS_MAX */
	struct dns_name lame;
	unsigned num_primary; /* addresses of the SOA's MNAME; 0 if it has none */
	struct sockaddr_storage primary[ZONE_PRIMARY_MAX];
};

/* One hop of the alias chain: `owner` lies in zones[zone]. Every hop but the
 * last is an alias (its target is the next hop's owner) with that TTL. */
struct zone_hop {
	struct dns_name owner;
	unsigned zone;
	bool alias;
	uint32_t ttl_s;
};

struct zone_map {
	unsigned num_hops; /* >= 1; hops[num_hops - 1].owner is where the records are */
	struct zone_hop hops[ZONE_HOPS_MAX];
	unsigned num_zones;
	struct zone_info zones[ZONE_HOPS_MAX];
};

struct zone_call;

/* zone_done gets the outcome, once, never from inside zone_find.
 *   EC_OK            `map` is complete and every part of it validated
 *   EC_DNS_INSECURE  a hop or its zone is not signed (with strict_addresses: a
 *                    server's address): `why` says which
 *   EC_DNS_BOGUS     validation failed
 *   EC_DNS_FAILED, EC_TIMEOUT   no answer
 *   EC_LIMIT         alias chain too long, or a loop
 *   EC_NOT_FOUND     a zone without name servers
 * `map` (NULL unless EC_OK) and `why` are lent for the call. */
typedef void zone_done(void *arg, enum ec ec, const struct zone_map *map, const struct why *why);

struct zone_options {
	uint16_t port;         /* of the name servers; 0 = 53. Labs only */
	int timeout_ms;        /* for the whole search; 0 = 20000 */
	bool strict_addresses; /* refuse name servers whose addresses are not signed. Usually
	                        * they are not, and what they serve is validated anyway */
};

/* zone_find starts the search for `owner`, "_25._tcp.mx1.example.org". That
 * the name does not exist yet is no error. `s` is borrowed and must outlive the call. `*out_call`
 * (may be NULL) is for zone_cancel and valid until the callback has run. Returns
 * EC_NO_MEMORY, EC_DNS_FAILED; then the callback never runs. */
enum ec zone_find(struct secure *s, uv_loop_t *loop, const struct dns_name *owner, struct zone_options options,
		  zone_done *done, void *arg, struct zone_call **out_call, struct why *why) MUST_CHECK;

/* zone_cancel ends it without the callback. NULL is allowed. Call it before
 * secure_free of the same `s`. */
void zone_cancel(struct zone_call *call);

#endif
