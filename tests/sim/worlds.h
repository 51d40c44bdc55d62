/* Owns:  the small worlds that are explored.
 * Never: anything else.
 * Spec:  –
 * Start at: worlds.c. */
#ifndef TESTS_SIM_WORLDS_H
#define TESTS_SIM_WORLDS_H

#include "small.h"

/* The first worlds_small take seconds. */
extern const struct small_rules worlds[];
extern const unsigned worlds_num, worlds_small;

#endif
