/* Owns:  how transactions went out, by connector and domain: how many with which trust,
 *        how many were refused for which reason. Workers keep one each and hand it on as
 *        JSON; the supervisor adds them up.
 * Never: grows without bound: beyond LEDGER_MAX rows the domains of a connector are
 *        counted together, as "*", and beyond twice as many no others. Holds a name that a terminal could take for a
 *        command: rows with octets other than visible ASCII are not counted.
 * Spec:  –
 * Start at: ledger_note. */
#ifndef PROXY_RELAY_LEDGER_H
#define PROXY_RELAY_LEDGER_H

#include <jansson.h>

#include "base/ec.h"
#include "base/names.h"
#include "proxy/relay/route.h"
#include "proxy/relay/trust.h"
#include "proxy/smtp/reply.h"

enum { LEDGER_MAX = 10000 };

struct ledger_row {
	struct names_item item; /* first */
	char key[ROUTE_CONNECTOR_SIZE + ROUTE_NAME_SIZE]; /* "connector:domain" */
	const char *domain; /* in the key */
	uint64_t trusts[TRUST_NUM];
	uint64_t refusals[SMTP_REASON_COUNT];
};

struct ledger {
	struct names rows; /* of struct ledger_row, in the order of connector and domain */
};

/* ledger_note counts one transaction: with `trust`, or, unless `refused` is SMTP_WHY_NONE, none. Without
 * memory or room it is not counted. */
void ledger_note(struct ledger *l, const char *connector, struct slice domain, enum trust trust, enum smtp_reason refused);

/* ledger_json gives all rows as [{"connector":…,"domain":…,"trust":{"dane":3},"refused":{"hop_dns":1}}], or
 * NULL without memory. ledger_merge adds such rows up. Returns EC_SYNTAX, EC_LIMIT, EC_NO_MEMORY; rows
 * before the bad one were added then. */
json_t *ledger_json(const struct ledger *l);
enum ec ledger_merge(struct ledger *l, const json_t *rows) MUST_CHECK;

/* ledger_row_json gives one of them. */
json_t *ledger_row_json(const struct ledger_row *row);

bool ledger_empty(const struct ledger *l);
/* ledger_fini forgets everything; the ledger can be used again. */
void ledger_fini(struct ledger *l);

#endif
