#include "dns/name.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/* Reads one character of a label, escapes undone. RFC 1035 5.1. */
static bool read_octet(struct reader *r, uint8_t *out)
{
	*out = reader_u8(r);
	if (*out != '\\')
		return !r->bad;
	*out = reader_u8(r);
	if (r->bad || !is_digit(*out))
		return !r->bad;
	unsigned value = (unsigned)(*out - '0');
	for (int i = 0; i < 2; i++) {
		uint8_t c = reader_u8(r);
		if (r->bad || !is_digit(c))
			return false;
		value = value * 10 + (unsigned)(c - '0');
	}
	*out = (uint8_t)value;
	return value <= 255;
}

/* The name under construction: `label` is where the open label's length octet
 * stands, `len` the end. */
struct build {
	struct dns_name n;
	size_t label;
	size_t len;
};

static enum ec put_octet(struct build *b, uint8_t c, struct why *why)
{
	if (b->len - b->label > DNS_LABEL_MAX)
		return why_set(why, EC_RANGE, "a label of a name has at most 63 octets");
	if (b->len + 1 >= DNS_NAME_WIRE_MAX) /* one is kept for the root */
		return why_set(why, EC_RANGE, "a name has at most 255 octets");
	b->n.wire[b->len++] = lower(c);
	return EC_OK;
}

static enum ec end_label(struct build *b, bool more, struct why *why)
{
	size_t len = b->len - b->label - 1;
	if (len == 0)
		return why_set(why, EC_SYNTAX, "a name has an empty label");
	b->n.wire[b->label] = (uint8_t)len;
	b->label = b->len;
	if (!more) {
		assert(b->len < DNS_NAME_WIRE_MAX);
		b->n.wire[b->len++] = 0;
		b->n.len = (uint8_t)b->len;
		return EC_OK;
	}
	if (b->len + 1 >= DNS_NAME_WIRE_MAX)
		return why_set(why, EC_RANGE, "a name has at most 255 octets");
	b->len++;
	return EC_OK;
}

static enum ec parse_labels(struct slice text, struct build *b, struct why *why)
{
	struct reader r = reader_of(text);
	b->len = 1;
	while (r.rest.len > 0) {
		enum ec ec;
		if (r.rest.p[0] == '.') {
			(void)reader_u8(&r);
			ec = end_label(b, r.rest.len > 0, why);
			if (r.rest.len == 0)
				return ec;
		} else {
			uint8_t c;
			if (!read_octet(&r, &c))
				return why_set(why, EC_SYNTAX, "a name has a bad escape: write \\. or \\046");
			ec = put_octet(b, c, why);
		}
		if (ec != EC_OK)
			return ec;
	}
	return end_label(b, false, why);
}

enum ec dns_name_parse(struct slice text, struct dns_name *out, struct why *why)
{
	memset(out, 0, sizeof *out);
	if (text.len == 0)
		return why_set(why, EC_SYNTAX, "a name is empty");
	if (text.len == 1 && text.p[0] == '.') {
		out->len = 1;
		return EC_OK;
	}
	struct build b = { 0 };
	enum ec ec = parse_labels(text, &b, why);
	if (ec == EC_OK)
		*out = b.n;
	return ec;
}

enum ec dns_name_from_wire(struct slice wire, struct dns_name *out)
{
	memset(out, 0, sizeof *out);
	if (wire.len == 0 || wire.len > DNS_NAME_WIRE_MAX)
		return EC_SYNTAX;
	size_t at = 0;
	while (at < wire.len && wire.p[at] != 0) {
		if (wire.p[at] > DNS_LABEL_MAX)
			return EC_SYNTAX;
		at += 1U + wire.p[at];
	}
	if (at + 1 != wire.len)
		return EC_SYNTAX;
	out->len = (uint8_t)wire.len;
	for (size_t i = 0; i < wire.len; i++) /* a length octet is below 'A' */
		out->wire[i] = lower(wire.p[i]);
	return EC_OK;
}

static bool prints_plain(uint8_t c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' || c == '*';
}

void dns_name_print(char out[DNS_NAME_TEXT_SIZE], const struct dns_name *n)
{
	struct writer w = writer_of(out, DNS_NAME_TEXT_SIZE);
	if (n->len <= 1)
		writer_str(&w, n->len == 0 ? "-" : ".");
	for (size_t at = 0; at < n->len && n->wire[at] != 0; at += 1U + n->wire[at]) {
		if (at > 0)
			writer_str(&w, ".");
		for (size_t i = at + 1; i <= at + n->wire[at]; i++) {
			uint8_t c = n->wire[i];
			if (prints_plain(c))
				writer_bytes(&w, slice_of(&c, 1));
			else if (c > ' ' && c < 127)
				writer_format(&w, "\\%c", c);
			else
				writer_format(&w, "\\%03u", c);
		}
	}
	assert(!w.bad);
}

struct slice dns_name_wire(const struct dns_name *n)
{
	return slice_of(n->wire, n->len);
}

bool dns_name_eq(const struct dns_name *a, const struct dns_name *b)
{
	return slice_eq(dns_name_wire(a), dns_name_wire(b));
}

bool dns_name_is_root(const struct dns_name *n)
{
	return n->len == 1;
}

unsigned dns_name_labels(const struct dns_name *n)
{
	unsigned num = 0;
	for (size_t at = 0; at < n->len && n->wire[at] != 0; at += 1U + n->wire[at])
		num++;
	return num;
}

bool dns_name_parent(const struct dns_name *n, struct dns_name *out)
{
	if (n->len <= 1)
		return false;
	size_t skip = 1U + n->wire[0];
	struct dns_name parent = { .len = (uint8_t)(n->len - skip) };
	memcpy(parent.wire, n->wire + skip, parent.len);
	*out = parent;
	return true;
}

bool dns_name_under(const struct dns_name *n, const struct dns_name *ancestor)
{
	if (ancestor->len == 0)
		return false;
	size_t at = 0;
	while (n->len - at > ancestor->len)
		at += 1U + n->wire[at];
	return slice_eq(slice_from(dns_name_wire(n), at), dns_name_wire(ancestor));
}

enum ec dns_name_prepend(const char *labels, const struct dns_name *n, struct dns_name *out, struct why *why)
{
	struct dns_name head;
	enum ec ec = dns_name_parse(slice_str(labels), &head, why);
	if (ec != EC_OK)
		return ec;
	assert(n->len > 0);
	size_t head_len = head.len - 1U; /* without the root */
	if (head_len + n->len > DNS_NAME_WIRE_MAX)
		return why_set(why, EC_RANGE, "a name has at most 255 octets");
	memcpy(head.wire + head_len, n->wire, n->len);
	head.len = (uint8_t)(head_len + n->len);
	*out = head;
	return EC_OK;
}
