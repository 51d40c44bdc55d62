/* Owns:  the simulator's random numbers: the same seed, the same world.
 * Never: anything else.
 * Spec:  splitmix64 (public domain algorithm, written out here).
 * Start at: rng_next. */
#ifndef TESTS_SIM_RNG_H
#define TESTS_SIM_RNG_H

#include <stdbool.h>
#include <stdint.h>

struct rng {
	uint64_t x;
};

static inline uint64_t rng_next(struct rng *r)
{
	uint64_t z = (r->x += UINT64_C(0x9e3779b97f4a7c15));
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* rng_upto gives 0 … n-1; rng_between a … b; rng_chance true in `per_mille` of 1000. */
static inline int64_t rng_upto(struct rng *r, int64_t n)
{
	return (int64_t)(rng_next(r) % (uint64_t)n);
}

static inline int64_t rng_between(struct rng *r, int64_t a, int64_t b)
{
	return a + rng_upto(r, b - a + 1);
}

static inline bool rng_chance(struct rng *r, int per_mille)
{
	return rng_upto(r, 1000) < per_mille;
}

#endif
