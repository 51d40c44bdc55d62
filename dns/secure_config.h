/* Owns:  the text of libunbound's configuration, and the check that a trust anchor
 *        file holds an anchor for the root.
 * Never: reads a file or makes a context (secure_ub does).
 * Spec:  unbound.conf(5); RFC 1035 5.1 (the form of the anchor file).
 * Start at: secure_config_write. */
#ifndef DNS_SECURE_CONFIG_H
#define DNS_SECURE_CONFIG_H

#include "dns/secure.h"

enum { SECURE_CONFIG_MAX = 16384 };

/* secure_config_write writes it to `w`, without the two files. With `zone` (else
 * NULL) all questions for it go to `at`. Returns EC_SYNTAX (a forwarder that is no
 * address), EC_UNSUPPORTED (a zone name that needs escapes), EC_NO_SPACE. */
enum ec secure_config_write(const struct secure_options *options, const struct dns_name *zone,
			    const struct sockaddr_storage *at, struct writer *w, struct why *why) MUST_CHECK;

/* secure_config_anchors_root tells whether `text` has a line with a DS or DNSKEY
 * record of ".". Without one the whole tree is "insecure", and whoever asks would
 * believe that nobody pins anything. */
bool secure_config_anchors_root(struct slice text);

#endif
