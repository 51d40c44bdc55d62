/* Owns:  the outer shape of an X.509 certificate and of a SubjectPublicKeyInfo in DER:
 *        enough to find the key in a certificate and to tell rubbish.
 * Never: decodes a key, a name or a date.
 * Spec:  X.690 8.1, 10.1; RFC 5280 4.1.
 * Start at: der_certificate_spki. */
#ifndef CERTS_DER_H
#define CERTS_DER_H

#include <stdbool.h>

#include "base/slice.h"

/* der_certificate_spki tells whether `der` is one certificate and nothing behind it, and
 * sets `*out_spki` to its SubjectPublicKeyInfo, with tag and length, borrowed from `der`. */
bool der_certificate_spki(struct slice der, struct slice *out_spki);

/* der_is_spki tells whether `der` is one SubjectPublicKeyInfo and nothing behind it. */
bool der_is_spki(struct slice der);

#endif
