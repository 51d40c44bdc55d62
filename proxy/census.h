/* Owns:  how many sessions each client address and each network has in all
 *        workers together: shared memory with a slot for each worker, and who
 *        may write what in it.
 * Never: makes or maps the memory (census_fs); never counts too few; never locks.
 * Spec:  Cormode and Muthukrishnan, "An improved data stream summary: the
 *        count-min sketch", 2005, with two rows.
 * Start at: census_add.
 *
 * A key has one cell in each of two rows, found by a keyed hash. A worker counts
 * in its own slot only; a count is the sum over all slots, and of the two rows the
 * lesser. Keys that share a cell are counted together, so a count may be too high,
 * when *both* cells are shared with somebody. For a client to be refused for the
 * sake of others they must be near the limit themselves: with H such others the
 * chance is (H / 65536)^2, with 100 of them one in 400,000. Who does not know the
 * seed can't choose addresses that meet. */
#ifndef PROXY_CENSUS_H
#define PROXY_CENSUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ec.h"

enum census_kind { CENSUS_ADDRESS, CENSUS_PREFIX, CENSUS_KINDS };
enum { CENSUS_ROWS = 2, CENSUS_CELLS = 1 << 16, CENSUS_PAGE = 4096, CENSUS_KEY = 16 };

/* census_hash is a keyed hash whose values tell nothing of the seed. */
typedef uint64_t census_hash(const uint64_t seed[2], const uint8_t *p, size_t len);

struct census_slot {
	uint32_t cells[CENSUS_KINDS][CENSUS_ROWS][CENSUS_CELLS];
};

/* struct census is the shared memory: a page, then the slots. */
struct census {
	uint32_t magic;
	uint32_t num;     /* slots */
	uint64_t seed[2]; /* secret */
	uint8_t rest[CENSUS_PAGE - 24];
	struct census_slot slots[];
};

/* census_size is the length in bytes for `num` slots. */
size_t census_size(unsigned num);

/* census_begin makes zeroed memory of census_size(num) bytes an empty census. */
void census_begin(struct census *c, unsigned num, const uint64_t seed[2]);

/* census_check tells whether `len` bytes are a census with a slot `slot`. Returns EC_CORRUPT. */
enum ec census_check(const struct census *c, size_t len, unsigned slot) MUST_CHECK;

/* census_add counts one more of `key` in `slot`, which only one process writes,
 * and returns how many there are in all slots, this one included. Two that count
 * at the same moment may both see both. `*out_fresh`: the slot had none before,
 * as far as that can be known. census_drop undoes it; `*out_gone` likewise. */
uint64_t census_add(struct census *c, census_hash *hash, unsigned slot, enum census_kind kind,
                    const uint8_t key[CENSUS_KEY], bool *out_fresh);
void census_drop(struct census *c, census_hash *hash, unsigned slot, enum census_kind kind,
                 const uint8_t key[CENSUS_KEY], bool *out_gone);

/* census_clear forgets what a slot holds: its process is gone, and its sessions with it. */
void census_clear(struct census *c, unsigned slot);

#endif
