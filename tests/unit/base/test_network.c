#include "base/network.h"

#include "base/address.h"
#include "tests/unit/unit.h"

static void networks_parse(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum ec ec;
		const char *base;
		unsigned bits;
		const char *why; /* somewhere in it */
	} cases[] = {
		{ "192.0.2.0/24", EC_OK, "192.0.2.0", 24, NULL },
		{ "192.0.2.1", EC_OK, "192.0.2.1", 32, NULL },
		{ "192.0.2.1/32", EC_OK, "192.0.2.1", 32, NULL },
		{ "0.0.0.0/0", EC_OK, "0.0.0.0", 0, NULL },
		{ "::/0", EC_OK, "::", 0, NULL },
		{ "2001:DB8::/32", EC_OK, "2001:db8::", 32, NULL },
		{ "2001:db8::1", EC_OK, "2001:db8::1", 128, NULL },
		{ "192.0.2.128/25", EC_OK, "192.0.2.128", 25, NULL },
		{ "192.0.2.1/24", EC_RANGE, NULL, 0, "192.0.2.0/24" },
		{ "192.0.2.128/24", EC_RANGE, NULL, 0, "192.0.2.0/24" },
		{ "2001:db8::1/64", EC_RANGE, NULL, 0, "2001:db8::/64" },
		{ "192.0.2.0/33", EC_RANGE, NULL, 0, "0 to 32" },
		{ "2001:db8::/129", EC_RANGE, NULL, 0, "0 to 128" },
		{ "192.0.2.0/", EC_SYNTAX, NULL, 0, NULL },
		{ "192.0.2.0/x", EC_SYNTAX, NULL, 0, NULL },
		{ "192.0.2.0/-1", EC_SYNTAX, NULL, 0, NULL },
		{ "192.0.2.0/24/24", EC_SYNTAX, NULL, 0, NULL },
		{ "192.0.2.0/255.255.255.0", EC_SYNTAX, NULL, 0, NULL },
		{ "192.0.2", EC_SYNTAX, NULL, 0, NULL },
		{ "192.0.2.1:25", EC_SYNTAX, NULL, 0, NULL },
		{ "[::1]", EC_SYNTAX, NULL, 0, NULL },
		{ "localhost", EC_SYNTAX, NULL, 0, NULL },
		{ "::ffff:192.0.2.0/120", EC_SYNTAX, NULL, 0, "IPv4" },
		{ "/24", EC_SYNTAX, NULL, 0, NULL },
		{ "", EC_SYNTAX, NULL, 0, NULL },
	};
	for (size_t i = 0; i < NUM(cases); i++) {
		struct network n;
		struct why why = { 0 };
		enum ec ec = network_parse(slice_str(cases[i].text), &n, &why);
		if (ec != cases[i].ec || (cases[i].why != NULL && strstr(why.text, cases[i].why) == NULL))
			fail_msg("\"%s\": %s (%s)", cases[i].text, ec_name(ec), why.text);
		if (ec != EC_OK)
			continue;
		char text[ADDRESS_TEXT_SIZE];
		address_print_ip(text, &n.base);
		assert_string_equal(text, cases[i].base);
		assert_int_equal(n.bits, cases[i].bits);
	}
}

static void networks_have_members(void **state)
{
	(void)state;
	static const struct {
		const char *network;
		const char *in, *out;
	} cases[] = {
		{ "192.0.2.0/24", "192.0.2.0", "192.0.3.0" },   { "192.0.2.0/24", "192.0.2.255", "192.0.1.255" },
		{ "192.0.2.128/25", "192.0.2.128", "192.0.2.127" }, { "192.0.2.7", "192.0.2.7", "192.0.2.6" },
		{ "0.0.0.0/0", "203.0.113.9", "2001:db8::1" },  { "::/0", "2001:db8::1", "203.0.113.9" },
		{ "2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1" },
	};
	for (size_t i = 0; i < NUM(cases); i++) {
		struct network all[2];
		struct sockaddr_storage in, out;
		assert_int_equal(network_parse(SLICE_LIT("198.51.100.0/30"), &all[0], NULL), EC_OK);
		assert_int_equal(network_parse(slice_str(cases[i].network), &all[1], NULL), EC_OK);
		assert_int_equal(address_parse(slice_str(cases[i].in), 25, &in, NULL), EC_OK);
		assert_int_equal(address_parse(slice_str(cases[i].out), 25, &out, NULL), EC_OK);
		if (!networks_have(all, 2, &in) || networks_have(all, 2, &out) || networks_have(all, 1, &in))
			fail_msg("%s", cases[i].network);
	}
	assert_false(networks_have(NULL, 0, &(struct sockaddr_storage){ .ss_family = AF_INET }));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(networks_parse),
		cmocka_unit_test(networks_have_members),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
