/* Owns:  reading what a danegate says on its control socket into plain values.
 * Never: trusts it: what is out of bounds is refused, with words.
 * Spec:  danegate(8), CONTROL SOCKET.
 * Start at: agent_report_read. */
#ifndef TLSA_SYNC_AGENT_REPORT_H
#define TLSA_SYNC_AGENT_REPORT_H

#include <jansson.h>

#include "certs/generation.h"
#include "tlsa-sync/facts.h"

enum { AGENT_GENERATIONS_MAX = 24 };

/* struct agent_report owns what its `report` points to. */
struct agent_report {
	struct report report;
	struct generation generations[AGENT_GENERATIONS_MAX];
	char words[FACT_WORDS];
};

/* agent_report_read takes the part about `identity` (compared without case) out
 * of an answer to {"do":"report"}. Returns EC_NOT_FOUND when that danegate does not
 * serve the identity, EC_SYNTAX for anything malformed (a digest that is not 64
 * hex digits, an algorithm without a name, a number given twice), EC_LIMIT for more than
 * AGENT_GENERATIONS_MAX generations. Borrows `answer`. */
enum ec agent_report_read(const json_t *answer, const char *identity, struct agent_report *out,
                          struct why *why) MUST_CHECK;

#endif
