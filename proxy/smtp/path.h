/* Owns:  envelope addresses as values: parse once, print again.
 * Never: keeps bytes of the wire: quoting and source routes are undone here and
 *        redone when printed, so nothing ambiguous is passed on.
 * Spec:  RFC 5321 4.1.2, 4.1.3, 4.5.3.1; RFC 6531 3.3 (UTF-8).
 * Start at: smtp_path_parse. */
#ifndef PROXY_SMTP_PATH_H
#define PROXY_SMTP_PATH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ec.h"
#include "base/slice.h"

/* RFC 5321 4.5.3.1.1 to .3; a path's 256 count its brackets. The 64 octets of a
 * local part are what everybody must take at least: bulk senders' return paths
 * (VERP, SRS) are longer, and refusing them would lose mail for good. */
enum { SMTP_LOCAL_MAX = 128, SMTP_DOMAIN_MAX = 255, SMTP_PATH_MAX = 256 };
/* Room for any printed path, with every character of the local part escaped. */
enum { SMTP_PATH_TEXT_SIZE = 2 * SMTP_LOCAL_MAX + SMTP_DOMAIN_MAX + 8 };

/* struct smtp_path is one address. The null sender has both lengths 0 (""@domain, which
 * RFC 5321 4.1.2 allows, only that of the local part); a bare
 * `postmaster` has a local part and no domain. `local` is without quotes and
 * backslashes; a domain literal keeps its brackets. */
struct smtp_path {
	bool quoted; /* the sender wrote the local part in quotes: so do we */
	bool utf8;   /* some octet is not ASCII */
	uint8_t local_len;
	uint8_t domain_len;
	char local[SMTP_LOCAL_MAX];
	char domain[SMTP_DOMAIN_MAX];
};

/* What a path may be where it stands. */
enum {
	SMTP_PATH_NULL = 1 << 0,       /* <> (MAIL) */
	SMTP_PATH_POSTMASTER = 1 << 1, /* <postmaster> without a domain (RCPT) */
	SMTP_PATH_UTF8 = 1 << 2,       /* the transaction has SMTPUTF8 */
};

/* smtp_path_parse reads a path in angle brackets from the start of `*in` and
 * moves `*in` behind it. A source route is accepted and forgotten (RFC 5321
 * appendix C). Returns EC_SYNTAX, EC_RANGE (too long), or EC_UNSUPPORTED
 * (needs SMTPUTF8, which `allow` lacks). `*out` is only set on EC_OK. */
enum ec smtp_path_parse(struct slice *in, unsigned allow, struct smtp_path *out) MUST_CHECK;

/* smtp_path_print writes the path with its brackets. */
void smtp_path_print(struct writer *w, const struct smtp_path *path);

/* smtp_domain_ok tells whether `s` is a domain name or an address literal; with
 * `utf8`, U-labels are allowed too. RFC 5321 4.1.2, 4.1.3. */
bool smtp_domain_ok(struct slice s, bool utf8);

/* smtp_utf8_len gives the length (2 to 4) of the well-formed non-ASCII UTF-8
 * character at the start of `s`, or 0. C1 controls are not well formed here. */
size_t smtp_utf8_len(struct slice s);

#endif
