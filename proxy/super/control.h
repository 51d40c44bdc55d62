/* Owns:  what may be asked on the control socket: one line -> one request with its
 *        arguments, or words that say what would be right.
 * Never: knows which identities or generations there are; runs nothing.
 * Spec:  danegate(8), CONTROL SOCKET; RFC 8259.
 * Start at: control_parse. */
#ifndef PROXY_CONTROL_H
#define PROXY_CONTROL_H

#include <jansson.h>

#include "base/slice.h"
#include "certs/generation.h"

enum control_command {
	CONTROL_HELLO,
	CONTROL_REPORT,
	CONTROL_PREPARE,
	CONTROL_CSR,
	CONTROL_INSTALL,
	CONTROL_RENEW,
	CONTROL_SWAP,
	CONTROL_RETIRE,
	CONTROL_RELOAD,
	CONTROL_DRAIN,
	CONTROL_UNDRAIN,
	CONTROL_NUM
};

/* struct control_request is one request. Arguments that its command does not take are
 * NULL or 0. */
struct control_request {
	enum control_command command;
	const char *identity; /* 1 to 253 visible ASCII octets, as a host name has; for a report it may be NULL */
	uint64_t from; /* of a report: the first identity to tell of, counted from 0 */
	uint64_t generation; /* at least 1 */
	enum key_algorithm algorithm;
	const char *chain; /* PEM, not empty; not looked at */
	const char *hop;   /* next hop: 1 to 263 visible ASCII octets */
	json_t *json; /* holds the texts above */
};

/* control_parse reads one line, its newline removed. On success the caller ends `*out`
 * with control_fini; `line` is not needed any more. Members that a command does not
 * take are passed over, so that a later client can say more.
 * Returns EC_SYNTAX (no JSON object, a member of the wrong type), EC_MISSING,
 * EC_UNKNOWN_KEY (the command), EC_RANGE, with `why` in printable ASCII; `*out` is
 * then empty. */
enum ec control_parse(struct slice line, struct control_request *out, struct why *why) MUST_CHECK;
void control_fini(struct control_request *r);

/* control_word is the command as "do" says it; static. */
const char *control_word(enum control_command command);

#endif
