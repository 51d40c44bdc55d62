/* Owns:  a domain name as a value: wire form, lower-cased, no compression.
 * Never: allocates; accepts a label over 63 or a name over 255 octets.
 * Spec:  RFC 1035 3.1, 2.3.4, 5.1 (escapes); RFC 4343 (case).
 * Start at: struct dns_name. */
#ifndef DNS_NAME_H
#define DNS_NAME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ec.h"
#include "base/slice.h"

enum {
	DNS_NAME_WIRE_MAX = 255,
	DNS_LABEL_MAX = 63,
	/* every octet as \DDD, the dots, a NUL */
	DNS_NAME_TEXT_SIZE = 1024
};

/* struct dns_name holds `len` octets of wire form, the root label included, so
 * a name that was set has len >= 1; len 0 means "no name". ASCII letters are
 * lower case, so equal names are equal bytes. */
struct dns_name {
	uint8_t len;
	uint8_t wire[DNS_NAME_WIRE_MAX];
};

/* dns_name_parse reads "mx1.example.org", with or without the last dot, with
 * \DDD and \X escapes; "." is the root. Returns EC_SYNTAX (empty label, bad
 * escape, empty text) or EC_RANGE (label over 63, name over 255 octets);
 * `*out` is then no name. No IDN: give it A-labels. RFC 1035 5.1. */
enum ec dns_name_parse(struct slice text, struct dns_name *out, struct why *why) MUST_CHECK;

/* dns_name_from_wire takes an uncompressed name that fills `wire` exactly.
 * Returns EC_SYNTAX for anything else. */
enum ec dns_name_from_wire(struct slice wire, struct dns_name *out) MUST_CHECK;

/* dns_name_print writes text without the last dot ("." for the root, "-" for
 * no name); what is not a letter, digit, '-', '_' or '*' becomes \DDD or \X. */
void dns_name_print(char out[DNS_NAME_TEXT_SIZE], const struct dns_name *n);

struct slice dns_name_wire(const struct dns_name *n);
bool dns_name_eq(const struct dns_name *a, const struct dns_name *b);
bool dns_name_is_root(const struct dns_name *n);

/* dns_name_labels counts labels without the root's: "a.b" has 2. */
unsigned dns_name_labels(const struct dns_name *n);

/* dns_name_parent sets `*out` to `n` without its first label. Returns false
 * (out untouched) for the root and for no name. `out` may be `n`. */
bool dns_name_parent(const struct dns_name *n, struct dns_name *out);

/* dns_name_under tells whether `n` is `ancestor` or below it. */
bool dns_name_under(const struct dns_name *n, const struct dns_name *ancestor);

/* dns_name_prepend puts labels given as text ("_25._tcp") before `n`. Errors as
 * dns_name_parse. `out` may be `n`. */
enum ec dns_name_prepend(const char *labels, const struct dns_name *n, struct dns_name *out, struct why *why)
	MUST_CHECK;

#endif
