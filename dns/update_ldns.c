#include "dns/update_ldns.h"

#include "dns/walk.h"

#include <ldns/ldns.h>
#include <string.h>

enum {
	TSIG_FUDGE_S = 300, /* RFC 8945 10 */
	OPCODE_UPDATE = 5,
	CLASS_ANY = 255,
	FLAG_QR = 0x8000
};

/* --- the request --- */

static enum ec check_update(const struct update *u, struct why *why)
{
	char owner[DNS_NAME_TEXT_SIZE], zone[DNS_NAME_TEXT_SIZE];
	if (u->zone.len == 0 || u->owner.len == 0 || !dns_name_under(&u->owner, &u->zone)) {
		dns_name_print(owner, &u->owner);
		dns_name_print(zone, &u->zone);
		return why_set(why, EC_INVARIANT, "%.200s is not in the zone %.200s", owner, zone);
	}
	if (u->adds.num == 0 && u->deletes.num == 0 && !u->replace && !u->rehearsal)
		return why_set(why, EC_INVARIANT, "an update that changes nothing");
	for (unsigned i = 0; i < u->adds.num; i++) {
		if (tlsa_set_has(&u->deletes, &u->adds.items[i]))
			return why_set(why, EC_INVARIANT, "an update that adds and deletes the same record");
	}
	if (u->ttl_s > INT32_MAX) /* RFC 2181 8 */
		return why_set(why, EC_RANGE, "a TTL is at most 2147483647 seconds");
	return EC_OK;
}

static ldns_rr *make_rr(const struct update *u, ldns_rr_class class, ldns_rr_type type, uint32_t ttl_s)
{
	ldns_rr *rr = ldns_rr_new();
	ldns_rdf *owner = ldns_dname_new_frm_data(u->owner.len, u->owner.wire);
	if (rr == NULL || owner == NULL) {
		ldns_rr_free(rr);
		ldns_rdf_deep_free(owner);
		return NULL;
	}
	ldns_rr_set_owner(rr, owner);
	ldns_rr_set_type(rr, type);
	ldns_rr_set_class(rr, class);
	ldns_rr_set_ttl(rr, ttl_s);
	return rr;
}

static bool push_field(ldns_rr *rr, ldns_rdf_type type, const void *data, size_t len)
{
	ldns_rdf *f = ldns_rdf_new_frm_data(type, len, data);
	if (f == NULL)
		return false;
	if (ldns_rr_push_rdf(rr, f))
		return true;
	ldns_rdf_deep_free(f);
	return false;
}

/* Appends one record; `t` NULL = no rdata. The list owns it. */
static enum ec push_record(ldns_rr_list *list, const struct update *u, ldns_rr_class class, uint32_t ttl_s,
			   const struct tlsa *t, struct why *why)
{
	if (t != NULL && (t->len == 0 || t->len > TLSA_DATA_MAX))
		return why_set(why, EC_UNSUPPORTED, "a TLSA record with %u octets of data can't be written or deleted", t->len);
	ldns_rr *rr = make_rr(u, class, LDNS_RR_TYPE_TLSA, ttl_s);
	bool good = rr != NULL;
	if (good && t != NULL)
		good = push_field(rr, LDNS_RDF_TYPE_CERTIFICATE_USAGE, &t->usage, 1) &&
		       push_field(rr, LDNS_RDF_TYPE_SELECTOR, &t->selector, 1) &&
		       push_field(rr, LDNS_RDF_TYPE_MATCHING_TYPE, &t->matching, 1) &&
		       push_field(rr, LDNS_RDF_TYPE_HEX, t->data, t->len);
	if (good)
		good = ldns_rr_list_push_rr(list, rr);
	if (good)
		return EC_OK;
	ldns_rr_free(rr);
	return why_set(why, EC_NO_MEMORY, "no memory for a DNS update");
}

/* RFC 2136 2.5: 2.5.2 delete an RRset, 2.5.4 delete an RR, 2.5.1 add. */
static enum ec push_changes(ldns_rr_list *list, const struct update *u, struct why *why)
{
	enum ec ec = EC_OK;
	if (u->rehearsal) {
		const struct tlsa nobodys = tlsa_311((const uint8_t[32]){ 0 });
		return push_record(list, u, LDNS_RR_CLASS_NONE, 0, &nobodys, why);
	}
	if (u->replace)
		ec = push_record(list, u, LDNS_RR_CLASS_ANY, 0, NULL, why);
	for (unsigned i = 0; ec == EC_OK && !u->replace && i < u->deletes.num; i++)
		ec = push_record(list, u, LDNS_RR_CLASS_NONE, 0, &u->deletes.items[i], why);
	for (unsigned i = 0; ec == EC_OK && i < u->adds.num; i++)
		ec = push_record(list, u, LDNS_RR_CLASS_IN, u->ttl_s, &u->adds.items[i], why);
	return ec;
}

/* RFC 2136 2.4.4 "name is in use" and 2.4.5 "name is not in use": one of them fails. */
static bool push_contradiction(ldns_rr_list *list, const struct update *u)
{
	static const ldns_rr_class classes[] = { LDNS_RR_CLASS_ANY, LDNS_RR_CLASS_NONE };
	for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
		ldns_rr *rr = make_rr(u, classes[i], LDNS_RR_TYPE_ANY, 0);
		if (rr == NULL || !ldns_rr_list_push_rr(list, rr)) {
			ldns_rr_free(rr);
			return false;
		}
	}
	return true;
}

static enum ec make_packet(const struct update *u, uint16_t id, ldns_pkt **out, struct why *why)
{
	ldns_rr_list *list = ldns_rr_list_new();
	ldns_rr_list *conditions = ldns_rr_list_new();
	ldns_rdf *zone = ldns_dname_new_frm_data(u->zone.len, u->zone.wire);
	enum ec ec = list != NULL && conditions != NULL && zone != NULL ? push_changes(list, u, why) : EC_NO_MEMORY;
	*out = NULL;
	if (ec == EC_OK && u->rehearsal && !push_contradiction(conditions, u))
		ec = EC_NO_MEMORY;
	if (ec == EC_OK) {
		/* takes `zone`, copies the lists */
		*out = ldns_update_pkt_new(zone, LDNS_RR_CLASS_IN, conditions, list, NULL);
		if (*out == NULL)
			ec = EC_NO_MEMORY;
		else
			zone = NULL;
	}
	if (*out != NULL)
		ldns_pkt_set_id(*out, id);
	ldns_rdf_deep_free(zone);
	ldns_rr_list_deep_free(list);
	ldns_rr_list_deep_free(conditions);
	return ec;
}

static enum ec sign(ldns_pkt *p, const struct tsig_key *key, struct update_request *out, struct why *why)
{
	struct tsig_text t;
	ldns_status status = LDNS_STATUS_MEM_ERR;
	if (tsig_text_init(&t, key) == EC_OK)
		status = ldns_pkt_tsig_sign(p, t.name, t.base64, TSIG_FUDGE_S, t.algorithm, NULL);
	wipe(&t, sizeof t);
	if (status != LDNS_STATUS_OK)
		return why_set(why, EC_TSIG, "the update could not be signed: %s", ldns_get_errorstr_by_id(status));
	const ldns_rdf *mac = ldns_rr_rdf(ldns_pkt_tsig(p), 3); /* two octets of length, then the MAC */
	size_t len = mac != NULL ? ldns_rdf_size(mac) : 0;
	if (len != tsig_mac_len(key->algorithm) + 2)
		return why_set(why, EC_TSIG, "the update could not be signed: a MAC of %zu octets", len);
	out->has_mac = true;
	out->mac_len = len - 2;
	memcpy(out->mac, ldns_rdf_data(mac) + 2, out->mac_len);
	return EC_OK;
}

enum ec update_build(const struct update *u, const struct tsig_key *key, uint16_t id, struct update_request *out,
		     struct why *why)
{
	ldns_pkt *p = NULL;
	uint8_t *wire = NULL;
	memset(out, 0, sizeof *out);
	enum ec ec = check_update(u, why);
	if (ec == EC_OK)
		ec = make_packet(u, id, &p, why);
	if (ec == EC_OK && key != NULL)
		ec = sign(p, key, out, why);
	if (ec != EC_OK)
		goto out;
	ec = EC_NO_MEMORY;
	if (ldns_pkt2wire(&wire, p, &out->len) == LDNS_STATUS_OK && out->len <= sizeof out->wire) {
		memcpy(out->wire, wire, out->len);
		out->id = id;
		out->rehearsal = u->rehearsal;
		ec = EC_OK;
	}
out:
	if (ec == EC_NO_MEMORY)
		(void)why_set(why, ec, "no memory for a DNS update");
	free(wire);
	ldns_pkt_free(p);
	return ec;
}

/* --- the reply --- */

/* What is known about a reply while it is judged. */
struct judge {
	struct slice reply;
	const struct update_request *request;
	const struct tsig_key *key;
	const char *server;
	int64_t now_s;
	uint16_t flags;
	bool has_tsig;
	struct dns_name key_name;
	struct walk_tsig tsig;
	struct update_outcome *out;
	struct why *why;
};

/* Finds the TSIG, and lets only such records pass as ldns is known to read well. */
static enum ec scan_reply(struct judge *j)
{
	struct walk w;
	struct walk_record r;
	enum ec ec = walk_check(j->reply, j->why);
	if (ec != EC_OK || walk_begin(&w, j->reply) != EC_OK)
		return EC_SYNTAX;
	if (w.id != j->request->id || (w.flags & FLAG_QR) == 0)
		return why_set(j->why, EC_AGAIN, "%s sent a message that is not the reply", j->server);
	if ((w.flags >> 11 & 0xf) != OPCODE_UPDATE)
		return why_set(j->why, EC_SYNTAX, "%s answered with opcode %d", j->server, w.flags >> 11 & 0xf);
	j->flags = w.flags;
	j->out->rcode = w.flags & 0xf;
	while (walk_next(&w, &r)) {
		if (r.section == WALK_QUESTION)
			continue;
		if (r.type == DNS_OPT) {
			j->out->rcode |= (int)(r.ttl_raw >> 24) << 4;
		} else if (r.type == DNS_TSIG) {
			/* Class and TTL are signed, but ldns puts in what they have to be. */
			if (r.class != CLASS_ANY || r.ttl_raw != 0 || walk_tsig_parse(r.rdata, &j->tsig) != EC_OK)
				return why_set(j->why, EC_SYNTAX, "%s answered with a malformed TSIG", j->server);
			j->has_tsig = true;
			j->key_name = r.owner;
		} else if (r.type != DNS_TLSA && r.type != DNS_SOA) {
			return why_set(j->why, EC_SYNTAX, "%s answered an update with records of type %u", j->server, r.type);
		}
	}
	return EC_OK;
}

/* ldns computes the MAC; it compares nothing else, so the rest is ours. */
static bool mac_is_right(const struct judge *j)
{
	ldns_pkt *p = NULL;
	if (ldns_wire2pkt(&p, j->reply.p, j->reply.len) != LDNS_STATUS_OK)
		return false;
	uint8_t data[2 + TSIG_MAC_MAX] = { 0, (uint8_t)j->request->mac_len };
	memcpy(data + 2, j->request->mac, j->request->mac_len);
	ldns_rdf *mac = ldns_rdf_new_frm_data(LDNS_RDF_TYPE_INT16_DATA, j->request->mac_len + 2, data);
	bool right = false;
	if (mac != NULL && ldns_pkt_tsig(p) != NULL) {
		struct tsig_text t;
		right = tsig_text_init(&t, j->key) == EC_OK &&
			ldns_pkt_tsig_verify(p, j->reply.p, j->reply.len, t.name, t.base64, mac);
		wipe(&t, sizeof t);
	}
	ldns_rdf_deep_free(mac);
	ldns_pkt_free(p);
	return right;
}

/* Sets out->proven; with EC_TSIG the signature is there and wrong. RFC 8945 5.3. */
static enum ec verify(struct judge *j)
{
	struct dns_name algorithm;
	const char *wrong = NULL;
	if (dns_name_parse(slice_str(tsig_algorithm_setting(j->key->algorithm)), &algorithm, NULL) != EC_OK)
		return EC_TSIG;
	if (!dns_name_eq(&j->key_name, &j->key->name) || !dns_name_eq(&j->tsig.algorithm, &algorithm))
		wrong = "with another key or algorithm than we used";
	else if (j->tsig.original_id != j->request->id)
		wrong = "for another message";
	else if (j->tsig.mac.len != j->request->mac_len)
		wrong = "with a MAC of another length";
	else if (!mac_is_right(j))
		wrong = "wrongly";
	if (wrong != NULL)
		return why_set(j->why, EC_TSIG, "%s signed its answer %s: it may be forged", j->server, wrong);
	int64_t off = (int64_t)j->tsig.time_s - j->now_s;
	bool in_time = off <= TSIG_FUDGE_S && off >= -TSIG_FUDGE_S;
	if (!in_time && j->tsig.error != DNS_BADTIME) /* there our own time comes back */
		return why_set(j->why, EC_TSIG, "%s signed its answer at a time %lld s from ours: it may be a replay",
			       j->server, (long long)off);
	j->out->proven = true;
	return EC_OK;
}

static enum ec explain_bad_time(struct judge *j)
{
	if (j->tsig.other.len != 6)
		return why_set(j->why, EC_TSIG, "%s says that our clock and its own differ too much (BADTIME)", j->server);
	struct reader r = reader_of(j->tsig.other);
	int64_t theirs = (int64_t)reader_u16be(&r) << 32;
	theirs |= reader_u32be(&r);
	j->out->clock_ahead_s = theirs - j->now_s;
	long long off = (long long)j->out->clock_ahead_s;
	return why_set(j->why, EC_TSIG,
		       "%s says that the clocks differ too much (BADTIME): its clock is %lld s %s ours%s. Set the time on both",
		       j->server, off < 0 ? -off : off, off < 0 ? "behind" : "ahead of",
		       j->out->proven ? "" : " (unsigned, may be forged)");
}

/* The server's own TSIG error. Read before the MAC: with BADKEY and BADSIG there
 * is none. RFC 8945 5.2. */
static enum ec explain_tsig_error(struct judge *j)
{
	char name[DNS_NAME_TEXT_SIZE];
	dns_name_print(name, &j->key->name);
	const char *algorithm = tsig_algorithm_setting(j->key->algorithm);
	switch (j->tsig.error) {
	case DNS_BADKEY:
		return why_set(j->why, EC_TSIG,
			       "%s does not accept the TSIG key %.100s (BADKEY, unsigned): key unknown there, other algorithm "
			       "than %s, or (Knot) the key may not change this name or type, or this is not the primary",
			       j->server, name, algorithm);
	case DNS_BADSIG:
		return why_set(j->why, EC_TSIG, "%s finds our TSIG wrong (BADSIG, unsigned): the secret of key %.100s differs there",
			       j->server, name);
	case DNS_BADTIME:
		return explain_bad_time(j);
	default:
		return why_set(j->why, EC_TSIG, "%s answered with TSIG error %u (%s) for key %.100s", j->server,
			       j->tsig.error, dns_rcode_name(j->tsig.error), name);
	}
}

static const struct {
	int rcode;
	enum ec ec;
	const char *words;
} refusals[] = {
	{ DNS_FORMERR, EC_DNS_REFUSED, "found the update malformed" },
	{ DNS_SERVFAIL, EC_DNS_FAILED, "failed to apply the update: its own log has the reason" },
	{ DNS_NXDOMAIN, EC_DNS_REFUSED, "says that a prerequisite failed" },
	{ DNS_NOTIMP, EC_DNS_REFUSED, "does not take updates for this zone: it is not the primary (NSD never takes them)" },
	{ DNS_RCODE_REFUSED, EC_DNS_REFUSED,
	  "refused: the key may not change this name or type, updates are off for this zone, or (PowerDNS) the TSIG key, "
	  "secret or time is wrong" },
	{ DNS_YXDOMAIN, EC_DNS_REFUSED, "says that a prerequisite failed" },
	{ DNS_YXRRSET, EC_DNS_REFUSED, "says that a prerequisite failed" },
	{ DNS_NXRRSET, EC_DNS_REFUSED, "says that a prerequisite failed" },
	{ DNS_NOTAUTH, EC_DNS_REFUSED, "does not serve this zone, or not for this key" },
	{ DNS_NOTZONE, EC_DNS_REFUSED, "says that the name is not in this zone" },
};

static enum ec explain_rcode(struct judge *j)
{
	const char *doubt = "";
	if (j->key == NULL)
		doubt = " (the update was not signed: no TSIG key is set)";
	else if (!j->out->proven)
		doubt = " (unsigned, may be forged)";
	for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
		if (refusals[i].rcode == j->out->rcode)
			return why_set(j->why, refusals[i].ec, "%s answered %s%s: it %s", j->server,
				       dns_rcode_name(j->out->rcode), doubt, refusals[i].words);
	}
	return why_set(j->why, EC_DNS_FAILED, "%s answered with code %d%s", j->server, j->out->rcode, doubt);
}

enum ec update_check(struct slice reply, const struct update_request *request, const struct tsig_key *key,
		     int64_t now_s, const char *server, struct update_outcome *out, struct why *why)
{
	struct judge j = {
		.reply = reply, .request = request, .key = key, .server = server, .now_s = now_s, .out = out, .why = why
	};
	memset(out, 0, sizeof *out);
	enum ec ec = scan_reply(&j);
	if (ec != EC_OK) {
		memset(out, 0, sizeof *out);
		return ec;
	}
	if (key != NULL && j.has_tsig) {
		out->tsig_error = j.tsig.error;
		enum ec verified = j.tsig.mac.len > 0 ? verify(&j) : EC_TSIG;
		if (j.tsig.error != 0)
			return explain_tsig_error(&j);
		if (verified != EC_OK && j.tsig.mac.len == 0)
			return why_set(why, EC_TSIG, "%s answered with an empty TSIG: it may be forged", server);
		if (verified != EC_OK)
			return verified;
	}
	bool rehearsed = request->rehearsal && (out->rcode == DNS_NXDOMAIN || out->rcode == DNS_YXDOMAIN);
	if (out->rcode != DNS_NOERROR && !rehearsed)
		return explain_rcode(&j);
	if (key != NULL && !out->proven)
		return why_set(why, EC_OUTCOME_UNKNOWN, "%s answered %s without a signature: that proves nothing", server,
			       dns_rcode_name(out->rcode));
	return EC_OK;
}
