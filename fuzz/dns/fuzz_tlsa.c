/* TLSA: what parses prints, and parses back to the same; rdata likewise. */
#include "dns/tlsa.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(const struct tlsa *t)
{
	char text[TLSA_TEXT_SIZE], kind[TLSA_KIND_SIZE];
	uint8_t rdata[3 + TLSA_DATA_MAX];
	struct tlsa back;
	size_t len;
	struct why why = { 0 };
	assert(tlsa_usable(t, &why) == (why.text[0] == '\0'));
	tlsa_print_kind(kind, t);
	tlsa_print(text, t);
	if (t->len > TLSA_DATA_MAX) {
		assert(tlsa_to_rdata(t, rdata, &len) == EC_UNSUPPORTED);
		return;
	}
	assert(tlsa_parse(slice_str(text), &back, NULL) == EC_OK && tlsa_eq(t, &back));
	assert(tlsa_to_rdata(t, rdata, &len) == EC_OK);
	assert(tlsa_from_rdata(slice_of(rdata, len), &back) == EC_OK && tlsa_eq(t, &back));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct tlsa t;
	struct why why = { 0 };
	enum ec ec = tlsa_parse(slice_of(data, len), &t, &why);
	assert((ec == EC_OK) == (t.len > 0) && (ec == EC_OK) == (why.text[0] == '\0'));
	if (ec == EC_OK)
		check(&t);
	if (tlsa_from_rdata(slice_of(data, len), &t) == EC_OK)
		check(&t);
	return 0;
}
