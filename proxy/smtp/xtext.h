/* Owns:  xtext, the encoding of parameter values.
 * Never: lets an octet through that is not printable.
 * Spec:  RFC 3461 section 4; RFC 6533 section 3 (utf-8-addr-xtext, -unitext).
 * Start at: xtext_decode. */
#ifndef PROXY_SMTP_XTEXT_H
#define PROXY_SMTP_XTEXT_H

#include "base/ec.h"
#include "base/slice.h"

/* xtext_decode undoes "+HH". Only printable ASCII and space may result:
 * EC_SYNTAX otherwise, so "+0D+0A" does not exist for the rest of the program.
 * EC_RANGE when more than `out` holds. */
enum ec xtext_decode(struct slice in, struct writer *out) MUST_CHECK;

/* xtext_encode writes any octets. */
void xtext_encode(struct writer *w, struct slice s);

/* utf8_addr_decode reads the address behind "ORCPT=utf-8;": \x{HEX} for
 * characters, or the characters themselves when `raw` (SMTPUTF8). The
 * result is UTF-8 without controls. Errors as above. */
enum ec utf8_addr_decode(struct slice in, bool raw, struct writer *out) MUST_CHECK;

/* utf8_addr_encode writes utf-8-addr-xtext, which needs no SMTPUTF8. */
void utf8_addr_encode(struct writer *w, struct slice s);

#endif
