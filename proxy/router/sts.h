/* Owns:  MTA-STS as values: the TXT record that says there is a policy, the policy, and
 *        whether it names a mail host.
 * Never: fetches or keeps anything.
 * Spec:  RFC 8461 3.1 (record), 3.2 (policy), 4.1 (names).
 * Start at: sts_policy_parse. */
#ifndef PROXY_ROUTER_STS_H
#define PROXY_ROUTER_STS_H

#include "base/slice.h"
#include "proxy/relay/route.h"

enum {
	STS_ID_MAX = 32,
	STS_POLICY_MAX = 65536, /* octets of a policy file, RFC 8461 3.3 asks for a bound */
	STS_MX_MAX = 64,
	STS_MX_SIZE = 256,
	STS_MAX_AGE_MAX_S = 31557600 /* RFC 8461 3.2: about a year */
};

/* sts_txt_parse looks through the TXT records of `_mta-sts.DOMAIN` (rdata: strings with a length
 * octet each) for the one that starts "v=STSv1;" and gives its id. Returns EC_NOT_FOUND (there is
 * none), EC_DUPLICATE (there are several), EC_SYNTAX: each means that the domain has no policy. RFC 8461 3.1. */
enum ec sts_txt_parse(const struct slice *rdata, size_t num, char out_id[STS_ID_MAX + 1], struct why *why) MUST_CHECK;

struct sts_policy {
	enum route_sts mode;
	uint32_t max_age_s; /* at most STS_MAX_AGE_MAX_S */
	unsigned num_mx;
	char mx[STS_MX_MAX][STS_MX_SIZE]; /* patterns in small letters, without the last dot */
};

/* sts_policy_parse reads a policy file. Lines may end with LF or CRLF; keys it does not know are passed
 * over, and of one that stands twice (but for mx) the first holds. Returns EC_SYNTAX, EC_MISSING (version,
 * mode, max_age, or no mx although the mode is not none), EC_UNSUPPORTED (another version), EC_LIMIT (too
 * long, too many mx): then it is no policy. RFC 8461 3.2. */
enum ec sts_policy_parse(struct slice text, struct sts_policy *out, struct why *why) MUST_CHECK;

/* sts_policy_print writes a policy file that sts_policy_parse reads back to an equal policy. Returns EC_NO_SPACE. */
enum { STS_PRINT_MAX = 128 + STS_MX_MAX * (STS_MX_SIZE + 8) };
enum ec sts_policy_print(const struct sts_policy *p, struct writer *w) MUST_CHECK;

/* sts_policy_lists tells whether a pattern is the host, or "*." and the host without its left-most label:
 * a wildcard stands for exactly one label. RFC 8461 4.1. */
bool sts_policy_lists(const struct sts_policy *p, const char *host);

#endif
