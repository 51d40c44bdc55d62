#include "tlsa-sync/evidence_answer.h"

#include "dns/walk.h"

/* usable tells whether the raw answer says something about the owner name. */
static enum ec usable(const struct evidence_seen *seen, struct why *why)
{
	const struct dns_answer *raw = &seen->raw;
	if (seen->raw_ec != EC_OK) {
		const char *text = seen->raw_why.text[0] != '\0' ? seen->raw_why.text : ec_text(seen->raw_ec);
		return why_set(why, seen->raw_ec, "%s", text);
	}
	if (raw->rcode != DNS_NOERROR && raw->rcode != DNS_NXDOMAIN)
		return why_set(why, EC_DNS_REFUSED, "answers %s", dns_rcode_name(raw->rcode));
	if (!raw->aa)
		return why_set(why, EC_DNS_FAILED, "is not authoritative for the zone (no AA bit)");
	if (raw->cut || raw->num_tlsa_malformed > 0)
		return why_set(why, EC_LIMIT, "serves more or stranger records than can be judged");
	if (!raw->found && raw->num_aliases == 0 && !dns_answer_denied(raw))
		return why_set(why, EC_DNS_FAILED, "answers neither with records nor with a denial");
	if (seen->status == SECURE_FAILED)
		return why_set(why, EC_DNS_FAILED, "answers, but its signatures could not be checked: %s",
		               seen->secure_why.text[0] != '\0' ? seen->secure_why.text : "no answer in time");
	return EC_OK;
}

static uint32_t larger(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/* A cache may keep a record as long as the TTL it was signed with. */
static uint32_t original_ttl(const struct dns_answer *raw, const struct dns_name *owner, uint16_t type, uint32_t served)
{
	const struct dns_rrsig *sig = dns_answer_signature(raw, owner, type);
	return sig == NULL ? served : larger(served, sig->original_ttl_s);
}

static uint32_t answer_ttl(const struct dns_answer *raw)
{
	uint32_t ttl = 0;
	if (raw->found)
		ttl = original_ttl(raw, &raw->canonical, DNS_TLSA, raw->ttl_s);
	else if (raw->has_soa)
		ttl = dns_soa_negative_ttl(&raw->soa);
	for (unsigned i = 0; i < raw->num_aliases; i++)
		ttl = larger(ttl, original_ttl(raw, &raw->aliases[i].owner, DNS_CNAME, raw->aliases[i].ttl_s));
	return ttl;
}

/* The last signature to expire bounds how long this answer can be replayed. */
static void answer_expiry(const struct evidence_seen *seen, int64_t now_s, struct answer *out)
{
	const struct dns_answer *raw = &seen->raw;
	for (unsigned i = 0; i < raw->num_rrsigs; i++) {
		const struct dns_rrsig *sig = &raw->rrsigs[i];
		int64_t t = dns_time(sig->expiration, now_s);
		if ((sig->covered == DNS_TLSA || sig->covered == DNS_CNAME) && t > out->signature_expires.s)
			out->signature_expires.s = t;
	}
	if (!raw->found && seen->denial_until != 0 && dns_time(seen->denial_until, now_s) > out->signature_expires.s)
		out->signature_expires.s = dns_time(seen->denial_until, now_s);
}

/* How long the signature that ends last was made to hold. RFC 4034 3.1.5. */
static uint32_t signed_for(const struct dns_answer *raw)
{
	const struct dns_rrsig *sig = raw->found ? dns_answer_signature(raw, &raw->canonical, DNS_TLSA) : NULL;
	return sig == NULL || (int32_t)(sig->expiration - sig->inception) < 0 ? 0 : sig->expiration - sig->inception;
}

void evidence_upkeep(struct fact_upkeep *u, const struct dns_answer *raw, int64_t now_s)
{
	if (raw->rcode != DNS_NOERROR || !raw->aa)
		return;
	if (raw->type == DNS_SOA && raw->has_soa) {
		u->refresh_s = raw->soa.refresh_s;
		u->expire_s = raw->soa.expire_s;
	}
	if (raw->type != DNS_DNSKEY)
		return;
	u->keys_asked = true;
	u->keys_there = raw->found;
	for (unsigned i = 0; i < raw->num_rrsigs; i++) {
		int64_t t = dns_time(raw->rrsigs[i].expiration, now_s);
		if (raw->rrsigs[i].covered == DNS_DNSKEY && t > u->keys_signed_until.s)
			u->keys_signed_until.s = t;
	}
}

uint32_t evidence_denial_until(struct slice packet, int64_t now_s)
{
	struct walk w;
	struct walk_record record;
	uint32_t until = 0;
	if (walk_begin(&w, packet) != EC_OK)
		return 0;
	while (walk_next(&w, &record)) {
		if (record.section != WALK_AUTHORITY || record.type != DNS_RRSIG)
			continue;
		/* type covered, algorithm, labels, original TTL, expiration: RFC 4034 3.1 */
		struct reader r = reader_of(record.rdata);
		(void)reader_bytes(&r, 8);
		uint32_t expiration = reader_u32be(&r);
		if (!r.bad && (until == 0 || dns_time(expiration, now_s) > dns_time(until, now_s)))
			until = expiration;
	}
	return w.bad ? 0 : until;
}

static void intersect(struct tlsa_set *into, const struct tlsa_set *other)
{
	struct tlsa_set extra = *into;
	tlsa_set_subtract(&extra, other);
	tlsa_set_subtract(into, &extra);
}

/* Is the answer to an alias hop the alias that the zone map has? What it leads to
 * is judged at the last hop, by the servers of that hop's zone. */
static bool alias_expected(const struct evidence_seen *seen, const struct evidence_hop *hop)
{
	const struct dns_answer *raw = &seen->raw;
	return hop->alias && raw->num_aliases > 0 && dns_name_eq(&raw->aliases[0].owner, &hop->owner) &&
	       dns_name_eq(&raw->aliases[0].target, &hop->target);
}

static enum fact_validity validity_of(enum secure_status status)
{
	switch (status) {
	case SECURE_VALID:
		return VALIDITY_SECURE;
	case SECURE_INSECURE:
		return VALIDITY_INSECURE;
	case SECURE_BOGUS:
		return VALIDITY_BOGUS;
	case SECURE_FAILED:
		break;
	}
	return VALIDITY_UNKNOWN;
}

enum ec evidence_judge(const struct evidence_seen *seen, const struct evidence_hop *hop, int64_t now_s,
                       struct answer *out, struct why *why)
{
	*out = (struct answer){ 0 };
	enum ec ec = usable(seen, why);
	if (ec != EC_OK)
		return ec;
	const struct dns_answer *raw = &seen->raw;
	out->alias = alias_expected(seen, hop);
	if (!out->alias) {
		out->set = raw->tlsa;
		if (seen->status == SECURE_VALID)
			intersect(&out->set, &seen->secure_set);
	}
	out->ttl_s = larger(answer_ttl(raw), hop->chain_ttl_s);
	out->validity = validity_of(seen->status);
	out->serial = seen->has_serial ? seen->serial : raw->has_soa ? raw->soa.serial : 0;
	answer_expiry(seen, now_s, out);
	out->upkeep = seen->upkeep;
	out->upkeep.signed_s = signed_for(raw);
	if (out->validity == VALIDITY_BOGUS)
		out->words = seen->secure_why.text[0] != '\0' ? seen->secure_why.text : "its signatures are not valid";
	else if (out->validity == VALIDITY_INSECURE)
		out->words = "the zone is not signed, or not securely delegated";
	return EC_OK;
}

static uint32_t smaller_known(uint32_t a, uint32_t b)
{
	return a == 0 || (b != 0 && b < a) ? b : a;
}

/* Two zones at one server: of each thing the one that gives less time. */
static void merge_upkeep(struct fact_upkeep *into, const struct fact_upkeep *other)
{
	into->refresh_s = larger(into->refresh_s, other->refresh_s);
	into->expire_s = larger(into->expire_s, other->expire_s);
	into->signed_s = smaller_known(into->signed_s, other->signed_s);
	if (other->keys_asked) {
		into->keys_there = other->keys_there && (into->keys_there || !into->keys_asked);
		into->keys_asked = true;
	}
	if (into->keys_signed_until.s == 0 || (other->keys_signed_until.s != 0 && other->keys_signed_until.s < into->keys_signed_until.s))
		into->keys_signed_until = other->keys_signed_until;
}

void evidence_merge(struct answer *into, const struct answer *other)
{
	if (into->alias && !other->alias)
		into->set = other->set;
	else if (!other->alias)
		intersect(&into->set, &other->set);
	into->alias = into->alias && other->alias;
	into->ttl_s = larger(into->ttl_s, other->ttl_s);
	if (into->validity == VALIDITY_SECURE || (other->validity != VALIDITY_SECURE && other->validity > into->validity)) {
		into->validity = other->validity;
		into->words = other->words;
	}
	if (other->signature_expires.s > into->signature_expires.s)
		into->signature_expires = other->signature_expires;
	if (into->serial == 0)
		into->serial = other->serial;
	merge_upkeep(&into->upkeep, &other->upkeep);
}
