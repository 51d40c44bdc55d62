#include "tlsa-sync/evidence_answer.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/unit.h"

enum { NOW = 1800000000 };

static struct dns_name name(const char *text)
{
	struct dns_name n;
	assert_int_equal(dns_name_parse(slice_str(text), &n, NULL), EC_OK);
	return n;
}

static struct tlsa record(uint8_t fill)
{
	uint8_t digest[32];
	memset(digest, fill, sizeof digest);
	return tlsa_311(digest);
}

static void put(struct tlsa_set *s, uint8_t fill)
{
	struct tlsa t = record(fill);
	assert_int_equal(tlsa_set_add(s, &t), EC_OK);
}

static void sign(struct dns_answer *a, const struct dns_name *owner, uint16_t type, uint32_t original_ttl_s, uint32_t until)
{
	a->rrsigs[a->num_rrsigs++] = (struct dns_rrsig){
		.owner = *owner,
		.covered = type,
		.ttl_s = 1,
		.original_ttl_s = original_ttl_s,
		.expiration = until,
	};
}

/* A server that serves records 1 and 2, TTL 300, as signed: both looks agree. */
static struct evidence_seen *good(void)
{
	struct evidence_seen *s = calloc(1, sizeof *s);
	assert_non_null(s);
	s->raw.aa = true;
	s->raw.qr = true;
	s->raw.question = s->raw.canonical = name("_25._tcp.mx.test");
	s->raw.type = DNS_TLSA;
	s->raw.found = true;
	s->raw.ttl_s = 120; /* a server may serve less than it signed */
	put(&s->raw.tlsa, 1);
	put(&s->raw.tlsa, 2);
	sign(&s->raw, &s->raw.canonical, DNS_TLSA, 300, NOW + 1000);
	s->status = SECURE_VALID;
	s->secure_set = s->raw.tlsa;
	s->has_serial = true;
	s->serial = 42;
	return s;
}

static struct evidence_hop last_hop(void)
{
	return (struct evidence_hop){ .owner = name("_25._tcp.mx.test") };
}

static void test_good(void **state)
{
	(void)state;
	struct evidence_seen *s = good();
	struct evidence_hop hop = last_hop();
	struct answer a;
	struct why why = { 0 };
	assert_int_equal(evidence_judge(s, &hop, NOW, &a, &why), EC_OK);
	assert_int_equal(a.validity, VALIDITY_SECURE);
	assert_true(tlsa_set_eq(&a.set, &s->raw.tlsa));
	assert_int_equal(a.ttl_s, 300); /* the original TTL, not the one served */
	assert_int_equal(a.signature_expires.s, NOW + 1000);
	assert_int_equal(a.serial, 42);
	assert_false(a.alias);
	assert_null(a.words);
	free(s);
}

/* Two looks at different moments: only what both saw counts. */
static void test_intersection(void **state)
{
	(void)state;
	struct evidence_seen *s = good();
	struct evidence_hop hop = last_hop();
	struct answer a;
	struct why why = { 0 };
	struct tlsa one = record(1);
	assert_true(tlsa_set_remove(&s->secure_set, &one));
	put(&s->secure_set, 3);
	assert_int_equal(evidence_judge(s, &hop, NOW, &a, &why), EC_OK);
	struct tlsa two = record(2);
	assert_int_equal(a.set.num, 1);
	assert_true(tlsa_set_has(&a.set, &two));
	free(s);
}

static void spoil_timeout(struct evidence_seen *s) { s->raw_ec = EC_TIMEOUT; }
static void spoil_refused(struct evidence_seen *s) { s->raw.rcode = DNS_RCODE_REFUSED; }
static void spoil_servfail(struct evidence_seen *s) { s->raw.rcode = DNS_SERVFAIL; }
static void spoil_lame(struct evidence_seen *s) { s->raw.aa = false; }
static void spoil_cut(struct evidence_seen *s) { s->raw.cut = true; }
static void spoil_malformed(struct evidence_seen *s) { s->raw.num_tlsa_malformed = 1; }
static void spoil_unvalidated(struct evidence_seen *s) { s->status = SECURE_FAILED; }

static const struct silence_case {
	const char *name;
	void (*spoil)(struct evidence_seen *s);
	const char *words;
} silences[] = {
	{ "timeout", spoil_timeout, "no answer in time" },
	{ "REFUSED", spoil_refused, "REFUSED" },
	{ "SERVFAIL", spoil_servfail, "SERVFAIL" },
	{ "lame", spoil_lame, "not authoritative" },
	{ "too much", spoil_cut, "more or stranger" },
	{ "malformed", spoil_malformed, "more or stranger" },
	{ "no proof", spoil_unvalidated, "could not be checked" },
};

static void test_silences(void **state)
{
	(void)state;
	for (size_t i = 0; i < NUM(silences); i++) {
		struct evidence_seen *s = good();
		struct evidence_hop hop = last_hop();
		struct answer a;
		struct why why = { 0 };
		silences[i].spoil(s);
		enum ec ec = evidence_judge(s, &hop, NOW, &a, &why);
		if (ec == EC_OK || strstr(why.text, silences[i].words) == NULL || a.set.num != 0)
			fail_msg("%s: %s, \"%s\"", silences[i].name, ec_name(ec), why.text);
		free(s);
	}
}

static void test_bogus_and_insecure(void **state)
{
	(void)state;
	struct evidence_seen *s = good();
	struct evidence_hop hop = last_hop();
	struct answer a;
	struct why why = { 0 };
	s->status = SECURE_BOGUS;
	s->secure_set = (struct tlsa_set){ 0 };
	(void)why_set(&s->secure_why, EC_DNS_BOGUS, "signature expired");
	assert_int_equal(evidence_judge(s, &hop, NOW, &a, &why), EC_OK);
	assert_int_equal(a.validity, VALIDITY_BOGUS);
	assert_string_equal(a.words, "signature expired");
	s->status = SECURE_INSECURE;
	assert_int_equal(evidence_judge(s, &hop, NOW, &a, &why), EC_OK);
	assert_int_equal(a.validity, VALIDITY_INSECURE);
	assert_non_null(a.words);
	free(s);
}

/* RFC 2308 5: a denial is cached for the smaller of the SOA's TTL and minimum. */
static void test_denial(void **state)
{
	(void)state;
	struct evidence_seen *s = good();
	struct evidence_hop hop = last_hop();
	struct answer a;
	struct why why = { 0 };
	s->raw = (struct dns_answer){ .aa = true, .qr = true, .rcode = DNS_NXDOMAIN, .type = DNS_TLSA, .has_soa = true,
	                              .question = hop.owner, .canonical = hop.owner };
	s->raw.soa = (struct dns_soa){ .ttl_s = 3600, .minimum_s = 77, .serial = 9 };
	s->secure_set = (struct tlsa_set){ 0 };
	s->denial_until = NOW + 500;
	assert_int_equal(evidence_judge(s, &hop, NOW, &a, &why), EC_OK);
	assert_int_equal(a.set.num, 0);
	assert_int_equal(a.ttl_s, 77);
	assert_int_equal(a.signature_expires.s, NOW + 500);
	assert_int_equal(a.validity, VALIDITY_SECURE);
	free(s);
}

static struct evidence_seen *alias_answer(const char *target)
{
	struct evidence_seen *s = good();
	struct dns_name owner = name("_25._tcp.mx.test");
	s->raw.found = false;
	s->raw.tlsa = (struct tlsa_set){ 0 };
	s->raw.num_rrsigs = 0;
	s->raw.num_aliases = 1;
	s->raw.aliases[0] = (struct dns_alias){ owner, name(target), 60 };
	s->raw.canonical = name(target);
	sign(&s->raw, &owner, DNS_CNAME, 900, NOW + 2000);
	return s;
}

static void test_alias(void **state)
{
	(void)state;
	struct evidence_hop hop = { .owner = name("_25._tcp.mx.test"), .alias = true, .target = name("pin.other.test"), .chain_ttl_s = 100 };
	struct answer a;
	struct why why = { 0 };
	struct evidence_seen *s = alias_answer("pin.other.test");
	assert_int_equal(evidence_judge(s, &hop, NOW, &a, &why), EC_OK);
	assert_true(a.alias);
	assert_int_equal(a.set.num, 0);
	assert_int_equal(a.ttl_s, 900);
	assert_int_equal(a.signature_expires.s, NOW + 2000);
	free(s);
	/* The records behind it, sent along by a server of both, are no part of this. */
	s = alias_answer("pin.other.test");
	s->raw.found = true;
	put(&s->raw.tlsa, 1);
	assert_int_equal(evidence_judge(s, &hop, NOW, &a, &why), EC_OK);
	assert_true(a.alias);
	assert_int_equal(a.set.num, 0);
	free(s);
	/* An old alias elsewhere agrees with nothing. */
	s = alias_answer("old.other.test");
	assert_int_equal(evidence_judge(s, &hop, NOW, &a, &why), EC_OK);
	assert_false(a.alias);
	assert_int_equal(a.set.num, 0);
	free(s);
	/* The TTL of an alias before us counts too: a cache may hold the chain that long. */
	s = good();
	hop = last_hop();
	hop.chain_ttl_s = 7200;
	assert_int_equal(evidence_judge(s, &hop, NOW, &a, &why), EC_OK);
	assert_int_equal(a.ttl_s, 7200);
	free(s);
}

/* The authority section of a denial, written by hand after RFC 1035 4.1 and
 * RFC 4034 3.1: NSEC's signature until T+500, SOA's until T+400. */
static size_t add_rrsig(uint8_t *p, uint16_t covered, uint32_t until)
{
	static const uint8_t head[] = { 0xc0, 0x0c, 0, 46, 0, 1, 0, 0, 0, 60, 0, 20 };
	memcpy(p, head, sizeof head);
	uint8_t rdata[20] = { (uint8_t)(covered >> 8), (uint8_t)covered, 13, 2, 0, 0, 0, 60,
	                      (uint8_t)(until >> 24), (uint8_t)(until >> 16), (uint8_t)(until >> 8), (uint8_t)until,
	                      0, 0, 0, 1, 0, 7, 0, 0xff };
	memcpy(p + sizeof head, rdata, sizeof rdata);
	return sizeof head + sizeof rdata;
}

static void test_denial_until(void **state)
{
	(void)state;
	/* One question, one answer, two authority records. */
	uint8_t packet[256] = { 0, 1, 0x84, 3, 0, 1, 0, 1, 0, 2, 0, 0, 1, 'x', 4, 't', 'e', 's', 't', 0, 0, 52, 0, 1 };
	size_t len = 24;
	len += add_rrsig(packet + len, DNS_CNAME, NOW + 9000); /* in the answer: not the denial's */
	len += add_rrsig(packet + len, DNS_SOA, NOW + 400);
	len += add_rrsig(packet + len, 47, NOW + 500);
	assert_int_equal(evidence_denial_until(slice_of(packet, len), NOW), NOW + 500);
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(evidence_denial_until(slice_of(packet, cut), NOW), 0);
}

static void test_merge(void **state)
{
	(void)state;
	struct answer a = { .ttl_s = 10, .validity = VALIDITY_SECURE, .signature_expires = { 5 } };
	struct answer b = { .ttl_s = 20, .validity = VALIDITY_BOGUS, .signature_expires = { 9 }, .words = "bad" };
	put(&a.set, 1);
	put(&a.set, 2);
	put(&b.set, 2);
	evidence_merge(&a, &b);
	assert_int_equal(a.set.num, 1);
	assert_int_equal(a.ttl_s, 20);
	assert_int_equal(a.validity, VALIDITY_BOGUS);
	assert_string_equal(a.words, "bad");
	assert_int_equal(a.signature_expires.s, 9);
	/* No proof is worse than a good one. */
	struct answer secure = { .validity = VALIDITY_SECURE };
	struct answer unknown = { .validity = VALIDITY_UNKNOWN };
	evidence_merge(&secure, &unknown);
	assert_int_equal(secure.validity, VALIDITY_UNKNOWN);
	/* A good one does not heal a bad one. */
	struct answer c = { .validity = VALIDITY_SECURE };
	evidence_merge(&a, &c);
	assert_int_equal(a.validity, VALIDITY_BOGUS);
	/* An expected alias says nothing about the set. */
	struct answer alias = { .alias = true, .validity = VALIDITY_SECURE };
	struct answer real = { .validity = VALIDITY_SECURE };
	put(&real.set, 1);
	evidence_merge(&alias, &real);
	assert_int_equal(alias.set.num, 1);
	assert_false(alias.alias);
}

/* What SOA and DNSKEY say of how the zone is kept; and nothing from an answer that does not count. */
static void test_upkeep(void **state)
{
	(void)state;
	struct dns_answer *soa = calloc(1, sizeof *soa), *keys = calloc(1, sizeof *keys);
	struct fact_upkeep u = { 0 };
	struct dns_name apex = name("test");
	*soa = (struct dns_answer){ .aa = true, .type = DNS_SOA, .has_soa = true, .soa = { .refresh_s = 7200, .expire_s = 86400 } };
	*keys = (struct dns_answer){ .aa = true, .type = DNS_DNSKEY, .found = true, .canonical = apex };
	sign(keys, &apex, DNS_DNSKEY, 3600, NOW + 500);
	sign(keys, &apex, DNS_DNSKEY, 3600, NOW + 900);
	sign(keys, &apex, DNS_TLSA, 3600, NOW + 5000); /* does not belong there */
	evidence_upkeep(&u, soa, NOW);
	assert_true(u.refresh_s == 7200 && u.expire_s == 86400 && !u.keys_asked);
	evidence_upkeep(&u, keys, NOW);
	assert_true(u.keys_asked && u.keys_there);
	assert_int_equal(u.keys_signed_until.s, NOW + 900);
	struct fact_upkeep before = u;
	soa->aa = false;
	soa->soa.refresh_s = 1;
	evidence_upkeep(&u, soa, NOW);
	keys->rcode = DNS_SERVFAIL;
	keys->found = false;
	evidence_upkeep(&u, keys, NOW);
	assert_memory_equal(&u, &before, sizeof u);
	keys->rcode = DNS_NOERROR;
	evidence_upkeep(&u, keys, NOW);
	assert_true(u.keys_asked && !u.keys_there);
	free(soa);
	free(keys);
}

static void test_upkeep_judged_and_merged(void **state)
{
	(void)state;
	struct evidence_seen *s = good();
	struct evidence_hop hop = last_hop();
	struct answer a, b;
	struct why why = { 0 };
	s->raw.rrsigs[0].inception = s->raw.rrsigs[0].expiration - 86400;
	s->upkeep = (struct fact_upkeep){ .refresh_s = 10, .expire_s = 50, .keys_asked = true, .keys_there = true,
		                          .keys_signed_until = { NOW + 70 } };
	assert_int_equal(evidence_judge(s, &hop, NOW, &a, &why), EC_OK);
	assert_int_equal(a.upkeep.signed_s, 86400);
	assert_int_equal(a.upkeep.refresh_s, 10);
	/* another zone at the same server: the one that gives less time counts */
	b = a;
	b.upkeep = (struct fact_upkeep){ .refresh_s = 20, .expire_s = 40, .signed_s = 3600, .keys_asked = true,
		                         .keys_signed_until = { NOW + 60 } };
	evidence_merge(&a, &b);
	assert_true(a.upkeep.refresh_s == 20 && a.upkeep.expire_s == 50 && a.upkeep.signed_s == 3600);
	assert_true(a.upkeep.keys_asked && !a.upkeep.keys_there);
	assert_int_equal(a.upkeep.keys_signed_until.s, NOW + 60);
	/* what is not known changes nothing */
	struct fact_upkeep before = a.upkeep;
	b.upkeep = (struct fact_upkeep){ 0 };
	evidence_merge(&a, &b);
	assert_memory_equal(&a.upkeep, &before, sizeof before);
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),        cmocka_unit_test(test_intersection), cmocka_unit_test(test_silences),
		cmocka_unit_test(test_bogus_and_insecure), cmocka_unit_test(test_denial), cmocka_unit_test(test_alias),
		cmocka_unit_test(test_denial_until), cmocka_unit_test(test_merge),
		cmocka_unit_test(test_upkeep),       cmocka_unit_test(test_upkeep_judged_and_merged),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
