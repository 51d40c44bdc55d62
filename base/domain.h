/* Owns:  the one spelling by which domains are compared, however they were written.
 * Never: allocates; maps letters beyond ASCII: a U-label is small and normalized
 *        by definition, so "BÜCHER" is not another spelling of "bücher".
 * Spec:  RFC 1035 2.3.3 (case); RFC 5890 2.3.2.1 (A-labels, U-labels); RFC 3492 (Punycode).
 * Start at: domain_fold. */
#ifndef BASE_DOMAIN_H
#define BASE_DOMAIN_H

#include "base/ec.h"
#include "base/slice.h"

enum { DOMAIN_LABEL_MAX = 63, DOMAIN_MAX = 253 };

/* domain_fold writes `domain` to `out` with ASCII letters small and each U-label as
 * the A-label that DNS has ("bücher" is xn--bcher-kva), NUL-ended, and sets `*out_len`.
 * Other labels are copied, whatever is in them. Returns EC_SYNTAX for octets that are not
 * UTF-8 and for an empty label (so for an empty domain or a last dot), EC_RANGE when
 * a label would have more than 63 octets or the domain more than 253. */
enum ec domain_fold(struct slice domain, char out[DOMAIN_MAX + 1], size_t *out_len) MUST_CHECK;

/* domain_without_dot leaves out the last dot of an absolute name; borrowed from `name`. */
struct slice domain_without_dot(struct slice name);

#endif
