/* The parts of a ClientHello that choose our key. BoringSSL hands them over as they
 * stood on the wire.
 *
 * Input: which extensions are there, then for each of the five parts a length and its
 * octets. Oracle: another reading of the same RFCs, by index; and what is behind a
 * part's end is never looked at. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/tls/hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { CIPHERS, VERSIONS, SIGNATURES, GROUPS, BINDING, PARTS };

/* A copy that ends where its memory ends. */
static struct slice part_of(struct reader *r, bool there)
{
	size_t len = reader_u8(r);
	struct slice s = reader_bytes(r, len < r->rest.len ? len : r->rest.len);
	uint8_t *copy = there ? malloc(s.len + (s.len == 0)) : NULL;
	assert(!there || copy != NULL);
	if (there && s.len > 0)
		memcpy(copy, s.p, s.len);
	return slice_of(copy, there ? s.len : 0);
}

/* Does a list with `head` octets of length before it, all of it there, have `value`? */
static bool lists(struct slice s, size_t head, unsigned value)
{
	size_t len = 0;
	if (s.len < head)
		return false;
	for (size_t i = 0; i < head; i++)
		len = len << 8 | s.p[i];
	len = head == 0 ? s.len : len;
	if (len > s.len - head)
		return false;
	for (size_t i = 0; i + 1 < len; i += 2)
		if ((unsigned)(s.p[head + i] << 8 | s.p[head + i + 1]) == value)
			return true;
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct reader r = reader_of(slice_of(data, len));
	struct slice p[PARTS];
	unsigned there = reader_u8(&r);
	for (size_t i = 0; i < PARTS; i++)
		p[i] = part_of(&r, (there >> i & 1) != 0);
	const struct hello h = { p[CIPHERS], p[VERSIONS], p[SIGNATURES], p[GROUPS], p[BINDING] };
	bool tls13 = lists(p[VERSIONS], 1, 0x0304);
	bool suite = lists(p[CIPHERS], 0, 0xc02b) || lists(p[CIPHERS], 0, 0xc02c) || lists(p[CIPHERS], 0, 0xcca9);
	bool curve = p[GROUPS].p == NULL || lists(p[GROUPS], 2, 23);
	assert(hello_verifies_ecdsa(&h) == (lists(p[SIGNATURES], 2, 0x0403) && (tls13 || (suite && curve))));
	assert(hello_binds_secret(&h) == (tls13 || p[BINDING].p != NULL));
	for (size_t i = 0; i < PARTS; i++)
		free((void *)(uintptr_t)p[i].p);
	return 0;
}
