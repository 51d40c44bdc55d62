#include "dns/packet_ldns.h"

#include "base/address.h"
#include "dns/walk.h"

#include <ldns/ldns.h>
#include <string.h>

enum {
	FLAG_QR = 0x8000,
	FLAG_AA = 0x0400,
	FLAG_TC = 0x0200,
	FLAG_RA = 0x0080,
	FLAG_AD = 0x0020,
	CLASS_IN = 1
};

enum ec packet_question(const struct dns_name *name, uint16_t type, uint16_t id, struct packet_flags flags,
			uint8_t out[PACKET_QUESTION_MAX], size_t *out_len, struct why *why)
{
	uint8_t *wire = NULL;
	size_t len = 0;
	enum ec ec = EC_NO_MEMORY;
	*out_len = 0;
	/* A NULL name asserts inside ldns. */
	ldns_rdf *owner = name->len > 0 ? ldns_dname_new_frm_data(name->len, name->wire) : NULL;
	ldns_pkt *p = NULL;
	if (owner != NULL)
		p = ldns_pkt_query_new(owner, (ldns_rr_type)type, LDNS_RR_CLASS_IN, flags.rd ? LDNS_RD : 0); /* takes owner */
	if (p == NULL) {
		ldns_rdf_deep_free(owner);
		return why_set(why, ec, "no memory for a DNS question");
	}
	ldns_pkt_set_id(p, id);
	ldns_pkt_set_edns_udp_size(p, PACKET_UDP_SIZE);
	ldns_pkt_set_edns_do(p, flags.dnssec);
	if (ldns_pkt2wire(&wire, p, &len) == LDNS_STATUS_OK && len <= PACKET_QUESTION_MAX) {
		memcpy(out, wire, len);
		*out_len = len;
		ec = EC_OK;
	}
	free(wire);
	ldns_pkt_free(p);
	return ec == EC_OK ? ec : why_set(why, ec, "no memory for a DNS question");
}

enum ec packet_check(struct slice wire, struct why *why)
{
	return walk_check(wire, why);
}

/* One record decoded by ldns from its place in the checked message. NULL when
 * its rdata is malformed or it has fewer fields than `fields`. */
static ldns_rr *decode(struct slice wire, const struct walk_record *r, size_t fields)
{
	ldns_rr *rr = NULL;
	size_t at = r->at;
	if (ldns_wire2rr(&rr, wire.p, wire.len, &at, LDNS_SECTION_ANSWER) != LDNS_STATUS_OK)
		return NULL; /* ldns has freed it */
	if (ldns_rr_rd_count(rr) != fields) {
		ldns_rr_free(rr);
		return NULL;
	}
	return rr;
}

static bool field_name(const ldns_rr *rr, size_t field, struct dns_name *out)
{
	const ldns_rdf *f = ldns_rr_rdf(rr, field);
	if (f == NULL || ldns_rdf_get_type(f) != LDNS_RDF_TYPE_DNAME || ldns_rdf_data(f) == NULL)
		return false;
	return dns_name_from_wire(slice_of(ldns_rdf_data(f), ldns_rdf_size(f)), out) == EC_OK;
}

/* A number of `len` octets, big endian; a field of another size gives 0, false. */
static bool field_number(const ldns_rr *rr, size_t field, size_t len, uint32_t *out)
{
	const ldns_rdf *f = ldns_rr_rdf(rr, field);
	*out = 0;
	if (f == NULL || ldns_rdf_size(f) != len || ldns_rdf_data(f) == NULL)
		return false;
	for (size_t i = 0; i < len; i++)
		*out = *out << 8 | ldns_rdf_data(f)[i];
	return true;
}

/* The one name in CNAME or NS rdata. */
static bool read_target(struct slice wire, const struct walk_record *r, struct dns_name *out)
{
	ldns_rr *rr = decode(wire, r, 1);
	bool good = rr != NULL && field_name(rr, 0, out);
	ldns_rr_free(rr);
	return good;
}

static bool read_soa(struct slice wire, const struct walk_record *r, struct dns_soa *out)
{
	ldns_rr *rr = decode(wire, r, 7);
	struct dns_soa soa = { .owner = r->owner, .ttl_s = r->ttl_s };
	bool good = rr != NULL && field_name(rr, 0, &soa.mname) && field_number(rr, 2, 4, &soa.serial) &&
		    field_number(rr, 3, 4, &soa.refresh_s) && field_number(rr, 4, 4, &soa.retry_s) &&
		    field_number(rr, 5, 4, &soa.expire_s) && field_number(rr, 6, 4, &soa.minimum_s);
	if (good)
		*out = soa;
	ldns_rr_free(rr);
	return good;
}

static bool read_rrsig(struct slice wire, const struct walk_record *r, struct dns_rrsig *out)
{
	ldns_rr *rr = decode(wire, r, 9);
	uint32_t covered, algorithm, labels, tag;
	struct dns_rrsig s = { .owner = r->owner, .ttl_s = r->ttl_s };
	bool good = rr != NULL && field_number(rr, 0, 2, &covered) && field_number(rr, 1, 1, &algorithm) &&
		    field_number(rr, 2, 1, &labels) && field_number(rr, 3, 4, &s.original_ttl_s) &&
		    field_number(rr, 4, 4, &s.expiration) && field_number(rr, 5, 4, &s.inception) &&
		    field_number(rr, 6, 2, &tag) && field_name(rr, 7, &s.signer);
	ldns_rr_free(rr);
	if (!good)
		return false;
	s.covered = (uint16_t)covered;
	s.algorithm = (uint8_t)algorithm;
	s.labels = (uint8_t)labels;
	s.key_tag = (uint16_t)tag;
	*out = s;
	return true;
}

/* Looks in the answer section for an alias at `a->canonical` and follows it. */
static bool follow_alias(struct slice wire, struct dns_answer *a)
{
	struct walk w;
	struct walk_record r;
	if (walk_begin(&w, wire) != EC_OK)
		return false;
	while (walk_next(&w, &r)) {
		if (r.section != WALK_ANSWER || r.class != CLASS_IN || r.type != DNS_CNAME ||
		    !dns_name_eq(&r.owner, &a->canonical))
			continue;
		if (a->num_aliases == DNS_ALIAS_MAX) {
			a->cut = true;
			return false;
		}
		struct dns_alias *alias = &a->aliases[a->num_aliases];
		*alias = (struct dns_alias){ .owner = r.owner, .ttl_s = r.ttl_s };
		if (!read_target(wire, &r, &alias->target))
			return false;
		a->num_aliases++;
		a->canonical = alias->target;
		return true; /* a loop ends at DNS_ALIAS_MAX */
	}
	return false;
}

static bool in_chain(const struct dns_answer *a, const struct dns_name *owner)
{
	if (dns_name_eq(owner, &a->canonical))
		return true;
	for (unsigned i = 0; i < a->num_aliases; i++) {
		if (dns_name_eq(owner, &a->aliases[i].owner))
			return true;
	}
	return false;
}

static void note_tlsa(struct slice rdata, struct dns_answer *a)
{
	struct tlsa t;
	if (tlsa_from_rdata(rdata, &t) != EC_OK)
		a->num_tlsa_malformed++;
	else if (tlsa_set_add(&a->tlsa, &t) != EC_OK)
		a->cut = true;
}

static void note_address(const struct walk_record *r, struct dns_answer *a)
{
	if (r->rdata.len != (r->type == DNS_A ? 4U : 16U))
		return;
	if (a->num_addresses == DNS_ADDRESS_MAX) {
		a->cut = true;
		return;
	}
	a->addresses[a->num_addresses++] = r->type == DNS_A ? address_from_ip4(r->rdata.p, 53) :
							      address_from_ip6(r->rdata.p, 53);
}

/* A record of the type asked for, at the end of the chain. */
static void note_found(struct slice wire, const struct walk_record *r, struct dns_answer *a)
{
	if (!a->found || r->ttl_s < a->ttl_s)
		a->ttl_s = r->ttl_s;
	a->found = true;
	if (r->type == DNS_TLSA) {
		note_tlsa(r->rdata, a);
	} else if (r->type == DNS_A || r->type == DNS_AAAA) {
		note_address(r, a);
	} else if (r->type == DNS_SOA && !a->has_soa) {
		a->has_soa = read_soa(wire, r, &a->soa);
	} else if (r->type == DNS_NS) {
		if (a->num_ns == DNS_NS_MAX)
			a->cut = true;
		else if (read_target(wire, r, &a->ns[a->num_ns]))
			a->num_ns++;
	}
}

static void note_rrsig(struct slice wire, const struct walk_record *r, struct dns_answer *a)
{
	if (a->num_rrsigs == DNS_RRSIG_MAX)
		a->cut = true;
	else if (read_rrsig(wire, r, &a->rrsigs[a->num_rrsigs]))
		a->num_rrsigs++;
}

static void note(struct slice wire, const struct walk_record *r, struct dns_answer *a)
{
	if (r->type == DNS_OPT) {
		a->rcode |= (int)(r->ttl_raw >> 24) << 4; /* RFC 6891 6.1.3 */
		return;
	}
	if (r->class != CLASS_IN)
		return;
	if (r->section == WALK_ANSWER && r->type == a->type && dns_name_eq(&r->owner, &a->canonical))
		note_found(wire, r, a);
	else if (r->section == WALK_ANSWER && r->type == DNS_RRSIG && in_chain(a, &r->owner))
		note_rrsig(wire, r, a);
	else if (r->section == WALK_AUTHORITY && r->type == DNS_SOA && !a->has_soa &&
		 dns_name_under(&a->canonical, &r->owner))
		a->has_soa = read_soa(wire, r, &a->soa);
}

static enum ec read_head(struct walk *w, struct dns_answer *a, struct why *why)
{
	struct walk_record q;
	if (w->left[WALK_QUESTION] != 1 || !walk_next(w, &q) || q.class != CLASS_IN)
		return why_set(why, EC_SYNTAX, "a DNS message without exactly one question");
	a->id = w->id;
	a->qr = (w->flags & FLAG_QR) != 0;
	a->aa = (w->flags & FLAG_AA) != 0;
	a->tc = (w->flags & FLAG_TC) != 0;
	a->ra = (w->flags & FLAG_RA) != 0;
	a->ad = (w->flags & FLAG_AD) != 0;
	a->rcode = w->flags & 0xf;
	a->question = a->canonical = q.owner;
	a->type = q.type;
	return EC_OK;
}

enum ec packet_parse(struct slice wire, struct dns_answer *out, struct why *why)
{
	struct walk w;
	struct walk_record r;
	memset(out, 0, sizeof *out);
	enum ec ec = walk_check(wire, why);
	if (ec != EC_OK || walk_begin(&w, wire) != EC_OK)
		return EC_SYNTAX;
	ec = read_head(&w, out, why);
	if (ec != EC_OK) {
		memset(out, 0, sizeof *out);
		return ec;
	}
	while (out->type != DNS_CNAME && follow_alias(wire, out))
		;
	while (walk_next(&w, &r))
		note(wire, &r, out);
	return EC_OK;
}

bool packet_answers(const struct dns_answer *a, uint16_t id, const struct dns_name *name, uint16_t type)
{
	return a->qr && a->id == id && a->type == type && dns_name_eq(&a->question, name);
}
