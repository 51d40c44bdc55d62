/* Owns:  the MTA-STS policies that are known, until when each holds, when it is fetched anew, and
 *        how long a domain whose policy can't be fetched is left alone.
 * Never: fetches, reads a clock, or touches a disk (sts_cache_fs does).
 * Spec:  RFC 8461 3.1 (id), 3.3 (fetching), 5.1 (policies that are known hold until they expire).
 * Start at: sts_cache_decide. */
#ifndef PROXY_ROUTER_STS_CACHE_H
#define PROXY_ROUTER_STS_CACHE_H

#include "base/instant.h"
#include "proxy/router/sts.h"

enum {
	STS_CACHE_MAX = 4096,     /* domains; beyond, the one that was asked for longest ago goes */
	STS_RETRY_FIRST_S = 300,  /* after a fetch that failed; doubled each time */
	STS_RETRY_MAX_S = 3600,
	STS_REFRESH_PAUSE_S = 60,
	STS_REFRESH_MAX_S = 86400 /* a policy is fetched anew after half its life, at most a day */
};

struct sts_cache;

/* sts_cache_new returns NULL without memory. */
struct sts_cache *sts_cache_new(void);
void sts_cache_free(struct sts_cache *c);

/* What the TXT record says. NONE: there is none, or it is no good. FAILED: nobody knows. */
enum sts_txt { STS_TXT_FAILED, STS_TXT_NONE, STS_TXT_FOUND };

enum sts_step {
	STS_STEP_NONE,         /* there is no policy */
	STS_STEP_USE,          /* `*out` holds */
	STS_STEP_FETCH,        /* fetch, and if that fails go by sts_cache_get */
	STS_STEP_USE_AND_FETCH /* `*out` holds; fetch it anew meanwhile */
};

/* sts_cache_decide says what to do for `domain` (small letters), whose TXT record says `txt` and, if
 * FOUND, `id`. A policy that holds is not given up because its record is gone or can't be read, nor
 * for a new id until the new policy is here: else whoever can suppress an answer could switch it
 * off. RFC 8461 5.1, 10.2. `in_use`: for a mail, not in the background. USE_AND_FETCH is said once in
 * STS_REFRESH_PAUSE_S only, so that many who ask make one fetch. */
enum sts_step sts_cache_decide(struct sts_cache *c, const char *domain, enum sts_txt txt, const char *id, struct wall now,
                               bool in_use, struct sts_policy *out);

/* sts_cache_get sets `*out` to the policy that holds, or returns false. */
bool sts_cache_get(const struct sts_cache *c, const char *domain, struct wall now, struct sts_policy *out);

/* sts_cache_store keeps what was fetched. Returns EC_NO_MEMORY, EC_RANGE (no domain name). */
enum ec sts_cache_store(struct sts_cache *c, const char *domain, const char *id, const struct sts_policy *policy,
                        struct wall now) MUST_CHECK;

/* sts_cache_failed notes that the policy with that id could not be fetched. */
void sts_cache_failed(struct sts_cache *c, const char *domain, const char *id, struct wall now);

/* sts_cache_due returns a domain that was used since its policy was fetched and is due for a look
 * in the background, or NULL; borrowed until the next call of anything here. The same domain is
 * not returned again for STS_RETRY_FIRST_S. */
const char *sts_cache_due(struct sts_cache *c, struct wall now);

size_t sts_cache_num(const struct sts_cache *c);

/* sts_cache_print appends what a file keeps of `domain`; sts_cache_load reads it back. The file says
 * whose it is, and `domain` is what its name says. Returns EC_NOT_FOUND; EC_CORRUPT, EC_EXPIRED
 * (load: nothing is kept then); EC_NO_MEMORY. */
enum { STS_FILE_MAX = 65536 };
enum ec sts_cache_print(const struct sts_cache *c, const char *domain, struct bytes *out) MUST_CHECK;
enum ec sts_cache_load(struct sts_cache *c, const char *domain, struct slice text, struct wall now, struct why *why) MUST_CHECK;

#endif
