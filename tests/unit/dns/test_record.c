#include "dns/record.h"
#include "dns/secure.h"
#include "dns/secure_config.h"

#include "base/address.h"
#include "tests/unit/unit.h"

static struct dns_name parsed(const char *text)
{
	struct dns_name n;
	assert_int_equal(dns_name_parse(slice_str(text), &n, NULL), EC_OK);
	return n;
}

/* RFC 4034 3.1.5: the 32-bit times of an RRSIG are serial numbers. */
static void signature_times_unwrap(void **state)
{
	(void)state;
	static const struct {
		uint32_t t;
		int64_t now;
		int64_t want;
	} cases[] = {
		{ 1800000000, 1800000000, 1800000000 },
		{ 1800000100, 1800000000, 1800000100 },
		{ 1799999900, 1800000000, 1799999900 },
		/* 2106-02-07T06:28:16Z is 2^32: a signature that ends after it */
		{ 100, 4294967000, 4294967396 },
		{ 4294967000, 4294967396, 4294967000 },
		{ 0, 0, 0 },
		/* exactly half way is ambiguous; a step less is the future */
		{ 0x7fffffff, 0, 0x7fffffff },
	};
	for (size_t i = 0; i < NUM(cases); i++)
		assert_int_equal(dns_time(cases[i].t, cases[i].now), cases[i].want);
}

static void soa_rdata(void **state)
{
	(void)state;
	/* ns0.example. host.example. 41 7200 900 1209600 300 */
	static const uint8_t rdata[] = "\3ns0\7example\0\4host\7example\0"
				       "\0\0\0\51\0\0\34\40\0\0\3\204\0\22\165\0\0\0\1\54";
	struct dns_name owner = parsed("example"), mname = parsed("ns0.example");
	struct dns_soa soa;
	size_t len = sizeof rdata - 1;
	assert_int_equal(dns_soa_from_rdata(&owner, 600, slice_of(rdata, len), &soa), EC_OK);
	assert_true(dns_name_eq(&soa.owner, &owner));
	assert_true(dns_name_eq(&soa.mname, &mname));
	assert_int_equal(soa.serial, 41);
	assert_int_equal(soa.refresh_s, 7200);
	assert_int_equal(soa.retry_s, 900);
	assert_int_equal(soa.expire_s, 1209600);
	assert_int_equal(soa.minimum_s, 300);
	assert_int_equal(dns_soa_negative_ttl(&soa), 300); /* RFC 2308 5 */
	soa.ttl_s = 60;
	assert_int_equal(dns_soa_negative_ttl(&soa), 60);
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(dns_soa_from_rdata(&owner, 600, slice_of(rdata, cut), &soa), EC_SYNTAX);
	assert_int_equal(dns_soa_from_rdata(&owner, 600, slice_of(rdata, len + 1), &soa), EC_SYNTAX);
}

static void denials(void **state)
{
	(void)state;
	static const struct {
		int rcode;
		bool aa, found, has_soa;
		unsigned num_aliases;
		bool denied;
	} cases[] = {
		{ DNS_NXDOMAIN, true, false, true, 0, true },
		{ DNS_NXDOMAIN, false, false, true, 0, false }, /* not its zone: hearsay */
		{ DNS_NOERROR, true, false, true, 0, true },
		{ DNS_NOERROR, true, false, false, 0, true },
		{ DNS_NOERROR, false, false, false, 0, false }, /* a referral */
		{ DNS_NOERROR, true, true, false, 0, false },
		{ DNS_NOERROR, true, false, false, 1, false }, /* an alias that leads away */
		{ DNS_NOERROR, true, false, true, 1, true },
		{ DNS_NXDOMAIN, true, false, true, 1, true },
		{ DNS_SERVFAIL, true, false, false, 0, false },
		{ DNS_RCODE_REFUSED, false, false, false, 0, false },
	};
	for (size_t i = 0; i < NUM(cases); i++) {
		static struct dns_answer a;
		a = (struct dns_answer){ .rcode = cases[i].rcode, .aa = cases[i].aa, .found = cases[i].found,
					 .has_soa = cases[i].has_soa, .num_aliases = cases[i].num_aliases };
		if (dns_answer_denied(&a) != cases[i].denied)
			fail_msg("case %zu", i);
	}
}

static void the_longest_signature_is_found(void **state)
{
	(void)state;
	static struct dns_answer a;
	struct dns_name x = parsed("x"), y = parsed("y");
	a = (struct dns_answer){ .num_rrsigs = 4 };
	a.rrsigs[0] = (struct dns_rrsig){ .owner = x, .covered = DNS_TLSA, .expiration = 100 };
	a.rrsigs[1] = (struct dns_rrsig){ .owner = x, .covered = DNS_TLSA, .expiration = 300 };
	a.rrsigs[2] = (struct dns_rrsig){ .owner = x, .covered = DNS_CNAME, .expiration = 900 };
	a.rrsigs[3] = (struct dns_rrsig){ .owner = y, .covered = DNS_TLSA, .expiration = 900 };
	assert_ptr_equal(dns_answer_signature(&a, &x, DNS_TLSA), &a.rrsigs[1]);
	assert_ptr_equal(dns_answer_signature(&a, &y, DNS_TLSA), &a.rrsigs[3]);
	assert_null(dns_answer_signature(&a, &y, DNS_CNAME));
	a.rrsigs[0].expiration = 5; /* after the wrap of 2^32 */
	a.rrsigs[1].expiration = UINT32_MAX - 5;
	assert_ptr_equal(dns_answer_signature(&a, &x, DNS_TLSA), &a.rrsigs[0]);
}

static void names_of_codes_and_types(void **state)
{
	(void)state;
	assert_string_equal(dns_rcode_name(9), "NOTAUTH");
	assert_string_equal(dns_rcode_name(3), "NXDOMAIN");
	assert_string_equal(dns_rcode_name(4000), "RCODE");
	assert_string_equal(dns_type_name(52), "TLSA");
	assert_string_equal(dns_type_name(46), "RRSIG");
	assert_string_equal(dns_type_name(65280), "TYPE");
}

static void secure_answers_give_sets_and_addresses(void **state)
{
	(void)state;
	static struct secure_answer a;
	static const uint8_t one[] = { 3, 1, 1, 0xaa }, two[] = { 3, 1, 1, 0xbb }, bad[] = { 3, 1 };
	struct tlsa_set set;
	a = (struct secure_answer){ .type = DNS_TLSA, .num = 3 };
	a.rdata[0] = slice_of(one, 4);
	a.rdata[1] = slice_of(two, 4);
	a.rdata[2] = slice_of(one, 4);
	assert_int_equal(secure_tlsa(&a, &set), EC_OK);
	assert_int_equal(set.num, 2);
	a.rdata[0] = slice_of(bad, 2);
	assert_int_equal(secure_tlsa(&a, &set), EC_SYNTAX);
	assert_int_equal(set.num, 2);
	uint8_t many[TLSA_SET_MAX + 1][4];
	a.num = TLSA_SET_MAX + 1;
	for (uint8_t i = 0; i < a.num; i++) {
		memcpy(many[i], (uint8_t[]){ 3, 1, 1, i }, 4);
		a.rdata[i] = slice_of(many[i], 4);
	}
	assert_int_equal(secure_tlsa(&a, &set), EC_NO_SPACE);
	assert_int_equal(set.num, TLSA_SET_MAX);

	struct sockaddr_storage out[3];
	unsigned num = 0;
	static const uint8_t v6[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 };
	a = (struct secure_answer){ .type = DNS_A, .num = 2 };
	a.rdata[0] = slice_of("\300\0\2\1", 4);
	a.rdata[1] = slice_of("\300\0\2\2", 4);
	assert_int_equal(secure_addresses(&a, 25, out, 3, &num), EC_OK);
	assert_int_equal(secure_addresses(&a, 25, out, 3, &num), EC_OK); /* no duplicates */
	assert_int_equal(num, 2);
	char text[ADDRESS_TEXT_SIZE];
	address_print(text, &out[1]);
	assert_string_equal(text, "192.0.2.2:25");
	a = (struct secure_answer){ .type = DNS_AAAA, .num = 2 };
	a.rdata[0] = slice_of(v6, 16);
	a.rdata[1] = slice_of(v6, 15);
	assert_int_equal(secure_addresses(&a, 25, out, 3, &num), EC_SYNTAX);
	assert_int_equal(num, 3);
	address_print(text, &out[2]);
	assert_string_equal(text, "[2001:db8::1]:25");
	a = (struct secure_answer){ .type = DNS_A, .num = 1 };
	a.rdata[0] = slice_of("\300\0\2\3", 4);
	assert_int_equal(secure_addresses(&a, 25, out, 3, &num), EC_NO_SPACE);
	assert_int_equal(num, 3);
	assert_string_equal(secure_status_name(SECURE_VALID), "secure");
	assert_int_equal((enum secure_status)0, SECURE_FAILED); /* a forgotten status proves nothing */
}

static void root_anchors_are_found(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool found;
	} cases[] = {
		{ ". IN DS 20326 8 2 E06D\n", true },
		{ ". DS 1 13 2 00", true },
		{ ".\t172800\tin\tdnskey\t257 3 13 AAAA ; x\r\n", true },
		{ "; a comment\n\n. 5 IN DS 1 13 2 00\n", true },
		{ "", false },
		{ "\n\n", false },
		{ "; . IN DS 1 13 2 00\n", false },
		{ ". IN NS a. ; DS\n", false },
		{ "org. IN DS 1 13 2 00\n", false },
		{ "DS .\n", false },
		{ ".\nDS\n", false },
		{ "  . IN DS 1 13 2 00\n", false }, /* a blank first: the owner of the line before */
	};
	for (size_t i = 0; i < NUM(cases); i++) {
		if (secure_config_anchors_root(slice_str(cases[i].text)) != cases[i].found)
			fail_msg("%s", cases[i].text);
	}
}

static void libunbounds_configuration(void **state)
{
	(void)state;
	char text[SECURE_CONFIG_MAX];
	const char *forwarders[] = { "192.0.2.53", "[2001:db8::53]:5353" };
	struct secure_options o = { 0 };
	struct writer w = writer_of(text, sizeof text);
	assert_int_equal(secure_config_write(&o, NULL, NULL, &w, NULL), EC_OK);
	assert_null(strstr(text, "forward-zone:"));
	assert_null(strstr(text, "stub-zone:"));
	o = (struct secure_options){ .forwarders = forwarders, .num_forwarders = 2 };
	struct dns_name zone = parsed("example.org");
	struct sockaddr_storage at;
	assert_int_equal(address_parse(SLICE_LIT("192.0.2.1:5300"), 0, &at, NULL), EC_OK);
	w = writer_of(text, sizeof text);
	assert_int_equal(secure_config_write(&o, &zone, &at, &w, NULL), EC_OK);
	/* unbound.conf(5): "name", "stub-addr: IP@port", "stub-no-cache" */
	assert_non_null(strstr(text, "\nstub-zone:\n name: \"example.org\"\n stub-no-cache: yes\n stub-addr: 192.0.2.1@5300\n"));
	assert_non_null(strstr(text, "\nforward-zone:\n name: \".\"\n forward-addr: 192.0.2.53@53\n"
				     " forward-addr: 2001:db8::53@5353\n"));
	w = writer_of(text, w.len - 1);
	assert_int_equal(secure_config_write(&o, &zone, &at, &w, NULL), EC_NO_SPACE);
	/* Nothing in a zone's name can become another setting. */
	zone = parsed("a\\\"\\010include.org");
	w = writer_of(text, sizeof text);
	assert_int_equal(secure_config_write(&o, &zone, &at, &w, NULL), EC_UNSUPPORTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signature_times_unwrap),
		cmocka_unit_test(soa_rdata),
		cmocka_unit_test(denials),
		cmocka_unit_test(the_longest_signature_is_found),
		cmocka_unit_test(names_of_codes_and_types),
		cmocka_unit_test(secure_answers_give_sets_and_addresses),
		cmocka_unit_test(root_anchors_are_found),
		cmocka_unit_test(libunbounds_configuration),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
