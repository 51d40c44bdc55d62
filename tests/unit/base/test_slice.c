#include "base/slice.h"

#include "tests/unit/unit.h"

static void slices_stay_inside(void **state)
{
	(void)state;
	struct slice s = SLICE_LIT("hello");
	assert_true(slice_eq(slice_from(s, 2), SLICE_LIT("llo")));
	assert_int_equal(slice_from(s, 99).len, 0);
	assert_int_equal(slice_first(s, 99).len, 5);
	assert_int_equal(slice_from((struct slice){ 0 }, 3).len, 0);
	assert_true(slice_eq_nocase(SLICE_LIT("StartTLS"), SLICE_LIT("STARTTLS")));
	assert_false(slice_eq_nocase(SLICE_LIT("a"), SLICE_LIT("ab")));
	/* 'k' and the Kelvin sign are different octets: no locale here. */
	assert_false(slice_eq_nocase(SLICE_LIT("\xe2\x84\xaa"), SLICE_LIT("kkk")));
	/* '@' and '`' differ by the case bit but are no letters. */
	assert_false(slice_eq_nocase(SLICE_LIT("@"), SLICE_LIT("`")));
}

static void reader_stops_at_the_end(void **state)
{
	(void)state;
	struct reader r = reader_of(SLICE_LIT("\x01\x02\x03\x04\x05\x06\x07"));
	assert_int_equal(reader_u8(&r), 1);
	assert_int_equal(reader_u16be(&r), 0x0203);
	assert_int_equal(reader_u32be(&r), 0x04050607);
	assert_false(r.bad);
	assert_int_equal(reader_u8(&r), 0);
	assert_true(r.bad);
	r = reader_of(SLICE_LIT("\xff\xff\xff"));
	assert_int_equal(reader_u32be(&r), 0);
	assert_true(r.bad);
	/* Once bad, even what would fit is not given. */
	assert_int_equal(reader_u8(&r), 0);
}

static void writer_never_overflows(void **state)
{
	(void)state;
	char buf[8];
	memset(buf, '#', sizeof buf);
	struct writer w = writer_of(buf, 6);
	writer_str(&w, "abc");
	writer_format(&w, "%d", 12);
	assert_string_equal(buf, "abc12");
	writer_format(&w, "%d", 3); /* needs a NUL as well */
	assert_true(w.bad);
	assert_string_equal(buf, "abc12");
	writer_str(&w, "");
	assert_int_equal(buf[6], '#');
	w = writer_of(buf, 6);
	writer_str(&w, "123456");
	assert_false(w.bad);
	assert_int_equal(w.len, 6);
	assert_int_equal(buf[6], '#');
	writer_str(&w, "7");
	assert_true(w.bad);
}

static void bytes_are_a_queue(void **state)
{
	(void)state;
	for (int secret = 0; secret < 2; secret++) {
		struct bytes b = { .secret = secret != 0 };
		uint8_t next_in = 0, next_out = 0;
		/* Sizes that do not divide each other, to move through every offset. */
		for (int round = 0; round < 2000; round++) {
			uint8_t chunk[37];
			for (size_t i = 0; i < sizeof chunk; i++)
				chunk[i] = next_in++;
			assert_int_equal(bytes_append(&b, slice_of(chunk, sizeof chunk)), EC_OK);
			size_t take = bytes_len(&b) < 41 || round < 50 ? 7 : 41;
			struct slice s = bytes_slice(&b);
			for (size_t i = 0; i < take; i++)
				assert_int_equal(s.p[i], next_out++);
			bytes_consume(&b, take);
		}
		bytes_fini(&b);
		assert_int_equal(bytes_len(&b), 0);
		assert_int_equal(b.secret, secret != 0);
	}
}

static void hex_round_trip_and_refusals(void **state)
{
	(void)state;
	char text[11];
	uint8_t raw[5];
	hex_encode(text, SLICE_LIT("\x00\x7f\x80\xab\xff"));
	assert_string_equal(text, "007f80abff");
	assert_true(hex_decode(raw, 5, SLICE_LIT("007F80aBfF")));
	assert_memory_equal(raw, "\x00\x7f\x80\xab\xff", 5);
	assert_false(hex_decode(raw, 5, SLICE_LIT("007f80abf")));
	assert_false(hex_decode(raw, 5, SLICE_LIT("007f80abfg")));
	assert_false(hex_decode(raw, 5, SLICE_LIT("007f80abff0")));
}

static void numbers_are_whole_or_refused(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint64_t max;
		enum ec ec;
		uint64_t value;
	} cases[] = {
		{ "0", 0, EC_OK, 0 },
		{ "18446744073709551615", UINT64_MAX, EC_OK, UINT64_MAX },
		{ "18446744073709551616", UINT64_MAX, EC_RANGE, 0 },
		{ "99999999999999999999999999999", UINT64_MAX, EC_RANGE, 0 },
		{ "0000000000000000000000000000012", 12, EC_OK, 12 },
		{ "13", 12, EC_RANGE, 0 },
		{ "", 9, EC_SYNTAX, 0 },
		{ "+1", 9, EC_SYNTAX, 0 },
		{ "-1", 9, EC_SYNTAX, 0 },
		{ " 1", 9, EC_SYNTAX, 0 },
		{ "1 ", 9, EC_SYNTAX, 0 },
		{ "30x", 99, EC_SYNTAX, 0 },
		{ "99999999999999999999x", 99, EC_SYNTAX, 0 },
		{ "0x1", 99, EC_SYNTAX, 0 },
	};
	for (size_t i = 0; i < NUM(cases); i++) {
		uint64_t n = 0;
		assert_int_equal(parse_u64(slice_str(cases[i].text), cases[i].max, &n), cases[i].ec);
		if (cases[i].ec == EC_OK)
			assert_true(n == cases[i].value);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slices_stay_inside),
		cmocka_unit_test(reader_stops_at_the_end),
		cmocka_unit_test(writer_never_overflows),
		cmocka_unit_test(bytes_are_a_queue),
		cmocka_unit_test(hex_round_trip_and_refusals),
		cmocka_unit_test(numbers_are_whole_or_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
