#include "base/instant.h"

#include <stdio.h>

#include "tests/unit/unit.h"

static void wall_times_print_as_rfc3339(void **state)
{
	(void)state;
	static const struct {
		int64_t s;
		const char *text;
	} cases[] = {
		/* from `date -u -d @N +%FT%TZ` */
		{ 1, "1970-01-01T00:00:01Z" },
		{ 951782400, "2000-02-29T00:00:00Z" },
		{ 4102444799, "2099-12-31T23:59:59Z" },
		{ 253402300799, "9999-12-31T23:59:59Z" },
		{ 0, "-" },
		{ -5, "-5" },
	};
	for (size_t i = 0; i < NUM(cases); i++) {
		char text[WALL_TEXT_SIZE];
		wall_print(text, (struct wall){ cases[i].s });
		assert_string_equal(text, cases[i].text);
	}
	char text[WALL_TEXT_SIZE];
	wall_print(text, (struct wall){ INT64_MAX });
	assert_true(strlen(text) < WALL_TEXT_SIZE);
}

static void durations_parse_whole_or_not_at_all(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum ec ec;
		int64_t ms;
	} cases[] = {
		{ "0", EC_OK, 0 },          { "0s", EC_OK, 0 },
		{ "500ms", EC_OK, 500 },    { "90s", EC_OK, 90000 },
		{ "15m", EC_OK, 900000 },   { "1h30m", EC_OK, 5400000 },
		{ "7d", EC_OK, 604800000 }, { "1d2h3m4s5ms", EC_OK, 93784005 },
		{ "30", EC_SYNTAX, 0 },     { "30x", EC_SYNTAX, 0 },
		{ "", EC_SYNTAX, 0 },       { "s", EC_SYNTAX, 0 },
		{ "-1s", EC_SYNTAX, 0 },    { "1 s", EC_SYNTAX, 0 },
		{ "1s ", EC_SYNTAX, 0 },    { "1S", EC_SYNTAX, 0 },
		{ "1m1h", EC_SYNTAX, 0 },   { "1h1h", EC_SYNTAX, 0 },
		{ "1.5h", EC_SYNTAX, 0 },   { "1h30", EC_SYNTAX, 0 },
		{ "99999999999999999999s", EC_RANGE, 0 },
		{ "9223372036854775807d", EC_RANGE, 0 },
		{ "40000d", EC_RANGE, 0 },
	};
	for (size_t i = 0; i < NUM(cases); i++) {
		int64_t ms = -1;
		enum ec ec = duration_parse(slice_str(cases[i].text), &ms);
		if (ec != cases[i].ec)
			fail_msg("%s: %s", cases[i].text, ec_name(ec));
		if (ec == EC_OK)
			assert_true(ms == cases[i].ms);
	}
}

static void printed_durations_parse_back(void **state)
{
	(void)state;
	static const int64_t seconds[] = { 0, 1, 59, 60, 61, 3599, 3600, 3601, 3660, 7325, 86400, 172800, 31536000 };
	for (size_t i = 0; i < NUM(seconds); i++) {
		char text[DURATION_TEXT_SIZE];
		int64_t ms = -1;
		duration_print(text, seconds[i]);
		assert_int_equal(duration_parse(slice_str(text), &ms), EC_OK);
		assert_true(ms == seconds[i] * 1000);
	}
	char text[DURATION_TEXT_SIZE];
	duration_print(text, -5400);
	assert_string_equal(text, "-1h30m");
}

static void dates_are_days_of_the_calendar(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum ec ec;
		int64_t s;
	} cases[] = {
		/* from `date -u -d DATE +%s` */
		{ "1970-01-01", EC_OK, 0 },
		{ "1970-01-02", EC_OK, 86400 },
		{ "2000-02-29", EC_OK, 951782400 },
		{ "2000-03-01", EC_OK, 951868800 },
		{ "2024-02-29", EC_OK, 1709164800 },
		{ "2027-01-31", EC_OK, 1801353600 },
		{ "2027-12-31", EC_OK, 1830211200 },
		{ "9999-12-31", EC_OK, 253402214400 },
		{ "2100-02-29", EC_RANGE, 0 },
		{ "2027-02-29", EC_RANGE, 0 },
		{ "2027-04-31", EC_RANGE, 0 },
		{ "2027-12-32", EC_RANGE, 0 },
		{ "2027-00-10", EC_RANGE, 0 },
		{ "2027-13-01", EC_RANGE, 0 },
		{ "2027-01-00", EC_RANGE, 0 },
		{ "1969-12-31", EC_RANGE, 0 },
		{ "0000-00-00", EC_RANGE, 0 },
		{ "", EC_SYNTAX, 0 },
		{ "2027-1-31", EC_SYNTAX, 0 },
		{ "2027-01-3", EC_SYNTAX, 0 },
		{ "2027-01-31Z", EC_SYNTAX, 0 },
		{ "2027/01/31", EC_SYNTAX, 0 },
		{ "-027-01-31", EC_SYNTAX, 0 },
		{ "2027-01--1", EC_SYNTAX, 0 },
		{ "20270131-9", EC_SYNTAX, 0 },
	};
	for (size_t i = 0; i < NUM(cases); i++) {
		struct wall t = { 7 };
		assert_int_equal(date_parse(slice_str(cases[i].text), &t), cases[i].ec);
		assert_true(t.s == cases[i].s);
	}
	/* Every day is the one after the day before. */
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int64_t want = 0;
	for (int y = 1970; y < 2401; y++) {
		bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
		for (int m = 0; m < 12; m++)
			for (int d = 1; d <= days[m] + (leap && m == 1); d++, want += 86400) {
				char text[32];
				struct wall t;
				(void)snprintf(text, sizeof text, "%04d-%02d-%02d", y, m + 1, d);
				assert_int_equal(date_parse(slice_str(text), &t), EC_OK);
				assert_true(t.s == want);
			}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wall_times_print_as_rfc3339),
		cmocka_unit_test(dates_are_days_of_the_calendar),
		cmocka_unit_test(durations_parse_whole_or_not_at_all),
		cmocka_unit_test(printed_durations_parse_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
