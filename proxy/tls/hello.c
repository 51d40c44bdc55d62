#include "proxy/tls/hello.h"

enum { TLS_1_3 = 0x0304, ECDSA_SECP256R1_SHA256 = 0x0403, SECP256R1 = 23 };

/* The ECDHE_ECDSA suites that channel_ssl.c allows. */
static const uint16_t ecdsa_suites[] = { 0xc02b, 0xc02c, 0xcca9 };

static bool list_has(struct slice list, uint16_t wanted)
{
	struct reader r = reader_of(list);
	while (r.rest.len >= 2)
		if (reader_u16be(&r) == wanted)
			return true;
	return false;
}

/* vector takes the bytes behind a length of `size` octets, or nothing. */
static struct slice vector(struct slice body, size_t size)
{
	struct reader r = reader_of(body);
	size_t len = size == 1 ? reader_u8(&r) : reader_u16be(&r);
	return reader_bytes(&r, len);
}

static bool offers_tls13(const struct hello *h)
{
	return list_has(vector(h->versions, 1), TLS_1_3);
}

bool hello_verifies_ecdsa(const struct hello *h)
{
	if (!list_has(vector(h->signatures, 2), ECDSA_SECP256R1_SHA256))
		return false;
	if (offers_tls13(h))
		return true;
	/* RFC 8422 4: without the extension the client takes any curve. */
	if (h->groups.p != NULL && !list_has(vector(h->groups, 2), SECP256R1))
		return false;
	for (size_t i = 0; i < sizeof ecdsa_suites / sizeof *ecdsa_suites; i++)
		if (list_has(h->ciphers, ecdsa_suites[i]))
			return true;
	return false;
}

bool hello_binds_secret(const struct hello *h)
{
	return offers_tls13(h) || h->binding.p != NULL;
}
