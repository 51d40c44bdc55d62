#include "proxy/census.h"

#include <assert.h>
#include <string.h>

enum { CENSUS_MAGIC = 0x63656e73 };

_Static_assert(sizeof(struct census) == CENSUS_PAGE, "slots begin on a page");
_Static_assert(sizeof(struct census_slot) % CENSUS_PAGE == 0, "and are whole pages");

size_t census_size(unsigned num)
{
	return sizeof(struct census) + num * sizeof(struct census_slot);
}

void census_begin(struct census *c, unsigned num, const uint64_t seed[2])
{
	c->seed[0] = seed[0];
	c->seed[1] = seed[1];
	c->num = num;
	c->magic = CENSUS_MAGIC;
}

enum ec census_check(const struct census *c, size_t len, unsigned slot)
{
	if (len < sizeof *c || c->magic != CENSUS_MAGIC || slot >= c->num || len < census_size(c->num))
		return EC_CORRUPT;
	return EC_OK;
}

struct place {
	uint32_t cell[CENSUS_ROWS];
};

/* Both rows from one hash: 16 bits for each. */
static struct place place_of(const struct census *c, census_hash *hash, enum census_kind kind, const uint8_t *key)
{
	uint8_t text[CENSUS_KEY + 1];
	memcpy(text, key, CENSUS_KEY);
	text[CENSUS_KEY] = (uint8_t)kind;
	uint64_t h = hash(c->seed, text, sizeof text);
	return (struct place){ { (uint32_t)(h % CENSUS_CELLS), (uint32_t)((h >> 32) % CENSUS_CELLS) } };
}

uint64_t census_add(struct census *c, census_hash *hash, unsigned slot, enum census_kind kind,
                    const uint8_t key[CENSUS_KEY], bool *out_fresh)
{
	struct place at = place_of(c, hash, kind, key);
	uint64_t least = UINT64_MAX;
	*out_fresh = false;
	/* First our own step, then everybody's sum: of two at the same moment, one at least sees the other. */
	for (unsigned row = 0; row < CENSUS_ROWS; row++)
		*out_fresh |= __atomic_add_fetch(&c->slots[slot].cells[kind][row][at.cell[row]], 1, __ATOMIC_SEQ_CST) == 1;
	for (unsigned row = 0; row < CENSUS_ROWS; row++) {
		uint64_t sum = 0;
		for (unsigned s = 0; s < c->num; s++)
			sum += __atomic_load_n(&c->slots[s].cells[kind][row][at.cell[row]], __ATOMIC_SEQ_CST);
		least = sum < least ? sum : least;
	}
	return least;
}

void census_drop(struct census *c, census_hash *hash, unsigned slot, enum census_kind kind,
                 const uint8_t key[CENSUS_KEY], bool *out_gone)
{
	struct place at = place_of(c, hash, kind, key);
	*out_gone = false;
	for (unsigned row = 0; row < CENSUS_ROWS; row++) {
		uint32_t left = __atomic_fetch_sub(&c->slots[slot].cells[kind][row][at.cell[row]], 1, __ATOMIC_SEQ_CST);
		assert(left > 0);
		*out_gone |= left == 1;
	}
}

void census_clear(struct census *c, unsigned slot)
{
	struct census_slot *s = &c->slots[slot];
	for (unsigned kind = 0; kind < CENSUS_KINDS; kind++)
		for (unsigned row = 0; row < CENSUS_ROWS; row++)
			for (unsigned i = 0; i < CENSUS_CELLS; i++)
				__atomic_store_n(&s->cells[kind][row][i], 0, __ATOMIC_RELAXED);
}
