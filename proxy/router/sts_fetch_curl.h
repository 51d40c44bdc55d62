/* Owns:  fetching a policy file over HTTPS: one host, one path, once.
 * Never: follows a redirect, resolves a name, goes through a proxy, keeps a connection or a cookie,
 *        takes more than STS_POLICY_MAX octets, believes a certificate that is not proven.
 * Spec:  RFC 8461 3.2, 3.3; RFC 9110.
 * Start at: fetcher_new. */
#ifndef PROXY_ROUTER_STS_FETCH_CURL_H
#define PROXY_ROUTER_STS_FETCH_CURL_H

#include <sys/socket.h>
#include <uv.h>

#include "base/ec.h"
#include "base/slice.h"

enum { FETCHES_MAX = 64 };

struct fetcher;
struct fetch;

/* fetcher_new makes one on `loop`. `ca` is a file of trusted certificates in PEM, "" = the system's. Returns
 * EC_NO_MEMORY. */
enum ec fetcher_new(uv_loop_t *loop, const char *ca, int64_t timeout_ms, struct fetcher **out, struct why *why) MUST_CHECK;

/* fetch_done gets the file, once, never from inside fetch_start. `text` is lent. Unless `ec` is EC_OK, `why` has
 * words: EC_TIMEOUT, EC_TLS (also a certificate that is not believed), EC_IO, EC_LIMIT (too long), EC_UNSUPPORTED
 * (a status other than 200, a redirect included; a content type other than text/plain). */
typedef void fetch_done(void *arg, enum ec ec, struct slice text, const struct why *why);

/* fetch_start fetches https://mta-sts.DOMAIN/.well-known/mta-sts.txt from one of `addresses`. Everything is
 * copied. `*out` is for fetch_cancel, valid until the callback has run. Returns EC_NO_MEMORY, EC_BUSY (over
 * FETCHES_MAX at once), EC_RANGE (too long a domain, no address). */
enum ec fetch_start(struct fetcher *f, const char *domain, const struct sockaddr_storage *addresses, unsigned num,
                    fetch_done *done, void *arg, struct fetch **out, struct why *why) MUST_CHECK;

/* fetch_cancel: the callback does not run. NULL is allowed. */
void fetch_cancel(struct fetch *c);

/* fetcher_free cancels all; the loop runs on to free it. NULL is allowed. */
void fetcher_free(struct fetcher *f);

#endif
