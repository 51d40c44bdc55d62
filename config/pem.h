/* Owns:  finding certificates in a text of PEM, for whoever checks a file of CAs and for
 *        whoever uses it: one reader, so that what was checked is what is used.
 * Never: passes over a damaged certificate; looks into one.
 * Spec:  RFC 7468 2, 5.
 * Start at: pem_next. */
#ifndef CONFIG_PEM_H
#define CONFIG_PEM_H

#include "base/ec.h"
#include "base/slice.h"

/* struct pem is where one is in a text. Set `rest` to the text; pem_fini when done. */
struct pem {
	struct slice rest;
	size_t num;        /* of the present certificate, from 1 */
	struct bytes body; /* its base64, without blanks: a multiple of 4 octets, not empty */
};

/* pem_next goes to the next certificate. Blocks of other kinds, and words between, are passed
 * over. Returns EC_MISSING when there is no more, EC_CORRUPT when certificate `num` is cut off
 * or damaged (`why` gives the number), EC_NO_MEMORY. */
enum ec pem_next(struct pem *p, struct why *why) MUST_CHECK;
void pem_fini(struct pem *p);

/* pem_check: is there a certificate in the text of the file `path`, and each one whole? Returns
 * EC_CORRUPT, EC_SYNTAX (none), EC_NO_MEMORY; `why` names the file, and the certificate by its number. */
enum ec pem_check(const char *path, struct slice text, struct why *why) MUST_CHECK;

/* pem_is_blank: may it stand between the digits? pem_is_base64: digits in fours, the last ones perhaps "=" (RFC 4648 4); nothing is, too. */
bool pem_is_blank(uint8_t c);
bool pem_is_base64(struct slice s);

#endif
