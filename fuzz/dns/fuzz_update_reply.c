/* update_check: any bytes are judged without harm, and none but a reply with the
 * right MAC is a proven success. The seeds hold such a MAC; what is refused here
 * is that a message without one passes. */
#include "dns/update_ldns.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { ID = 0x1234, NOW = 1800000000 }; /* as in tests/unit/dns/make_packets.py */

static struct tsig_key make_key(void)
{
	struct tsig_key key;
	if (tsig_key_init(&key, SLICE_LIT("upd"), SLICE_LIT("hmac-sha256"),
			  SLICE_LIT("ZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7fH1+f4CBgoM="), NULL) != EC_OK)
		abort();
	return key;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct tsig_key key = make_key();
	static struct update_request request = { .id = ID, .has_mac = true, .mac_len = 32 };
	for (uint8_t i = 0; i < 32; i++)
		request.mac[i] = i;
	struct update_outcome out;
	struct why why = { 0 };
	enum ec ec = update_check(slice_of(data, len), &request, &key, NOW, "ns0", &out, &why);
	assert((ec == EC_OK) == (why.text[0] == '\0'));
	assert(ec != EC_OK || (out.proven && out.rcode == DNS_NOERROR && out.tsig_error == 0));
	/* Shorter than header, zone, TSIG with a MAC: can't be proven. */
	assert(!out.proven || len >= 12 + 5 + 11 + 13 + 16 + 32);
	/* Without a key nothing is ever proven. */
	struct update_request plain = { .id = ID };
	ec = update_check(slice_of(data, len), &plain, NULL, NOW, "ns0", &out, NULL);
	assert(!out.proven && (ec != EC_OK || out.rcode == DNS_NOERROR));
	tsig_key_fini(&key);
	return 0;
}
