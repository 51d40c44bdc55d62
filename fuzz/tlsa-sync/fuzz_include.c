/* A file that a zone includes: what is taken for ours is written again as records that are
 * read back equal, and what is not ours has none. So that the checksum keeps nothing
 * out, the input is also offered with the right one: as the lines after it. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tlsa-sync/zone_include.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(struct slice text)
{
	struct tlsa_set set, back;
	struct dns_name owner;
	struct bytes out = { 0 };
	struct why why = { 0 };
	if (zone_include_read(text, &set, &why) != EC_OK) {
		assert(set.num == 0 && why.text[0] != '\0');
		return;
	}
	assert(set.num <= TLSA_SET_MAX);
	assert(dns_name_parse(SLICE_LIT("_25._tcp.mx1.example.org"), &owner, NULL) == EC_OK);
	assert(zone_include_print("mx1.example.org", &owner, 60, &set, &out) == EC_OK);
	assert(zone_include_read(bytes_slice(&out), &back, &why) == EC_OK);
	assert(tlsa_set_eq(&set, &back));
	bytes_consume(&out, bytes_len(&out));
	assert(zone_include_diff(&owner, 60, &set, &back, &out) == EC_OK && bytes_len(&out) == 0);
	bytes_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	check(slice_of(data, len));
	uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
	for (size_t i = 0; i < len; i++)
		h = (h ^ data[i]) * UINT64_C(0x100000001b3);
	char *text = malloc(len + 100);
	assert(text != NULL);
	int head = snprintf(text, 100, "; tlsa-sync wrote this file\n; checksum of the rest: %016llx\n", (unsigned long long)h);
	if (len > 0)
		memcpy(text + head, data, len);
	check(slice_of(text, (size_t)head + len));
	free(text);
	return 0;
}
