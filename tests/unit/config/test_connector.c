/* Where next hops lead, and what is in force when. */
#include "config/connector.h"

#include "base/address.h"
#include "tests/unit/unit.h"

static void hops(void **state)
{
	(void)state;
	static const struct {
		const char *to;
		enum ec ec;
		enum config_hop_kind kind;
		const char *name; /* or the address, printed */
		unsigned port;
		bool named, local;
	} cases[] = {
		{ "mx", EC_OK, CONFIG_HOP_MX, "", 0, true, false },
		{ "mail.example.org:25", EC_OK, CONFIG_HOP_HOST, "mail.example.org", 25, true, false },
		{ "Mail-2.Example.org:65535", EC_OK, CONFIG_HOP_HOST, "Mail-2.Example.org", 65535, true, false },
		{ "4711.example:1", EC_OK, CONFIG_HOP_HOST, "4711.example", 1, true, false },
		{ "192.0.2.1:25", EC_OK, CONFIG_HOP_ADDRESS, "192.0.2.1:25", 25, false, false },
		{ "[2001:db8::1]:2525", EC_OK, CONFIG_HOP_ADDRESS, "[2001:db8::1]:2525", 2525, false, false },
		{ "127.0.0.1:25", EC_OK, CONFIG_HOP_ADDRESS, "127.0.0.1:25", 25, false, true },
		{ "127.255.255.254:25", EC_OK, CONFIG_HOP_ADDRESS, "127.255.255.254:25", 25, false, true },
		{ "[::1]:25", EC_OK, CONFIG_HOP_ADDRESS, "[::1]:25", 25, false, true },
		{ "[::ffff:127.0.0.1]:25", EC_OK, CONFIG_HOP_ADDRESS, "[::ffff:127.0.0.1]:25", 25, false, true },
		{ "[::2]:25", EC_OK, CONFIG_HOP_ADDRESS, "[::2]:25", 25, false, false },
		{ "128.0.0.1:25", EC_OK, CONFIG_HOP_ADDRESS, "128.0.0.1:25", 25, false, false },
		{ "unix:/run/x", EC_OK, CONFIG_HOP_UNIX, "/run/x", 0, false, true },
		{ "", EC_SYNTAX, 0, NULL, 0, false, false },
		{ "MX", EC_SYNTAX, 0, NULL, 0, false, false },
		{ "mx:25", EC_SYNTAX, 0, NULL, 0, false, false },
		{ "mail.example.org", EC_MISSING, 0, NULL, 0, false, false },
		{ "mail.example.org:", EC_SYNTAX, 0, NULL, 0, false, false },
		{ "mail.example.org:25x", EC_SYNTAX, 0, NULL, 0, false, false },
		{ "mail.example.org:0", EC_RANGE, 0, NULL, 0, false, false },
		{ "mail.example.org.:25", EC_SYNTAX, 0, NULL, 0, false, false },
		{ "mail.example.1:25", EC_SYNTAX, 0, NULL, 0, false, false },
		{ ":25", EC_SYNTAX, 0, NULL, 0, false, false },
		{ "192.0.2.1", EC_MISSING, 0, NULL, 0, false, false },
		{ "192.0.2:25", EC_SYNTAX, 0, NULL, 0, false, false },
		{ "2001:db8::1", EC_MISSING, 0, NULL, 0, false, false },
		{ "unix:", EC_SYNTAX, 0, NULL, 0, false, false },
		{ "unix:x", EC_SYNTAX, 0, NULL, 0, false, false },
	};
	for (size_t i = 0; i < NUM(cases); i++) {
		struct config_hop hop;
		struct why why = { 0 };
		enum ec ec = config_hop_parse(slice_str(cases[i].to), &hop, &why);
		if (ec != cases[i].ec)
			print_error("%s: %s\n", cases[i].to, why.text);
		assert_int_equal(ec, cases[i].ec);
		if (ec != EC_OK) {
			assert_non_null(strstr(why.text, "; "));
			continue;
		}
		assert_int_equal(hop.kind, cases[i].kind);
		assert_int_equal(hop.port, cases[i].port);
		assert_int_equal(config_hop_is_named(&hop), cases[i].named);
		assert_int_equal(config_hop_is_local(&hop), cases[i].local);
		char text[ADDRESS_TEXT_SIZE];
		address_print(text, &hop.address);
		struct slice name = hop.kind == CONFIG_HOP_ADDRESS ? slice_str(text) : hop.name;
		assert_true(slice_eq(name, slice_str(cases[i].name)));
	}
}

static void exceptions_end(void **state)
{
	(void)state;
	char until[] = "2027-01-31", never[] = "";
	struct config_connector c = { .until = until };
	/* date -u -d 2027-02-01 +%s */
	const int64_t end = 1801440000;
	const struct wall times[] = { { 0 }, { end - 86400 }, { end - 1 }, { end }, { end + 1 } };
	assert_true(config_connector_end(&c).s == end);
	for (size_t i = 0; i < NUM(times); i++) {
		bool over = times[i].s >= end;
		assert_int_equal(config_connector_expired(&c, times[i]), over);
		assert_int_equal(config_connector_tls(&c, times[i]), over ? CONFIG_TLS_OPPORTUNISTIC : CONFIG_TLS_NONE);
		assert_int_equal(config_connector_dane(&c, times[i]), over ? CONFIG_DANE_OPPORTUNISTIC : CONFIG_DANE_NONE);
		assert_int_equal(config_connector_mta_sts(&c, times[i]),
		                 over ? CONFIG_MTA_STS_OPPORTUNISTIC : CONFIG_MTA_STS_NONE);
	}
	/* What is stricter stays so, and without a day nothing ends. */
	c.tls = CONFIG_TLS_REQUIRE;
	c.dane = CONFIG_DANE_MANDATORY;
	assert_int_equal(config_connector_tls(&c, times[4]), CONFIG_TLS_REQUIRE);
	assert_int_equal(config_connector_dane(&c, times[4]), CONFIG_DANE_MANDATORY);
	c = (struct config_connector){ .until = never };
	assert_true(config_connector_end(&c).s == 0);
	assert_false(config_connector_expired(&c, times[4]));
	assert_int_equal(config_connector_tls(&c, times[4]), CONFIG_TLS_NONE);
	assert_int_equal(config_connector_dane(&c, times[4]), CONFIG_DANE_NONE);
	assert_int_equal(config_connector_mta_sts(&c, times[4]), CONFIG_MTA_STS_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(hops), cmocka_unit_test(exceptions_end) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
