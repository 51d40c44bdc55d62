#include "tests/unit/unit.h"

#include "proxy/tls/hello.h"

#define BYTES(s) { (const uint8_t *)(s), sizeof(s) - 1 }
#define NONE { NULL, 0 }

/* The octets are those of RFC 8446 B.3.1.3 and the IANA registries. */
static const struct {
	const char *name;
	struct hello hello;
	bool ecdsa;
} cases[] = {
	{ "TLS 1.3, ECDSA and RSA-PSS",
	  { BYTES("\x13\x01"), BYTES("\x02\x03\x04"), BYTES("\x00\x04\x04\x03\x08\x04"), BYTES("\x00\x02\x00\x1d"), NONE }, true },
	{ "TLS 1.3 asks for no curve of certificates",
	  { BYTES("\x13\x01"), BYTES("\x04\x03\x04\x03\x03"), BYTES("\x00\x02\x04\x03"), BYTES("\x00\x02\x00\x1d"), NONE }, true },
	{ "TLS 1.3, RSA only", { BYTES("\x13\x01"), BYTES("\x02\x03\x04"), BYTES("\x00\x04\x08\x04\x04\x01"), NONE, NONE }, false },
	{ "TLS 1.2, all there",
	  { BYTES("\xc0\x2f\xc0\x2b"), NONE, BYTES("\x00\x04\x04\x03\x04\x01"), BYTES("\x00\x04\x00\x1d\x00\x17"), NONE }, true },
	{ "TLS 1.2 by supported_versions",
	  { BYTES("\xc0\x2b"), BYTES("\x02\x03\x03"), BYTES("\x00\x02\x04\x03"), BYTES("\x00\x02\x00\x17"), NONE }, true },
	{ "TLS 1.2, suites for RSA only", { BYTES("\xc0\x2f\xc0\x30"), NONE, BYTES("\x00\x02\x04\x03"), NONE, NONE }, false },
	{ "TLS 1.2, ECDSA with CBC only", { BYTES("\xc0\x09\xc0\x23"), NONE, BYTES("\x00\x02\x04\x03"), NONE, NONE }, false },
	{ "TLS 1.2, not our curve",
	  { BYTES("\xc0\x2b"), NONE, BYTES("\x00\x02\x04\x03"), BYTES("\x00\x02\x00\x18"), NONE }, false },
	{ "TLS 1.2, no groups named", { BYTES("\xcc\xa9"), NONE, BYTES("\x00\x02\x04\x03"), NONE, NONE }, true },
	{ "TLS 1.2, an empty list of groups", { BYTES("\xcc\xa9"), NONE, BYTES("\x00\x02\x04\x03"), BYTES("\x00\x00"), NONE }, false },
	{ "TLS 1.2, groups named by an empty body", { BYTES("\xcc\xa9"), NONE, BYTES("\x00\x02\x04\x03"), BYTES(""), NONE }, false },
	{ "no signature_algorithms: SHA-1, which we have not", { BYTES("\xc0\x2b"), NONE, NONE, NONE, NONE }, false },
	{ "ECDSA with SHA-1 only", { BYTES("\xc0\x2b"), NONE, BYTES("\x00\x02\x02\x03"), NONE, NONE }, false },
	{ "the value across two entries", { BYTES("\xc0\x2b"), NONE, BYTES("\x00\x04\x08\x04\x03\x08"), NONE, NONE }, false },
	{ "a length beyond the end", { BYTES("\x13\x01"), BYTES("\x02\x03\x04"), BYTES("\x00\x08\x04\x03"), NONE, NONE }, false },
	{ "an odd octet behind", { BYTES("\x13\x01"), BYTES("\x02\x03\x04"), BYTES("\x00\x03\x04\x03\x01"), NONE, NONE }, true },
	{ "nothing at all", { NONE, NONE, NONE, NONE, NONE }, false },
};

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < NUM(cases); i++)
		if (hello_verifies_ecdsa(&cases[i].hello) != cases[i].ecdsa)
			fail_msg("%s", cases[i].name);
}

static void test_binding(void **state)
{
	static const struct {
		struct hello hello;
		bool binds;
	} rows[] = {
		{ { BYTES("\xc0\x2b"), NONE, NONE, NONE, NONE }, false },
		{ { BYTES("\xc0\x2b"), NONE, NONE, NONE, BYTES("") }, true },
		{ { BYTES("\xc0\x2b"), BYTES("\x04\x03\x03\x03\x02"), NONE, NONE, NONE }, false },
		{ { BYTES("\x13\x01"), BYTES("\x04\x03\x03\x03\x04"), NONE, NONE, NONE }, true },
		{ { BYTES("\x13\x01"), BYTES("\x03\x03\x03\x03\x04"), NONE, NONE, NONE }, false },
	};
	(void)state;
	for (size_t i = 0; i < NUM(rows); i++)
		assert_int_equal(hello_binds_secret(&rows[i].hello), rows[i].binds);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_cases), cmocka_unit_test(test_binding) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
