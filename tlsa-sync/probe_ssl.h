/* Owns:  a TLS client over memory that wants to see one thing: the key the
 *        server presents for one algorithm and one server name.
 * Never: touches a socket; trusts a name, a date or a CA: DANE-EE looks at the
 *        key only (RFC 7671 5.1). Possession of the key is proven, as always in TLS.
 * Spec:  RFC 8446 4.2.3 (signature_algorithms), RFC 6066 3 (SNI), RFC 6698 2.1.
 * Start at: probe_tls_feed. */
#ifndef TLSA_SYNC_PROBE_SSL_H
#define TLSA_SYNC_PROBE_SSL_H

#include "base/ec.h"
#include "base/slice.h"
#include "certs/generation.h"

struct probe_tls;

/* probe_tls_new makes a client that accepts signatures of `algorithm` only, so
 * that a server with several keys has to show this one. `sni` NULL or "" sends no
 * name. Returns EC_NO_MEMORY, EC_TLS. */
enum ec probe_tls_new(enum key_algorithm algorithm, const char *sni, struct probe_tls **out, struct why *why) MUST_CHECK;

/* probe_tls_feed takes bytes from the server (none to begin) and appends to `out`
 * what to send it. Returns EC_AGAIN (send, then read more), EC_OK (the handshake
 * is complete: probe_tls_spki has the answer), EC_TLS, EC_NO_MEMORY. */
enum ec probe_tls_feed(struct probe_tls *t, struct slice in, struct bytes *out, struct why *why) MUST_CHECK;

/* probe_tls_spki gives SHA2-256 of the leaf's SubjectPublicKeyInfo after EC_OK.
 * Returns EC_TLS when there is no certificate. */
enum ec probe_tls_spki(const struct probe_tls *t, uint8_t out[32], struct why *why) MUST_CHECK;

/* probe_tls_bye appends QUIT and close_notify, so that the server counts a clean
 * session. After EC_OK of probe_tls_feed only; failing is of no interest. */
void probe_tls_bye(struct probe_tls *t, struct bytes *out);

void probe_tls_free(struct probe_tls *t);

#endif
