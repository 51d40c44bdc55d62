/* Owns:  reading the clocks: wall, monotonic, and which boot this is.
 * Never: decides what time it "is" for a wait (facts_tick does).
 * Spec:  clock_gettime(2), proc(5) (boot_id).
 * Start at: clock_read. */
#ifndef TLSA_SYNC_CLOCK_UV_H
#define TLSA_SYNC_CLOCK_UV_H

#include "tlsa-sync/facts.h"

/* clock_read fills `*out`. Where the kernel tells no boot id, each process counts
 * as a boot of its own: waits then only grow. */
void clock_read(struct reading *out);

/* clock_wall is the wall clock in seconds. */
struct wall clock_wall(void);

#endif
