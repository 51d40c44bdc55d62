#include "tlsa-sync/probe_talk.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>
#include <strings.h>

/* A server's words go into our reasons and logs: printable ASCII only, and
 * no more than a person wants to read. */
static void quote(char out[161], const char *line)
{
	size_t n = 0;
	for (; line[n] != '\0' && n < 160; n++)
		out[n] = line[n] >= ' ' && line[n] < 127 ? line[n] : '?';
	out[n] = '\0';
}

static enum ec refuse(struct why *why, enum ec ec, const char *what, const char *line)
{
	char quoted[161];
	quote(quoted, line);
	return why_set(why, ec, "%s: \"%s\"", what, quoted);
}

/* reply_ended acts on the last line of a reply. */
static enum ec reply_ended(struct probe_talk *t, const char *helo, struct writer *send, struct why *why)
{
	switch (t->stage) {
	case PROBE_GREETING:
		if (t->code != 220)
			return refuse(why, EC_CLOSED, "the greeting was not 220", t->line);
		writer_format(send, "EHLO %s\r\n", helo);
		t->stage = PROBE_EHLO;
		return EC_AGAIN;
	case PROBE_EHLO:
		if (t->code != 250)
			return refuse(why, EC_CLOSED, "EHLO was refused", t->line);
		if (!t->has_starttls)
			return why_set(why, EC_UNSUPPORTED, "STARTTLS is not offered");
		writer_str(send, "STARTTLS\r\n");
		t->stage = PROBE_STARTTLS;
		return EC_AGAIN;
	case PROBE_STARTTLS:
		if (t->code != 220)
			return refuse(why, EC_UNSUPPORTED, "STARTTLS was refused", t->line);
		t->stage = PROBE_TLS;
		return EC_OK;
	case PROBE_TLS:
		break;
	}
	assert(false && "a reply after STARTTLS");
	return EC_SYNTAX;
}

/* take_line reads one whole line of a reply: "250-…" or "250 …" or "250". */
static enum ec take_line(struct probe_talk *t, const char *helo, struct writer *send, struct why *why)
{
	const char *l = t->line;
	if (!isdigit((unsigned char)l[0]) || !isdigit((unsigned char)l[1]) || !isdigit((unsigned char)l[2]) ||
	    (l[3] != '\0' && l[3] != ' ' && l[3] != '-'))
		return refuse(why, EC_SYNTAX, "not an SMTP reply", l);
	int code = (l[0] - '0') * 100 + (l[1] - '0') * 10 + (l[2] - '0');
	if (t->in_reply && code != t->code)
		return refuse(why, EC_SYNTAX, "the code changes inside a reply", l);
	t->code = code;
	/* The first line of the EHLO reply holds a name, not an extension. */
	if (t->stage == PROBE_EHLO && t->in_reply && l[3] != '\0' && strncasecmp(l + 4, "STARTTLS", 8) == 0 &&
	    (l[12] == '\0' || l[12] == ' '))
		t->has_starttls = true;
	t->in_reply = l[3] == '-';
	return t->in_reply ? EC_AGAIN : reply_ended(t, helo, send, why);
}

enum ec probe_talk_feed(struct probe_talk *t, struct slice in, const char *helo, struct writer *send, struct why *why)
{
	for (size_t i = 0; i < in.len; i++) {
		char c = (char)in.p[i];
		if (++t->total > PROBE_TALK_MAX)
			return why_set(why, EC_LIMIT, "more than %d bytes before TLS", PROBE_TALK_MAX);
		if (c == '\0')
			return why_set(why, EC_SYNTAX, "a NUL octet in a reply");
		if (c != '\n') {
			if (t->len + 1 >= sizeof t->line)
				return why_set(why, EC_LIMIT, "a line of more than %d bytes", PROBE_LINE_MAX);
			t->line[t->len++] = c;
			continue;
		}
		if (t->len > 0 && t->line[t->len - 1] == '\r')
			t->len--;
		t->line[t->len] = '\0';
		t->len = 0;
		enum ec ec = take_line(t, helo, send, why);
		if (ec == EC_OK && i + 1 < in.len)
			return why_set(why, EC_SYNTAX, "bytes follow the 220 to STARTTLS before TLS began");
		if (ec != EC_AGAIN)
			return ec;
	}
	return EC_AGAIN;
}
