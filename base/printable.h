/* Owns:  making words of others harmless: what goes to a terminal, a log or an answer.
 * Never: decides whether words may be shown at all.
 * Spec:  RFC 20 (printable characters: 0x20 to 0x7e).
 * Start at: printable. */
#ifndef BASE_PRINTABLE_H
#define BASE_PRINTABLE_H

#include <stddef.h>

/* printable puts a '?' in place of each of `len` octets that is not printable ASCII, so that
 * no terminal takes it for a command. */
void printable(char *text, size_t len);

#endif
