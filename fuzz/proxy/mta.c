#include "fuzz/proxy/mta.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define EHLO_ALL "250-mta.test\r\n" EHLO_REST
#define EHLO_REST "250-PIPELINING\r\n250-SIZE 100000\r\n250-8BITMIME\r\n250-DSN\r\n250-SMTPUTF8\r\n" \
                 "250-REQUIRETLS\r\n250-XCLIENT NAME ADDR PORT PROTO HELO\r\n" \
                 "250-XFORWARD NAME ADDR PORT PROTO HELO IDENT\r\n250 ENHANCEDSTATUSCODES\r\n"
#define EHLO_CHUNKING "250-mta.test\r\n250-CHUNKING\r\n250-BINARYMIME\r\n" EHLO_REST
#define EHLO_NOTHING "250 mta.test\r\n"
#define EHLO_STARTTLS "250-mta.test\r\n250-PIPELINING\r\n250 STARTTLS\r\n"

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

/* A whole message that came in chunks: unless it is binary, no line end but CRLF. */
static void check_lines(const struct mta *m)
{
	struct slice s = bytes_slice(&m->body);
	for (size_t i = 0; i < s.len && !m->binary; i++) {
		assert(s.p[i] != '\0');
		assert(s.p[i] != '\n' || (i > 0 && s.p[i - 1] == '\r'));
		assert(s.p[i] != '\r' || (i + 1 < s.len && s.p[i + 1] == '\n'));
	}
}

static void end_of_chunk(struct mta *m)
{
	m->in_chunk = false;
	put(&m->heard, m->last ? SLICE_LIT("BDAT LAST\n") : SLICE_LIT("BDAT\n"));
	if (!m->last) {
		(void)say(m, "250 2.3.0 Octets\r\n");
		return;
	}
	check_lines(m);
	m->in_mail = false;
	m->dots++;
	bytes_fini(&m->latest);
	put(&m->latest, bytes_slice(&m->body));
	if (starts(say(m, "250 2.6.0 Stored\r\n"), "250")) {
		m->kept++;
		put(&m->stored, bytes_slice(&m->body));
		put(&m->stored, SLICE_LIT("\n--\n"));
	}
	bytes_fini(&m->body);
}

/* chunk-size [SP "LAST"], RFC 3030 2. */
static void begin_chunk(struct mta *m, struct slice arg)
{
	assert(arg.len > 0 && arg.p[0] >= '0' && arg.p[0] <= '9');
	m->chunk_left = 0;
	size_t i = 0;
	for (; i < arg.len && arg.p[i] >= '0' && arg.p[i] <= '9'; i++)
		m->chunk_left = m->chunk_left * 10 + (uint64_t)(arg.p[i] - '0');
	m->last = i < arg.len;
	assert(!m->last || slice_eq(slice_from(arg, i), SLICE_LIT(" LAST")));
	assert(m->last || m->chunk_left > 0); /* real ones refuse a chunk of nothing */
	m->in_chunk = true;
	if (m->chunk_left == 0)
		end_of_chunk(m);
}

static void chunk(struct mta *m)
{
	struct slice in = bytes_slice(&m->in);
	if (in.len > m->chunk_left)
		in.len = (size_t)m->chunk_left;
	put(&m->body, in);
	m->chunk_left -= in.len;
	bytes_consume(&m->in, in.len);
	if (m->chunk_left == 0)
		end_of_chunk(m);
}

/* What stands behind the path: a quoted local part may look like anything. */
static struct slice behind_path(struct slice line)
{
	bool quoted = false;
	for (size_t i = 0; i < line.len; i++) {
		if (quoted && line.p[i] == '\\')
			i++;
		else if (line.p[i] == '"')
			quoted = !quoted;
		else if (!quoted && line.p[i] == '>')
			return slice_from(line, i + 1);
	}
	return (struct slice){ 0 };
}

/* DATA that went behind RCPTs which were then refused, RFC 2920 3.1. Whether it went hangs
 * on the cut, so it costs no line of the script. */
static void data_for_nobody(struct mta *m)
{
	m->for_nobody = m->eager;
	m->been_eager = m->been_eager || m->eager;
	put(&m->out, m->eager ? SLICE_LIT("354 Go on\r\n") : SLICE_LIT("554 5.5.1 No valid recipients\r\n"));
}

static void command(struct mta *m, struct slice line)
{
	bool nobody = m->accepted == 0 || !m->sender;
	for (size_t i = 0; i < line.len; i++)
		assert(line.p[i] >= 0x20 && line.p[i] != 0x7f);
	/* Of a chunk that is cut off, it is chance how much is heard. */
	if (!starts(line, "BDAT ") && !(nobody && slice_eq(line, SLICE_LIT("DATA")))) {
		put(&m->heard, line);
		put(&m->heard, SLICE_LIT("\n"));
	}
	bool hello = starts(line, m->lmtp ? "LHLO " : "EHLO ");
	assert(!m->must_tls || m->in_tls || hello || slice_eq(line, SLICE_LIT("STARTTLS")));
	if (hello) {
		const char *usual = m->lacks ? EHLO_NOTHING : m->starttls && !m->in_tls ? EHLO_STARTTLS : m->chunking ? EHLO_CHUNKING : EHLO_ALL;
		bool offers = !slice_eq(say(m, usual), SLICE_LIT(EHLO_NOTHING));
		m->lacks = m->lacks && !offers;
	} else if (slice_eq(line, SLICE_LIT("STARTTLS"))) {
		assert(m->starttls && !m->in_tls && !m->in_mail && bytes_len(&m->in) == line.len + 2);
		(void)say(m, "220 2.0.0 Go on\r\n");
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
		struct slice params = behind_path(line);
		m->binary = params.len > 0 && memmem(params.p, params.len, " BODY=BINARYMIME", 16) != NULL;
		m->accepted = 0;
		bytes_fini(&m->body);
		m->sender = starts(say(m, "250 2.1.0 Ok\r\n"), "2");
	} else if (starts(line, "RCPT TO:<")) {
		assert(m->in_mail);
		assert(!m->lacks || m->odd || line.p[line.len - 1] == '>');
		assert(!m->lmtp || m->odd || m->accepted == 0);
		m->accepted += starts(say(m, "250 2.1.5 Ok\r\n"), "25");
	} else if (slice_eq(line, SLICE_LIT("DATA"))) {
		assert(m->in_mail && bytes_len(&m->body) == 0 && !m->binary);
		assert(!nobody || !m->lacks || m->odd);
		if (nobody && !m->odd)
			data_for_nobody(m);
		else
			m->in_data = starts(say(m, "354 Go on\r\n"), "354");
	} else if (starts(line, "BDAT ")) {
		assert(m->in_mail && (m->odd || m->accepted > 0) && !m->lacks);
		begin_chunk(m, slice_from(line, 5));
	} else if (slice_eq(line, SLICE_LIT("RSET"))) {
		m->in_mail = false;
		bytes_fini(&m->body);
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
		assert(!m->for_nobody || m->odd);
		if (m->in_chunk) {
			chunk(m);
			continue;
		}
		const uint8_t *lf = memchr(in.p, '\n', in.len);
		if (lf == NULL)
			return;
		size_t len = (size_t)(lf - in.p);
		/* No line end but CRLF, no NUL: nothing that another reader could take otherwise. */
		assert(len > 0 && in.p[len - 1] == '\r' && memchr(in.p, '\r', len - 1) == NULL && memchr(in.p, '\0', len) == NULL);
		struct slice line = slice_first(in, len - 1);
		if (m->in_data && slice_eq(line, SLICE_LIT(".")))
			end_of_data(m);
		else if (m->in_data)
			put(&m->body, slice_first(in, len + 1));
		else
			command(m, line);
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
	m->connected = m->in_mail = m->in_data = m->in_chunk = m->for_nobody = m->in_tls = false;
	bytes_fini(&m->in);
	bytes_fini(&m->out);
	bytes_fini(&m->body);
}

void mta_fini(struct mta *m)
{
	mta_drop(m);
	bytes_fini(&m->stored);
	bytes_fini(&m->heard);
	bytes_fini(&m->latest);
}
