/* Owns:  one look at one address: connect, EHLO, STARTTLS, a TLS handshake, and
 *        the digest of the key that was presented.
 * Never: sends mail; takes longer than it was given; says if the key is right.
 * Spec:  RFC 3207, RFC 7672 8.1 (a server answers any SNI, and none).
 * Start at: probe_start. */
#ifndef TLSA_SYNC_PROBE_UV_H
#define TLSA_SYNC_PROBE_UV_H

#include <sys/socket.h>
#include <uv.h>

#include "base/ec.h"
#include "certs/generation.h"

struct probe;

/* probe_done gets the outcome, once, never from inside probe_start: EC_OK and
 * the 32 bytes of the leaf's SPKI SHA2-256, or EC_TIMEOUT, EC_IO (no connection),
 * EC_CLOSED, EC_UNSUPPORTED (no STARTTLS), EC_SYNTAX, EC_LIMIT, EC_TLS,
 * EC_NO_MEMORY with words. All is lent for the call. */
typedef void probe_done(void *arg, enum ec ec, const uint8_t *spki_sha256, const struct why *why);

/* probe_start looks at `address` with a client that accepts keys of `algorithm`
 * only. `sni` NULL or "" sends no server name; `helo` is our name in EHLO. Both are
 * copied. `*out` (may be NULL) is for probe_cancel, valid until the callback
 * has run. Returns EC_NO_MEMORY, EC_TLS, EC_IO; then the callback never runs. */
enum ec probe_start(uv_loop_t *loop, const struct sockaddr_storage *address, enum key_algorithm algorithm,
                    const char *sni, const char *helo, int timeout_ms, probe_done *done, void *arg, struct probe **out,
                    struct why *why) MUST_CHECK;

/* probe_cancel ends it without the callback. NULL is allowed. The loop must run
 * on to free it. */
void probe_cancel(struct probe *p);

#endif
