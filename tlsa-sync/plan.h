/* Owns:  the plan: dated future steps, found by running rollover_decide over a
 *        copy of the facts in a world where everything works at once.
 * Never: touches the facts given; its dates are estimates and say so.
 * Spec:  –
 * Start at: rollover_plan. */
#ifndef TLSA_SYNC_PLAN_H
#define TLSA_SYNC_PLAN_H

#include <jansson.h>

#include "tlsa-sync/rollover.h"

enum { PLAN_MAX = 24 };

struct plan_step {
	struct wall at;
	enum rollover_state state;
	char words[WHY_SIZE];
};

struct plan {
	size_t num;
	struct plan_step steps[PLAN_MAX];
};

/* rollover_plan lists the states from now to the steady state, beginning with
 * the present one. With `rotate` it shows what a rotation asked for now would do.
 * EC_NO_MEMORY. */
enum ec rollover_plan(const struct facts *f, const struct policy *p, struct stamp now, bool rotate,
                      struct plan *out) MUST_CHECK;

/* plan_json returns a new reference, or NULL when out of memory; plan_text
 * appends one line per step. EC_NO_MEMORY. */
json_t *plan_json(const struct plan *plan);
enum ec plan_text(const struct plan *plan, struct bytes *out) MUST_CHECK;

#endif
