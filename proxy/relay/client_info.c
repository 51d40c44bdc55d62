#include "proxy/relay/client_info.h"

#include <string.h>

#include "proxy/smtp/xtext.h"

unsigned client_info_attributes(struct slice rest)
{
	static const char *const names[] = { "NAME", "ADDR", "PORT", "PROTO", "HELO", "IDENT" };
	unsigned found = 0;
	while (rest.len > 0) {
		const uint8_t *blank = memchr(rest.p, ' ', rest.len);
		struct slice word = slice_first(rest, blank != NULL ? (size_t)(blank - rest.p) : rest.len);
		rest = slice_from(rest, word.len + 1);
		for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
			if (slice_eq_nocase(word, slice_str(names[i])))
				found |= 1U << i;
	}
	return found;
}

struct attribute {
	unsigned bit;
	const char *name, *value; /* "" = not known */
};

/* command writes those of `all` that the backend takes; nothing if it takes none. */
static void command(struct writer *w, const char *verb, unsigned taken, const struct attribute *all, size_t num,
                    size_t value_max)
{
	bool any = false;
	for (size_t i = 0; i < num; i++) {
		char text[3 * SMTP_HELO_MAX + 16];
		struct writer v = writer_of(text, sizeof text);
		if ((taken & all[i].bit) == 0)
			continue;
		xtext_encode(&v, slice_str(all[i].value));
		bool usable = v.len > 0 && v.len <= value_max && !v.bad;
		writer_format(w, "%s %s=", any ? "" : verb, all[i].name);
		writer_bytes(w, usable ? writer_slice(&v) : SLICE_LIT("[UNAVAILABLE]"));
		any = true;
	}
	if (any)
		writer_str(w, "\r\n");
}

/* The attributes that both commands have. */
struct where {
	char port[8], addr[80];
};

static void print_where(struct where *out, const struct client_info *c)
{
	struct writer p = writer_of(out->port, sizeof out->port), a = writer_of(out->addr, sizeof out->addr);
	out->port[0] = '\0';
	if (c->port != 0)
		writer_format(&p, "%u", (unsigned)c->port);
	writer_format(&a, "%s%s", strchr(c->addr, ':') != NULL ? "IPV6:" : "", c->addr);
}

void client_info_xclient(struct writer *w, const struct client_info *c, unsigned taken)
{
	struct where where;
	print_where(&where, c);
	const struct attribute all[] = {
		{ CLIENT_INFO_NAME, "NAME", "" },
		{ CLIENT_INFO_ADDR, "ADDR", where.addr },
		{ CLIENT_INFO_PORT, "PORT", where.port },
		{ CLIENT_INFO_PROTO, "PROTO", c->esmtp ? "ESMTP" : "SMTP" },
		{ CLIENT_INFO_HELO, "HELO", c->helo },
	};
	command(w, "XCLIENT", taken, all, sizeof all / sizeof *all, XCLIENT_LINE_MAX / 2);
}

void client_info_xforward_where(struct writer *w, const struct client_info *c, unsigned taken)
{
	struct where where;
	print_where(&where, c);
	const struct attribute all[] = {
		{ CLIENT_INFO_NAME, "NAME", "" },
		{ CLIENT_INFO_ADDR, "ADDR", where.addr },
		{ CLIENT_INFO_PORT, "PORT", where.port },
		{ CLIENT_INFO_PROTO, "PROTO", c->esmtp ? "ESMTP" : "SMTP" },
	};
	command(w, "XFORWARD", taken, all, sizeof all / sizeof *all, XFORWARD_VALUE_MAX);
}

void client_info_xforward_who(struct writer *w, const struct client_info *c, unsigned taken)
{
	const struct attribute all[] = {
		{ CLIENT_INFO_HELO, "HELO", c->helo },
		{ CLIENT_INFO_IDENT, "IDENT", c->id },
	};
	command(w, "XFORWARD", taken, all, sizeof all / sizeof *all, XFORWARD_VALUE_MAX);
}
