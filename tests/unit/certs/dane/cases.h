/* Owns:  random cases for DANE verifiers: a chain as a server might send it, an RRset as
 *        a zone might hold it, the names a client looks for; and their text form.
 * Never: knows what the right verdict is. Uses nothing of certs/ but the limits.
 * Spec:  –
 * Start at: case_make. */
#ifndef TESTS_UNIT_CERTS_DANE_CASES_H
#define TESTS_UNIT_CERTS_DANE_CASES_H

#include <stdio.h>

#include <openssl/base.h>

#include "base/slice.h"

enum { CASE_CHAIN_MAX = 8, CASE_RECORDS_MAX = 10, CASE_NAMES_MAX = 2 };

struct dane_case {
	int64_t now;
	const char *names[CASE_NAMES_MAX];
	size_t num_names;
	struct bytes chain[CASE_CHAIN_MAX]; /* DER, as sent */
	size_t num_chain;
	struct bytes records[CASE_RECORDS_MAX]; /* rdata */
	size_t num_records;
	EVP_PKEY *key; /* of the leaf; borrowed from the keys */
};

/* cases_begin makes the keys that all cases share (that takes a moment), and starts the
 * random numbers; `now` is the moment at which they are to be judged. */
void cases_begin(uint64_t seed, int64_t now);
void cases_end(void);

/* case_make makes the next case; case_fini ends it. */
void case_make(struct dane_case *c);
void case_fini(struct dane_case *c);

/* case_print writes a case in lines: "now T", "name N", "record HEX", "cert HEX", "end". */
void case_print(FILE *to, const struct dane_case *c);

/* case_slices points into the case. */
void case_slices(const struct bytes *from, size_t num, struct slice *out);

#endif
