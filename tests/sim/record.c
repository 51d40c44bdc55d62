/* Records as numbers; a digest says what it is of, so that generations can be
 * renumbered wherever they occur. */
#include <string.h>

#include "small.h"

enum { MARK = 0xa5, IS_512 = 0x80 };

record record_make(unsigned form, unsigned algorithm, unsigned instance, unsigned generation)
{
	return (record)(form << 12 | instance << 10 | algorithm << 8 | generation);
}

unsigned record_form_of(record r)
{
	return r >> 12;
}

unsigned record_instance(record r)
{
	return r >> 10 & 3;
}

unsigned record_generation(record r)
{
	return r & 0xff;
}

record record_with_generation(record r, unsigned generation)
{
	return (record)((r & ~0xffU) | generation);
}

static const struct {
	uint8_t usage, selector, matching;
} forms[HAND_NUM] = {
	[FORM_311] = { 3, 1, 1 },
	[FORM_312] = { 3, 1, 2 },
	[HAND_301] = { 3, 0, 1 },
	[HAND_211] = { 2, 1, 1 },
};

struct tlsa record_tlsa(record r)
{
	unsigned form = record_form_of(r);
	struct tlsa t = { .usage = forms[form].usage, .selector = forms[form].selector, .matching = forms[form].matching };
	t.len = t.matching == 2 ? 64 : 32;
	memset(t.data, MARK, t.len);
	t.data[0] = (uint8_t)(r >> 8);
	t.data[1] = (uint8_t)r;
	return t;
}

bool record_read(const struct tlsa *t, record *out)
{
	*out = (record)(t->data[0] << 8 | t->data[1]);
	struct tlsa same = record_tlsa(*out);
	return record_form_of(*out) < HAND_NUM && tlsa_eq(t, &same);
}

record record_spki(const uint8_t spki_sha256[32])
{
	return (record)(spki_sha256[0] << 8 | spki_sha256[1]);
}

void record_rename(uint8_t *digest, unsigned generation)
{
	digest[1] = (uint8_t)generation;
}
