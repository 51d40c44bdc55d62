/* Owns:  what a ClientHello says about the signatures its sender can check.
 * Never: parses the ClientHello itself (BoringSSL does); it gets extension bodies.
 * Spec:  RFC 8446 4.2.3, 4.2.1; RFC 5246 7.4.1.4.1; RFC 8422 5.1; RFC 7627 5.1.
 * Start at: hello_verifies_ecdsa. */
#ifndef PROXY_TLS_HELLO_H
#define PROXY_TLS_HELLO_H

#include <stdbool.h>

#include "base/slice.h"

/* struct hello borrows the bodies of extensions as they stood on the wire, and
 * the list of cipher suites. An absent extension has a NULL `p`. */
struct hello {
	struct slice ciphers;    /* without its length */
	struct slice versions;   /* supported_versions (43) */
	struct slice signatures; /* signature_algorithms (13) */
	struct slice groups;     /* supported_groups (10) */
	struct slice binding;    /* extended_master_secret (23) */
};

/* hello_verifies_ecdsa tells whether a handshake with a P-256 key can end well:
 * ecdsa_secp256r1_sha256 is offered and, for a client that stops at TLS 1.2,
 * also an ECDHE_ECDSA suite of ours and the curve. Malformed lists count as
 * empty; the library refuses them afterwards. */
bool hello_verifies_ecdsa(const struct hello *h);

/* hello_binds_secret tells whether the keys will depend on the whole handshake:
 * always in TLS 1.3, in TLS 1.2 only with the extended master secret. Without it
 * two handshakes can be made to share their keys. RFC 7627 1, 5.1; RFC 9325 3.4. */
bool hello_binds_secret(const struct hello *h);

#endif
