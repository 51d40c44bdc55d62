/* Owns:  how much is known of the hop that a message went to, as an ordered value.
 * Never: decides what is enough (route.h has what a connector demands).
 * Spec:  RFC 7672 2.2, RFC 8461 5, RFC 7435 (opportunistic security).
 * Start at: enum trust. */
#ifndef PROXY_RELAY_TRUST_H
#define PROXY_RELAY_TRUST_H

/* Weakest first. LOCAL: in clear, to a unix socket or a loopback address, where nobody is in
 * between. */
enum trust { TRUST_CLEAR, TRUST_ENCRYPTED, TRUST_LOCAL, TRUST_REQUIRED, TRUST_MTA_STS, TRUST_DANE, TRUST_NUM };

/* trust_name returns "clear", "encrypted", "local", "required", "mta-sts", "dane". */
const char *trust_name(enum trust t);

#endif
