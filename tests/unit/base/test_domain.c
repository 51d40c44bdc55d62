/* The spelling by which domains are compared. */
#include "base/domain.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "tests/unit/unit.h"

static const char l63[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

static void folds_to(const char *domain, const char *want)
{
	char out[DOMAIN_MAX + 1];
	size_t len = 0, in_len = strlen(domain);
	/* Exactly as large as the text, for the address sanitizer. */
	char *exact = malloc(in_len == 0 ? 1 : in_len);
	assert_non_null(exact);
	memcpy(exact, domain, in_len);
	assert_int_equal(domain_fold(slice_of(exact, in_len), out, &len), EC_OK);
	assert_string_equal(out, want);
	assert_int_equal(len, strlen(want));
	free(exact);
}

static void fails(const char *domain, enum ec want)
{
	char out[DOMAIN_MAX + 1];
	size_t len = 7;
	assert_int_equal(domain_fold(slice_str(domain), out, &len), want);
	assert_int_equal(len, 0);
	assert_string_equal(out, "");
}

static void ascii(void **state)
{
	(void)state;
	folds_to("Example.ORG", "example.org");
	folds_to("a", "a");
	folds_to("XN--BCHER-kva.example", "xn--bcher-kva.example");
	folds_to("under_score.[what].EVER", "under_score.[what].ever");
	fails("", EC_SYNTAX);
	fails(".", EC_SYNTAX);
	fails("a.", EC_SYNTAX);
	fails(".a", EC_SYNTAX);
	fails("a..b", EC_SYNTAX);
}

/* The internationalized test domains that were in the root zone (IANA, 2007), and
 * samples of RFC 3492 7.1, RFC 5890 and the registries. */
static void u_labels(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
		{ "b\u00fccher", "xn--bcher-kva" },
		{ "\u6d4b\u8bd5", "xn--0zwm56d" },
		{ "\u092a\u0930\u0940\u0915\u094d\u0937\u093e", "xn--11b5bs3a9aj6g" },
		{ "\u0438\u0441\u043f\u044b\u0442\u0430\u043d\u0438\u0435", "xn--80akhbyknj4f" },
		{ "\ud14c\uc2a4\ud2b8", "xn--9t4b11yi5a" },
		{ "\u05d8\u05e2\u05e1\u05d8", "xn--deba0ad" },
		{ "\u6e2c\u8a66", "xn--g6w251d" },
		{ "\u0622\u0632\u0645\u0627\u06cc\u0634\u06cc", "xn--hgbk6aj7f53bba" },
		{ "\u0baa\u0bb0\u0bbf\u0b9f\u0bcd\u0b9a\u0bc8", "xn--hlcj6aya9esc7a" },
		{ "\u03b4\u03bf\u03ba\u03b9\u03bc\u03ae", "xn--jxalpdlp" },
		{ "\u0625\u062e\u062a\u0628\u0627\u0631", "xn--kgbechtv" },
		{ "\u30c6\u30b9\u30c8", "xn--zckzah" },
		{ "3\u5e74B\u7d44\u91d1\u516b\u5148\u751f", "xn--3b-ww4c5e180e575a65lsy2b" },
		{ "pro\u010dprost\u011bnemluv\u00ed\u010desky", "xn--proprostnemluvesky-uyb24dma41a" },
		{ "\U0001f600", "xn--e28h" },
		{ "Mail.b\u00fccher.EXAMPLE", "mail.xn--bcher-kva.example" },
		{ "\u4f8b\u3048.\u30c6\u30b9\u30c8", "xn--r8jz45g.xn--zckzah" },
	};
	for (size_t i = 0; i < NUM(cases); i++)
		folds_to(cases[i][0], cases[i][1]);
}

static void not_utf8(void **state)
{
	(void)state;
	static const char *const cases[] = { "\xff.example", "a.\xc3", "\xc0\xaf.a", "\xed\xa0\x80", "\xf4\x90\x80\x80", "b\xfc" "cher.a" };
	for (size_t i = 0; i < NUM(cases); i++)
		fails(cases[i], EC_SYNTAX);
}

static void lengths(void **state)
{
	(void)state;
	char text[600];
	folds_to(l63, l63);
	(void)snprintf(text, sizeof text, "%sa.b", l63);
	fails(text, EC_RANGE);
	/* 60 octets of UTF-8, its characters far apart, would be an A-label of 65; 56 one of 61. */
	fails("\U00010000\U0001f101\U0002e202\U0003d303\U0004c404\U0005b505\U0006a606\U00079707"
	      "\U00088808\U00097909\U000a6a0a\U000b5b0b\U000c4c0c\U000d3d0d\U000e2e0e",
	      EC_RANGE);
	folds_to("\U00010000\U0001f101\U0002e202\U0003d303\U0004c404\U0005b505\U0006a606\U00079707"
	         "\U00088808\U00097909\U000a6a0a\U000b5b0b\U000c4c0c\U000d3d0d",
	         "xn--2n7c2863bldngdqth429iwgwkot7lg6mn7j7ozwhqr90rjnptb0ou2d7v");
	/* Characters by the dozen, each of them the same: 63 of them fit into no label. */
	text[0] = '\0';
	for (unsigned i = 0; i < 100; i++)
		(void)snprintf(text + strlen(text), 8, "\u00fc");
	fails(text, EC_RANGE);
	/* 253 in all, and one more. */
	(void)snprintf(text, sizeof text, "%s.%s.%s.%.61s", l63, l63, l63, l63);
	assert_int_equal(strlen(text), 253);
	folds_to(text, text);
	(void)snprintf(text, sizeof text, "%s.%s.%s.%.62s", l63, l63, l63, l63);
	fails(text, EC_RANGE);
	(void)snprintf(text, sizeof text, "%s.%s.%s.%s.%s", l63, l63, l63, l63, l63);
	fails(text, EC_RANGE);
	(void)snprintf(text, sizeof text, "%s.%s.%s.%.60s.", l63, l63, l63, l63);
	fails(text, EC_SYNTAX);
}

static void characters(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		size_t len;
		uint32_t number;
	} cases[] = { { "a", 1, 'a' },         { "\u00fc", 2, 0xfc },       { "\u0800", 3, 0x800 },
		      { "\U00010000", 4, 0x10000 }, { "\U0010ffff", 4, 0x10ffff }, { "\x80", 0, 0 },
		      { "\xc1\xbf", 0, 0 },     { "\xe0\x9f\xbf", 0, 0 },      { "\xf0\x8f\xbf\xbf", 0, 0 },
		      { "\xed\xbf\xbf", 0, 0 }, { "\xe2\x82", 0, 0 } };
	for (size_t i = 0; i < NUM(cases); i++) {
		uint32_t number = 0;
		assert_int_equal(utf8_next(slice_str(cases[i].text), &number), cases[i].len);
		if (cases[i].len > 0)
			assert_int_equal(number, cases[i].number);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ascii),    cmocka_unit_test(u_labels),   cmocka_unit_test(not_utf8),
		cmocka_unit_test(lengths),  cmocka_unit_test(characters),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
