#include "dns/record.h"

#include <string.h>

static const struct {
	int code;
	const char *name;
} rcodes[] = {
	{ DNS_NOERROR, "NOERROR" },  { DNS_FORMERR, "FORMERR" },        { DNS_SERVFAIL, "SERVFAIL" },
	{ DNS_NXDOMAIN, "NXDOMAIN" }, { DNS_NOTIMP, "NOTIMP" },         { DNS_RCODE_REFUSED, "REFUSED" },
	{ DNS_YXDOMAIN, "YXDOMAIN" }, { DNS_YXRRSET, "YXRRSET" },       { DNS_NXRRSET, "NXRRSET" },
	{ DNS_NOTAUTH, "NOTAUTH" },  { DNS_NOTZONE, "NOTZONE" },        { DNS_BADSIG, "BADSIG" },
	{ DNS_BADKEY, "BADKEY" },    { DNS_BADTIME, "BADTIME" },        { DNS_BADTRUNC, "BADTRUNC" },
}, types[] = {
	{ DNS_A, "A" },           { DNS_NS, "NS" },         { DNS_CNAME, "CNAME" }, { DNS_SOA, "SOA" },
	{ DNS_MX, "MX" },         { DNS_TXT, "TXT" },       { DNS_AAAA, "AAAA" },   { DNS_DNAME, "DNAME" },
	{ DNS_OPT, "OPT" },       { DNS_DS, "DS" },         { DNS_RRSIG, "RRSIG" }, { DNS_DNSKEY, "DNSKEY" },
	{ DNS_TLSA, "TLSA" },     { DNS_TSIG, "TSIG" },     { DNS_ANY, "ANY" },
};

const char *dns_rcode_name(int rcode)
{
	for (size_t i = 0; i < sizeof rcodes / sizeof rcodes[0]; i++) {
		if (rcodes[i].code == rcode)
			return rcodes[i].name;
	}
	return "RCODE";
}

const char *dns_type_name(int type)
{
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		if (types[i].code == type)
			return types[i].name;
	}
	return "TYPE";
}

/* Takes an uncompressed name off the front. */
static enum ec read_name(struct reader *r, struct dns_name *out)
{
	size_t len = 0;
	while (len < r->rest.len && r->rest.p[len] != 0)
		len += 1U + r->rest.p[len];
	struct slice wire = reader_bytes(r, len + 1);
	return r->bad ? EC_SYNTAX : dns_name_from_wire(wire, out);
}

uint32_t dns_soa_negative_ttl(const struct dns_soa *soa)
{
	return soa->ttl_s < soa->minimum_s ? soa->ttl_s : soa->minimum_s;
}

int64_t dns_time(uint32_t t, int64_t now_s)
{
	/* The difference modulo 2^32, read as a signed number. */
	uint32_t diff = t - (uint32_t)(uint64_t)now_s;
	return now_s + (diff < 0x80000000U ? (int64_t)diff : (int64_t)diff - 0x100000000);
}

bool dns_answer_denied(const struct dns_answer *a)
{
	if (a->found || !a->aa)
		return false;
	/* An alias that leads out of the server's zones ends without a SOA. */
	return a->rcode == DNS_NXDOMAIN || (a->rcode == DNS_NOERROR && (a->num_aliases == 0 || a->has_soa));
}

const struct dns_rrsig *dns_answer_signature(const struct dns_answer *a, const struct dns_name *owner, uint16_t type)
{
	const struct dns_rrsig *best = NULL;
	for (unsigned i = 0; i < a->num_rrsigs; i++) {
		const struct dns_rrsig *s = &a->rrsigs[i];
		if (s->covered != type || !dns_name_eq(&s->owner, owner))
			continue;
		/* serial arithmetic: later if the distance is below 2^31 */
		if (best == NULL || s->expiration - best->expiration < 0x80000000U)
			best = s;
	}
	return best;
}

enum ec dns_soa_from_rdata(const struct dns_name *owner, uint32_t ttl_s, struct slice rdata, struct dns_soa *out)
{
	struct dns_name rname;
	struct reader r = reader_of(rdata);
	memset(out, 0, sizeof *out);
	struct dns_soa soa = { .owner = *owner, .ttl_s = ttl_s };
	enum ec ec = read_name(&r, &soa.mname);
	if (ec == EC_OK)
		ec = read_name(&r, &rname);
	soa.serial = reader_u32be(&r);
	soa.refresh_s = reader_u32be(&r);
	soa.retry_s = reader_u32be(&r);
	soa.expire_s = reader_u32be(&r);
	soa.minimum_s = reader_u32be(&r);
	if (ec != EC_OK || r.bad || r.rest.len > 0)
		return EC_SYNTAX;
	*out = soa;
	return EC_OK;
}
