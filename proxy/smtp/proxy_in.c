#include "proxy/smtp/proxy_in.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/address.h"

static const uint8_t v2_signature[12] = { '\r', '\n', '\r', '\n', 0, '\r', '\n', 'Q', 'U', 'I', 'T', '\n' };

/* begins compares as far as both go. */
static bool begins(struct slice in, struct slice with)
{
	size_t n = in.len < with.len ? in.len : with.len;
	return n == 0 || memcmp(in.p, with.p, n) == 0;
}

/* ---- version 1 ---- */

/* take_word takes up to the next blank, of which there must be just one; the last
 * word ends with the line. */
static bool take_word(struct slice *line, bool last, struct slice *out)
{
	const uint8_t *blank = line->len > 0 ? memchr(line->p, ' ', line->len) : NULL;
	if ((blank == NULL) != last)
		return false;
	*out = last ? *line : slice_first(*line, (size_t)(blank - line->p));
	*line = slice_from(*line, out->len + (last ? 0 : 1));
	return out->len > 0;
}

static bool parse_ip(struct slice text, int family, struct sockaddr_storage *out)
{
	char z[INET6_ADDRSTRLEN];
	uint8_t octets[16];
	if (text.len >= sizeof z || memchr(text.p, 0, text.len) != NULL)
		return false;
	memcpy(z, text.p, text.len);
	z[text.len] = '\0';
	if (inet_pton(family, z, octets) != 1)
		return false;
	*out = family == AF_INET ? address_from_ip4(octets, 0) : address_from_ip6(octets, 0);
	return true;
}

/* 0 to 65535 in decimal, without a needless zero in front. */
static bool parse_port(struct slice text, uint16_t *out)
{
	uint64_t port = 0;
	if ((text.len > 1 && text.p[0] == '0') || parse_u64(text, UINT16_MAX, &port) != EC_OK)
		return false;
	*out = (uint16_t)port;
	return true;
}

/* "TCP4" or "TCP6" SP source SP destination SP port SP port. */
static bool parse_tcp(struct slice line, int family, struct proxy_in *out)
{
	struct slice word[4];
	uint16_t from, to;
	for (size_t i = 0; i < 4; i++)
		if (!take_word(&line, i == 3, &word[i]))
			return false;
	if (!parse_ip(word[0], family, &out->client) || !parse_ip(word[1], family, &out->local) ||
	    !parse_port(word[2], &from) || !parse_port(word[3], &to))
		return false;
	address_set_port(&out->client, from);
	address_set_port(&out->local, to);
	out->named = true;
	return true;
}

static bool parse_v1_line(struct slice line, struct proxy_in *out)
{
	struct slice rest = slice_from(line, sizeof "PROXY " - 1);
	struct slice family = slice_first(rest, 5);
	if (slice_eq(family, SLICE_LIT("TCP4 ")))
		return parse_tcp(slice_from(rest, 5), AF_INET, out);
	if (slice_eq(family, SLICE_LIT("TCP6 ")))
		return parse_tcp(slice_from(rest, 5), AF_INET6, out);
	/* What may stand behind UNKNOWN is to be ignored (2.1). */
	return slice_eq(slice_first(rest, 7), SLICE_LIT("UNKNOWN")) && (rest.len == 7 || rest.p[7] == ' ');
}

static enum ec parse_v1(struct slice in, struct proxy_in *out, size_t *out_used)
{
	struct slice window = slice_first(in, PROXY_IN_V1_MAX);
	const uint8_t *cr = memchr(window.p, '\r', window.len);
	const uint8_t *lf = memchr(window.p, '\n', window.len);
	/* The LF must stand right behind the first CR. */
	if (lf != NULL && (cr == NULL || lf != cr + 1))
		return EC_SYNTAX;
	if (cr != NULL && lf == NULL && cr != window.p + window.len - 1)
		return EC_SYNTAX;
	if (lf == NULL)
		return window.len < PROXY_IN_V1_MAX ? EC_AGAIN : EC_SYNTAX;
	if (!parse_v1_line(slice_first(window, (size_t)(cr - window.p)), out))
		return EC_SYNTAX;
	*out_used = (size_t)(lf - window.p) + 1;
	return EC_OK;
}

/* ---- version 2 ---- */

/* Octet 13: family and transport. Only TCP over IPv4 or IPv6 has addresses for
 * us; the other combinations of the specification name nobody (2.2: a receiver
 * falls back to UNSPEC), all others are invalid. */
enum { V2_UNSPEC = 0x00, V2_TCP4 = 0x11, V2_UDP4 = 0x12, V2_TCP6 = 0x21, V2_UDP6 = 0x22, V2_UNIX = 0x31, V2_UNIX_DGRAM = 0x32 };
enum { V2_IP4_LEN = 12, V2_IP6_LEN = 36, V2_UNIX_LEN = 216 };

static bool v2_family(uint8_t family, size_t *out_len)
{
	switch (family) {
	case V2_UNSPEC:
		*out_len = 0;
		return true;
	case V2_TCP4:
	case V2_UDP4:
		*out_len = V2_IP4_LEN;
		return true;
	case V2_TCP6:
	case V2_UDP6:
		*out_len = V2_IP6_LEN;
		return true;
	case V2_UNIX:
	case V2_UNIX_DGRAM:
		*out_len = V2_UNIX_LEN;
		return true;
	default:
		return false;
	}
}

static void v2_addresses(uint8_t family, const uint8_t *p, struct proxy_in *out)
{
	size_t ip = family == V2_TCP4 ? 4 : 16;
	const uint8_t *ports = p + 2 * ip;
	uint16_t from = (uint16_t)(ports[0] << 8 | ports[1]), to = (uint16_t)(ports[2] << 8 | ports[3]);
	out->client = ip == 4 ? address_from_ip4(p, from) : address_from_ip6(p, from);
	out->local = ip == 4 ? address_from_ip4(p + ip, to) : address_from_ip6(p + ip, to);
	out->named = true;
}

static enum ec parse_v2(struct slice in, struct proxy_in *out, size_t *out_used)
{
	enum { LOCAL = 0x20, PROXY = 0x21 };
	size_t least = 0;
	/* Each octet is judged when it is there, so no cut makes a difference. */
	if (in.len > 12 && in.p[12] != LOCAL && in.p[12] != PROXY)
		return EC_SYNTAX;
	bool local = in.len > 12 && in.p[12] == LOCAL;
	/* With LOCAL the family is to be ignored, and all behind the length. */
	if (in.len > 13 && !local && !v2_family(in.p[13], &least))
		return EC_SYNTAX;
	if (in.len < PROXY_IN_V2_HEAD)
		return EC_AGAIN;
	size_t len = (size_t)in.p[14] << 8 | in.p[15];
	if (len < least || len > PROXY_IN_V2_REST_MAX)
		return EC_SYNTAX;
	if (in.len < PROXY_IN_V2_HEAD + len)
		return EC_AGAIN;
	if (!local && (in.p[13] == V2_TCP4 || in.p[13] == V2_TCP6))
		v2_addresses(in.p[13], in.p + PROXY_IN_V2_HEAD, out);
	/* What else stands in `len` is TLVs, which we have no use for. */
	*out_used = PROXY_IN_V2_HEAD + len;
	return EC_OK;
}

enum ec proxy_in_parse(struct slice in, struct proxy_in *out, size_t *out_used)
{
	enum ec ec = EC_SYNTAX;
	*out = (struct proxy_in){ 0 };
	*out_used = 0;
	if (in.len == 0)
		return EC_AGAIN;
	if (begins(in, slice_of(v2_signature, sizeof v2_signature)))
		ec = parse_v2(in, out, out_used);
	else if (begins(in, SLICE_LIT("PROXY ")))
		ec = parse_v1(in, out, out_used);
	if (ec != EC_OK) {
		*out = (struct proxy_in){ 0 };
		return ec;
	}
	address_unmap(&out->client);
	address_unmap(&out->local);
	return EC_OK;
}
