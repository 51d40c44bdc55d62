/* Owns:  tables of states: names and which state may follow which.
 * Never: holds a state; the owner does, and changes it only through one enter().
 * Spec:  –
 * Start at: struct step_row. */
#ifndef BASE_STEPS_H
#define BASE_STEPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STEP(state) (UINT64_C(1) << (state))

/* struct step_row is one state: its name and the set of states that may follow,
 * an OR of STEP(...). */
struct step_row {
	const char *name;
	uint64_t next;
};

/* step_allowed tells whether `to` may follow `from` in `rows`. */
bool step_allowed(const struct step_row *rows, size_t num_rows, unsigned from, unsigned to);

/* step_table_ok tells whether every row has a name and follows only into rows
 * that exist; a unit test asks it of each table. */
bool step_table_ok(const struct step_row *rows, size_t num_rows);

#endif
