#include "base/instant.h"

#include <stdio.h>
#include <string.h>

static char *digits(char *p, int num, int64_t value)
{
	for (int i = num - 1; i >= 0; i--, value /= 10)
		p[i] = (char)('0' + value % 10);
	return p + num;
}

void wall_print(char out[WALL_TEXT_SIZE], struct wall t)
{
	if (t.s <= 0 || t.s > INT64_C(253402300799)) {
		if (t.s == 0)
			(void)snprintf(out, WALL_TEXT_SIZE, "-");
		else
			(void)snprintf(out, WALL_TEXT_SIZE, "%lld", (long long)t.s);
		return;
	}
	/* The Gregorian calendar in years that begin with March, counted in its eras of 400
	 * years from 0000-03-01. strftime asks for the time zone each time, and this is
	 * called for every line of every status. */
	int64_t days = t.s / 86400 + 719468, s = t.s % 86400;
	int64_t era = days / 146097, day = days % 146097;
	int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
	int64_t of_year = day - (365 * year + year / 4 - year / 100);
	int64_t march = (5 * of_year + 2) / 153; /* months since March */
	int64_t month = march < 10 ? march + 3 : march - 9;
	char *p = digits(out, 4, year + era * 400 + (month <= 2));
	*p++ = '-';
	p = digits(p, 2, month);
	*p++ = '-';
	p = digits(p, 2, of_year - (153 * march + 2) / 5 + 1);
	*p++ = 'T';
	p = digits(p, 2, s / 3600);
	*p++ = ':';
	p = digits(p, 2, s / 60 % 60);
	*p++ = ':';
	p = digits(p, 2, s % 60);
	*p++ = 'Z';
	*p = '\0';
}

enum ec date_parse(struct slice text, struct wall *out)
{
	static const char shape[] = "0000-00-00";
	int64_t parts[3] = { 0 };
	size_t part = 0;
	out->s = 0;
	if (text.len != sizeof shape - 1)
		return EC_SYNTAX;
	for (size_t i = 0; i < text.len; i++) {
		bool digit = text.p[i] >= '0' && text.p[i] <= '9';
		if (digit != (shape[i] == '0') || (!digit && text.p[i] != '-'))
			return EC_SYNTAX;
		part += !digit;
		parts[part] = digit ? 10 * parts[part] + text.p[i] - '0' : 0;
	}
	int64_t month = parts[1], year = parts[0] - (month <= 2), in_era = year % 400;
	if (parts[0] < 1970 || month < 1 || month > 12 || parts[2] < 1)
		return EC_RANGE;
	int64_t day = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + parts[2] - 1;
	int64_t days = year / 400 * 146097 + 365 * in_era + in_era / 4 - in_era / 100 + day - 719468;
	/* A day that there is not comes out as one of the next month. */
	char back[WALL_TEXT_SIZE];
	wall_print(back, (struct wall){ days * 86400 + 86399 });
	if (memcmp(back, text.p, text.len) != 0)
		return EC_RANGE;
	out->s = days * 86400;
	return EC_OK;
}

static const struct {
	const char *name;
	int64_t ms;
} units[] = { { "d", 86400000 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 } };

void duration_print(char out[DURATION_TEXT_SIZE], int64_t seconds)
{
	char *p = out;
	size_t left = DURATION_TEXT_SIZE;
	if (seconds < 0) {
		*p++ = '-';
		left--;
		seconds = -seconds;
	}
	int64_t h = seconds / 3600, m = seconds / 60 % 60, s = seconds % 60;
	int n = 0;
	if (h > 0 && m == 0 && s == 0)
		n = snprintf(p, left, "%lldh", (long long)h);
	else if (h > 0 && s == 0)
		n = snprintf(p, left, "%lldh%lldm", (long long)h, (long long)m);
	else if (h > 0)
		n = snprintf(p, left, "%lldh%lldm%llds", (long long)h, (long long)m, (long long)s);
	else if (m > 0 && s == 0)
		n = snprintf(p, left, "%lldm", (long long)m);
	else if (m > 0)
		n = snprintf(p, left, "%lldm%llds", (long long)m, (long long)s);
	else
		n = snprintf(p, left, "%llds", (long long)s);
	(void)n;
}

enum ec duration_parse(struct slice text, int64_t *out_ms)
{
	const int64_t max = INT64_C(100) * 366 * 86400000;
	if (slice_eq(text, SLICE_LIT("0"))) {
		*out_ms = 0;
		return EC_OK;
	}
	if (text.len == 0)
		return EC_SYNTAX;
	int64_t total = 0;
	int last_unit = -1;
	while (text.len > 0) {
		size_t digits = 0;
		while (digits < text.len && text.p[digits] >= '0' && text.p[digits] <= '9')
			digits++;
		uint64_t n = 0;
		enum ec ec = parse_u64(slice_first(text, digits), (uint64_t)max, &n);
		if (ec != EC_OK)
			return ec;
		text = slice_from(text, digits);
		size_t letters = 0;
		while (letters < text.len && text.p[letters] >= 'a' && text.p[letters] <= 'z')
			letters++;
		int unit = -1;
		for (int i = 0; i < (int)(sizeof units / sizeof units[0]); i++)
			if (slice_eq(slice_first(text, letters), slice_str(units[i].name)))
				unit = i;
		if (unit <= last_unit)
			return EC_SYNTAX;
		last_unit = unit;
		text = slice_from(text, letters);
		if ((int64_t)n > (max - total) / units[unit].ms)
			return EC_RANGE;
		total += (int64_t)n * units[unit].ms;
	}
	*out_ms = total;
	return EC_OK;
}
