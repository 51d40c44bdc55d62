#include "base/address.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <string.h>

static struct sockaddr_in *in4(struct sockaddr_storage *a)
{
	return (struct sockaddr_in *)a;
}

static struct sockaddr_in6 *in6(struct sockaddr_storage *a)
{
	return (struct sockaddr_in6 *)a;
}

static const struct sockaddr_in *in4c(const struct sockaddr_storage *a)
{
	return (const struct sockaddr_in *)a;
}

static const struct sockaddr_in6 *in6c(const struct sockaddr_storage *a)
{
	return (const struct sockaddr_in6 *)a;
}

struct sockaddr_storage address_from_ip4(const uint8_t octets[4], uint16_t port)
{
	struct sockaddr_storage a = { 0 };
	in4(&a)->sin_family = AF_INET;
	in4(&a)->sin_port = htons(port);
	memcpy(&in4(&a)->sin_addr, octets, 4);
	return a;
}

struct sockaddr_storage address_from_ip6(const uint8_t octets[16], uint16_t port)
{
	struct sockaddr_storage a = { 0 };
	in6(&a)->sin6_family = AF_INET6;
	in6(&a)->sin6_port = htons(port);
	memcpy(&in6(&a)->sin6_addr, octets, 16);
	return a;
}

/* Splits "HOST:PORT", "[HOST]:PORT", "[HOST]" and "HOST". Two colons without
 * brackets are an IPv6 address without a port. */
static bool split(struct slice text, struct slice *host, struct slice *port, bool *bracket)
{
	*port = (struct slice){ 0 };
	*bracket = text.len > 0 && text.p[0] == '[';
	if (*bracket) {
		const uint8_t *end = memchr(text.p, ']', text.len);
		if (end == NULL)
			return false;
		size_t at = (size_t)(end - text.p);
		*host = slice_of(text.p + 1, at - 1);
		struct slice rest = slice_from(text, at + 1);
		if (rest.len == 0)
			return true;
		if (rest.p[0] != ':' || rest.len == 1)
			return false;
		*port = slice_from(rest, 1);
		return true;
	}
	const uint8_t *first = text.len > 0 ? memchr(text.p, ':', text.len) : NULL;
	size_t at = first != NULL ? (size_t)(first - text.p) : text.len;
	if (first == NULL || memchr(first + 1, ':', text.len - at - 1) != NULL) {
		*host = text;
		return true;
	}
	*host = slice_first(text, at);
	*port = slice_from(text, at + 1);
	return port->len > 0;
}

static enum ec parse_port(struct slice text, uint16_t *out, struct why *why)
{
	uint64_t port = 0;
	enum ec ec = parse_u64(text, 65535, &port);
	if (ec == EC_SYNTAX)
		return why_set(why, EC_SYNTAX, "the port is not a number");
	if (ec != EC_OK || port == 0)
		return why_set(why, EC_RANGE, "a port is between 1 and 65535");
	*out = (uint16_t)port;
	return EC_OK;
}

enum ec address_parse(struct slice text, uint16_t default_port, struct sockaddr_storage *out, struct why *why)
{
	struct slice host, port_text;
	bool bracket;
	memset(out, 0, sizeof *out);
	if (!split(text, &host, &port_text, &bracket))
		return why_set(why, EC_SYNTAX, "an address is 192.0.2.1:53 or [2001:db8::1]:53");
	uint16_t port = default_port;
	if (port_text.len > 0) {
		enum ec ec = parse_port(port_text, &port, why);
		if (ec != EC_OK)
			return ec;
	}
	char z[INET6_ADDRSTRLEN];
	if (host.len == 0 || host.len >= sizeof z || memchr(host.p, 0, host.len) != NULL)
		return why_set(why, EC_SYNTAX, "not an IP address (names and interfaces can't be used here)");
	memcpy(z, host.p, host.len);
	z[host.len] = '\0';
	uint8_t octets[16];
	if (!bracket && inet_pton(AF_INET, z, octets) == 1)
		*out = address_from_ip4(octets, port);
	else if (inet_pton(AF_INET6, z, octets) == 1)
		*out = address_from_ip6(octets, port);
	else
		return why_set(why, EC_SYNTAX, "not an IP address (names and interfaces can't be used here)");
	if (port == 0) {
		memset(out, 0, sizeof *out);
		return why_set(why, EC_MISSING, "the port is missing: write %s", bracket ? "[ADDRESS]:PORT" : "ADDRESS:PORT");
	}
	return EC_OK;
}

/* inet_ntop formats with sprintf, which is dear for what each session prints. */
static void print_ip4(char out[ADDRESS_TEXT_SIZE], const struct in_addr *ip)
{
	struct writer w = writer_of(out, ADDRESS_TEXT_SIZE);
	const uint8_t *octets = (const uint8_t *)ip;
	for (size_t i = 0; i < sizeof *ip; i++) {
		if (i > 0)
			writer_str(&w, ".");
		writer_u64(&w, octets[i]);
	}
}

void address_print_ip(char out[ADDRESS_TEXT_SIZE], const struct sockaddr_storage *a)
{
	if (a->ss_family == AF_INET)
		print_ip4(out, &in4c(a)->sin_addr);
	else if (a->ss_family != AF_INET6 || inet_ntop(AF_INET6, &in6c(a)->sin6_addr, out, ADDRESS_TEXT_SIZE) == NULL)
		(void)snprintf(out, ADDRESS_TEXT_SIZE, "-");
}

void address_print(char out[ADDRESS_TEXT_SIZE], const struct sockaddr_storage *a)
{
	char ip[ADDRESS_TEXT_SIZE];
	address_print_ip(ip, a);
	if (a->ss_family == AF_INET)
		(void)snprintf(out, ADDRESS_TEXT_SIZE, "%.15s:%u", ip, address_port(a));
	else if (a->ss_family == AF_INET6)
		(void)snprintf(out, ADDRESS_TEXT_SIZE, "[%.45s]:%u", ip, address_port(a));
	else
		(void)snprintf(out, ADDRESS_TEXT_SIZE, "-");
}

uint16_t address_port(const struct sockaddr_storage *a)
{
	if (a->ss_family == AF_INET)
		return ntohs(in4c(a)->sin_port);
	return a->ss_family == AF_INET6 ? ntohs(in6c(a)->sin6_port) : 0;
}

void address_set_port(struct sockaddr_storage *a, uint16_t port)
{
	if (a->ss_family == AF_INET)
		in4(a)->sin_port = htons(port);
	else if (a->ss_family == AF_INET6)
		in6(a)->sin6_port = htons(port);
}

socklen_t address_len(const struct sockaddr_storage *a)
{
	if (a->ss_family == AF_INET)
		return sizeof(struct sockaddr_in);
	return a->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : 0;
}

/* The octets of the address and their number; 0 for another family. */
static struct slice octets_of(const struct sockaddr_storage *a)
{
	if (a->ss_family == AF_INET)
		return slice_of(&in4c(a)->sin_addr, 4);
	if (a->ss_family == AF_INET6)
		return slice_of(&in6c(a)->sin6_addr, 16);
	return (struct slice){ 0 };
}

bool address_eq_ip(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	return a->ss_family == b->ss_family && slice_eq(octets_of(a), octets_of(b));
}

bool address_eq(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	return address_eq_ip(a, b) && address_port(a) == address_port(b);
}

void address_unmap(struct sockaddr_storage *a)
{
	if (a->ss_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&in6c(a)->sin6_addr))
		return;
	*a = address_from_ip4(in6c(a)->sin6_addr.s6_addr + 12, address_port(a));
}

bool address_in_prefix(const struct sockaddr_storage *a, const struct sockaddr_storage *network, unsigned bits)
{
	struct slice x = octets_of(a), y = octets_of(network);
	if (a->ss_family != network->ss_family || x.len == 0 || bits > x.len * 8)
		return false;
	size_t whole = bits / 8;
	if (memcmp(x.p, y.p, whole) != 0)
		return false;
	unsigned left = bits % 8;
	return left == 0 || ((x.p[whole] ^ y.p[whole]) >> (8 - left)) == 0;
}

void address_mask(struct sockaddr_storage *a, unsigned bits)
{
	struct slice x = octets_of(a);
	if (x.len == 0)
		return;
	uint8_t octets[16] = { 0 };
	for (size_t i = 0; i < x.len && i * 8 < bits; i++) {
		size_t keep = bits - i * 8;
		octets[i] = (uint8_t)(keep >= 8 ? x.p[i] : x.p[i] & (0xff00U >> keep));
	}
	*a = x.len == 4 ? address_from_ip4(octets, 0) : address_from_ip6(octets, 0);
}
