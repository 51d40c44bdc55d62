/* The pin guard's decision, as a table of named cases. Digests are made of one
 * repeated octet: e1 is the SHA2-256 of the first ECDSA key's SPKI, and so on. */
#include "certs/pin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Two keys. Octets: the SPKI's two digests, the certificate's two digests. */
static struct key_info make(enum key_algorithm algorithm, uint8_t first)
{
	struct key_info k = { .algorithm = algorithm, .certified = true, .num_chain = 2 };
	for (uint8_t i = 0; i < 2; i++) {
		uint8_t base = (uint8_t)(first + 16 * i);
		memset(k.chain[i].spki_sha256, base, 32);
		memset(k.chain[i].spki_sha512, base + 1, 64);
		memset(k.chain[i].cert_sha256, base + 2, 32);
		memset(k.chain[i].cert_sha512, base + 3, 64);
	}
	return k;
}

/* A record "3 1 1 e1" stands for the digest filled with that octet. */
static void add(struct tlsa_set *set, const char *text)
{
	unsigned usage = 0, selector = 0, matching = 0, octet = 0, len = 0;
	struct tlsa t = { 0 };
	int n = sscanf(text, "%u %u %u %x/%u", &usage, &selector, &matching, &octet, &len);
	assert_true(n >= 4);
	t.usage = (uint8_t)usage;
	t.selector = (uint8_t)selector;
	t.matching = (uint8_t)matching;
	t.len = n == 5 ? (uint16_t)len : matching == 2 ? 64 : 32;
	memset(t.data, (int)octet, t.len < sizeof t.data ? t.len : sizeof t.data);
	assert_int_equal(tlsa_set_add(set, &t), EC_OK);
}

enum { E = 1, R = 2 }; /* which keys are presented: ECDSA 10.., RSA 50.. */

static const struct {
	const char *name;
	enum pin_dns dns;
	const char *records[6];
	unsigned keys;
	bool before;
	enum ec ec;
	bool warning, pinned;
	const char *why; /* a part of it */
} cases[] = {
	{ "3 1 1 matches", PIN_DNS_SECURE, { "3 1 1 10" }, E, false, EC_OK, false, true, "pins every key" },
	{ "3 1 1 current and next", PIN_DNS_SECURE, { "3 1 1 99", "3 1 1 10" }, E, false, EC_OK, false, true, "" },
	{ "3 1 1 of another key", PIN_DNS_SECURE, { "3 1 1 99" }, E, false, EC_PIN_MISMATCH, false, false, "DANE-EE(3) SPKI(1) SHA2-256(1)" },
	{ "ours is named", PIN_DNS_SECURE, { "3 1 1 99" }, E, false, EC_PIN_MISMATCH, false, false, "1010101010101010" },
	{ "theirs is named", PIN_DNS_SECURE, { "3 1 1 99" }, E, false, EC_PIN_MISMATCH, false, false, "9999999999999999" },
	{ "a mismatch is one although presented before", PIN_DNS_SECURE, { "3 1 1 99" }, E, true, EC_PIN_MISMATCH, false, false, "" },
	{ "both algorithms pinned", PIN_DNS_SECURE, { "3 1 1 10", "3 1 1 50" }, E | R, false, EC_OK, false, true, "" },
	{ "rsa neglected", PIN_DNS_SECURE, { "3 1 1 10" }, E | R, false, EC_PIN_MISMATCH, false, false, "rsa-3072" },
	{ "ecdsa neglected", PIN_DNS_SECURE, { "3 1 1 50" }, E | R, false, EC_PIN_MISMATCH, false, false, "ecdsa-p256" },
	{ "algorithm not presented is no matter", PIN_DNS_SECURE, { "3 1 1 10", "3 1 1 50" }, R, false, EC_OK, false, true, "" },
	{ "digest agility: 3 1 2 of another key", PIN_DNS_SECURE, { "3 1 1 10", "3 1 2 99" }, E, false, EC_PIN_MISMATCH, false, false, "SHA2-512(2)" },
	{ "3 1 1 and 3 1 2 both match", PIN_DNS_SECURE, { "3 1 1 10", "3 1 2 11" }, E, false, EC_OK, false, true, "2 usable" },
	{ "3 1 2 covers one of two algorithms", PIN_DNS_SECURE, { "3 1 1 10", "3 1 1 50", "3 1 2 11" }, E | R, false, EC_PIN_MISMATCH, false, false, "rsa-3072" },
	{ "3 0 1 matches", PIN_DNS_SECURE, { "3 0 1 12" }, E, false, EC_OK, false, true, "" },
	{ "3 0 2 matches", PIN_DNS_SECURE, { "3 0 2 13" }, E, false, EC_OK, false, true, "" },
	{ "3 0 1 beside 3 1 1 gone stale", PIN_DNS_SECURE, { "3 1 1 10", "3 0 1 99" }, E, false, EC_PIN_MISMATCH, false, false, "Cert(0)" },
	{ "3 0 1 holds the SPKI digest", PIN_DNS_SECURE, { "3 0 1 10" }, E, false, EC_PIN_MISMATCH, false, false, "" },
	{ "2 1 1 matches the issuer", PIN_DNS_SECURE, { "2 1 1 20" }, E, false, EC_OK, false, true, "" },
	{ "2 0 1 matches the issuer", PIN_DNS_SECURE, { "2 0 1 22" }, E, false, EC_OK, false, true, "" },
	{ "2 1 1 of a root that is not sent", PIN_DNS_SECURE, { "2 1 1 99" }, E, false, EC_PIN_MISMATCH, false, false, "above the leaf" },
	{ "2 1 1 of the leaf is no trust anchor", PIN_DNS_SECURE, { "2 1 1 10" }, E, false, EC_PIN_MISMATCH, false, false, "" },
	{ "3 1 1 of the issuer is no end entity", PIN_DNS_SECURE, { "3 1 1 20" }, E, false, EC_PIN_MISMATCH, false, false, "" },
	{ "3 1 1 matches, 2 1 1 does not", PIN_DNS_SECURE, { "3 1 1 10", "2 1 1 99" }, E, false, EC_PIN_MISMATCH, false, false, "DANE-TA(2)" },
	{ "usages 0 and 1 are passed over", PIN_DNS_SECURE, { "3 1 1 10", "1 1 1 99", "0 0 1 99" }, E, false, EC_OK, false, true, "1 usable" },
	{ "only usage 1, matching", PIN_DNS_SECURE, { "1 1 1 10" }, E, false, EC_OK, true, false, "usable" },
	{ "only usage 0 and 1, not matching", PIN_DNS_SECURE, { "1 1 1 99", "0 1 1 99" }, E, false, EC_OK, true, false, "none of the 2" },
	{ "wrong length is unusable", PIN_DNS_SECURE, { "3 1 1 10/31" }, E, false, EC_OK, true, false, "" },
	{ "wrong length beside a match", PIN_DNS_SECURE, { "3 1 1 10", "3 1 1 99/31" }, E, false, EC_OK, false, true, "" },
	{ "unknown matching type", PIN_DNS_SECURE, { "3 1 3 10" }, E, false, EC_OK, true, false, "" },
	{ "unknown selector beside a match", PIN_DNS_SECURE, { "3 1 1 10", "3 2 1 99" }, E, false, EC_OK, false, true, "" },
	{ "usage 4 beside a mismatch", PIN_DNS_SECURE, { "3 1 1 99", "4 1 1 10" }, E, false, EC_PIN_MISMATCH, false, false, "" },
	{ "full is not checked and so not proven", PIN_DNS_SECURE, { "3 1 1 10", "3 1 0 10" }, E, false, EC_PIN_MISMATCH, false, false, "remove it" },
	{ "secure and empty", PIN_DNS_SECURE, { NULL }, E, false, EC_OK, false, false, "no TLSA records" },
	{ "denied", PIN_DNS_ABSENT, { NULL }, E, false, EC_OK, false, false, "no TLSA records" },
	{ "insecure", PIN_DNS_INSECURE, { NULL }, E, false, EC_OK, true, false, "DANE is off" },
	{ "bogus, new", PIN_DNS_BOGUS, { NULL }, E, false, EC_PIN_UNPROVEN, false, false, "waits for proof" },
	{ "failed, new", PIN_DNS_FAILED, { NULL }, E, false, EC_PIN_UNPROVEN, false, false, "no answer: timeout" },
	{ "bogus, presented before", PIN_DNS_BOGUS, { NULL }, E, true, EC_OK, true, false, "presented before" },
	{ "failed, presented before", PIN_DNS_FAILED, { NULL }, E, true, EC_OK, true, false, "presented before" },
	{ "no keys", PIN_DNS_ABSENT, { NULL }, 0, true, EC_MISSING, false, false, "" },
};

static void decisions(void **state)
{
	(void)state;
	const struct key_info both[] = { make(KEY_ECDSA_P256, 0x10), make(KEY_RSA_3072, 0x50) };
	unsigned failed = 0;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct tlsa_set set = { 0 };
		for (size_t j = 0; j < 6 && cases[i].records[j] != NULL; j++)
			add(&set, cases[i].records[j]);
		struct pin_question q = { .dns = cases[i].dns,
			                  .records = &set,
			                  .dns_why = "timeout",
			                  .keys = cases[i].keys == R ? both + 1 : both,
			                  .num_keys = cases[i].keys == (E | R) ? 2 : cases[i].keys == 0 ? 0 : 1,
			                  .presented_before = cases[i].before };
		struct pin_answer a;
		struct why why = { 0 };
		enum ec ec = pin_decide(&q, &a, &why);
		if (ec != cases[i].ec || a.allowed != (ec == EC_OK) || a.warning != cases[i].warning ||
		    a.pinned != cases[i].pinned || *why.text == '\0' || strstr(why.text, cases[i].why) == NULL) {
			print_error("%s: %s allowed %d warning %d pinned %d: %s\n", cases[i].name, ec_name(ec), a.allowed,
			            a.warning, a.pinned, why.text);
			failed++;
		}
	}
	assert_int_equal(failed, 0);
}

/* The order of records and of keys decides nothing. */
static void order(void **state)
{
	(void)state;
	const struct key_info both[] = { make(KEY_ECDSA_P256, 0x10), make(KEY_RSA_3072, 0x50) };
	const struct key_info swapped[] = { both[1], both[0] };
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct tlsa_set set = { 0 };
		size_t n = 0;
		while (n < 6 && cases[i].records[n] != NULL)
			n++;
		while (n > 0)
			add(&set, cases[i].records[--n]);
		if (cases[i].keys != (E | R))
			continue;
		struct pin_question q = { .dns = cases[i].dns, .records = &set, .keys = swapped, .num_keys = 2 };
		struct pin_answer a;
		assert_int_equal(pin_decide(&q, &a, NULL), cases[i].ec);
	}
}

/* Adding a record for another key to a kind that already matches changes
 * nothing: that is what makes "publish first" safe. Taking the matching one away
 * always ends in refusal. */
static void published_first(void **state)
{
	(void)state;
	static const char *const kinds[][3] = { { "3 1 1 10", "3 1 1 99" }, { "3 1 2 11", "3 1 2 99" }, { "3 0 1 12", "3 0 1 99" },
		                                { "3 0 2 13", "3 0 2 99" }, { "2 1 1 20", "2 1 1 99" }, { "2 0 2 23", "2 0 2 99" } };
	const struct key_info key = make(KEY_ECDSA_P256, 0x10);
	for (unsigned mask = 1; mask < 64; mask++) {
		struct tlsa_set set = { 0 };
		for (unsigned k = 0; k < 6; k++) {
			if ((mask >> k & 1) == 0)
				continue;
			add(&set, kinds[k][0]);
			add(&set, kinds[k][1]);
		}
		struct pin_question q = { .dns = PIN_DNS_SECURE, .records = &set, .keys = &key, .num_keys = 1 };
		struct pin_answer a;
		assert_int_equal(pin_decide(&q, &a, NULL), EC_OK);
		assert_true(a.pinned);
		for (unsigned i = 0; i < set.num; i++) {
			if (!pin_matches(&set.items[i], &key))
				continue;
			struct tlsa_set less = set;
			assert_true(tlsa_set_remove(&less, &set.items[i]));
			q.records = &less;
			assert_int_equal(pin_decide(&q, &a, NULL), EC_PIN_MISMATCH);
		}
	}
}

static void uncertified(void **state)
{
	(void)state;
	struct key_info key = make(KEY_ECDSA_P256, 0x10);
	key.certified = false;
	key.num_chain = 0;
	struct tlsa_set set = { 0 };
	add(&set, "3 1 1 10");
	assert_true(pin_matches(&set.items[0], &key));
	struct tlsa_set cert = { 0 };
	add(&cert, "3 0 1 12");
	assert_false(pin_matches(&cert.items[0], &key));
	/* Nor do the zero digests of no certificate match a record of zeros. */
	struct key_info none = { .algorithm = KEY_ECDSA_P256 };
	struct tlsa_set zero = { 0 };
	add(&zero, "3 0 1 0");
	assert_false(pin_matches(&zero.items[0], &none));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(decisions), cmocka_unit_test(order),
		                            cmocka_unit_test(published_first), cmocka_unit_test(uncertified) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
