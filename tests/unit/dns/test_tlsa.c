#include "dns/tlsa.h"

#include "tests/unit/unit.h"

#include <stdlib.h>

#define HEX32 "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

static void text_parses_and_prints(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum ec ec;
		const char *printed; /* NULL: as given */
		uint16_t len;
	} cases[] = {
		{ "3 1 1 " HEX32, EC_OK, NULL, 32 },
		{ "3 1 2 " HEX32 HEX32, EC_OK, NULL, 64 },
		{ "  3\t1   1 0001 0203 04", EC_OK, "3 1 1 0001020304", 5 },
		{ "3 1 1 AbCd", EC_OK, "3 1 1 abcd", 2 },
		{ "0 0 0 00", EC_OK, NULL, 1 },
		{ "255 255 255 ff", EC_OK, NULL, 1 },
		/* RFC 7218 2.1-2.3 */
		{ "DANE-EE SPKI SHA2-256 ab", EC_OK, "3 1 1 ab", 1 },
		{ "dane-ta cert sha2-512 ab", EC_OK, "2 0 2 ab", 1 },
		{ "PKIX-TA Cert Full ab", EC_OK, "0 0 0 ab", 1 },
		{ "PKIX-EE SPKI Full ab", EC_OK, "1 1 0 ab", 1 },
		{ "3 1 1", EC_SYNTAX, NULL, 0 },
		{ "3 1 1 ", EC_SYNTAX, NULL, 0 },
		{ "3 1 1 abc", EC_SYNTAX, NULL, 0 },
		{ "3 1 1 0g", EC_SYNTAX, NULL, 0 },
		{ "3 1 1 ab;x", EC_SYNTAX, NULL, 0 },
		{ "3 1 x ab", EC_SYNTAX, NULL, 0 },
		{ "3 1", EC_SYNTAX, NULL, 0 },
		{ "", EC_SYNTAX, NULL, 0 },
		{ "-3 1 1 ab", EC_SYNTAX, NULL, 0 },
		{ "256 1 1 ab", EC_RANGE, NULL, 0 },
		{ "3 1 0 " HEX32 HEX32 "00", EC_RANGE, NULL, 0 },
	};
	for (size_t i = 0; i < NUM(cases); i++) {
		struct tlsa t;
		struct why why = { 0 };
		char text[TLSA_TEXT_SIZE];
		enum ec ec = tlsa_parse(slice_str(cases[i].text), &t, &why);
		if (ec != cases[i].ec)
			fail_msg("\"%s\": %s (%s)", cases[i].text, ec_name(ec), why.text);
		assert_int_equal(t.len, cases[i].len);
		if (ec != EC_OK) {
			assert_true(why.text[0] != '\0');
			continue;
		}
		tlsa_print(text, &t);
		assert_string_equal(text, cases[i].printed != NULL ? cases[i].printed : cases[i].text);
	}
}

static void rdata_round_trip(void **state)
{
	(void)state;
	/* RFC 6698 2.1: usage, selector, matching type, data. */
	uint8_t digest[32], rdata[67] = { 3, 1, 1 }, out[3 + TLSA_DATA_MAX];
	for (uint8_t i = 0; i < 32; i++)
		digest[i] = rdata[3 + i] = i;
	struct tlsa made = tlsa_311(digest), read, parsed;
	size_t len;
	assert_int_equal(tlsa_from_rdata(slice_of(rdata, 35), &read), EC_OK);
	assert_int_equal(tlsa_parse(SLICE_LIT("3 1 1 " HEX32), &parsed, NULL), EC_OK);
	assert_true(tlsa_eq(&made, &read) && tlsa_eq(&made, &parsed));
	assert_int_equal(tlsa_to_rdata(&made, out, &len), EC_OK);
	assert_int_equal(len, 35);
	assert_memory_equal(out, rdata, 35);
	for (size_t short_len = 0; short_len < 4; short_len++)
		assert_int_equal(tlsa_from_rdata(slice_of(rdata, short_len), &read), EC_SYNTAX);
	assert_int_equal(tlsa_from_rdata(slice_of(rdata, 67), &read), EC_OK);
	assert_int_equal(read.len, 64);
	assert_int_equal(tlsa_to_rdata(&read, out, &len), EC_OK);
	assert_int_equal(len, 67);
}

static void long_data_is_told_apart_but_not_written(void **state)
{
	(void)state;
	uint8_t rdata[1203] = { 2, 0, 0 }, out[3 + TLSA_DATA_MAX];
	struct tlsa a, b;
	size_t len;
	char text[TLSA_TEXT_SIZE];
	assert_int_equal(tlsa_from_rdata(slice_of(rdata, sizeof rdata), &a), EC_OK);
	assert_int_equal(a.len, 1200);
	tlsa_print(text, &a);
	assert_non_null(strstr(text, "1200 octets"));
	assert_int_equal(tlsa_to_rdata(&a, out, &len), EC_UNSUPPORTED);
	assert_true(tlsa_usable(&a, NULL));
	for (size_t i = 0; i < sizeof rdata; i++) {
		rdata[i] ^= 1;
		assert_int_equal(tlsa_from_rdata(slice_of(rdata, sizeof rdata), &b), EC_OK);
		assert_false(tlsa_eq(&a, &b));
		rdata[i] ^= 1;
	}
	assert_int_equal(tlsa_from_rdata(slice_of(rdata, sizeof rdata - 1), &b), EC_OK);
	assert_false(tlsa_eq(&a, &b));
	/* The largest rdata there is. */
	static uint8_t huge[65535];
	assert_int_equal(tlsa_from_rdata(slice_of(huge, sizeof huge), &a), EC_OK);
	tlsa_print(text, &a);
	assert_non_null(strstr(text, "65532 octets"));
}

static void what_smtp_clients_can_use(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool usable;
		const char *kind;
	} cases[] = {
		{ "3 1 1 " HEX32, true, "DANE-EE(3) SPKI(1) SHA2-256(1)" },
		{ "3 1 2 " HEX32 HEX32, true, "DANE-EE(3) SPKI(1) SHA2-512(2)" },
		{ "2 0 1 " HEX32, true, "DANE-TA(2) Cert(0) SHA2-256(1)" },
		{ "3 1 0 3059", true, "DANE-EE(3) SPKI(1) Full(0)" },
		{ "0 0 1 " HEX32, false, "PKIX-TA(0) Cert(0) SHA2-256(1)" },
		{ "1 1 1 " HEX32, false, "PKIX-EE(1) SPKI(1) SHA2-256(1)" },
		{ "4 1 1 " HEX32, false, "unassigned(4) SPKI(1) SHA2-256(1)" },
		{ "255 255 255 " HEX32, false, "private(255) private(255) private(255)" },
		{ "3 2 1 " HEX32, false, "DANE-EE(3) unassigned(2) SHA2-256(1)" },
		{ "3 1 3 " HEX32, false, "DANE-EE(3) SPKI(1) unassigned(3)" },
		{ "3 1 1 " HEX32 "00", false, "DANE-EE(3) SPKI(1) SHA2-256(1)" },
		{ "3 1 1 00", false, "DANE-EE(3) SPKI(1) SHA2-256(1)" },
		{ "3 1 2 " HEX32, false, "DANE-EE(3) SPKI(1) SHA2-512(2)" },
	};
	for (size_t i = 0; i < NUM(cases); i++) {
		struct tlsa t;
		struct why why = { 0 };
		char kind[TLSA_KIND_SIZE];
		assert_int_equal(tlsa_parse(slice_str(cases[i].text), &t, NULL), EC_OK);
		if (tlsa_usable(&t, &why) != cases[i].usable)
			fail_msg("%s", cases[i].text);
		assert_int_equal(why.text[0] == '\0', cases[i].usable);
		tlsa_print_kind(kind, &t);
		assert_string_equal(kind, cases[i].kind);
	}
}

static void digests_of_nothing_are_known(void **state)
{
	(void)state;
	struct tlsa t;
	/* printf '' | sha256sum, sha512sum */
	assert_int_equal(tlsa_parse(SLICE_LIT("3 1 1 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"), &t, NULL),
			 EC_OK);
	assert_true(tlsa_empty_digest(&t));
	t.data[31] ^= 1;
	assert_false(tlsa_empty_digest(&t));
	assert_int_equal(tlsa_parse(SLICE_LIT("3 0 2 cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce"
					      "47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e"),
				    &t, NULL),
			 EC_OK);
	assert_true(tlsa_empty_digest(&t));
	t.matching = TLSA_SHA256;
	assert_false(tlsa_empty_digest(&t));
}

static struct tlsa numbered(unsigned n)
{
	uint8_t digest[32] = { (uint8_t)n, (uint8_t)(n >> 8) };
	return tlsa_311(digest);
}

/* Sets against bit masks: the same algebra, done another way. */
static struct tlsa_set from_mask(unsigned mask, bool backwards)
{
	struct tlsa_set s = { 0 };
	for (unsigned i = 0; i < 10; i++) {
		unsigned bit = backwards ? 9 - i : i;
		struct tlsa t = numbered(bit);
		if (mask >> bit & 1)
			assert_int_equal(tlsa_set_add(&s, &t), EC_OK);
	}
	return s;
}

static void sets_are_sets(void **state)
{
	(void)state;
	srand(2);
	for (int round = 0; round < 5000; round++) {
		unsigned a = (unsigned)rand() & 0x3ff, b = (unsigned)rand() & 0x3ff;
		struct tlsa_set x = from_mask(a, false), y = from_mask(b, true), again = from_mask(a, true);
		assert_true(tlsa_set_eq(&x, &again));
		assert_int_equal(tlsa_set_eq(&x, &y), a == b);
		assert_int_equal(tlsa_set_covers(&x, &y), (a & b) == b);
		struct tlsa_set sum = x, less = x, want;
		assert_int_equal(tlsa_set_union(&sum, &y), EC_OK);
		want = from_mask(a | b, false);
		assert_true(tlsa_set_eq(&sum, &want));
		tlsa_set_subtract(&less, &y);
		want = from_mask(a & ~b, false);
		assert_true(tlsa_set_eq(&less, &want));
		tlsa_set_subtract(&less, &less);
		assert_int_equal(less.num, 0);
		struct tlsa t = numbered((unsigned)rand() % 10);
		bool had = (a >> t.data[0] & 1) != 0;
		assert_int_equal(tlsa_set_has(&x, &t), had);
		assert_int_equal(tlsa_set_remove(&x, &t), had);
		assert_false(tlsa_set_has(&x, &t));
		assert_int_equal(tlsa_set_add(&x, &t), EC_OK);
		unsigned num = x.num;
		assert_int_equal(tlsa_set_add(&x, &t), EC_OK); /* no duplicates */
		assert_int_equal(x.num, num);
	}
}

static void a_full_set_says_so(void **state)
{
	(void)state;
	struct tlsa_set s = { 0 };
	struct tlsa t;
	for (unsigned i = 0; i < TLSA_SET_MAX; i++) {
		t = numbered(i);
		assert_int_equal(tlsa_set_add(&s, &t), EC_OK);
	}
	assert_int_equal(tlsa_set_add(&s, &t), EC_OK); /* already there */
	t = numbered(99);
	assert_int_equal(tlsa_set_add(&s, &t), EC_NO_SPACE);
	struct tlsa_set more = { .num = 1, .items = { t } }, before = s;
	assert_int_equal(tlsa_set_union(&s, &more), EC_NO_SPACE);
	assert_true(tlsa_set_eq(&s, &before));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_parses_and_prints),
		cmocka_unit_test(rdata_round_trip),
		cmocka_unit_test(long_data_is_told_apart_but_not_written),
		cmocka_unit_test(what_smtp_clients_can_use),
		cmocka_unit_test(digests_of_nothing_are_known),
		cmocka_unit_test(sets_are_sets),
		cmocka_unit_test(a_full_set_says_so),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
