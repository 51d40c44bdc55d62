/* Owns:  characters out of UTF-8.
 * Never: accepts what is malformed, overlong, a surrogate or beyond U+10FFFF.
 * Spec:  RFC 3629 3, 4.
 * Start at: utf8_next. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/slice.h"

/* utf8_next gives the length (1 to 4) of the character at the start of `s`, which
 * is not empty, and sets `*out` to its number; or 0 when there is none. */
size_t utf8_next(struct slice s, uint32_t *out);

#endif
