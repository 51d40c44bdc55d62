/* Names: what parses prints, and parses back to the same; wire likewise. */
#include "dns/name.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(const struct dns_name *n)
{
	char text[DNS_NAME_TEXT_SIZE];
	struct dns_name back, up;
	dns_name_print(text, n);
	assert(dns_name_parse(slice_str(text), &back, NULL) == EC_OK && dns_name_eq(n, &back));
	assert(dns_name_from_wire(dns_name_wire(n), &back) == EC_OK && dns_name_eq(n, &back));
	unsigned labels = dns_name_labels(n);
	for (up = *n; dns_name_parent(&up, &up); labels--)
		assert(dns_name_under(n, &up) && !dns_name_under(&up, n));
	assert(labels == 0 && dns_name_is_root(&up));
	if (dns_name_prepend("_25._tcp", n, &up, NULL) == EC_OK)
		assert(dns_name_under(&up, n) && dns_name_labels(&up) == dns_name_labels(n) + 2);
	else
		assert(n->len > DNS_NAME_WIRE_MAX - 9);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct dns_name n;
	struct why why = { 0 };
	enum ec ec = dns_name_parse(slice_of(data, len), &n, &why);
	assert((ec == EC_OK) == (n.len > 0) && (ec == EC_OK) == (why.text[0] == '\0'));
	if (ec == EC_OK)
		check(&n);
	if (dns_name_from_wire(slice_of(data, len), &n) == EC_OK)
		check(&n);
	return 0;
}
