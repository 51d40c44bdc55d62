#include "dns/name.h"

#include "tests/unit/unit.h"

#include <stdlib.h>

static void names_parse_and_print(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum ec ec;
		const char *printed; /* NULL: as given */
		const char *wire;
		size_t len;
	} cases[] = {
		{ ".", EC_OK, NULL, "", 1 },
		{ "org", EC_OK, NULL, "\3org", 5 },
		{ "org.", EC_OK, "org", "\3org", 5 },
		{ "_25._tcp.MX1.Example.ORG", EC_OK, "_25._tcp.mx1.example.org",
		  "\3_25\4_tcp\3mx1\7example\3org", 26 },
		{ "*.example", EC_OK, NULL, "\1*\7example", 11 },
		/* RFC 1035 5.1: \. is a dot inside a label, \DDD an octet */
		{ "a\\.b.c", EC_OK, NULL, "\3a.b\1c", 7 },
		{ "a\\046b.c", EC_OK, "a\\.b.c", "\3a.b\1c", 7 },
		{ "\\000", EC_OK, NULL, "\1\0", 3 },
		{ "\\255", EC_OK, NULL, "\1\377", 3 },
		{ "\\\\", EC_OK, NULL, "\1\\", 3 },
		{ "a\\032b", EC_OK, NULL, "\3a b", 5 },
		{ "\\065", EC_OK, "a", "\1a", 3 },
		{ "\\(x\\)", EC_OK, NULL, "\3(x)", 5 },
		{ "", EC_SYNTAX, NULL, NULL, 0 },
		{ "..", EC_SYNTAX, NULL, NULL, 0 },
		{ ".org", EC_SYNTAX, NULL, NULL, 0 },
		{ "a..b", EC_SYNTAX, NULL, NULL, 0 },
		{ "a.b..", EC_SYNTAX, NULL, NULL, 0 },
		{ "a\\", EC_SYNTAX, NULL, NULL, 0 },
		{ "a\\2", EC_SYNTAX, NULL, NULL, 0 },
		{ "a\\25", EC_SYNTAX, NULL, NULL, 0 },
		{ "a\\25x", EC_SYNTAX, NULL, NULL, 0 },
		{ "a\\256", EC_SYNTAX, NULL, NULL, 0 },
		{ "a\\999", EC_SYNTAX, NULL, NULL, 0 },
	};
	for (size_t i = 0; i < NUM(cases); i++) {
		struct dns_name n;
		struct why why = { 0 };
		char text[DNS_NAME_TEXT_SIZE];
		enum ec ec = dns_name_parse(slice_str(cases[i].text), &n, &why);
		if (ec != cases[i].ec)
			fail_msg("\"%s\": %s", cases[i].text, ec_name(ec));
		assert_int_equal(n.len, cases[i].len);
		dns_name_print(text, &n);
		if (ec != EC_OK) {
			assert_true(why.text[0] != '\0');
			assert_string_equal(text, "-");
			continue;
		}
		assert_memory_equal(n.wire, cases[i].wire, n.len);
		assert_string_equal(text, cases[i].printed != NULL ? cases[i].printed : cases[i].text);
	}
}

/* RFC 1035 2.3.4: a label has at most 63 octets, a name 255 with length octets. */
static void limits_of_labels_and_names(void **state)
{
	(void)state;
	char text[1100];
	struct dns_name n;
	memset(text, 'a', sizeof text);
	assert_int_equal(dns_name_parse(slice_of(text, 63), &n, NULL), EC_OK);
	assert_int_equal(n.len, 65);
	assert_int_equal(dns_name_parse(slice_of(text, 64), &n, NULL), EC_RANGE);
	assert_int_equal(n.len, 0);
	/* 63.63.63.61 is 64+64+64+62+1 = 255 octets; one more is too many. */
	text[63] = text[127] = text[191] = '.';
	assert_int_equal(dns_name_parse(slice_of(text, 192 + 61), &n, NULL), EC_OK);
	assert_int_equal(n.len, 255);
	text[192 + 61] = '.'; /* the last dot costs nothing */
	assert_int_equal(dns_name_parse(slice_of(text, 192 + 62), &n, NULL), EC_OK);
	text[192 + 61] = 'a';
	assert_int_equal(dns_name_parse(slice_of(text, 192 + 62), &n, NULL), EC_RANGE);
	/* 127 labels of one octet: 254 + 1. */
	for (size_t i = 0; i < sizeof text; i++)
		text[i] = i % 2 == 0 ? 'a' : '.';
	assert_int_equal(dns_name_parse(slice_of(text, 253), &n, NULL), EC_OK);
	assert_int_equal(n.len, 255);
	assert_int_equal(dns_name_labels(&n), 127);
	assert_int_equal(dns_name_parse(slice_of(text, 255), &n, NULL), EC_RANGE);
	/* The longest text there is: every octet escaped. */
	char big[DNS_NAME_TEXT_SIZE];
	size_t len = 0;
	for (size_t octets = 0; octets < 63 + 63 + 63 + 61; octets++) {
		if (octets > 0 && octets % 63 == 0)
			text[len++] = '.';
		memcpy(text + len, "\\001", 4);
		len += 4;
	}
	assert_int_equal(dns_name_parse(slice_of(text, len), &n, NULL), EC_OK);
	dns_name_print(big, &n);
	assert_int_equal(strlen(big), len);
	assert_memory_equal(big, text, len);
}

static struct dns_name parsed(const char *text)
{
	struct dns_name n;
	assert_int_equal(dns_name_parse(slice_str(text), &n, NULL), EC_OK);
	return n;
}

static void wire_must_be_one_whole_name(void **state)
{
	(void)state;
	static const struct {
		const char *wire;
		size_t len;
		enum ec ec;
	} cases[] = {
		{ "", 1, EC_OK },         { "\1A", 3, EC_OK },      { "", 0, EC_SYNTAX },      { "\1a", 2, EC_SYNTAX },
		{ "\0\0", 2, EC_SYNTAX }, { "\2a", 3, EC_SYNTAX },  { "\300\14", 2, EC_SYNTAX }, { "\1a\0\1b", 6, EC_SYNTAX },
		{ "\100", 2, EC_SYNTAX },
	};
	for (size_t i = 0; i < NUM(cases); i++) {
		struct dns_name n;
		assert_int_equal(dns_name_from_wire(slice_of(cases[i].wire, cases[i].len), &n), cases[i].ec);
		assert_int_equal(n.len, cases[i].ec == EC_OK ? cases[i].len : 0);
	}
	struct dns_name n, m = parsed("a");
	assert_int_equal(dns_name_from_wire(slice_of("\1A", 3), &n), EC_OK);
	assert_true(dns_name_eq(&n, &m));
}

static void parents_and_ancestors(void **state)
{
	(void)state;
	struct dns_name n = parsed("_25._tcp.mx1.example.org"), parent, root = parsed("."), none = { 0 };
	static const char *const up[] = { "_tcp.mx1.example.org", "mx1.example.org", "example.org", "org", "." };
	parent = n;
	for (size_t i = 0; i < NUM(up); i++) {
		char text[DNS_NAME_TEXT_SIZE];
		assert_true(dns_name_parent(&parent, &parent));
		dns_name_print(text, &parent);
		assert_string_equal(text, up[i]);
		assert_true(dns_name_under(&n, &parent));
		assert_false(dns_name_under(&parent, &n));
		assert_int_equal(dns_name_labels(&parent), 4 - i);
	}
	assert_true(dns_name_is_root(&parent));
	assert_false(dns_name_parent(&parent, &parent));
	assert_true(dns_name_under(&n, &n));
	assert_false(dns_name_under(&n, &none));
	assert_false(dns_name_under(&none, &root));
	/* Not every equal tail is an ancestor. */
	struct dns_name a = parsed("xexample.org"), b = parsed("example.org"), c = parsed("example.net");
	assert_false(dns_name_under(&a, &b));
	assert_false(dns_name_under(&a, &c));
	/* "\7example\3org" as octets inside a label is no ancestor either. */
	struct dns_name trick = parsed("x\\007example\\003org"), org = parsed("example\\003org");
	assert_false(dns_name_under(&trick, &b));
	assert_false(dns_name_under(&trick, &org));
}

static void labels_go_in_front(void **state)
{
	(void)state;
	struct dns_name n = parsed("mx1.example.org"), out, want = parsed("_25._tcp.mx1.example.org");
	assert_int_equal(dns_name_prepend("_25._tcp", &n, &out, NULL), EC_OK);
	assert_true(dns_name_eq(&out, &want));
	assert_int_equal(dns_name_prepend("_25._tcp", &n, &n, NULL), EC_OK);
	assert_true(dns_name_eq(&n, &want));
	struct dns_name root = parsed(".");
	assert_int_equal(dns_name_prepend("org", &root, &out, NULL), EC_OK);
	assert_int_equal(out.len, 5);
	assert_int_equal(dns_name_prepend("a..b", &root, &out, NULL), EC_SYNTAX);

	char text[253];
	for (size_t i = 0; i < sizeof text; i++)
		text[i] = i % 2 == 0 ? 'a' : '.';
	struct dns_name full;
	assert_int_equal(dns_name_parse(slice_of(text, 249), &full, NULL), EC_OK); /* 251 octets */
	assert_int_equal(dns_name_prepend("abc", &full, &out, NULL), EC_OK);
	assert_int_equal(out.len, 255);
	assert_int_equal(dns_name_prepend("abcd", &full, &out, NULL), EC_RANGE);
}

static void any_wire_prints_and_parses_back(void **state)
{
	(void)state;
	srand(1);
	for (int round = 0; round < 2000; round++) {
		uint8_t wire[256];
		size_t len = 0;
		int labels = rand() % 5;
		for (int l = 0; l < labels && len < 180; l++) {
			size_t label = 1 + (size_t)rand() % 63;
			wire[len++] = (uint8_t)label;
			for (size_t i = 0; i < label; i++)
				wire[len++] = (uint8_t)rand();
		}
		wire[len++] = 0;
		struct dns_name n, back;
		char text[DNS_NAME_TEXT_SIZE];
		if (len > DNS_NAME_WIRE_MAX)
			continue;
		assert_int_equal(dns_name_from_wire(slice_of(wire, len), &n), EC_OK);
		dns_name_print(text, &n);
		assert_int_equal(dns_name_parse(slice_str(text), &back, NULL), EC_OK);
		assert_true(dns_name_eq(&n, &back));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_parse_and_print),     cmocka_unit_test(limits_of_labels_and_names),
		cmocka_unit_test(wire_must_be_one_whole_name), cmocka_unit_test(parents_and_ancestors),
		cmocka_unit_test(labels_go_in_front),        cmocka_unit_test(any_wire_prints_and_parses_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
