/* Owns:  when danegate signs a certificate anew by itself, with the key it has.
 * Never: reads a clock; DNS is not concerned, for the key stays.
 * Spec:  RFC 7671 5.1: DANE-EE clients ignore dates; some large senders report an
 *        expired certificate all the same.
 * Start at: renewal_due. */
#ifndef PROXY_RENEWAL_H
#define PROXY_RENEWAL_H

#include "certs/generation.h"
#include "config/config.h"

/* renewal_due tells whether the certificate of `key` is to be replaced by a self-signed one:
 *   self-signed            less than a third of its life is left
 *   from a CA, but issuer  the same: the operator has changed the setting
 *   is self-signed now
 *   from a CA, issuer      only at the last moment, an hour or a thirtieth of its life before
 *   command                its end: tlsa-sync could not renew it, and none is worse than this
 * With issuer files never: both key and certificate are somebody else's. */
bool renewal_due(const struct key_info *key, enum config_issuer issuer, struct wall now);

#endif
