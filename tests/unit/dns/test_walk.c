#include "dns/walk.h"

#include "tests/unit/dns/packets.h"
#include "tests/unit/unit.h"

#include <stdlib.h>

/* A header with one question and `an` answers. */
#define HEAD(an) "\22\64\204\0\0\1\0" an "\0\0\0\0"
#define QUESTION "\1a\0\0\64\0\1"

static void messages_are_checked(void **state)
{
	(void)state;
#define CASE(name, text, ec) { name, text, sizeof(text) - 1, ec }
	static const struct {
		const char *name;
		const char *wire;
		size_t len;
		enum ec ec;
	} cases[] = {
		CASE("nothing", "", EC_SYNTAX),
		CASE("half a header", "\22\64\204\0\0", EC_SYNTAX),
		CASE("a header only", "\22\64\204\0\0\0\0\0\0\0\0\0", EC_OK),
		CASE("a question", HEAD("\0") QUESTION, EC_OK),
		CASE("a question and one octet", HEAD("\0") QUESTION "x", EC_SYNTAX),
		CASE("an answer promised", HEAD("\1") QUESTION, EC_SYNTAX),
		CASE("an answer", HEAD("\1") QUESTION "\300\14\0\64\0\1\0\0\0\74\0\4\3\1\1\0", EC_OK),
		CASE("an answer without rdata", HEAD("\1") QUESTION "\300\14\0\64\0\1\0\0\0\74\0\0", EC_OK),
		CASE("rdata cut", HEAD("\1") QUESTION "\300\14\0\64\0\1\0\0\0\74\0\5\3\1\1\0", EC_SYNTAX),
		CASE("rdata length cut", HEAD("\1") QUESTION "\300\14\0\64\0\1\0\0\0\74\0", EC_SYNTAX),
		CASE("pointer to itself", HEAD("\1") QUESTION "\300\23\0\64\0\1\0\0\0\74\0\0", EC_SYNTAX),
		CASE("pointer forward", HEAD("\1") QUESTION "\300\37\0\64\0\1\0\0\0\74\0\0", EC_SYNTAX),
		CASE("pointer into the header", HEAD("\1") QUESTION "\300\0\0\64\0\1\0\0\0\74\0\0", EC_SYNTAX),
		CASE("pointer after a label, backwards", HEAD("\1") QUESTION "\1b\300\14\0\64\0\1\0\0\0\74\0\0", EC_OK),
		CASE("pointer after a label, to that label", HEAD("\1") QUESTION "\1b\300\23\0\64\0\1\0\0\0\74\0\0", EC_SYNTAX),
		CASE("half a pointer", HEAD("\1") QUESTION "\300\14\0\64\0\1\0\0\0\74\0", EC_SYNTAX),
		CASE("label of type 01", HEAD("\0") "\101a\0\0\64\0\1", EC_SYNTAX),
		CASE("label of type 10", HEAD("\0") "\201a\0\0\64\0\1", EC_SYNTAX),
		CASE("OPT in the answer", HEAD("\1") QUESTION "\0\0\51\4\320\0\0\0\0\0\0", EC_SYNTAX),
		CASE("TSIG in the answer", HEAD("\1") QUESTION "\0\0\372\0\377\0\0\0\0\0\0", EC_SYNTAX),
		CASE("OPT", "\22\64\204\0\0\0\0\0\0\0\0\1" "\0\0\51\4\320\0\0\0\0\0\0", EC_OK),
		CASE("two OPT", "\22\64\204\0\0\0\0\0\0\0\0\2" "\0\0\51\4\320\0\0\0\0\0\0" "\0\0\51\4\320\0\0\0\0\0\0", EC_SYNTAX),
		CASE("OPT, TSIG", "\22\64\204\0\0\0\0\0\0\0\0\2" "\0\0\51\4\320\0\0\0\0\0\0" "\0\0\372\0\377\0\0\0\0\0\0", EC_OK),
		CASE("TSIG not last", "\22\64\204\0\0\0\0\0\0\0\0\2" "\0\0\372\0\377\0\0\0\0\0\0" "\0\0\51\4\320\0\0\0\0\0\0", EC_SYNTAX),
	};
	for (size_t i = 0; i < NUM(cases); i++) {
		struct why why = { 0 };
		enum ec ec = walk_check(slice_of(cases[i].wire, cases[i].len), &why);
		if (ec != cases[i].ec)
			fail_msg("%s: %s (%s)", cases[i].name, ec_name(ec), why.text);
		assert_int_equal(ec == EC_OK, why.text[0] == '\0');
	}
	assert_int_equal(walk_check(slice_of(reply_two_tsig, sizeof reply_two_tsig), NULL), EC_SYNTAX);
}

static void too_many_records_are_refused(void **state)
{
	(void)state;
	static const uint8_t record[11] = { 0, 0, 1, 0, 1 };
	static uint8_t wire[12 + 513 * 11];
	for (unsigned num = 511; num <= 513; num++) {
		memset(wire, 0, 12);
		wire[6] = (uint8_t)(num >> 8);
		wire[7] = (uint8_t)num;
		for (unsigned i = 0; i < num; i++)
			memcpy(wire + 12 + i * 11, record, 11);
		assert_int_equal(walk_check(slice_of(wire, 12 + num * 11), NULL), num <= WALK_RECORDS_MAX ? EC_OK : EC_SYNTAX);
	}
}

/* Questions that are each a label of 50 octets and a pointer to the one before:
 * n labels make 51 n + 1 octets, so the fifth is one octet too long. */
static void names_that_grow_too_long_are_refused(void **state)
{
	(void)state;
	uint8_t wire[600] = { 0 };
	size_t at = 12, before = 0;
	for (int labels = 1; labels <= 6; labels++) {
		size_t start = at;
		wire[5] = (uint8_t)labels; /* number of questions */
		wire[at++] = 50;
		memset(wire + at, 'a', 50);
		at += 50;
		if (labels > 1) {
			wire[at++] = (uint8_t)(0xc0 | before >> 8);
			wire[at++] = (uint8_t)before;
		} else {
			wire[at++] = 0;
		}
		memcpy(wire + at, "\0\1\0\1", 4);
		at += 4;
		before = start;
		assert_int_equal(walk_check(slice_of(wire, at), NULL), labels < 5 ? EC_OK : EC_SYNTAX);
	}
}

static void records_come_in_order(void **state)
{
	(void)state;
	struct walk w;
	struct walk_record r;
	static const struct {
		enum walk_section section;
		uint16_t type;
		uint32_t ttl_s;
		size_t rdata_len;
	} want[] = {
		{ WALK_QUESTION, DNS_TLSA, 0, 0 },
		{ WALK_ANSWER, DNS_TLSA, 3600, 35 },
		{ WALK_ANSWER, DNS_TLSA, 3600, 35 },
		{ WALK_ANSWER, DNS_RRSIG, 3600, 18 + 13 + 9 },
		{ WALK_ADDITIONAL, DNS_OPT, 0, 0 },
	};
	assert_int_equal(walk_begin(&w, slice_of(packet_tlsa, sizeof packet_tlsa)), EC_OK);
	assert_int_equal(w.id, PACKET_ID);
	for (size_t i = 0; i < NUM(want); i++) {
		assert_true(walk_next(&w, &r));
		assert_int_equal(r.section, want[i].section);
		assert_int_equal(r.type, want[i].type);
		assert_int_equal(r.ttl_s, want[i].ttl_s);
		assert_int_equal(r.rdata.len, want[i].rdata_len);
	}
	assert_false(walk_next(&w, &r));
	assert_false(w.bad);
	assert_false(walk_next(&w, &r));
}

/* RFC 2181 8: a TTL with the top bit set counts as zero. */
static void absurd_ttls_count_as_zero(void **state)
{
	(void)state;
	static const char wire[] = HEAD("\1") QUESTION "\300\14\0\64\0\1\200\0\0\0\0\4\3\1\1\0";
	struct walk w;
	struct walk_record r;
	assert_int_equal(walk_begin(&w, slice_of(wire, sizeof wire - 1)), EC_OK);
	assert_true(walk_next(&w, &r));
	assert_true(walk_next(&w, &r));
	assert_int_equal(r.ttl_s, 0);
	assert_int_equal(r.ttl_raw, 0x80000000U);
}

static void tsig_rdata(void **state)
{
	(void)state;
	struct walk w;
	struct walk_record r = { 0 };
	struct walk_tsig t;
	assert_int_equal(walk_begin(&w, slice_of(reply_badtime, sizeof reply_badtime)), EC_OK);
	while (walk_next(&w, &r))
		;
	assert_int_equal(r.type, DNS_TSIG);
	assert_int_equal(walk_tsig_parse(r.rdata, &t), EC_OK);
	char name[DNS_NAME_TEXT_SIZE];
	dns_name_print(name, &t.algorithm);
	assert_string_equal(name, "hmac-sha256");
	assert_int_equal(t.time_s, PACKET_NOW);
	assert_int_equal(t.fudge_s, 300);
	assert_int_equal(t.mac.len, 32);
	assert_int_equal(t.original_id, PACKET_ID);
	assert_int_equal(t.error, DNS_BADTIME);
	assert_int_equal(t.other.len, 6);
	for (size_t cut = 0; cut < r.rdata.len; cut++)
		assert_int_equal(walk_tsig_parse(slice_first(r.rdata, cut), &t), EC_SYNTAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_are_checked),
		cmocka_unit_test(too_many_records_are_refused),
		cmocka_unit_test(names_that_grow_too_long_are_refused),
		cmocka_unit_test(records_come_in_order),
		cmocka_unit_test(absurd_ttls_count_as_zero),
		cmocka_unit_test(tsig_rdata),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
