#include "proxy/relay/proxy_header.h"

#include <string.h>

static void put_addr(struct writer *w, const struct proxy_end *end, bool v6)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	if (v6 && !end->v6)
		writer_bytes(w, slice_of(mapped, sizeof mapped));
	writer_bytes(w, slice_of(end->addr, end->v6 ? 16 : 4));
}

static void put_u16(struct writer *w, unsigned v)
{
	writer_bytes(w, slice_of((uint8_t[]){ (uint8_t)(v >> 8), (uint8_t)v }, 2));
}

enum ec proxy_v2_encode(struct writer *w, const struct proxy_end *client, const struct proxy_end *local)
{
	bool v6 = client->v6 || local->v6;
	writer_bytes(w, SLICE_LIT("\r\n\r\n\0\r\nQUIT\n"));
	/* Version 2, command PROXY; family AF_INET or AF_INET6 over a stream. */
	writer_bytes(w, slice_of((uint8_t[]){ 0x21, v6 ? 0x21 : 0x11 }, 2));
	put_u16(w, v6 ? 36 : 12);
	put_addr(w, client, v6);
	put_addr(w, local, v6);
	put_u16(w, client->port);
	put_u16(w, local->port);
	return w->bad ? EC_NO_SPACE : EC_OK;
}

enum ec proxy_v2_encode_own(struct writer *w)
{
	const struct proxy_end us = { .addr = { 127, 0, 0, 1 }, .port = 25 };
	return proxy_v2_encode(w, &us, &us);
}
