/* Owns:  the issuer `command` in the simulator: a CA that is slow, down, or signs another key, and what
 *        has to be true of a certificate when its key is presented.
 * Never: delays anything but itself: the command runs beside all else.
 * Spec:  –
 * Start at: issue_start. */
#ifndef TESTS_SIM_ISSUE_H
#define TESTS_SIM_ISSUE_H

#include "drive.h"

/* issue_start runs the command as `dec` asks; issue_run lets it finish if it is time to;
 * issue_wait_ms is how long a wait of `ms` is then; issue_crash ends it with tlsa-sync, and
 * issue_restarted is what the shell notes of that at its start. */
void issue_start(struct drive *d, const struct decision *dec);
void issue_run(struct drive *d);
int64_t issue_wait_ms(const struct drive *d, int64_t ms);
void issue_crash(struct drive *d);
void issue_restarted(struct drive *d);

/* issue_soon: may another certificate be there before somebody has looked at the zone again? */
bool issue_soon(struct drive *d);

/* issue_check_swap: a planned roll goes only to keys with a certificate of the CA's that is valid. */
void issue_check_swap(struct drive *d, unsigned instance, uint64_t generation);
/* issue_all_good: does every key that is presented have one? */
bool issue_all_good(const struct drive *d);

#endif
