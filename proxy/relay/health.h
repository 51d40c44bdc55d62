/* Owns:  what is remembered of next hops between sessions: which have failed lately,
 *        and which the operator has drained.
 * Never: forbids a failed one: it only comes behind the others, so that a hop that is
 *        back is used at once if there is no better.
 * Spec:  RFC 5321 5.1 (several addresses of one host, several hosts).
 * Start at: health_rank. */
#ifndef PROXY_RELAY_HEALTH_H
#define PROXY_RELAY_HEALTH_H

#include <stdbool.h>

#include "base/ec.h"
#include "base/instant.h"
#include "base/slice.h"

/* A target is named as the configuration names one: "192.0.2.1:25",
 * "mx1.example.org:25", "unix:/path". Names compare without case. */
enum { HEALTH_NAME_SIZE = 264, HEALTH_MAX = 1024 };

/* How long a target that failed comes last: doubled with each failure in a row. */
enum { HEALTH_FIRST_MS = 500, HEALTH_LONGEST_MS = 30000 };

enum health_rank { HEALTH_GOOD, HEALTH_FAILED, HEALTH_DRAINED };

struct health_row {
	char name[HEALTH_NAME_SIZE];
	uint32_t failures; /* in a row */
	int64_t until_ms;  /* of work's clock */
	bool drained;
};

struct health {
	size_t num;
	struct health_row *rows;
};

/* health_rank says when to try a target; without any row this costs nothing. */
enum health_rank health_rank(const struct health *h, const char *name, struct mono now);

/* health_failed and health_worked note how a try ended. With HEALTH_MAX rows in use the
 * one whose time is up first makes room; drained ones stay. Without memory nothing is noted. */
void health_failed(struct health *h, const char *name, struct mono now);
void health_worked(struct health *h, const char *name);

/* health_drain sets or lifts a drain. Returns EC_LIMIT when HEALTH_MAX are drained
 * already, EC_RANGE for a name that is too long, EC_NO_MEMORY. */
enum ec health_drain(struct health *h, const char *name, bool drained) MUST_CHECK;

void health_fini(struct health *h);

#endif
