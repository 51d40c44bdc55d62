/* Owns:  a mail client at the other end of a descriptor, for fuzz targets: it says
 *        what it is told, in clear or in TLS, and keeps what it hears.
 * Never: blocks; understands SMTP.
 * Spec:  RFC 8446, RFC 3207.
 * Start at: caller_move. */
#ifndef FUZZ_PROXY_CALLER_H
#define FUZZ_PROXY_CALLER_H

#include <openssl/base.h>

#include "base/slice.h"

struct caller {
	int fd;      /* -1: hung up */
	size_t step; /* octets per write */
	SSL *ssl;
	bool secure; /* the handshake is over */
	bool failed; /* TLS is broken for good, or the server has */
	bool deaf;   /* does not read */
	bool eof;    /* the server says no more */
	bool reset;  /* and did not end in order */
	bool half;   /* shuts its side when all is written */
	struct bytes later; /* to be said once the handshake is over */
	struct bytes out;   /* on its way to the socket */
	struct bytes heard; /* plain */
};

/* caller_open takes `fd`, which does not block. */
void caller_open(struct caller *c, int fd, size_t step);
/* caller_secure begins a handshake; `sni` may be NULL. */
void caller_secure(struct caller *c, uint16_t max_version, const char *sni);
/* caller_say sends `plain`, under TLS as one record. caller_raw goes below TLS. */
void caller_say(struct caller *c, struct slice plain);
void caller_raw(struct caller *c, struct slice octets);
/* caller_update sends a KeyUpdate that asks for one (RFC 8446 4.6.3); caller_bye a close_notify. */
void caller_update(struct caller *c);
void caller_bye(struct caller *c);
void caller_hang_up(struct caller *c);
void caller_fini(struct caller *c);

/* caller_move writes one step and reads what there is. Returns whether anything moved. */
bool caller_move(struct caller *c);

#endif
