#include "base/network.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/address.h"

static bool parse_ip(struct slice text, struct sockaddr_storage *out)
{
	char z[INET6_ADDRSTRLEN];
	uint8_t octets[16];
	if (text.len == 0 || text.len >= sizeof z || memchr(text.p, 0, text.len) != NULL)
		return false;
	memcpy(z, text.p, text.len);
	z[text.len] = '\0';
	if (inet_pton(AF_INET, z, octets) == 1)
		*out = address_from_ip4(octets, 0);
	else if (inet_pton(AF_INET6, z, octets) == 1)
		*out = address_from_ip6(octets, 0);
	else
		return false;
	return true;
}

enum ec network_parse(struct slice text, struct network *out, struct why *why)
{
	const uint8_t *slash = text.len > 0 ? memchr(text.p, '/', text.len) : NULL;
	struct slice host = slash == NULL ? text : slice_first(text, (size_t)(slash - text.p));
	*out = (struct network){ 0 };
	if (!parse_ip(host, &out->base))
		return why_set(why, EC_SYNTAX, "not an IP address or network");
	struct sockaddr_storage plain = out->base;
	address_unmap(&plain);
	if (plain.ss_family != out->base.ss_family)
		return why_set(why, EC_SYNTAX, "an IPv4 network is written as such, without ::ffff:");
	uint64_t most = plain.ss_family == AF_INET ? 32 : 128, bits = most;
	if (slash != NULL) {
		enum ec ec = parse_u64(slice_from(text, host.len + 1), most, &bits);
		if (ec != EC_OK)
			return why_set(why, ec, "behind the / belongs a number of bits from 0 to %u", (unsigned)most);
	}
	out->bits = (unsigned)bits;
	address_mask(&plain, out->bits);
	if (!address_eq_ip(&plain, &out->base)) {
		char meant[ADDRESS_TEXT_SIZE];
		address_print_ip(meant, &plain);
		return why_set(why, EC_RANGE, "bits are set behind the prefix; the network is %s/%u", meant, out->bits);
	}
	return EC_OK;
}

bool network_has(const struct network *n, const struct sockaddr_storage *a)
{
	return address_in_prefix(a, &n->base, n->bits);
}

bool networks_have(const struct network *all, size_t num, const struct sockaddr_storage *a)
{
	for (size_t i = 0; i < num; i++)
		if (network_has(&all[i], a))
			return true;
	return false;
}
