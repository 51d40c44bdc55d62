/* Expectations are derived from the specification's text (sections 2.1, 2.2), not
 * from our encoder. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/address.h"
#include "proxy/relay/proxy_header.h"
#include "proxy/smtp/proxy_in.h"

#define RAW(s) { (const uint8_t *)(s), sizeof(s) - 1 }
#define SIG "\r\n\r\n\0\r\nQUIT\n"
#define X10 "xxxxxxxxxx"
#define X90 X10 X10 X10 X10 X10 X10 X10 X10 X10
/* 192.0.2.7:4711 to 198.51.100.1:25, and 2001:db8::7 to 2001:db8::1. */
#define IP4 "\xc0\0\2\7\xc6\x33\x64\1\x12\x67\0\x19"
#define IP6 "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\7\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\x12\x67\0\x19"
#define Z8 "\0\0\0\0\0\0\0\0"
#define Z216 Z8 Z8 Z8 Z8 Z8 Z8 Z8 Z8 Z8 Z8 Z8 Z8 Z8 Z8 Z8 Z8 Z8 Z8 Z8 Z8 Z8 Z8 Z8 Z8 Z8 Z8 Z8
#define BEHIND "EHLO x\r\n"

struct header_case {
	const char *name;
	struct slice in;
	const char *client, *local; /* NULL: nobody is named */
	enum ec ec;
};

static const struct header_case cases[] = {
	/* version 1 */
	{ "v1 TCP4", RAW("PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\r\n"), "192.0.2.7:4711", "198.51.100.1:25", EC_OK },
	{ "v1 TCP4, longest", RAW("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"), "255.255.255.255:65535",
	  "255.255.255.255:65535", EC_OK },
	{ "v1 TCP6", RAW("PROXY TCP6 2001:db8::7 2001:db8::1 4711 25\r\n"), "[2001:db8::7]:4711", "[2001:db8::1]:25", EC_OK },
	{ "v1 TCP6, longest",
	  RAW("PROXY TCP6 ffff:f1f2:f3f4:f5f6:f7f8:f9fa:fbfc:fdfe ffff:f1f2:f3f4:f5f6:f7f8:f9fa:fbfc:fdff 65535 65535\r\n"),
	  "[ffff:f1f2:f3f4:f5f6:f7f8:f9fa:fbfc:fdfe]:65535", "[ffff:f1f2:f3f4:f5f6:f7f8:f9fa:fbfc:fdff]:65535", EC_OK },
	{ "v1 TCP6, mapped is IPv4", RAW("PROXY TCP6 ::ffff:192.0.2.7 2001:db8::1 4711 25\r\n"), "192.0.2.7:4711", "[2001:db8::1]:25",
	  EC_OK },
	{ "v1 UNKNOWN", RAW("PROXY UNKNOWN\r\n"), NULL, NULL, EC_OK },
	{ "v1 UNKNOWN, what follows is ignored", RAW("PROXY UNKNOWN 192.0.2.7 what ever\t\r\n"), NULL, NULL, EC_OK },
	{ "v1 UNKNOWN, 107 octets", RAW("PROXY UNKNOWN " X90 "x\r\n"), NULL, NULL, EC_OK },
	{ "v1 UNKNOWN, 108 octets", RAW("PROXY UNKNOWN " X90 "xx\r\n"), NULL, NULL, EC_SYNTAX },
	{ "v1 no end", RAW("PROXY UNKNOWN " X90 X10), NULL, NULL, EC_SYNTAX },
	{ "v1 UNKNOWN glued", RAW("PROXY UNKNOWNX\r\n"), NULL, NULL, EC_SYNTAX },
	{ "v1 lower case", RAW("proxy TCP4 192.0.2.7 198.51.100.1 4711 25\r\n"), NULL, NULL, EC_SYNTAX },
	{ "v1 lower case family", RAW("PROXY tcp4 192.0.2.7 198.51.100.1 4711 25\r\n"), NULL, NULL, EC_SYNTAX },
	{ "v1 no family", RAW("PROXY \r\n"), NULL, NULL, EC_SYNTAX },
	{ "v1 family alone", RAW("PROXY TCP4\r\n"), NULL, NULL, EC_SYNTAX },
	{ "v1 TCP5", RAW("PROXY TCP5 192.0.2.7 198.51.100.1 4711 25\r\n"), NULL, NULL, EC_SYNTAX },
	{ "v1 bare LF", RAW("PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\n"), NULL, NULL, EC_SYNTAX },
	{ "v1 bare CR", RAW("PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\r" BEHIND), NULL, NULL, EC_SYNTAX },
	{ "v1 CR, and what follows is no LF", RAW("PROXY UNKNOWN\rE"), NULL, NULL, EC_SYNTAX },
	{ "v1 CR CR LF", RAW("PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\r\r\n"), NULL, NULL, EC_SYNTAX },
	{ "v1 CR inside", RAW("PROXY UNKNOWN a\rb\r\n"), NULL, NULL, EC_SYNTAX },
	{ "v1 two blanks", RAW("PROXY TCP4  192.0.2.7 198.51.100.1 4711 25\r\n"), NULL, NULL, EC_SYNTAX },
	{ "v1 blank at the end", RAW("PROXY TCP4 192.0.2.7 198.51.100.1 4711 25 \r\n"), NULL, NULL, EC_SYNTAX },
	{ "v1 a fifth word", RAW("PROXY TCP4 192.0.2.7 198.51.100.1 4711 25 x\r\n"), NULL, NULL, EC_SYNTAX },
	{ "v1 one word less", RAW("PROXY TCP4 192.0.2.7 198.51.100.1 4711\r\n"), NULL, NULL, EC_SYNTAX },
	{ "v1 TAB for blank", RAW("PROXY TCP4\t192.0.2.7 198.51.100.1 4711 25\r\n"), NULL, NULL, EC_SYNTAX },
	{ "v1 IPv6 in TCP4", RAW("PROXY TCP4 2001:db8::7 198.51.100.1 4711 25\r\n"), NULL, NULL, EC_SYNTAX },
	{ "v1 IPv4 in TCP6", RAW("PROXY TCP6 192.0.2.7 2001:db8::1 4711 25\r\n"), NULL, NULL, EC_SYNTAX },
	{ "v1 octet out of range", RAW("PROXY TCP4 192.0.2.256 198.51.100.1 4711 25\r\n"), NULL, NULL, EC_SYNTAX },
	{ "v1 zero in front of an octet", RAW("PROXY TCP4 192.0.02.7 198.51.100.1 4711 25\r\n"), NULL, NULL, EC_SYNTAX },
	{ "v1 a name", RAW("PROXY TCP4 localhost 198.51.100.1 4711 25\r\n"), NULL, NULL, EC_SYNTAX },
	{ "v1 port out of range", RAW("PROXY TCP4 192.0.2.7 198.51.100.1 65536 25\r\n"), NULL, NULL, EC_SYNTAX },
	{ "v1 port with a zero in front", RAW("PROXY TCP4 192.0.2.7 198.51.100.1 04711 25\r\n"), NULL, NULL, EC_SYNTAX },
	{ "v1 port with a sign", RAW("PROXY TCP4 192.0.2.7 198.51.100.1 +4711 25\r\n"), NULL, NULL, EC_SYNTAX },
	{ "v1 port of a source that had none", RAW("PROXY TCP4 192.0.2.7 198.51.100.1 0 0\r\n"), "192.0.2.7:0", "198.51.100.1:0", EC_OK },
	{ "v1 NUL inside", RAW("PROXY TCP4 192.0.2.7\0 198.51.100.1 4711 25\r\n"), NULL, NULL, EC_SYNTAX },
	/* version 2 */
	{ "v2 TCP4", RAW(SIG "\x21\x11\0\x0c" IP4), "192.0.2.7:4711", "198.51.100.1:25", EC_OK },
	{ "v2 TCP6", RAW(SIG "\x21\x21\0\x24" IP6), "[2001:db8::7]:4711", "[2001:db8::1]:25", EC_OK },
	{ "v2 TLVs are skipped", RAW(SIG "\x21\x11\0\x14" IP4 "\x04\0\x05hello"), "192.0.2.7:4711", "198.51.100.1:25", EC_OK },
	{ "v2 TLVs are not judged", RAW(SIG "\x21\x11\0\x0f" IP4 "\x04\xff\xff"), "192.0.2.7:4711", "198.51.100.1:25", EC_OK },
	{ "v2 mapped is IPv4",
	  RAW(SIG "\x21\x21\0\x24\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\7\0\0\0\0\0\0\0\0\0\0\xff\xff\xc6\x33\x64\1\x12\x67\0\x19"),
	  "192.0.2.7:4711", "198.51.100.1:25", EC_OK },
	{ "v2 UNIX names nobody", RAW(SIG "\x21\x31\0\xd8" Z216), NULL, NULL, EC_OK },
	{ "v2 UDP names nobody", RAW(SIG "\x21\x12\0\x0c" IP4), NULL, NULL, EC_OK },
	{ "v2 UNSPEC", RAW(SIG "\x21\0\0\0"), NULL, NULL, EC_OK },
	{ "v2 UNSPEC with something", RAW(SIG "\x21\0\0\3abc"), NULL, NULL, EC_OK },
	{ "v2 LOCAL", RAW(SIG "\x20\0\0\0"), NULL, NULL, EC_OK },
	{ "v2 LOCAL, the addresses are ignored", RAW(SIG "\x20\x11\0\x0c" IP4), NULL, NULL, EC_OK },
	{ "v2 LOCAL, the family is ignored", RAW(SIG "\x20\xff\0\1x"), NULL, NULL, EC_OK },
	{ "v2 version 1", RAW(SIG "\x11\x11\0\x0c" IP4), NULL, NULL, EC_SYNTAX },
	{ "v2 version 3", RAW(SIG "\x31\x11\0\x0c" IP4), NULL, NULL, EC_SYNTAX },
	{ "v2 command 2", RAW(SIG "\x22\x11\0\x0c" IP4), NULL, NULL, EC_SYNTAX },
	{ "v2 family 4", RAW(SIG "\x21\x41\0\x0c" IP4), NULL, NULL, EC_SYNTAX },
	{ "v2 transport 3", RAW(SIG "\x21\x13\0\x0c" IP4), NULL, NULL, EC_SYNTAX },
	{ "v2 family without transport", RAW(SIG "\x21\x10\0\x0c" IP4), NULL, NULL, EC_SYNTAX },
	{ "v2 TCP4 too short", RAW(SIG "\x21\x11\0\x0b" IP4), NULL, NULL, EC_SYNTAX },
	{ "v2 TCP6 too short", RAW(SIG "\x21\x21\0\x0c" IP4), NULL, NULL, EC_SYNTAX },
	{ "v2 UNIX too short", RAW(SIG "\x21\x31\0\xd7" Z216), NULL, NULL, EC_SYNTAX },
	{ "v2 longer than we take", RAW(SIG "\x21\x11\x08\x01" IP4), NULL, NULL, EC_SYNTAX },
	{ "v2 LOCAL longer than we take", RAW(SIG "\x20\0\xff\xff"), NULL, NULL, EC_SYNTAX },
	{ "v2 signature, wrong at its end", RAW("\r\n\r\n\0\r\nQUIT\r"), NULL, NULL, EC_SYNTAX },
	/* no header */
	{ "SMTP", RAW(BEHIND), NULL, NULL, EC_SYNTAX },
	{ "TLS", RAW("\x16\3\1"), NULL, NULL, EC_SYNTAX },
	{ "almost", RAW("PROXX"), NULL, NULL, EC_SYNTAX },
	{ "blank first", RAW(" PROXY UNKNOWN\r\n"), NULL, NULL, EC_SYNTAX },
	{ "empty line first", RAW("\r\nPROXY UNKNOWN\r\n"), NULL, NULL, EC_SYNTAX },
};

static void check_names(const struct header_case *c, const struct proxy_in *said)
{
	char client[ADDRESS_TEXT_SIZE], local[ADDRESS_TEXT_SIZE];
	address_print(client, &said->client);
	address_print(local, &said->local);
	if (said->named != (c->client != NULL) || strcmp(client, c->client != NULL ? c->client : "-") != 0 ||
	    strcmp(local, c->local != NULL ? c->local : "-") != 0)
		fail_msg("%s: client %s, local %s", c->name, client, local);
}

/* Octet by octet: what was said of less holds for more, a refusal at once or
 * never, and a header is whole exactly at its last octet, whatever follows. */
static void every_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < NUM(cases); i++) {
		const struct header_case *c = &cases[i];
		struct proxy_in said;
		size_t used = 9;
		enum ec last = EC_AGAIN;
		for (size_t n = 0; n <= c->in.len; n++) {
			/* A buffer of just this size, so that a sanitizer sees a step over its end. */
			uint8_t *copy = malloc(n + 1);
			assert_non_null(copy);
			memcpy(copy + 1, c->in.p, n);
			enum ec ec = proxy_in_parse(slice_of(copy + 1, n), &said, &used);
			free(copy);
			if (last == EC_SYNTAX)
				assert_int_equal(ec, EC_SYNTAX);
			else if (n < c->in.len && ec != EC_AGAIN && c->ec == EC_OK)
				fail_msg("%s: %s after %zu octets", c->name, ec_name(ec), n);
			assert_int_equal(used, ec == EC_OK ? n : 0);
			if (ec != EC_OK)
				assert_false(said.named);
			last = ec;
		}
		if (last != c->ec)
			fail_msg("%s: %s", c->name, ec_name(last));
		check_names(c, &said);
	}
}

static void what_follows_is_not_ours(void **state)
{
	(void)state;
	for (size_t i = 0; i < NUM(cases); i++) {
		static uint8_t both[1024];
		struct proxy_in said;
		size_t used;
		memcpy(both, cases[i].in.p, cases[i].in.len);
		memcpy(both + cases[i].in.len, BEHIND, sizeof BEHIND - 1);
		enum ec ec = proxy_in_parse(slice_of(both, cases[i].in.len + sizeof BEHIND - 1), &said, &used);
		/* Too short a length makes the rest of the addresses stand behind it, and stays an error. */
		assert_int_equal(ec, cases[i].ec);
		assert_int_equal(used, ec == EC_OK ? cases[i].in.len : 0);
		check_names(&cases[i], &said);
	}
}

/* The longest header we take, whole and at the cut before its end. */
static void longest(void **state)
{
	static uint8_t in[PROXY_IN_MAX];
	struct proxy_in said;
	size_t used;
	(void)state;
	memcpy(in, SIG "\x21\x11\x08\0" IP4, 28);
	assert_int_equal(proxy_in_parse(slice_of(in, sizeof in - 1), &said, &used), EC_AGAIN);
	assert_int_equal(proxy_in_parse(slice_of(in, sizeof in), &said, &used), EC_OK);
	assert_int_equal(used, 16 + 2048);
	assert_true(said.named);
}

/* What we send to a backend is what we read from a balancer. */
static void encoder_and_parser_agree(void **state)
{
	unsigned seed = 7;
	(void)state;
	for (int round = 0; round < 2000; round++) {
		struct proxy_end from = { .v6 = rand_r(&seed) % 2 != 0 }, to = { .v6 = rand_r(&seed) % 2 != 0 };
		for (size_t i = 0; i < 16; i++) {
			from.addr[i] = (uint8_t)(1 + rand_r(&seed) % 255);
			to.addr[i] = (uint8_t)(1 + rand_r(&seed) % 255);
		}
		from.port = (uint16_t)rand_r(&seed);
		to.port = (uint16_t)rand_r(&seed);
		char text[PROXY_V2_MAX];
		struct writer w = writer_of(text, sizeof text);
		struct proxy_in said;
		size_t used;
		assert_int_equal(proxy_v2_encode(&w, &from, &to), EC_OK);
		assert_int_equal(proxy_in_parse(writer_slice(&w), &said, &used), EC_OK);
		assert_int_equal(used, w.len);
		struct sockaddr_storage want = from.v6 ? address_from_ip6(from.addr, from.port) : address_from_ip4(from.addr, from.port);
		assert_true(address_eq(&said.client, &want));
		want = to.v6 ? address_from_ip6(to.addr, to.port) : address_from_ip4(to.addr, to.port);
		assert_true(address_eq(&said.local, &want));
	}
}

/* Random octets near a header: cuts never change the outcome. */
static void cuts_of_noise(void **state)
{
	unsigned seed = 99;
	(void)state;
	for (int round = 0; round < 20000; round++) {
		static uint8_t in[300];
		const struct header_case *c = &cases[(size_t)rand_r(&seed) % NUM(cases)];
		size_t len = c->in.len;
		memcpy(in, c->in.p, len);
		for (int i = rand_r(&seed) % 3; i >= 0; i--)
			in[(size_t)rand_r(&seed) % len] = (uint8_t)rand_r(&seed);
		struct proxy_in whole, part;
		size_t used, used_part = 0;
		enum ec ec = proxy_in_parse(slice_of(in, len), &whole, &used), early = EC_AGAIN;
		size_t n = 0;
		while (early == EC_AGAIN && n < len)
			early = proxy_in_parse(slice_of(in, ++n), &part, &used_part);
		if (early != ec || (ec == EC_OK && (used != used_part || !address_eq(&whole.client, &part.client))))
			fail_msg("round %d: %s whole, %s cut", round, ec_name(ec), ec_name(early));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_cut),
		cmocka_unit_test(what_follows_is_not_ours),
		cmocka_unit_test(longest),
		cmocka_unit_test(encoder_and_parser_agree),
		cmocka_unit_test(cuts_of_noise),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
