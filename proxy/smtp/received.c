#include "proxy/smtp/received.h"

#include <string.h>

/* Days since 1970 -> year, month, day; proleptic Gregorian, years from March. */
static void civil(int64_t days, int64_t *year, int *month, int *day)
{
	days += 719468;
	int64_t era = (days >= 0 ? days : days - 146096) / 146097;
	int64_t of_era = days - era * 146097;
	int64_t y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t of_year = of_era - (365 * y + y / 4 - y / 100);
	int64_t m = (5 * of_year + 2) / 153;
	*day = (int)(of_year - (153 * m + 2) / 5 + 1);
	*month = (int)(m < 10 ? m + 3 : m - 9);
	*year = y + era * 400 + (*month <= 2 ? 1 : 0);
}

void smtp_date_print(struct writer *w, struct wall now)
{
	static const char weekdays[7][4] = { "Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed" };
	static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
		                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	int64_t s = now.s < 0 ? 0 : now.s, year;
	int month, day;
	civil(s / 86400, &year, &month, &day);
	writer_format(w, "%s, %d %s %04lld %02d:%02d:%02d +0000", weekdays[s / 86400 % 7], day, months[month - 1],
	              (long long)year, (int)(s / 3600 % 24), (int)(s / 60 % 60), (int)(s % 60));
}

/* Writes a peer's word, other octets than those of names as '?'. */
static void word(struct writer *w, struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.p[i];
		bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		bool plain = alnum || (c != '\0' && strchr("-._:[]", c) != NULL);
		writer_bytes(w, plain ? slice_of(&c, 1) : SLICE_LIT("?"));
	}
}

static const char *with_keyword(const struct smtp_received *r)
{
	bool tls = r->tls_version.len > 0;
	if (r->smtputf8)
		return tls ? "UTF8SMTPS" : "UTF8SMTP";
	return !r->esmtp ? "SMTP" : tls ? "ESMTPS" : "ESMTP";
}

void smtp_received_print(struct writer *w, const struct smtp_received *r)
{
	writer_str(w, "Received: from ");
	word(w, r->helo);
	if (r->addr.len > 0) {
		writer_str(w, memchr(r->addr.p, ':', r->addr.len) != NULL ? " ([IPv6:" : " ([");
		word(w, r->addr);
		writer_str(w, "])");
	}
	writer_str(w, "\r\n\tby ");
	word(w, r->by);
	writer_str(w, " (danegate) with ");
	writer_str(w, with_keyword(r));
	writer_str(w, " id ");
	word(w, r->id);
	if (r->tls_version.len > 0) {
		writer_str(w, "\r\n\ttls ");
		word(w, r->tls_cipher);
		writer_str(w, " (");
		word(w, r->tls_version);
		writer_str(w, r->tls_sni.len > 0 ? ", sni " : ", no sni");
		word(w, slice_first(r->tls_sni, 255));
		writer_str(w, ")");
	}
	writer_str(w, ";\r\n\t");
	smtp_date_print(w, r->now);
	writer_str(w, "\r\n");
}
