#include "fuzz/proxy/mta.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define EHLO_ALL "250-mta.test\r\n250-PIPELINING\r\n250-SIZE 100000\r\n250-8BITMIME\r\n250-DSN\r\n250-SMTPUTF8\r\n" \
                 "250-REQUIRETLS\r\n250-XCLIENT NAME ADDR PORT PROTO HELO\r\n" \
                 "250-XFORWARD NAME ADDR PORT PROTO HELO IDENT\r\n250 ENHANCEDSTATUSCODES\r\n"
#define EHLO_NOTHING "250 mta.test\r\n"

static void put(struct bytes *b, struct slice s)
{
	if (bytes_append(b, s) != EC_OK)
		abort();
}

/* Exactly one reply that is well-formed and small. An opinion of our own, on
 * purpose not that of relay/answer.c. RFC 5321 4.2. */
static bool one_reply(struct slice s)
{
	struct slice code = slice_first(s, 3);
	if (s.len > 400 || code.len < 3 || code.p[0] < '2' || code.p[0] > '5' || code.p[1] < '0' || code.p[1] > '5' ||
	    code.p[2] < '0' || code.p[2] > '9')
		return false;
	for (bool last = false; !last;) {
		const uint8_t *lf = s.len > 0 ? memchr(s.p, '\n', s.len) : NULL;
		size_t len = lf != NULL ? (size_t)(lf - s.p) : 0;
		if (len < 4 || s.p[len - 1] != '\r' || !slice_eq(slice_first(s, 3), code))
			return false;
		struct slice text = slice_of(s.p + 3, len - 4);
		last = text.len == 0 || text.p[0] == ' ';
		if ((!last && text.p[0] != '-') || memchr(s.p, '\r', len - 1) != NULL || memchr(s.p, '\0', len) != NULL)
			return false;
		s = slice_from(s, len + 1);
	}
	return s.len == 0;
}

/* Says the next reply of the script, or the healthy one. Returns what was said. */
static struct slice say(struct mta *m, const char *healthy)
{
	struct slice text = m->script;
	const uint8_t *end = text.len > 0 ? memchr(text.p, MTA_NEXT, text.len) : NULL;
	if (end != NULL)
		text = slice_first(text, (size_t)(end - text.p));
	m->script = slice_from(m->script, text.len + 1);
	if (text.len == 0)
		text = slice_str(healthy);
	if (slice_eq(text, SLICE_LIT("!"))) {
		m->closed = true;
		return (struct slice){ 0 };
	}
	m->odd = m->odd || !one_reply(text);
	put(&m->out, text);
	return text;
}

static bool starts(struct slice s, const char *with)
{
	return slice_eq(slice_first(s, strlen(with)), slice_str(with));
}

static void command(struct mta *m, struct slice line)
{
	for (size_t i = 0; i < line.len; i++)
		assert(line.p[i] >= 0x20 && line.p[i] != 0x7f);
	put(&m->heard, line);
	put(&m->heard, SLICE_LIT("\n"));
	if (starts(line, "EHLO ")) {
		bool offers = !slice_eq(say(m, m->lacks ? EHLO_NOTHING : EHLO_ALL), SLICE_LIT(EHLO_NOTHING));
		m->lacks = m->lacks && !offers;
	} else if (starts(line, "XCLIENT ")) {
		(void)say(m, "220 mta.test again\r\n");
	} else if (starts(line, "XFORWARD ")) {
		assert(!m->in_mail && line.len + 2 <= 512);
		(void)say(m, "250 2.0.0 Ok\r\n");
	} else if (starts(line, "MAIL FROM:<")) {
		assert(!m->in_mail);
		/* No parameter that was not offered: RFC 5321 4.1.1.11. */
		assert(!m->lacks || m->odd || line.p[line.len - 1] == '>');
		m->in_mail = true;
		m->accepted = 0;
		(void)say(m, "250 2.1.0 Ok\r\n");
	} else if (starts(line, "RCPT TO:<")) {
		assert(m->in_mail);
		assert(!m->lacks || m->odd || line.p[line.len - 1] == '>');
		m->accepted += starts(say(m, "250 2.1.5 Ok\r\n"), "25");
	} else if (slice_eq(line, SLICE_LIT("DATA"))) {
		assert(m->in_mail && (m->odd || m->accepted > 0));
		m->in_data = starts(say(m, "354 Go on\r\n"), "354");
	} else if (slice_eq(line, SLICE_LIT("RSET"))) {
		m->in_mail = false;
		(void)say(m, "250 2.0.0 Ok\r\n");
	} else {
		assert(slice_eq(line, SLICE_LIT("QUIT")));
		(void)say(m, "221 2.0.0 Bye\r\n");
	}
}

static void end_of_data(struct mta *m)
{
	m->in_data = m->in_mail = false;
	m->dots++;
	if (starts(say(m, "250 2.6.0 Stored\r\n"), "250")) {
		m->kept++;
		put(&m->stored, bytes_slice(&m->body));
		put(&m->stored, SLICE_LIT(".\r\n"));
	}
	bytes_fini(&m->body);
}

void mta_take(struct mta *m)
{
	struct slice in;
	while (!m->closed && (in = bytes_slice(&m->in)).len > 0) {
		const uint8_t *lf = memchr(in.p, '\n', in.len);
		if (lf == NULL)
			return;
		size_t len = (size_t)(lf - in.p);
		/* No line end but CRLF, no NUL: nothing that another reader could take otherwise. */
		assert(len > 0 && in.p[len - 1] == '\r' && memchr(in.p, '\r', len - 1) == NULL && memchr(in.p, '\0', len) == NULL);
		struct slice line = slice_first(in, len - 1);
		if (!m->in_data)
			command(m, line);
		else if (slice_eq(line, SLICE_LIT(".")))
			end_of_data(m);
		else
			put(&m->body, slice_first(in, len + 1));
		bytes_consume(&m->in, len + 1);
	}
}

void mta_connect(struct mta *m)
{
	assert(!m->connected);
	m->connected = true;
	m->closed = false;
	(void)say(m, "220 mta.test ESMTP\r\n");
}

void mta_drop(struct mta *m)
{
	m->connected = m->in_mail = m->in_data = false;
	bytes_fini(&m->in);
	bytes_fini(&m->out);
	bytes_fini(&m->body);
}

void mta_fini(struct mta *m)
{
	mta_drop(m);
	bytes_fini(&m->stored);
	bytes_fini(&m->heard);
}
