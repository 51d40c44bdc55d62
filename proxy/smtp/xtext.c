#include "proxy/smtp/xtext.h"

#include "proxy/smtp/path.h"

/* RFC 3461: HEXDIG here is upper case only. */
static int hex_upper(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool is_xchar(uint8_t c)
{
	return c >= 0x21 && c <= 0x7e && c != '+' && c != '=';
}

enum ec xtext_decode(struct slice in, struct writer *out)
{
	for (size_t i = 0; i < in.len; i++) {
		uint8_t c = in.p[i];
		if (c == '+') {
			if (in.len - i < 3 || hex_upper(in.p[i + 1]) < 0 || hex_upper(in.p[i + 2]) < 0)
				return EC_SYNTAX;
			c = (uint8_t)(hex_upper(in.p[i + 1]) * 16 + hex_upper(in.p[i + 2]));
			if (c < 0x20 || c > 0x7e)
				return EC_SYNTAX;
			i += 2;
		} else if (!is_xchar(c)) {
			return EC_SYNTAX;
		}
		writer_bytes(out, slice_of(&c, 1));
	}
	return out->bad ? EC_RANGE : EC_OK;
}

void xtext_encode(struct writer *w, struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (is_xchar(s.p[i]))
			writer_bytes(w, slice_of(s.p + i, 1));
		else
			writer_format(w, "+%02X", (unsigned)s.p[i]);
	}
}

static size_t utf8_put(uint32_t code, uint8_t out[4])
{
	if (code < 0x80) {
		out[0] = (uint8_t)code;
		return 1;
	}
	if (code < 0x800) {
		out[0] = (uint8_t)(0xc0 | code >> 6);
		out[1] = (uint8_t)(0x80 | (code & 0x3f));
		return 2;
	}
	if (code < 0x10000) {
		out[0] = (uint8_t)(0xe0 | code >> 12);
		out[1] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
		out[2] = (uint8_t)(0x80 | (code & 0x3f));
		return 3;
	}
	out[0] = (uint8_t)(0xf0 | code >> 18);
	out[1] = (uint8_t)(0x80 | (code >> 12 & 0x3f));
	out[2] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
	out[3] = (uint8_t)(0x80 | (code & 0x3f));
	return 4;
}

static uint32_t utf8_get(struct slice s, size_t len)
{
	uint32_t code = len == 2 ? s.p[0] & 0x1fU : len == 3 ? s.p[0] & 0x0fU : s.p[0] & 0x07U;
	for (size_t i = 1; i < len; i++)
		code = code << 6 | (s.p[i] & 0x3fU);
	return code;
}

/* Takes "\x{HEX}" off `in`: 2 to 6 digits. */
static enum ec embedded(struct slice *in, struct writer *out)
{
	uint32_t code = 0;
	size_t i = 3;
	if (in->len < 4 || in->p[1] != 'x' || in->p[2] != '{')
		return EC_SYNTAX;
	while (i < in->len && i < 9 && hex_upper(in->p[i]) >= 0)
		code = code << 4 | (uint32_t)hex_upper(in->p[i++]);
	if (i < 5 || i >= in->len || in->p[i] != '}' || code > 0x10ffff)
		return EC_SYNTAX;
	uint8_t text[4];
	struct slice c = slice_of(text, utf8_put(code, text));
	if (c.len == 1 ? code < 0x20 || code > 0x7e : smtp_utf8_len(c) != c.len)
		return EC_SYNTAX;
	writer_bytes(out, c);
	*in = slice_from(*in, i + 1);
	return EC_OK;
}

enum ec utf8_addr_decode(struct slice in, bool raw, struct writer *out)
{
	while (in.len > 0) {
		size_t len = 1;
		if (in.p[0] == '\\') {
			enum ec ec = embedded(&in, out);
			if (ec != EC_OK)
				return ec;
			continue;
		}
		if (in.p[0] >= 0x80)
			len = raw ? smtp_utf8_len(in) : 0;
		else if (!is_xchar(in.p[0]))
			return EC_SYNTAX;
		if (len == 0)
			return EC_SYNTAX;
		writer_bytes(out, slice_first(in, len));
		in = slice_from(in, len);
	}
	return out->bad ? EC_RANGE : EC_OK;
}

void utf8_addr_encode(struct writer *w, struct slice s)
{
	while (s.len > 0) {
		size_t len = smtp_utf8_len(s);
		if (len > 0)
			writer_format(w, "\\x{%X}", (unsigned)utf8_get(s, len));
		else if (is_xchar(s.p[0]) && s.p[0] != '\\')
			writer_bytes(w, slice_first(s, 1));
		else
			writer_format(w, "\\x{%02X}", (unsigned)s.p[0]);
		s = slice_from(s, len > 0 ? len : 1);
	}
}
