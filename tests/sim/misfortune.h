/* Owns:  what goes wrong in the simulator while the controller waits, and what people do
 *        behind its back.
 * Never: makes something happen that nobody could keep a promise about: an old set
 *        that nobody can see before it matters.
 * Spec:  –
 * Start at: misfortune. */
#ifndef TESTS_SIM_MISFORTUNE_H
#define TESTS_SIM_MISFORTUNE_H

#include "drive.h"

/* misfortune lets one thing happen; `dec` is what the controller decided last. */
void misfortune(struct drive *d, const struct decision *dec);

/* DANE is off, and the state says that keys may be changed: somebody changes one. */
void misfortune_by_hand(struct drive *d);

#endif
