/* Owns:  the one list of error codes, and `struct why`, words for people.
 * Never: decides by words; programs read the code, people read the why.
 * Spec:  –
 * Start at: EC_LIST. */
#ifndef BASE_EC_H
#define BASE_EC_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/* X(name, text, retry): `retry` says whether the same call may succeed later
 * without anybody changing anything. */
#define EC_LIST(X)                                                                     \
	X(OK, "ok", false)                                                             \
	X(AGAIN, "not finished: call again when more has arrived", true)               \
	X(NO_MEMORY, "out of memory", true)                                            \
	X(IO, "input or output failed", true)                                          \
	X(CLOSED, "the peer closed the connection", true)                              \
	X(TIMEOUT, "no answer in time", true)                                          \
	X(NO_SPACE, "the result does not fit", false)                                  \
	X(SYNTAX, "malformed", false)                                                  \
	X(RANGE, "out of range", false)                                                \
	X(UNKNOWN_KEY, "unknown key", false)                                           \
	X(DUPLICATE, "given twice", false)                                             \
	X(MISSING, "missing", false)                                                   \
	X(NOT_FOUND, "not found", false)                                               \
	X(EXISTS, "already there", false)                                              \
	X(PERMISSION, "permission denied or too open", false)                          \
	X(CORRUPT, "damaged", false)                                                   \
	X(UNSUPPORTED, "not supported", false)                                         \
	X(BUSY, "another change is under way", true)                                   \
	X(CANCELLED, "cancelled", false)                                               \
	X(LINE_LONG, "line too long", false)                                           \
	X(BARE_LF, "bare LF", false)                                                   \
	X(BARE_CR, "bare CR", false)                                                   \
	X(NUL, "NUL octet", false)                                                     \
	X(LIMIT, "a limit was reached", true)                                          \
	X(DNS_FAILED, "the DNS look-up failed", true)                                  \
	X(DNS_BOGUS, "DNSSEC validation failed", true)                                 \
	X(DNS_INSECURE, "the zone is not signed, or not securely delegated", false)    \
	X(DNS_REFUSED, "the DNS server refused", false)                                \
	X(TSIG, "TSIG check failed", false)                                            \
	X(OUTCOME_UNKNOWN, "sent, but not known to have taken effect", true)           \
	X(TLS, "TLS failed", true)                                                     \
	X(KEY_MISMATCH, "key and certificate do not belong together", false)           \
	X(PIN_MISMATCH, "DNS does not pin this key", false)                            \
	X(PIN_UNPROVEN, "it could not be proven that DNS pins this key", true)         \
	X(EXPIRED, "expired or not yet valid", false)                                  \
	X(INVARIANT, "refused: it would break a promise to senders", false)

enum ec {
#define EC_ENUM(name, text, retry) EC_##name,
	EC_LIST(EC_ENUM)
#undef EC_ENUM
	EC_COUNT
};

#define MUST_CHECK __attribute__((warn_unused_result))

/* ec_name returns the identifier, "EC_TIMEOUT"; ec_text a short phrase.
 * Both are static. ec_retry tells if trying again later can help. */
const char *ec_name(enum ec ec);
const char *ec_text(enum ec ec);
bool ec_retry(enum ec ec);

/* ec_parse sets `*out` to the code whose ec_name is `name`. Returns false if
 * there is none. */
bool ec_parse(const char *name, enum ec *out);

enum { WHY_SIZE = 512 };

/* struct why collects the reason for a refusal or a wait, in words. The caller
 * owns it; start with `struct why why = { 0 };`. Too long a text is cut. */
struct why {
	char text[WHY_SIZE];
};

/* why_set replaces the text and returns `ec`, so that a failing function can
 * end with `return why_set(why, EC_RANGE, "…");`. `why` may be NULL. */
enum ec why_set(struct why *why, enum ec ec, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* why_prefix puts "<formatted>: " before the text. `why` may be NULL. */
void why_prefix(struct why *why, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
