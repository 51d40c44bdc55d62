/* The PROXY header from a balancer. However the octets are cut, one decision, made
 * once: "more", then a header of one length, or never one. And what our own encoder
 * writes for two ends, and the text form of them, read as these ends. */
#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "proxy/relay/proxy_header.h"
#include "proxy/smtp/proxy_in.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static bool same(const struct proxy_in *a, const struct proxy_in *b)
{
	return a->named == b->named &&
	       (!a->named || (memcmp(&a->client, &b->client, sizeof a->client) == 0 && memcmp(&a->local, &b->local, sizeof a->local) == 0));
}

static void check_cuts(struct slice in)
{
	struct proxy_in whole = { 0 }, part;
	size_t used = 0, n;
	enum ec ec = proxy_in_parse(in, &whole, &used);
	assert(ec == EC_OK || ec == EC_AGAIN || ec == EC_SYNTAX);
	assert(ec != EC_OK || (used > 0 && used <= in.len && used <= PROXY_IN_MAX));
	assert(ec != EC_AGAIN || in.len < PROXY_IN_MAX);
	if (ec == EC_OK && whole.named)
		assert(whole.client.ss_family == AF_INET || whole.client.ss_family == AF_INET6);
	bool refused = false;
	for (size_t cut = 0; cut <= in.len && cut <= PROXY_IN_MAX; cut++) {
		memset(&part, 0, sizeof part);
		n = 0;
		enum ec now = proxy_in_parse(slice_first(in, cut), &part, &n);
		assert(!refused || now == EC_SYNTAX);
		refused = now == EC_SYNTAX;
		if (ec == EC_OK)
			assert(cut < used ? now == EC_AGAIN : now == EC_OK && n == used && same(&part, &whole));
		else if (ec == EC_AGAIN)
			assert(now == EC_AGAIN);
		else
			assert(now != EC_OK);
	}
}

/* The end as the header must say it; ::ffff:a.b.c.d is a.b.c.d. */
static void check_end(const struct sockaddr_storage *s, const struct proxy_end *e)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	bool v6 = e->v6 && memcmp(e->addr, mapped, 12) != 0;
	if (s->ss_family == AF_INET6) {
		const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)s;
		assert(v6 && memcmp(&a->sin6_addr, e->addr, 16) == 0 && ntohs(a->sin6_port) == e->port);
	} else {
		const struct sockaddr_in *a = (const struct sockaddr_in *)s;
		assert(s->ss_family == AF_INET && !v6 && ntohs(a->sin_port) == e->port);
		assert(memcmp(&a->sin_addr, e->addr + (e->v6 ? 12 : 0), 4) == 0);
	}
}

static void check_ends(const uint8_t d[38])
{
	struct proxy_end client = { .v6 = (d[0] & 1) != 0, .port = (uint16_t)(d[1] << 8 | d[2]) };
	struct proxy_end local = { .v6 = (d[0] & 2) != 0, .port = (uint16_t)(d[3] << 8 | d[4]) };
	char text[PROXY_V2_MAX + 8], c[INET6_ADDRSTRLEN], l[INET6_ADDRSTRLEN];
	struct writer w = writer_of(text, sizeof text);
	struct proxy_in in;
	size_t used;
	memcpy(client.addr, d + 5, 16);
	memcpy(local.addr, d + 21, 16);
	if ((d[0] & 4) != 0)
		memset(client.addr, 0, 10);
	assert(proxy_v2_encode(&w, &client, &local) == EC_OK);
	size_t header = w.len;
	writer_str(&w, "EHLO");
	if (proxy_in_parse(writer_slice(&w), &in, &used) != EC_OK)
		assert(client.port == 0 || local.port == 0); /* such an end can't be */
	else {
		assert(used == header && in.named);
		check_end(&in.client, &client);
		check_end(&in.local, &local);
	}
	if (client.v6 != local.v6)
		return;
	/* Version 1, by the text of section 2.1 alone. */
	char line[PROXY_IN_V1_MAX + 1];
	int af = client.v6 ? AF_INET6 : AF_INET;
	assert(inet_ntop(af, client.addr, c, sizeof c) != NULL && inet_ntop(af, local.addr, l, sizeof l) != NULL);
	int n = snprintf(line, sizeof line, "PROXY TCP%c %s %s %u %u\r\n", client.v6 ? '6' : '4', c, l, client.port, local.port);
	assert(n > 0 && (size_t)n < sizeof line);
	if (proxy_in_parse(slice_of(line, (size_t)n), &in, &used) != EC_OK)
		assert(client.port == 0 || local.port == 0);
	else {
		assert(used == (size_t)n && in.named);
		check_end(&in.client, &client);
		check_end(&in.local, &local);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	check_cuts(slice_of(data, len));
	if (len >= 38)
		check_ends(data);
	return 0;
}
