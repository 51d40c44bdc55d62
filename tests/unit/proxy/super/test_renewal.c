/* When danegate signs a certificate anew by itself. */
#include "proxy/super/renewal.h"

#include "tests/unit/unit.h"

enum { DAY = 86400, HOUR = 3600, START = 1795269600 };

static void table(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		enum config_issuer issuer;
		enum cert_issuer by;
		int64_t life_s, left_s;
		bool due;
	} cases[] = {
		{ "self-signed, young", CONFIG_SELF_SIGNED, CERT_SELF_SIGNED, 90 * DAY, 31 * DAY, false },
		{ "self-signed, a third left", CONFIG_SELF_SIGNED, CERT_SELF_SIGNED, 90 * DAY, 30 * DAY - 1, true },
		{ "self-signed, expired", CONFIG_SELF_SIGNED, CERT_SELF_SIGNED, 90 * DAY, -DAY, true },
		{ "self-signed, until the CA has given one", CONFIG_COMMAND, CERT_SELF_SIGNED, 90 * DAY, 29 * DAY, true },
		{ "no longer the CA's business", CONFIG_SELF_SIGNED, CERT_CA, 90 * DAY, 29 * DAY, true },
		{ "the CA's: tlsa-sync renews it", CONFIG_COMMAND, CERT_CA, 90 * DAY, 2 * HOUR, false },
		{ "the CA's, at the last moment", CONFIG_COMMAND, CERT_CA, 90 * DAY, HOUR - 1, true },
		{ "the CA's, of a short life", CONFIG_COMMAND, CERT_CA, 10 * HOUR, HOUR / 2, false },
		{ "the CA's, of a short life, at its end", CONFIG_COMMAND, CERT_CA, 10 * HOUR, HOUR / 3 - 1, true },
		{ "the CA's, expired", CONFIG_COMMAND, CERT_CA, 90 * DAY, -1, true },
		{ "somebody else's files", CONFIG_FILES, CERT_CA, 90 * DAY, -DAY, false },
		{ "somebody else's, self-signed", CONFIG_FILES, CERT_SELF_SIGNED, 90 * DAY, DAY, false },
	};
	for (size_t i = 0; i < NUM(cases); i++) {
		const struct key_info key = { .certified = true, .issuer = cases[i].by, .not_before = { START },
			                      .not_after = { START + cases[i].life_s } };
		struct wall now = { START + cases[i].life_s - cases[i].left_s };
		if (renewal_due(&key, cases[i].issuer, now) != cases[i].due)
			fail_msg("%s", cases[i].name);
	}
	const struct key_info none = { .certified = false };
	assert_false(renewal_due(&none, CONFIG_SELF_SIGNED, (struct wall){ START }));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(table) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
