/* Owns:  DNS UPDATE requests for one TLSA RRset, signed with TSIG, and the reading
 *        of what the server says about them.
 * Never: sends (update_uv does); deletes a record it was not told to delete,
 *        unless `replace` was asked for; believes an unsigned success.
 * Spec:  RFC 2136 2-3 (UPDATE), RFC 8945 4-5 (TSIG), RFC 6698.
 * Start at: struct update. */
#ifndef DNS_UPDATE_LDNS_H
#define DNS_UPDATE_LDNS_H

#include "dns/record.h"
#include "dns/tsig_ldns.h"

/* struct update says what to change at `owner` in `zone`. Deletes name exact
 * records, adds are exact too: sending it twice changes nothing more, and somebody
 * else's records stay. With `replace` the whole TLSA RRset is deleted first, then
 * `adds` is added, in one request: the only way to change the TTL of a set that is
 * already there (a Knot ignores an add that differs in TTL only).
 * A `rehearsal` changes nothing and needs no sets: it asks for the deletion of a record that
 * nobody has, on the condition that the owner name is in use and is not. A server that gets
 * as far as finding that this can't be has accepted the key and, unless it looks at
 * conditions first, what the key wants to do. RFC 2136 2.4, 3.2. */
struct update {
	struct dns_name zone;
	struct dns_name owner;
	uint32_t ttl_s;
	bool replace;
	bool rehearsal;
	struct tlsa_set adds;
	struct tlsa_set deletes;
};

enum { UPDATE_WIRE_MAX = 4096 };

struct update_request {
	uint16_t id;
	bool rehearsal;
	size_t len;
	uint8_t wire[UPDATE_WIRE_MAX];
	bool has_mac;
	size_t mac_len;
	uint8_t mac[TSIG_MAC_MAX]; /* the reply's MAC covers it */
};

/* update_build makes the request, signed with `key` unless that is NULL, at the
 * wall clock's time. Returns EC_INVARIANT (owner not in the zone; nothing to do; adding
 * and deleting the same record), EC_UNSUPPORTED (a record too long to write),
 * EC_RANGE (TTL over 2^31-1), EC_NO_MEMORY. RFC 2136 2.5, RFC 8945 5.1. */
enum ec update_build(const struct update *u, const struct tsig_key *key, uint16_t id, struct update_request *out,
		     struct why *why) MUST_CHECK;

struct update_outcome {
	int rcode;
	int tsig_error;        /* 0, DNS_BADSIG, DNS_BADKEY, DNS_BADTIME, ... */
	bool proven;           /* signed with our key, MAC right, in time */
	int64_t clock_ahead_s; /* BADTIME: the server's clock minus `now_s` */
};

/* update_check reads the reply to `request`. `key` as in update_build; `now_s` is
 * the wall clock. Returns
 *   EC_OK               NOERROR, and proven if the request was signed; of a rehearsal, also
 *                       that a condition about the name failed (NXDOMAIN, YXDOMAIN)
 *   EC_AGAIN            a message that is not the reply (other id or not a reply): read on
 *   EC_SYNTAX           not readable as DNS
 *   EC_TSIG             the server did not accept our signature (BADKEY, BADSIG, BADTIME), or
 *                       its own does not verify
 *   EC_DNS_REFUSED      REFUSED, NOTAUTH, NOTZONE, NOTIMP, FORMERR, failed prerequisite
 *   EC_DNS_FAILED       SERVFAIL and other codes
 *   EC_OUTCOME_UNKNOWN  NOERROR, but unsigned where a signature is due: it may
 *                       have been applied, or the reply is forged
 * with words that say what to do (`server` names it there, "ns0 192.0.2.1:53"). An error whose
 * `proven` is false may be forged: show it, but don't take it as proof that nothing was
 * changed. RFC 2136 2.2, 3.8; RFC 8945 5.3. */
enum ec update_check(struct slice reply, const struct update_request *request, const struct tsig_key *key,
		     int64_t now_s, const char *server, struct update_outcome *out, struct why *why) MUST_CHECK;

#endif
