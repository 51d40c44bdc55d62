/* Owns:  the canonical form of a state of a small world: states that can't be told
 *        apart by anything that follows have the same one, and there are finitely many.
 * Never: changes what will happen.
 * Spec:  –
 * Start at: canonical.
 *
 * What goes: moments become ages, and beyond the longest wait of the policy only their order
 * counts; generations are numbered from 1; words, serials and dates for people are empty; answers in
 * a row are counted up to what the policy asks for; digests nobody can meet again are
 * forgotten, and what has no order is sorted. */
#ifndef TESTS_SIM_CANON_H
#define TESTS_SIM_CANON_H

#include "small.h"

enum { ENCODED_MAX = 64 * 1024 };

/* canonical rewrites the run's facts, world and clocks. */
void canonical(struct small_run *r);

/* canonical_encode writes them to `out` and returns how many bytes; canonical_decode
 * reads them back. */
size_t canonical_encode(const struct small_run *r, uint8_t out[ENCODED_MAX]);
void canonical_decode(struct small_run *r, const uint8_t *in);

#endif
