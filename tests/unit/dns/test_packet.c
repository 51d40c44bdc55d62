/* packets.h was made by dnspython: see make_packets.py for what is in it. */
#include "dns/packet_ldns.h"

#include "base/address.h"
#include "tests/unit/dns/packets.h"
#include "tests/unit/unit.h"

#include <stdlib.h>

#define PACKET(name) { #name, name, sizeof name }

static const struct {
	const char *name;
	const uint8_t *wire;
	size_t len;
} packets[] = {
	PACKET(packet_tlsa),     PACKET(packet_case),      PACKET(packet_alias),    PACKET(packet_alias_out),
	PACKET(packet_alias_loop), PACKET(packet_cname_question), PACKET(packet_nxdomain), PACKET(packet_nodata),
	PACKET(packet_foreign_soa), PACKET(packet_referral), PACKET(packet_ns),     PACKET(packet_a),
	PACKET(packet_aaaa),     PACKET(packet_soa),       PACKET(packet_truncated), PACKET(packet_servfail),
	PACKET(packet_badvers),  PACKET(packet_many),      PACKET(packet_odd_tlsa), PACKET(packet_elsewhere),
	PACKET(packet_no_edns),   PACKET(packet_two_ttls),
};

static struct dns_answer a;

#define PARSE(name) parse(slice_of(name, sizeof(name)))

static void parse(struct slice wire)
{
	struct why why = { 0 };
	enum ec ec = packet_parse(wire, &a, &why);
	if (ec != EC_OK)
		fail_msg("%s: %s", ec_name(ec), why.text);
	assert_int_equal(a.id, PACKET_ID);
	assert_true(a.qr);
}

static void is_name(const struct dns_name *n, const char *want)
{
	char text[DNS_NAME_TEXT_SIZE];
	dns_name_print(text, n);
	assert_string_equal(text, want);
}

static struct tlsa filled(uint8_t octet)
{
	uint8_t digest[32];
	memset(digest, octet, sizeof digest);
	return tlsa_311(digest);
}

static void is_set(uint8_t first, uint8_t second)
{
	struct tlsa t = filled(first);
	assert_true(tlsa_set_has(&a.tlsa, &t));
	t = filled(second);
	assert_true(tlsa_set_has(&a.tlsa, &t));
	assert_int_equal(a.tlsa.num, first == second ? 1 : 2);
}

static void tlsa_with_signature(void **state)
{
	(void)state;
	PARSE(packet_tlsa);
	assert_int_equal(a.rcode, DNS_NOERROR);
	assert_true(a.aa && a.found);
	assert_false(a.tc || a.cut || dns_answer_denied(&a));
	assert_int_equal(a.type, DNS_TLSA);
	is_name(&a.question, "_25._tcp.mx1.example.org");
	is_name(&a.canonical, "_25._tcp.mx1.example.org");
	assert_int_equal(a.ttl_s, 3600);
	is_set(0xaa, 0xbb);
	assert_int_equal(a.num_rrsigs, 1);
	const struct dns_rrsig *s = dns_answer_signature(&a, &a.question, DNS_TLSA);
	assert_non_null(s);
	assert_int_equal(s->algorithm, 13);
	assert_int_equal(s->labels, 5);
	assert_int_equal(s->ttl_s, 3600);
	assert_int_equal(s->original_ttl_s, 7200);
	assert_int_equal(s->key_tag, 4711);
	assert_int_equal(s->inception, 1798761600);  /* date -u -d 2027-01-01 +%s */
	assert_int_equal(s->expiration, 1801440000); /* 2027-02-01 */
	is_name(&s->signer, "example.org");
}

static void case_does_not_matter(void **state)
{
	(void)state;
	PARSE(packet_case);
	is_name(&a.question, "_25._tcp.mx1.example.org");
	is_set(0xaa, 0xaa);
	PARSE(packet_no_edns);
	is_set(0xaa, 0xaa);
}

static void aliases_are_followed(void **state)
{
	(void)state;
	PARSE(packet_alias);
	assert_int_equal(a.num_aliases, 2);
	is_name(&a.aliases[0].owner, "_25._tcp.mx1.example.org");
	is_name(&a.aliases[0].target, "a.example.org");
	assert_int_equal(a.aliases[0].ttl_s, 900);
	is_name(&a.aliases[1].target, "dane.provider.example");
	assert_int_equal(a.aliases[1].ttl_s, 800);
	is_name(&a.canonical, "dane.provider.example");
	assert_int_equal(a.ttl_s, 700);
	is_set(0xaa, 0xaa);
	assert_int_equal(a.num_rrsigs, 2);
	assert_int_equal(dns_answer_signature(&a, &a.question, DNS_CNAME)->original_ttl_s, 901);
	assert_int_equal(dns_answer_signature(&a, &a.canonical, DNS_TLSA)->original_ttl_s, 701);

	PARSE(packet_alias_out);
	assert_false(a.found || dns_answer_denied(&a));
	is_name(&a.canonical, "dane.provider.example");

	PARSE(packet_alias_loop);
	assert_int_equal(a.num_aliases, DNS_ALIAS_MAX);
	assert_true(a.cut);
	assert_false(a.found);

	PARSE(packet_cname_question);
	assert_true(a.found);
	assert_int_equal(a.num_aliases, 0);
	assert_int_equal(a.ttl_s, 900);
}

static void denials_carry_the_soa(void **state)
{
	(void)state;
	PARSE(packet_nxdomain);
	assert_int_equal(a.rcode, DNS_NXDOMAIN);
	assert_true(dns_answer_denied(&a) && a.has_soa);
	is_name(&a.soa.owner, "example.org");
	is_name(&a.soa.mname, "ns0.example.org");
	assert_int_equal(a.soa.serial, 41);
	assert_int_equal(a.soa.refresh_s, 7200);
	assert_int_equal(a.soa.retry_s, 900);
	assert_int_equal(a.soa.expire_s, 1209600);
	assert_int_equal(a.soa.minimum_s, 300);
	assert_int_equal(a.soa.ttl_s, 600);
	assert_int_equal(dns_soa_negative_ttl(&a.soa), 300);
	PARSE(packet_nodata);
	assert_int_equal(a.rcode, DNS_NOERROR);
	assert_true(dns_answer_denied(&a));
	assert_int_equal(dns_soa_negative_ttl(&a.soa), 200);
	PARSE(packet_foreign_soa);
	assert_false(a.has_soa);
	PARSE(packet_referral);
	assert_false(dns_answer_denied(&a) || a.found);
}

static void servers_and_addresses(void **state)
{
	(void)state;
	char text[ADDRESS_TEXT_SIZE];
	PARSE(packet_ns);
	assert_int_equal(a.num_ns, 2);
	is_name(&a.ns[0], "ns0.example.org");
	is_name(&a.ns[1], "ns1.example.net");
	assert_int_equal(a.num_addresses, 0); /* glue is no answer */
	PARSE(packet_a);
	assert_int_equal(a.num_addresses, 2);
	address_print(text, &a.addresses[1]);
	assert_string_equal(text, "192.0.2.2:53");
	PARSE(packet_aaaa);
	address_print(text, &a.addresses[0]);
	assert_string_equal(text, "[2001:db8::1]:53");
	PARSE(packet_soa);
	assert_true(a.found && a.has_soa);
	assert_int_equal(a.soa.serial, 41);
	assert_int_equal(a.soa.ttl_s, 3600);
}

static void flags_and_codes(void **state)
{
	(void)state;
	PARSE(packet_truncated);
	assert_true(a.tc);
	PARSE(packet_servfail);
	assert_int_equal(a.rcode, DNS_SERVFAIL);
	assert_false(dns_answer_denied(&a) || a.aa);
	PARSE(packet_badvers);
	assert_int_equal(a.rcode, 16); /* the upper bits are in the OPT record */
}

static void odd_and_too_many_records(void **state)
{
	(void)state;
	PARSE(packet_many);
	assert_int_equal(a.tlsa.num, TLSA_SET_MAX);
	assert_true(a.cut);
	PARSE(packet_two_ttls); /* against RFC 2181 5.2: the least counts */
	assert_int_equal(a.ttl_s, 30);
	assert_int_equal(a.tlsa.num, 3);
	PARSE(packet_odd_tlsa);
	assert_int_equal(a.tlsa.num, 2);
	assert_int_equal(a.num_tlsa_malformed, 2);
	struct tlsa t = filled(0xaa);
	assert_true(tlsa_set_remove(&a.tlsa, &t));
	assert_int_equal(a.tlsa.items[0].usage, 2);
	assert_int_equal(a.tlsa.items[0].len, 300);
	PARSE(packet_elsewhere); /* other owner, other class, other section */
	is_set(0xaa, 0xaa);
	assert_int_equal(a.ttl_s, 60);
}

static void answers_belong_to_questions(void **state)
{
	(void)state;
	struct dns_name name = { 0 }, other = { 0 };
	assert_int_equal(dns_name_parse(SLICE_LIT("_25._TCP.mx1.example.org"), &name, NULL), EC_OK);
	assert_int_equal(dns_name_parse(SLICE_LIT("_25._tcp.mx2.example.org"), &other, NULL), EC_OK);
	PARSE(packet_tlsa);
	assert_true(packet_answers(&a, PACKET_ID, &name, DNS_TLSA));
	assert_false(packet_answers(&a, PACKET_ID + 1, &name, DNS_TLSA));
	assert_false(packet_answers(&a, PACKET_ID, &other, DNS_TLSA));
	assert_false(packet_answers(&a, PACKET_ID, &name, DNS_CNAME));
	a.qr = false;
	assert_false(packet_answers(&a, PACKET_ID, &name, DNS_TLSA));
}

static void questions(void **state)
{
	(void)state;
	/* RFC 1035 4.1.1-2, RFC 6891 6.1.2: id, flags, one question, one OPT
	 * record with size 1232; DO is the top bit of the TTL's lower half. */
	static const uint8_t want[] = "\253\315\1\0\0\1\0\0\0\0\0\1"
				      "\3_25\4_tcp\3mx1\7example\3org\0\0\64\0\1"
				      "\0\0\51\4\320\0\0\200\0\0\0";
	struct dns_name name;
	uint8_t wire[PACKET_QUESTION_MAX];
	size_t len;
	struct packet_flags flags = { .rd = true, .dnssec = true };
	assert_int_equal(dns_name_parse(SLICE_LIT("_25._tcp.mx1.example.org"), &name, NULL), EC_OK);
	assert_int_equal(packet_question(&name, DNS_TLSA, 0xabcd, flags, wire, &len, NULL), EC_OK);
	assert_int_equal(len, sizeof want - 1);
	assert_memory_equal(wire, want, len);
	flags = (struct packet_flags){ 0 };
	assert_int_equal(packet_question(&name, DNS_TLSA, 0xabcd, flags, wire, &len, NULL), EC_OK);
	assert_int_equal(wire[2], 0);
	assert_int_equal(wire[len - 4] & 0x80, 0);
	/* The longest name fits, the root too. */
	char text[253];
	for (size_t i = 0; i < sizeof text; i++)
		text[i] = i % 2 == 0 ? 'a' : '.';
	assert_int_equal(dns_name_parse(slice_of(text, 253), &name, NULL), EC_OK);
	assert_int_equal(packet_question(&name, DNS_TLSA, 1, flags, wire, &len, NULL), EC_OK);
	assert_int_equal(packet_parse(slice_of(wire, len), &a, NULL), EC_OK);
	assert_true(dns_name_eq(&a.question, &name));
	assert_int_equal(dns_name_parse(SLICE_LIT("."), &name, NULL), EC_OK);
	assert_int_equal(packet_question(&name, DNS_NS, 1, flags, wire, &len, NULL), EC_OK);
}

/* Whatever a server sends: an error or plain values. Memory is exactly as long
 * as the message, so that ASan sees one octet too far. */
static void parse_copy(const uint8_t *wire, size_t len, bool must_fail)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);
	assert_non_null(copy);
	memcpy(copy, wire, len);
	enum ec ec = packet_parse(slice_of(copy, len), &a, NULL);
	if (must_fail)
		assert_int_equal(ec, EC_SYNTAX);
	free(copy);
}

static void cut_and_broken_messages_do_no_harm(void **state)
{
	(void)state;
	srand(3);
	for (size_t p = 0; p < NUM(packets); p++) {
		for (size_t cut = 0; cut < packets[p].len; cut++)
			parse_copy(packets[p].wire, cut, true);
		uint8_t wire[4096];
		assert_true(packets[p].len < sizeof wire);
		for (int round = 0; round < 400; round++) {
			memcpy(wire, packets[p].wire, packets[p].len);
			for (int flips = rand() % 4; flips >= 0; flips--)
				wire[(size_t)rand() % packets[p].len] = (uint8_t)rand();
			parse_copy(wire, packets[p].len, false);
		}
		memcpy(wire, packets[p].wire, packets[p].len);
		wire[packets[p].len] = 0;
		parse_copy(wire, packets[p].len + 1, true);
		wire[5] = 2; /* two questions promised, or none */
		parse_copy(wire, packets[p].len, true);
		wire[5] = 0;
		parse_copy(wire, packets[p].len, true);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tlsa_with_signature),
		cmocka_unit_test(case_does_not_matter),
		cmocka_unit_test(aliases_are_followed),
		cmocka_unit_test(denials_carry_the_soa),
		cmocka_unit_test(servers_and_addresses),
		cmocka_unit_test(flags_and_codes),
		cmocka_unit_test(odd_and_too_many_records),
		cmocka_unit_test(answers_belong_to_questions),
		cmocka_unit_test(questions),
		cmocka_unit_test(cut_and_broken_messages_do_no_harm),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
