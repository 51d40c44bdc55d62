#include "base/address.h"

#include "tests/unit/unit.h"

#include <arpa/inet.h>

static void addresses_parse_and_print(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint16_t port;
		enum ec ec;
		const char *printed;
	} cases[] = {
		{ "192.0.2.1:53", 0, EC_OK, "192.0.2.1:53" },
		{ "192.0.2.1", 25, EC_OK, "192.0.2.1:25" },
		{ "[2001:DB8::0:1]:5353", 0, EC_OK, "[2001:db8::1]:5353" },
		{ "[::1]", 53, EC_OK, "[::1]:53" },
		{ "::", 25, EC_OK, "[::]:25" },
		{ "2001:db8::1", 53, EC_OK, "[2001:db8::1]:53" },
		{ "[::ffff:192.0.2.1]:1", 0, EC_OK, "[::ffff:192.0.2.1]:1" },
		{ "192.0.2.1:65535", 0, EC_OK, "192.0.2.1:65535" },
		{ "192.0.2.1", 0, EC_MISSING, NULL },
		{ "[::1]", 0, EC_MISSING, NULL },
		{ "192.0.2.1:0", 53, EC_RANGE, NULL },
		{ "192.0.2.1:65536", 53, EC_RANGE, NULL },
		{ "192.0.2.1:99999999999999999999", 53, EC_RANGE, NULL },
		{ "192.0.2.1:", 53, EC_SYNTAX, NULL },
		{ "192.0.2.1:x", 53, EC_SYNTAX, NULL },
		{ "192.0.2.1:-1", 53, EC_SYNTAX, NULL },
		{ "192.0.2.1: 53", 53, EC_SYNTAX, NULL },
		{ "192.0.2", 53, EC_SYNTAX, NULL },
		{ "192.0.2.256", 53, EC_SYNTAX, NULL },
		{ "[192.0.2.1]:53", 53, EC_SYNTAX, NULL },
		{ "[::1", 53, EC_SYNTAX, NULL },
		{ "[::1]53", 53, EC_SYNTAX, NULL },
		{ "[::1]:", 53, EC_SYNTAX, NULL },
		{ "[]:53", 53, EC_SYNTAX, NULL },
		{ "fe80::1%lo", 53, EC_SYNTAX, NULL },
		{ "localhost", 53, EC_SYNTAX, NULL },
		{ "localhost:53", 53, EC_SYNTAX, NULL },
		{ ":53", 53, EC_SYNTAX, NULL },
		{ "", 53, EC_SYNTAX, NULL },
		{ " 192.0.2.1", 53, EC_SYNTAX, NULL },
		{ "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc", 53, EC_SYNTAX, NULL },
	};
	for (size_t i = 0; i < NUM(cases); i++) {
		struct sockaddr_storage a;
		struct why why = { 0 };
		char text[ADDRESS_TEXT_SIZE];
		enum ec ec = address_parse(slice_str(cases[i].text), cases[i].port, &a, &why);
		if (ec != cases[i].ec)
			fail_msg("\"%s\": %s (%s)", cases[i].text, ec_name(ec), why.text);
		assert_int_equal(ec == EC_OK, why.text[0] == '\0');
		address_print(text, &a);
		assert_string_equal(text, ec == EC_OK ? cases[i].printed : "-");
	}
	struct sockaddr_storage a;
	assert_int_equal(address_parse(slice_of("127.0.0.1\0x", 11), 53, &a, NULL), EC_SYNTAX);
}

static struct sockaddr_storage parsed(const char *text)
{
	struct sockaddr_storage a;
	assert_int_equal(address_parse(slice_str(text), 25, &a, NULL), EC_OK);
	return a;
}

static void ports_families_and_lengths(void **state)
{
	(void)state;
	struct sockaddr_storage a = parsed("192.0.2.1:53"), b = parsed("[2001:db8::1]:54"), none = { 0 };
	assert_int_equal(address_port(&a), 53);
	assert_int_equal(address_port(&b), 54);
	assert_int_equal(address_len(&a), sizeof(struct sockaddr_in));
	assert_int_equal(address_len(&b), sizeof(struct sockaddr_in6));
	assert_int_equal(address_len(&none), 0);
	struct sockaddr_storage c = a;
	assert_true(address_eq(&a, &c));
	address_set_port(&c, 1053);
	assert_false(address_eq(&a, &c));
	assert_true(address_eq_ip(&a, &c));
	assert_false(address_eq_ip(&a, &b));

	struct sockaddr_storage mapped = parsed("[::ffff:192.0.2.1]:53");
	assert_false(address_eq(&mapped, &a));
	address_unmap(&mapped);
	assert_true(address_eq(&mapped, &a));
	address_unmap(&b);
	assert_int_equal(b.ss_family, AF_INET6);
}

static void prefixes(void **state)
{
	(void)state;
	static const struct {
		const char *a;
		const char *network;
		unsigned bits;
		bool in;
	} cases[] = {
		{ "192.0.2.1", "192.0.2.0", 24, true },
		{ "192.0.3.1", "192.0.2.0", 24, false },
		{ "192.0.3.1", "192.0.2.0", 23, true },
		{ "203.0.113.9", "0.0.0.0", 0, true },
		{ "192.0.2.1", "192.0.2.1", 32, true },
		{ "192.0.2.0", "192.0.2.1", 32, false },
		{ "192.0.2.1", "192.0.2.1", 33, false },
		{ "2001:db8:0:1::5", "2001:db8:0:1::", 64, true },
		{ "2001:db8:0:2::5", "2001:db8:0:1::", 64, false },
		{ "2001:db8::1", "2001:db8::", 127, true },
		{ "2001:db8::2", "2001:db8::", 127, false },
		{ "192.0.2.1", "::", 0, false },
	};
	for (size_t i = 0; i < NUM(cases); i++) {
		struct sockaddr_storage a = parsed(cases[i].a), n = parsed(cases[i].network);
		if (address_in_prefix(&a, &n, cases[i].bits) != cases[i].in)
			fail_msg("%s in %s/%u", cases[i].a, cases[i].network, cases[i].bits);
		/* Masking both says the same. */
		if (cases[i].bits <= 32 && a.ss_family == n.ss_family) {
			address_mask(&a, cases[i].bits);
			address_mask(&n, cases[i].bits);
			assert_int_equal(address_eq(&a, &n), cases[i].in);
		}
	}
	for (unsigned bits = 0; bits <= 32; bits++) { /* the same by arithmetic */
		struct sockaddr_storage all = parsed("255.255.255.255");
		address_mask(&all, bits);
		uint32_t want = bits == 0 ? 0 : UINT32_MAX << (32 - bits);
		assert_int_equal(ntohl(((struct sockaddr_in *)&all)->sin_addr.s_addr), want);
	}
	struct sockaddr_storage a = parsed("[2001:db8:1:2ff::9]:25");
	char text[ADDRESS_TEXT_SIZE];
	address_mask(&a, 56);
	address_print_ip(text, &a);
	assert_string_equal(text, "2001:db8:1:200::");
	assert_int_equal(address_port(&a), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_parse_and_print),
		cmocka_unit_test(ports_families_and_lengths),
		cmocka_unit_test(prefixes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
