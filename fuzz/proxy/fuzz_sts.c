/* What a stranger's DNS and web server say about MTA-STS: the TXT record and the policy file.
 *
 * Oracles: an id is 1 to 32 letters and digits; a policy has what it must have, its parts are bounded, and
 * printed it is read back the same; a host it lists has a pattern for it. The first octet chooses. */
#include "proxy/router/sts.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void txt(struct slice in)
{
	struct slice rdata[4];
	size_t num = 0;
	char id[STS_ID_MAX + 1];
	/* Records stand one behind the other, each with its length in front. */
	while (num < 4 && in.len > 0) {
		size_t size = in.p[0] < in.len - 1 ? in.p[0] : in.len - 1;
		rdata[num++] = slice_first(slice_from(in, 1), size);
		in = slice_from(in, 1 + size);
	}
	enum ec ec = sts_txt_parse(rdata, num, id, NULL);
	assert(ec == EC_OK || ec == EC_NOT_FOUND || ec == EC_DUPLICATE || ec == EC_SYNTAX);
	assert((ec == EC_OK) == (id[0] != '\0') && strlen(id) <= STS_ID_MAX);
	for (const char *p = id; *p != '\0'; p++)
		assert(isalnum((unsigned char)*p));
}

static void policy(struct slice in)
{
	static struct sts_policy p, again;
	static char text[STS_PRINT_MAX];
	if (sts_policy_parse(in, &p, NULL) != EC_OK) {
		assert(p.num_mx == 0 && p.mode == ROUTE_STS_NONE);
		return;
	}
	assert(p.num_mx <= STS_MX_MAX && p.max_age_s <= STS_MAX_AGE_MAX_S && (p.num_mx > 0 || p.mode == ROUTE_STS_NONE));
	struct writer w = writer_of(text, sizeof text);
	assert(sts_policy_print(&p, &w) == EC_OK);
	assert(sts_policy_parse(writer_slice(&w), &again, NULL) == EC_OK && memcmp(&p, &again, sizeof p) == 0);
	for (unsigned i = 0; i < p.num_mx; i++) {
		char host[STS_MX_SIZE + 8];
		bool star = p.mx[i][0] == '*';
		(void)snprintf(host, sizeof host, "%s%s", star ? "x" : "", p.mx[i] + star);
		assert(sts_policy_lists(&p, host));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len == 0)
		return 0;
	struct slice in = slice_of(data + 1, len - 1);
	if (data[0] % 2 == 0)
		policy(in);
	else
		txt(in);
	return 0;
}
