/* What a DANE sender makes of an answer: RFC 7671 5 and 9, RFC 7672 2.2 and 3.1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "tlsa-sync/sender.h"

/* Digests of the key and its certificates; each a byte repeated. */
enum { SPKI_256 = 0x11, SPKI_512 = 0x12, CERT_256 = 0x21, CERT_512 = 0x22, CA_SPKI = 0x31, CA_CERT = 0x41, OTHER = 0xee };

static struct fact_key key(void)
{
	struct fact_key k = { .generation = 7 };
	memset(k.spki_sha256, SPKI_256, 32);
	memset(k.spki_sha512, SPKI_512, 64);
	memset(k.cert_sha256, CERT_256, 32);
	memset(k.cert_sha512, CERT_512, 64);
	memset(k.issuer_spki_sha256, CA_SPKI, 32);
	memset(k.issuer_cert_sha256, CA_CERT, 32);
	return k;
}

static struct tlsa record(uint8_t usage, uint8_t selector, uint8_t matching, uint8_t byte)
{
	struct tlsa t = { .usage = usage, .selector = selector, .matching = matching, .len = matching == TLSA_SHA512 ? 64 : 32 };
	memset(t.data, byte, t.len);
	return t;
}

static const struct {
	const char *name;
	uint8_t records[3][4]; /* usage, selector, matching, byte; byte 0: none */
	enum sender_verdict want;
} cases[] = {
	{ "nothing", { { 0 } }, SENDER_NO_DANE },
	{ "3 1 1 of the key", { { 3, 1, 1, SPKI_256 } }, SENDER_VERIFIES },
	{ "3 1 1 of another key", { { 3, 1, 1, OTHER } }, SENDER_MISMATCH },
	{ "old and new", { { 3, 1, 1, OTHER }, { 3, 1, 1, SPKI_256 } }, SENDER_VERIFIES },
	{ "3 1 2", { { 3, 1, 2, SPKI_512 } }, SENDER_VERIFIES },
	{ "3 0 1", { { 3, 0, 1, CERT_256 } }, SENDER_VERIFIES },
	{ "3 0 2", { { 3, 0, 2, CERT_512 } }, SENDER_VERIFIES },
	{ "3 0 1 with the digest of the key", { { 3, 0, 1, SPKI_256 } }, SENDER_MISMATCH },
	{ "2 1 1 of the issuer", { { 2, 1, 1, CA_SPKI } }, SENDER_VERIFIES },
	{ "2 0 1 of the issuer", { { 2, 0, 1, CA_CERT } }, SENDER_VERIFIES },
	{ "2 1 1 of another CA", { { 2, 1, 1, OTHER } }, SENDER_MISMATCH },
	{ "any one match will do", { { 2, 1, 1, OTHER }, { 3, 0, 1, OTHER }, { 3, 1, 1, SPKI_256 } }, SENDER_VERIFIES },
	/* RFC 7671 9: of one usage and selector only the strongest digest counts. */
	{ "agility: SHA2-512 of another hides 3 1 1", { { 3, 1, 2, OTHER }, { 3, 1, 1, SPKI_256 } }, SENDER_MISMATCH },
	{ "agility: SHA2-512 that matches", { { 3, 1, 2, SPKI_512 }, { 3, 1, 1, OTHER } }, SENDER_VERIFIES },
	{ "agility is by selector", { { 3, 0, 2, OTHER }, { 3, 1, 1, SPKI_256 } }, SENDER_VERIFIES },
	{ "agility is by usage", { { 2, 1, 2, OTHER }, { 3, 1, 1, SPKI_256 } }, SENDER_VERIFIES },
	/* RFC 7672 3.1.3, 2.2: unusable records alone leave TLS without a check. */
	{ "PKIX-EE only", { { 1, 1, 1, SPKI_256 } }, SENDER_UNAUTHENTICATED },
	{ "PKIX-TA only", { { 0, 0, 1, CA_CERT } }, SENDER_UNAUTHENTICATED },
	{ "an unknown matching type only", { { 3, 1, 9, SPKI_256 } }, SENDER_UNAUTHENTICATED },
	{ "PKIX-EE beside another key's", { { 1, 1, 1, SPKI_256 }, { 3, 1, 1, OTHER } }, SENDER_MISMATCH },
};

static void the_table(void **state)
{
	(void)state;
	struct fact_key k = key();
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct tlsa_set set = { 0 };
		struct tlsa match = { 0 };
		for (size_t n = 0; n < 3 && cases[i].records[n][3] != 0; n++) {
			const uint8_t *r = cases[i].records[n];
			struct tlsa t = record(r[0], r[1], r[2], r[3]);
			assert_int_equal(tlsa_set_add(&set, &t), EC_OK);
		}
		enum sender_verdict got = sender_sees(&set, VALIDITY_SECURE, &k, &match);
		if (got != cases[i].want)
			fail_msg("%s: %s", cases[i].name, sender_name(got));
		assert_int_equal(got == SENDER_VERIFIES, tlsa_set_has(&set, &match));
		/* What does not come with a proof pins nothing, and what is false stops mail. */
		assert_int_equal(sender_sees(&set, VALIDITY_INSECURE, &k, NULL), SENDER_NO_DANE);
		assert_int_equal(sender_sees(&set, VALIDITY_BOGUS, &k, NULL), SENDER_BOGUS);
		assert_int_equal(sender_sees(&set, VALIDITY_UNKNOWN, &k, NULL), SENDER_UNKNOWN);
	}
}

/* A digest that was not reported is zero; a record of zeros is nobody's. */
static void what_is_not_known_matches_nothing(void **state)
{
	(void)state;
	struct fact_key k = { .generation = 7 };
	for (uint8_t usage = 2; usage <= 3; usage++)
		for (uint8_t selector = 0; selector <= 1; selector++)
			for (uint8_t matching = 1; matching <= 2; matching++) {
				struct tlsa t = record(usage, selector, matching, 0);
				struct tlsa_set set = { .num = 1, .items = { t } };
				assert_int_not_equal(sender_sees(&set, VALIDITY_SECURE, &k, NULL), SENDER_VERIFIES);
			}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table),
		cmocka_unit_test(what_is_not_known_matches_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
