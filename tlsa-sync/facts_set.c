/* What a set of records says about our keys: which of them are ours, and whether a
 * cache that holds it is good for a client that meets a key. */
#include <assert.h>
#include <string.h>

#include "tlsa-sync/facts_room.h"

static bool known512(const uint8_t spki_sha512[64])
{
	static const uint8_t none[64];
	return memcmp(spki_sha512, none, sizeof none) != 0;
}

bool facts_record(const uint8_t spki_sha256[32], const uint8_t spki_sha512[64], enum record_form form, struct tlsa *out)
{
	*out = tlsa_311(spki_sha256);
	if (form == FORM_311)
		return true;
	assert(form == FORM_312);
	*out = (struct tlsa){ .usage = TLSA_DANE_EE, .selector = TLSA_SPKI, .matching = TLSA_SHA512, .len = 64 };
	memcpy(out->data, spki_sha512, 64);
	return known512(spki_sha512);
}

bool facts_form(const struct tlsa *t, enum record_form *out)
{
	if (t->usage != TLSA_DANE_EE || t->selector != TLSA_SPKI)
		return false;
	*out = t->matching == TLSA_SHA512 ? FORM_312 : FORM_311;
	return (t->matching == TLSA_SHA256 && t->len == 32) || (t->matching == TLSA_SHA512 && t->len == 64);
}

int facts_digest(const struct facts *f, const uint8_t spki_sha256[32])
{
	for (size_t i = 0; i < f->num_digests; i++)
		if (f->digests[i].spki_sha256[0] == spki_sha256[0] && memcmp(f->digests[i].spki_sha256, spki_sha256, 32) == 0)
			return (int)i;
	return -1;
}

int facts_digest_of(const struct facts *f, const struct tlsa *t, enum record_form *out)
{
	if (!facts_form(t, out))
		return -1;
	if (*out == FORM_311)
		return facts_digest(f, t->data);
	for (size_t i = 0; i < f->num_digests; i++)
		if (known512(t->data) && memcmp(f->digests[i].spki_sha512, t->data, 64) == 0)
			return (int)i;
	return -1;
}

bool facts_ours(const struct facts *f, const struct tlsa *t)
{
	enum record_form form;
	int d = facts_digest_of(f, t, &form);
	return d >= 0 && (form == FORM_311 || f->digests[d].added[form].count_ms != 0);
}

/* Is the key's record of this form in the set? Asked of every digest at every answer, so
 * without making the record first. */
static bool has_form(const struct fact_digest *d, const struct tlsa_set *set, enum record_form form)
{
	const uint8_t *digest = form == FORM_311 ? d->spki_sha256 : d->spki_sha512;
	size_t len = form == FORM_311 ? sizeof d->spki_sha256 : sizeof d->spki_sha512;
	enum record_form is;
	for (size_t i = 0; i < set->num; i++)
		if (set->items[i].data[0] == digest[0] && facts_form(&set->items[i], &is) && is == form &&
		    memcmp(set->items[i].data, digest, len) == 0)
			return form == FORM_311 || known512(digest);
	return false;
}

bool facts_digest_served(const struct fact_digest *d, const struct tlsa_set *set)
{
	bool any = false;
	for (size_t i = 0; i < set->num; i++) {
		const struct tlsa *r = &set->items[i];
		enum record_form form;
		if (!tlsa_usable(r, NULL))
			continue; /* no client looks at it */
		if (!facts_form(r, &form) || !has_form(d, set, form))
			return false;
		any = true;
	}
	return any;
}

bool facts_digest_named(const struct fact_digest *d, const struct tlsa_set *set)
{
	return has_form(d, set, FORM_311) || has_form(d, set, FORM_312);
}
