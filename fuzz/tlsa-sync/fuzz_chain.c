/* What an issuer's command printed: anything at all.
 *
 * Oracles: what goes on to danegate is certificates and nothing else, in ASCII (it stands in
 * a line of JSON); cutting it out again changes nothing; text around it changes nothing;
 * a refusal has words. */
#include "tlsa-sync/certify.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const struct slice begin = SLICE_LIT("-----BEGIN CERTIFICATE-----");
static const struct slice end = SLICE_LIT("-----END CERTIFICATE-----");

static bool starts(struct slice s, struct slice with)
{
	return s.len >= with.len && memcmp(s.p, with.p, with.len) == 0;
}

/* Block after block, with nothing between but a line end. */
static void check_blocks(struct slice s)
{
	assert(s.len > 0);
	while (s.len > 0) {
		assert(starts(s, begin));
		s = slice_from(s, begin.len);
		while (!starts(s, end)) {
			assert(s.len > end.len && s.p[0] != '-' && s.p[0] != '\0' && s.p[0] < 0x7f);
			s = slice_from(s, 1);
		}
		s = slice_from(s, end.len);
		assert(s.len > 0 && s.p[0] == '\n');
		s = slice_from(s, 1);
	}
}

static void check_same(struct slice in, struct slice want)
{
	struct bytes out = { 0 };
	assert(certify_chain(in, &out, NULL) == EC_OK && slice_eq(bytes_slice(&out), want));
	bytes_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct bytes out = { 0 }, around = { 0 };
	struct why why = { 0 };
	enum ec ec = certify_chain(slice_of(data, len), &out, &why);
	if (ec != EC_OK) {
		assert((ec == EC_MISSING || ec == EC_SYNTAX) && why.text[0] != '\0');
		bytes_fini(&out);
		return 0;
	}
	check_blocks(bytes_slice(&out));
	check_same(bytes_slice(&out), bytes_slice(&out));
	if (bytes_append(&around, SLICE_LIT("before\n")) != EC_OK || bytes_append(&around, bytes_slice(&out)) != EC_OK ||
	    bytes_append(&around, SLICE_LIT("\nafter")) != EC_OK)
		abort();
	check_same(bytes_slice(&around), bytes_slice(&out));
	bytes_fini(&around);
	bytes_fini(&out);
	return 0;
}
