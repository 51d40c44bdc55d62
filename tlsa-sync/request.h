/* Owns:  what a command may ask over the control socket, as a value: from a line
 *        of JSON, and to one.
 * Never: knows an identity or answers; lets a byte through that is not checked.
 * Spec:  tlsa-sync(1), SOCKETS.
 * Start at: request_parse. */
#ifndef TLSA_SYNC_REQUEST_H
#define TLSA_SYNC_REQUEST_H

#include <jansson.h>

#include "base/ec.h"
#include "base/slice.h"

enum request_verb {
	REQUEST_HELLO,
	REQUEST_STATUS,
	REQUEST_ROLL,
	REQUEST_PLAN,
	REQUEST_EXPLAIN,
	REQUEST_HISTORY,
	REQUEST_ROTATE,
	REQUEST_ROLLBACK,
	REQUEST_ABORT,
	REQUEST_DISABLE,
	REQUEST_ENABLE,
	REQUEST_RENEW,
	REQUEST_NUM_VERBS
};

enum { REQUEST_IDENTITY_SIZE = 256, REQUEST_LINES_MAX = 99999, REQUEST_LINES = 20 };

/* struct request has every option of every verb; those that do not belong to
 * `verb` are false or 0. */
struct request {
	enum request_verb verb;
	char identity[REQUEST_IDENTITY_SIZE]; /* "": the only one, or for status and history all */
	bool colour;    /* status: with ANSI colours */
	bool rotate;    /* plan: as if a rotation were asked for now */
	bool emergency; /* rotate: the key may be known to others; plan: what that would mean */
	bool force;     /* rotate: though senders will notice; only with emergency */
	unsigned num;   /* history: lines, 1 to REQUEST_LINES_MAX; never 0 there */
};

/* request_parse reads one line. Nothing is guessed: an unknown verb or option, one that
 * does not belong to the verb, a wrong type, a key given twice are errors.
 * Returns EC_SYNTAX (no JSON object, a wrong type), EC_MISSING (no "do"),
 * EC_UNSUPPORTED (unknown verb), EC_UNKNOWN_KEY, EC_RANGE; `why` says what and what would be right. */
enum ec request_parse(struct slice line, struct request *out, struct why *why) MUST_CHECK;

/* request_json is the way back: a new reference, or NULL when out of memory.
 * request_parse of its text gives `r` again. */
json_t *request_json(const struct request *r);

/* request_name is the verb's word. */
const char *request_name(enum request_verb verb);

/* request_changes tells whether the verb asks for a change. */
bool request_changes(enum request_verb verb);

#endif
