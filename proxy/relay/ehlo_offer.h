/* Owns:  what a backend offers: the lines of its EHLO reply, as a value.
 * Never: decides what is used of it (backend.c, smtp/session.c).
 * Spec:  RFC 5321 4.1.1.1; RFC 9422 (LIMITS); Postfix XCLIENT_README, XFORWARD_README.
 * Start at: ehlo_offer_read. */
#ifndef PROXY_RELAY_EHLO_OFFER_H
#define PROXY_RELAY_EHLO_OFFER_H

#include "base/slice.h"
#include "proxy/smtp/caps.h"

struct ehlo_offer {
	struct smtp_caps caps;
	unsigned xclient, xforward; /* attributes: OR of enum client_info_attribute */
};

/* ehlo_offer_read adds what one line offers; `text` is what stands behind the code.
 * Keywords that we do not know, and numbers that are none, are passed over. */
void ehlo_offer_read(struct ehlo_offer *o, struct slice text);

#endif
