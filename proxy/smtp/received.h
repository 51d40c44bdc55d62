/* Owns:  the text of our trace header.
 * Never: writes an octet into it that a peer chose and that is not a plain one.
 * Spec:  RFC 5321 4.4; RFC 3848, 6531 4.3, 8314 4.3 (with, tls); RFC 5322 3.3.
 * Start at: smtp_received_print. */
#ifndef PROXY_SMTP_RECEIVED_H
#define PROXY_SMTP_RECEIVED_H

#include <stdbool.h>

#include "base/instant.h"
#include "base/slice.h"

enum { SMTP_RECEIVED_MAX = 1024 };

struct smtp_received {
	struct slice helo;   /* what the client called itself */
	struct slice addr;   /* its address, numeric; empty: not known */
	struct slice by;     /* our host name */
	struct slice id;     /* of the session */
	struct slice tls_version, tls_cipher, tls_sni; /* empty: in clear; no SNI */
	bool esmtp, smtputf8;
	struct wall now;
};

/* smtp_received_print writes "Received: …" with its last CRLF; it has several
 * lines of at most 998 octets and begins none with a dot. */
void smtp_received_print(struct writer *w, const struct smtp_received *r);

/* smtp_date_print writes "Sat, 21 Nov 2026 23:26:11 +0000": RFC 5322 3.3, UTC. */
void smtp_date_print(struct writer *w, struct wall now);

#endif
