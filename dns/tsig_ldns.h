/* Owns:  the key that signs DNS updates, and its form for ldns.
 * Never: prints a secret, or leaves a copy of it unwiped where that can be helped
 *        (ldns has its own for the time of a call).
 * Spec:  RFC 8945 4.2, 6 (algorithms); RFC 4648 4 (base64).
 * Start at: struct tsig_key. */
#ifndef DNS_TSIG_LDNS_H
#define DNS_TSIG_LDNS_H

#include "dns/name.h"

enum tsig_algorithm { TSIG_HMAC_SHA256, TSIG_HMAC_SHA512 };

/* struct tsig_key owns its secret: tsig_key_fini wipes it. */
struct tsig_key {
	struct dns_name name;
	enum tsig_algorithm algorithm;
	struct secret secret; /* raw octets */
};

/* tsig_key_init reads the settings: the key's name, "hmac-sha256" or
 * "hmac-sha512", and the secret in base64, blanks around it allowed. Returns
 * EC_SYNTAX (name, base64), EC_RANGE (a secret under 16 or over 256 octets), EC_UNSUPPORTED (hmac-sha384, which
 * this ldns gets wrong, hmac-md5, hmac-sha1, others), EC_NO_MEMORY. */
enum ec tsig_key_init(struct tsig_key *out, struct slice name, struct slice algorithm, struct slice secret_base64,
		      struct why *why) MUST_CHECK;
void tsig_key_fini(struct tsig_key *key);

/* tsig_algorithm_setting returns "hmac-sha256"; tsig_mac_len the octets of its MAC. */
const char *tsig_algorithm_setting(enum tsig_algorithm algorithm);
size_t tsig_mac_len(enum tsig_algorithm algorithm);

enum { TSIG_MAC_MAX = 64, TSIG_SECRET_MAX = 256, TSIG_BASE64_SIZE = (TSIG_SECRET_MAX + 2) / 3 * 4 + 1 };

/* struct tsig_text is a key as ldns wants it: text, names with their last dot.
 * It holds the secret: wipe it after use. */
struct tsig_text {
	char name[DNS_NAME_TEXT_SIZE + 1];
	char base64[TSIG_BASE64_SIZE];
	char algorithm[16];
};

/* tsig_text_init fills `*out`. Returns EC_NO_MEMORY; wipe it then too. */
enum ec tsig_text_init(struct tsig_text *out, const struct tsig_key *key) MUST_CHECK;

#endif
