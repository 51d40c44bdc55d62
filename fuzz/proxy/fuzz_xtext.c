/* xtext and its UTF-8 sister: decode undoes encode, what decodes is clean. And the
 * XCLIENT command, whose values are a client's: one line, and decoded by the rule
 * alone it says what went in. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/relay/backend.h"
#include "proxy/smtp/xtext.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { ROOM = 1 << 16 };
static char encoded[ROOM], decoded[ROOM], again[ROOM];

static bool printable(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] < 0x20 || s.p[i] > 0x7e)
			return false;
	return true;
}

static void check_xtext(struct slice in)
{
	struct writer e = writer_of(encoded, ROOM), d = writer_of(decoded, ROOM), g = writer_of(again, ROOM);
	xtext_encode(&e, in);
	assert(!e.bad);
	for (size_t i = 0; i < e.len; i++)
		assert(e.p[i] > 0x20 && e.p[i] < 0x7f && e.p[i] != '=');
	enum ec ec = xtext_decode(writer_slice(&e), &d);
	assert((ec == EC_OK) == printable(in) && (ec != EC_OK || slice_eq(writer_slice(&d), in)));
	/* The other way round: what decodes, and its shortest form decodes to the same. */
	d = writer_of(decoded, ROOM);
	if (xtext_decode(in, &d) != EC_OK)
		return;
	assert(printable(writer_slice(&d)) && d.len <= in.len);
	e = writer_of(encoded, ROOM);
	xtext_encode(&e, writer_slice(&d));
	assert(e.len <= in.len && xtext_decode(writer_slice(&e), &g) == EC_OK && slice_eq(writer_slice(&g), writer_slice(&d)));
}

static void check_utf8(struct slice in, bool raw)
{
	struct writer e = writer_of(encoded, ROOM), d = writer_of(decoded, ROOM), g = writer_of(again, ROOM);
	if (utf8_addr_decode(in, raw, &d) != EC_OK)
		return;
	struct slice text = writer_slice(&d);
	for (size_t i = 0; i < text.len; i++)
		assert(text.p[i] >= 0x20 && text.p[i] != 0x7f);
	utf8_addr_encode(&e, text);
	assert(!e.bad && printable(writer_slice(&e)) && memchr(e.p, ' ', e.len) == NULL);
	assert(utf8_addr_decode(writer_slice(&e), false, &g) == EC_OK && slice_eq(writer_slice(&g), text));
}

/* Undoes "+HH" by nothing but RFC 3461 4. */
static size_t plain(const char *in, size_t len, char *out)
{
	size_t n = 0;
	for (size_t i = 0; i < len; i++) {
		char hex[3] = { 0 };
		if (in[i] != '+') {
			out[n++] = in[i];
			continue;
		}
		assert(i + 2 < len);
		memcpy(hex, in + i + 1, 2);
		out[n++] = (char)strtoul(hex, NULL, 16);
		i += 2;
	}
	return n;
}

static void check_xclient(struct slice in, uint16_t port)
{
	char helo[SMTP_HELO_MAX + 1];
	struct slice value = slice_first(in, SMTP_HELO_MAX);
	if (value.len > 0 && memchr(value.p, '\0', value.len) != NULL)
		return; /* no parser of ours lets one in */
	struct backend_client client = { .addr = SLICE_LIT("2001:db8::1"), .port = port, .helo = value, .esmtp = true };
	struct backend_setup setup = { .hostname = SLICE_LIT("edge.test"), .xclient = &client };
	struct backend *b = backend_new(&setup);
	assert(b != NULL);
	struct slice said[] = { SLICE_LIT("220 x\r\n"), SLICE_LIT("250-x\r\n250 XCLIENT NAME ADDR PORT PROTO HELO\r\n") };
	size_t used;
	for (int i = 0; i < 2; i++) {
		backend_sent(b);
		backend_feed(b, said[i], &used);
		assert(used == said[i].len);
	}
	struct slice line = backend_output(b);
	assert(line.len > 2 && printable(slice_first(line, line.len - 2)) && memcmp(line.p + line.len - 2, "\r\n", 2) == 0);
	const char *at = memmem(line.p, line.len, " HELO=", 6);
	assert(at != NULL && memmem(line.p, line.len, " ADDR=IPV6:2001:db8::1 ", 23) != NULL);
	at += 6;
	size_t len = line.len - 2 - (size_t)(at - (const char *)line.p);
	assert(memchr(at, ' ', len) == NULL);
	if (value.len == 0)
		assert(len == 13 && memcmp(at, "[UNAVAILABLE]", 13) == 0);
	else
		assert(len <= sizeof helo * 3 && plain(at, len, decoded) == value.len && memcmp(decoded, value.p, value.len) == 0);
	backend_free(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len < 1 || len > ROOM / 8)
		return 0;
	struct slice in = slice_of(data + 1, len - 1);
	check_xtext(in);
	check_utf8(in, (data[0] & 1) != 0);
	check_xclient(in, data[0]);
	return 0;
}
