/* Owns:  copies of facts that leave out the rows not in use: of the 130 KB of a
 *        struct facts most are empty, and the simulator journals all the time.
 * Never: looks at what the rows say.
 * Spec:  –
 * Start at: facts_copy. */
#ifndef TESTS_SIM_COPY_H
#define TESTS_SIM_COPY_H

#include "tlsa-sync/facts.h"

/* A stretch of struct facts in use: `at` and `size` in bytes. */
struct stretch {
	size_t at, size;
};

enum { STRETCHES_MAX = 32 };

/* facts_stretches lists what is in use of `f`, in order, and returns how many there are.
 * Members it does not know of count as in use. */
size_t facts_stretches(const struct facts *f, struct stretch out[STRETCHES_MAX]);

/* facts_copy makes `to` equal `from` in all that is in use. */
void facts_copy(struct facts *to, const struct facts *from);

#endif
