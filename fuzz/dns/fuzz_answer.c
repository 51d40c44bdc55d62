/* packet_parse: any bytes give an error or plain values inside their bounds. */
#include "dns/packet_ldns.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct dns_answer a;
	struct why why = { 0 };
	enum ec ec = packet_parse(slice_of(data, len), &a, &why);
	if (ec != EC_OK) {
		assert(ec == EC_SYNTAX && why.text[0] != '\0' && a.question.len == 0 && !a.found);
		return 0;
	}
	assert(packet_check(slice_of(data, len), NULL) == EC_OK);
	assert(a.num_aliases <= DNS_ALIAS_MAX && a.num_ns <= DNS_NS_MAX && a.num_addresses <= DNS_ADDRESS_MAX &&
	       a.num_rrsigs <= DNS_RRSIG_MAX && a.tlsa.num <= TLSA_SET_MAX);
	assert(a.question.len > 0 && a.canonical.len > 0);
	assert(a.found || (a.tlsa.num == 0 && a.num_ns == 0 && a.num_addresses == 0));
	assert(!a.has_soa || dns_name_under(&a.canonical, &a.soa.owner));
	/* The chain is one: each alias begins where the one before ends. */
	struct dns_name at = a.question;
	for (unsigned i = 0; i < a.num_aliases; i++) {
		assert(dns_name_eq(&a.aliases[i].owner, &at));
		at = a.aliases[i].target;
	}
	assert(dns_name_eq(&at, &a.canonical));
	/* Case of letters in the message makes no difference to these. */
	char text[DNS_NAME_TEXT_SIZE];
	struct dns_name back;
	dns_name_print(text, &a.canonical);
	assert(dns_name_parse(slice_str(text), &back, NULL) == EC_OK && dns_name_eq(&back, &a.canonical));
	return 0;
}
