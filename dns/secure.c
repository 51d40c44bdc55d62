#include "dns/secure.h"

#include "base/address.h"

#include <assert.h>
#include <string.h>

const char *secure_status_name(enum secure_status status)
{
	static const char *const names[] = {
		[SECURE_FAILED] = "failed",
		[SECURE_BOGUS] = "bogus",
		[SECURE_INSECURE] = "insecure",
		[SECURE_VALID] = "secure",
	};
	assert((unsigned)status < sizeof names / sizeof names[0]);
	return names[status];
}

struct secure_options secure_options_of(const struct config_dns *dns)
{
	return (struct secure_options){
		.trust_anchor_file = dns->trust_anchor,
		.root_hints_file = dns->root_hints,
		.forwarders = (const char *const *)dns->resolver.items,
		.num_forwarders = dns->resolver.num,
		.timeout_ms = (int)dns->timeout_ms,
		.keep_test_tld = dns->keep_test_tld,
	};
}

enum ec secure_tlsa(const struct secure_answer *a, struct tlsa_set *out)
{
	enum ec result = EC_OK;
	memset(out, 0, sizeof *out);
	assert(a->type == DNS_TLSA);
	for (unsigned i = 0; i < a->num; i++) {
		struct tlsa t;
		enum ec ec = tlsa_from_rdata(a->rdata[i], &t);
		if (ec == EC_OK)
			ec = tlsa_set_add(out, &t);
		if (ec != EC_OK)
			result = ec;
	}
	return result;
}

enum ec secure_addresses(const struct secure_answer *a, uint16_t port, struct sockaddr_storage *out, unsigned max,
			 unsigned *num)
{
	enum ec result = EC_OK;
	assert(a->type == DNS_A || a->type == DNS_AAAA);
	for (unsigned i = 0; i < a->num; i++) {
		struct slice r = a->rdata[i];
		if (r.len != (a->type == DNS_A ? 4U : 16U)) {
			result = EC_SYNTAX;
			continue;
		}
		struct sockaddr_storage address =
			a->type == DNS_A ? address_from_ip4(r.p, port) : address_from_ip6(r.p, port);
		unsigned at = 0;
		while (at < *num && !address_eq(&out[at], &address))
			at++;
		if (at < *num)
			continue;
		if (*num == max)
			return EC_NO_SPACE;
		out[(*num)++] = address;
	}
	return result;
}
