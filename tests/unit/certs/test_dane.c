/* Which records a client goes by, and what they match. What is right comes from the RFCs
 * named beside each case; whole verdicts are compared with OpenSSL's in dane/compare.c. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "certs/dane.h"
#include "certs/der.h"

/* The outline of a certificate: version, serial, signature, issuer, validity, subject,
 * then the key; signature algorithm and value behind. */
#define SPKI 0x30, 0x09, 0x30, 0x03, 0x06, 0x01, 0x2a, 0x03, 0x02, 0x00, 0x55
#define TBS 0x30, 0x1b, 0xa0, 0x01, 0x00, 0x02, 0x01, 0x07, 0x30, 0x00, 0x30, 0x00, 0x30, 0x00, 0x30, 0x02, 0x31, 0x00, SPKI
#define CERTIFICATE 0x30, 0x23, TBS, 0x30, 0x00, 0x03, 0x02, 0x00, 0x11

static const uint8_t spki[] = { SPKI };
static const uint8_t certificate[] = { CERTIFICATE };

static void test_der(void **state)
{
	(void)state;
	struct slice found = { 0 };
	assert_true(der_certificate_spki(slice_of(certificate, sizeof certificate), &found));
	assert_true(slice_eq(found, slice_of(spki, sizeof spki)));
	assert_true(der_is_spki(found));
	/* Nothing may be missing, and nothing may follow. */
	for (size_t len = 0; len < sizeof certificate; len++)
		assert_false(der_certificate_spki(slice_of(certificate, len), &found));
	for (size_t len = 0; len < sizeof spki; len++)
		assert_false(der_is_spki(slice_of(spki, len)));
	uint8_t longer[sizeof certificate + 1] = { CERTIFICATE };
	assert_false(der_certificate_spki(slice_of(longer, sizeof longer), &found));
	uint8_t longer_spki[sizeof spki + 1] = { SPKI };
	assert_false(der_is_spki(slice_of(longer_spki, sizeof longer_spki)));
}

static void test_der_lengths(void **state)
{
	(void)state;
	/* X.690 10.1: the shortest form; X.690 8.1.3.6: no indefinite one in DER. */
	static const uint8_t padded[] = { 0x30, 0x81, 0x09, 0x30, 0x03, 0x06, 0x01, 0x2a, 0x03, 0x02, 0x00, 0x55 };
	static const uint8_t indefinite[] = { 0x30, 0x80, 0x30, 0x03, 0x06, 0x01, 0x2a, 0x03, 0x02, 0x00, 0x55, 0x00, 0x00 };
	assert_false(der_is_spki(slice_of(padded, sizeof padded)));
	assert_false(der_is_spki(slice_of(indefinite, sizeof indefinite)));
	/* A bit string of 200 octets needs the long form. */
	uint8_t large[3 + 5 + 3 + 200] = { 0x30, 0x81, 5 + 3 + 200, 0x30, 0x03, 0x06, 0x01, 0x2a, 0x03, 0x81, 200 };
	assert_true(der_is_spki(slice_of(large, sizeof large)));
	large[2]++;
	assert_false(der_is_spki(slice_of(large, sizeof large)));
}

/* ---- usable or not ---- */

static struct slice record(uint8_t *buf, unsigned usage, unsigned selector, unsigned matching, size_t len, uint8_t fill)
{
	buf[0] = (uint8_t)usage;
	buf[1] = (uint8_t)selector;
	buf[2] = (uint8_t)matching;
	memset(buf + 3, fill, len);
	return slice_of(buf, 3 + len);
}

static void test_usable(void **state)
{
	(void)state;
	static const struct {
		unsigned usage, selector, matching;
		size_t len;
		bool usable;
	} cases[] = {
		{ 3, 1, 1, 32, true },  { 3, 0, 1, 32, true },   { 3, 1, 2, 64, true },  { 2, 0, 1, 32, true },
		{ 2, 1, 2, 64, true },  { 0, 0, 1, 32, false },  { 1, 1, 1, 32, false }, /* RFC 7672 3.1.3 */
		{ 4, 1, 1, 32, false }, { 255, 1, 1, 32, false }, { 3, 2, 1, 32, false }, { 3, 255, 1, 32, false },
		{ 3, 1, 3, 32, false }, { 3, 1, 255, 32, false }, { 3, 1, 1, 31, false }, { 3, 1, 1, 33, false },
		{ 3, 1, 1, 64, false }, { 3, 1, 2, 32, false },  { 3, 1, 2, 65, false }, { 3, 1, 0, 32, false },
		{ 2, 0, 0, 32, false }, { 3, 1, 1, 1, false },
	};
	uint8_t buf[128];
	for (size_t i = 0; i < NUM(cases); i++) {
		struct dane_record r;
		struct why why = { 0 };
		struct slice rdata = record(buf, cases[i].usage, cases[i].selector, cases[i].matching, cases[i].len, 0xab);
		enum ec ec = dane_record_read(rdata, &r, &why);
		if ((ec == EC_OK) != cases[i].usable)
			fail_msg("%u %u %u with %zu octets: %s", cases[i].usage, cases[i].selector, cases[i].matching, cases[i].len, why.text);
		assert_int_equal(strlen(why.text) == 0, cases[i].usable);
	}
	struct dane_record r;
	for (size_t len = 0; len < 4; len++)
		assert_int_equal(dane_record_read(slice_of(buf, len), &r, NULL), EC_SYNTAX);
}

static void test_usable_full(void **state)
{
	(void)state;
	static const uint8_t cert[] = { 2, 0, 0, CERTIFICATE }, key[] = { 2, 1, 0, SPKI };
	static const uint8_t cert_as_key[] = { 3, 1, 0, CERTIFICATE }, key_as_cert[] = { 3, 0, 0, SPKI };
	struct dane_record r;
	assert_int_equal(dane_record_read(slice_of(cert, sizeof cert), &r, NULL), EC_OK);
	assert_true(slice_eq(r.data, slice_of(certificate, sizeof certificate)));
	assert_int_equal(dane_record_read(slice_of(key, sizeof key), &r, NULL), EC_OK);
	/* RFC 7671 4: what is not of its kind can't be used. */
	assert_int_equal(dane_record_read(slice_of(cert_as_key, sizeof cert_as_key), &r, NULL), EC_UNSUPPORTED);
	assert_int_equal(dane_record_read(slice_of(key_as_cert, sizeof key_as_cert), &r, NULL), EC_UNSUPPORTED);
	assert_int_equal(dane_record_read(slice_of(cert, sizeof cert - 1), &r, NULL), EC_UNSUPPORTED);
}

/* ---- selection ---- */

static const char *selected(const struct slice *rdata, size_t num)
{
	static char text[1024];
	struct dane_records out;
	struct writer w = writer_of(text, sizeof text);
	dane_select(rdata, num, &out, NULL);
	for (size_t i = 0; i < out.num; i++)
		writer_format(&w, "%s%u%u%u", i == 0 ? "" : " ", out.items[i].usage, out.items[i].selector, out.items[i].matching);
	return text;
}

static void test_agility(void **state)
{
	(void)state;
	/* "USM" each; a small letter: a digest of the wrong length. Full comes from above. */
	static const struct {
		const char *rrset, *selected;
	} cases[] = {
		{ "311", "311" },
		{ "311 312", "312" },                     /* RFC 7672 5, RFC 7671 9 */
		{ "312 311 311", "312" },
		{ "311 302", "311 302" },                 /* per selector */
		{ "311 212", "311 212" },                 /* per usage */
		{ "311 312 211 201 202", "312 211 202" },
		{ "310 311", "310 311" },                 /* Full is no digest */
		{ "310 311 312", "310 312" },
		{ "311 31b", "311" },                     /* the unusable goes first */
		{ "31b 311 31a", "311" },
		{ "111 112 311", "311" },
		{ "011 111", "" },
		{ "311 311", "311 311" },
		{ "", "" },
	};
	for (size_t i = 0; i < NUM(cases); i++) {
		uint8_t buf[8][128];
		struct slice rdata[8];
		size_t num = 0;
		for (const char *p = cases[i].rrset; *p != '\0'; p += p[3] == ' ' ? 4 : 3) {
			unsigned usage = (unsigned)(p[0] - '0'), selector = (unsigned)(p[1] - '0');
			bool cut = p[2] >= 'a';
			unsigned matching = (unsigned)(cut ? p[2] - 'a' + 1 : p[2] - '0');
			rdata[num] = record(buf[num], usage, selector, matching, (matching == 2 ? 64 : 32) - (cut ? 1U : 0U), 0x11);
			if (matching == 0) {
				memcpy(buf[num] + 3, spki, sizeof spki);
				rdata[num] = slice_of(buf[num], 3 + sizeof spki);
			}
			num++;
		}
		assert_string_equal(selected(rdata, num), cases[i].selected);
	}
}

static void test_many(void **state)
{
	(void)state;
	enum { MANY = 300 };
	static uint8_t buf[MANY + 1][128];
	static struct slice rdata[MANY + 1];
	struct dane_records out;
	for (size_t i = 0; i < MANY; i++)
		rdata[i] = record(buf[i], 3, 1, 1, 32, (uint8_t)i);
	dane_select(rdata, MANY, &out, NULL);
	assert_int_equal(out.num, DANE_RECORDS_MAX);
	/* The last one decides on agility all the same. */
	rdata[MANY] = record(buf[MANY], 3, 1, 2, 64, 0x77);
	dane_select(rdata, MANY + 1, &out, NULL);
	assert_int_equal(out.num, 1);
	assert_int_equal(out.items[0].matching, TLSA_SHA512);
}

static void test_matches(void **state)
{
	(void)state;
	struct dane_certificate c = { .der = slice_of(certificate, sizeof certificate), .spki = slice_of(spki, sizeof spki) };
	memset(c.digests.spki_sha256, 1, 32);
	memset(c.digests.spki_sha512, 2, 64);
	memset(c.digests.cert_sha256, 3, 32);
	memset(c.digests.cert_sha512, 4, 64);
	static const uint8_t fills[2][3] = { { 0, 3, 4 }, { 0, 1, 2 } };
	for (unsigned selector = 0; selector < 2; selector++)
		for (unsigned matching = 1; matching < 3; matching++)
			for (uint8_t fill = 0; fill < 6; fill++) {
				uint8_t buf[128];
				struct dane_record r;
				struct slice rdata = record(buf, 3, selector, matching, matching == 2 ? 64 : 32, fill);
				assert_int_equal(dane_record_read(rdata, &r, NULL), EC_OK);
				assert_int_equal(dane_matches(&r, &c), fill == fills[selector][matching]);
				buf[34] ^= 1;
				assert_false(dane_matches(&r, &c));
			}
	struct dane_record cert = { TLSA_DANE_EE, TLSA_CERT, TLSA_FULL, c.der }, key = { TLSA_DANE_EE, TLSA_SPKI, TLSA_FULL, c.spki };
	assert_true(dane_matches(&cert, &c));
	assert_true(dane_matches(&key, &c));
	cert.data = c.spki;
	key.data = slice_first(c.spki, c.spki.len - 1);
	assert_false(dane_matches(&cert, &c));
	assert_false(dane_matches(&key, &c));
}

static void test_names(void **state)
{
	(void)state;
	static const struct {
		const char *presented, *name;
		bool matches;
	} cases[] = {
		{ "mx.example.org", "mx.example.org", true },
		{ "MX.Example.Org", "mx.example.org.", true },
		{ "mx.example.org.", "mx.example.org", false },
		{ "mx.example.org", "mx2.example.org", false },
		{ "*.example.org", "mx.example.org", true }, /* RFC 7672 3.2.3 */
		{ "*.example.org", "a.mx.example.org", false },
		{ "*.example.org", "example.org", false },
		{ "*.example.org", ".example.org", false },
		{ "m*.example.org", "mx.example.org", false },
		{ "*x.example.org", "mx.example.org", false },
		{ "mx.*.org", "mx.example.org", false },
		{ "*.*.org", "mx.example.org", false },
		{ "*.org", "example.org", false },
		{ "*.org.", "example.org.", false },
		{ "*", "mx", false },
		{ "*.", "mx.", false },
		{ "", "", false },
		{ "", ".", false },
		{ ".example.org", "mx.example.org", false },
		{ ".example.org", ".example.org", false },
	};
	for (size_t i = 0; i < NUM(cases); i++)
		if (dane_name_matches(slice_str(cases[i].presented), slice_str(cases[i].name)) != cases[i].matches)
			fail_msg("\"%s\" for \"%s\"", cases[i].presented, cases[i].name);
	/* A NUL does not end a name. */
	assert_false(dane_name_matches(SLICE_LIT("mx.example.org\0.evil.example"), slice_str("mx.example.org")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_der),      cmocka_unit_test(test_der_lengths), cmocka_unit_test(test_usable),
		cmocka_unit_test(test_usable_full), cmocka_unit_test(test_agility),  cmocka_unit_test(test_many),
		cmocka_unit_test(test_matches),  cmocka_unit_test(test_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
