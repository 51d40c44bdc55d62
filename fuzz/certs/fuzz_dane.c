/* DANE: what is kept of an RRset, whatever its order, and what it matches.
 * Input: the number of records; each with its length in two octets before it; a certificate
 * likewise; two names with a NUL between them. */
#include "certs/dane.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "certs/der.h"

enum { RECORDS_MAX = 48 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static bool same(const struct dane_record *a, const struct dane_record *b)
{
	return a->usage == b->usage && a->selector == b->selector && a->matching == b->matching && slice_eq(a->data, b->data);
}

static bool has(const struct dane_records *records, const struct dane_record *r)
{
	for (size_t i = 0; i < records->num; i++)
		if (same(&records->items[i], r))
			return true;
	return false;
}

/* Kept are only usable records, and none beside a stronger digest of its usage and selector. */
static void check_kept(const struct dane_records *kept)
{
	for (size_t i = 0; i < kept->num; i++) {
		const struct dane_record *r = &kept->items[i];
		assert(r->usage == TLSA_DANE_TA || r->usage == TLSA_DANE_EE);
		assert(r->selector <= TLSA_SPKI && r->matching <= TLSA_SHA512 && r->data.len > 0);
		assert(r->matching != TLSA_SHA256 || r->data.len == 32);
		assert(r->matching != TLSA_SHA512 || r->data.len == 64);
		for (size_t k = 0; k < kept->num; k++) {
			const struct dane_record *o = &kept->items[k];
			bool digests = r->matching != TLSA_FULL && o->matching != TLSA_FULL;
			assert(!digests || r->usage != o->usage || r->selector != o->selector || r->matching == o->matching);
		}
	}
}

/* Dropped is only what is unusable, or weaker than something kept, or too many. */
static void check_dropped(const struct slice *rdata, size_t num, const struct dane_records *kept)
{
	for (size_t i = 0; i < num; i++) {
		struct dane_record r;
		struct why why = { 0 };
		bool usable = dane_record_read(rdata[i], &r, &why) == EC_OK;
		assert(usable == (why.text[0] == '\0'));
		bool excused = !usable || kept->num == DANE_RECORDS_MAX || has(kept, &r);
		for (size_t k = 0; k < kept->num && !excused; k++) {
			const struct dane_record *o = &kept->items[k];
			excused = o->usage == r.usage && o->selector == r.selector && r.matching != TLSA_FULL && o->matching > r.matching;
		}
		assert(excused);
	}
}

static void check_order(const struct slice *rdata, size_t num, const struct dane_records *kept)
{
	struct slice backwards[RECORDS_MAX];
	struct dane_records other;
	for (size_t i = 0; i < num; i++)
		backwards[i] = rdata[num - 1 - i];
	dane_select(backwards, num, &other, NULL);
	assert(other.num == kept->num);
	for (size_t i = 0; i < other.num && other.num < DANE_RECORDS_MAX; i++)
		assert(has(kept, &other.items[i]));
}

static void check_matches(const struct dane_records *kept, struct slice der)
{
	struct dane_certificate c = { .der = der };
	if (!der_certificate_spki(der, &c.spki))
		return;
	assert(der_is_spki(c.spki) && c.spki.p > der.p && c.spki.p + c.spki.len < der.p + der.len);
	memset(c.digests.spki_sha256, 's', sizeof c.digests.spki_sha256);
	memset(c.digests.cert_sha256, 'c', sizeof c.digests.cert_sha256);
	for (size_t i = 0; i < kept->num; i++) {
		const struct dane_record *r = &kept->items[i];
		bool matches = dane_matches(r, &c);
		if (r->matching == TLSA_FULL)
			assert(matches == slice_eq(r->data, r->selector == TLSA_SPKI ? c.spki : der));
		else if (r->matching == TLSA_SHA256)
			assert(!matches || r->data.p[0] == (r->selector == TLSA_SPKI ? 's' : 'c'));
	}
}

static void check_names(struct slice text)
{
	const uint8_t *nul = text.len == 0 ? NULL : memchr(text.p, 0, text.len);
	if (nul == NULL)
		return;
	struct slice presented = slice_first(text, (size_t)(nul - text.p)), name = slice_from(text, presented.len + 1);
	if (!dane_name_matches(presented, name))
		return;
	/* Either the name itself, or all but its first label. */
	struct slice bare = name.p[name.len - 1] == '.' ? slice_first(name, name.len - 1) : name;
	size_t first = 0;
	while (first < bare.len && bare.p[first] != '.')
		first++;
	bool wild = presented.len > 2 && presented.p[0] == '*' && slice_eq_nocase(slice_from(presented, 1), slice_from(bare, first));
	assert(first > 0 && (slice_eq_nocase(presented, bare) || wild));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct reader r = reader_of(slice_of(data, len));
	struct slice rdata[RECORDS_MAX];
	struct dane_records kept;
	size_t num = reader_u8(&r) % (RECORDS_MAX + 1);
	for (size_t i = 0; i < num; i++)
		rdata[i] = reader_bytes(&r, reader_u16be(&r));
	struct slice der = reader_bytes(&r, reader_u16be(&r));
	if (r.bad)
		return 0;
	dane_select(rdata, num, &kept, NULL);
	check_kept(&kept);
	check_dropped(rdata, num, &kept);
	check_order(rdata, num, &kept);
	check_matches(&kept, der);
	check_names(r.rest);
	return 0;
}
