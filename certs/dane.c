#include "certs/dane.h"

#include <assert.h>

#include "certs/der.h"

static enum ec unusable(struct why *why, const struct tlsa *kind, const char *wrong)
{
	char text[TLSA_KIND_SIZE];
	tlsa_print_kind(text, kind);
	return why_set(why, EC_UNSUPPORTED, "%s: %s", text, wrong);
}

/* Full(0) holds the thing itself. RFC 6698 2.1.3. */
static bool holds_der(enum tlsa_selector selector, struct slice data)
{
	struct slice spki;
	return selector == TLSA_CERT ? der_certificate_spki(data, &spki) : der_is_spki(data);
}

enum ec dane_record_read(struct slice rdata, struct dane_record *out, struct why *why)
{
	struct tlsa t;
	*out = (struct dane_record){ 0 };
	if (tlsa_from_rdata(rdata, &t) != EC_OK)
		return why_set(why, EC_SYNTAX, "a TLSA record of %zu octets", rdata.len);
	if (!tlsa_usable(&t, why))
		return EC_UNSUPPORTED;
	struct slice data = slice_from(rdata, 3);
	if (t.matching == TLSA_FULL && !holds_der(t.selector, data))
		return unusable(why, &t, t.selector == TLSA_CERT ? "not a certificate in DER" : "not a SubjectPublicKeyInfo in DER");
	*out = (struct dane_record){ t.usage, t.selector, t.matching, data };
	return EC_OK;
}

/* The strongest digest seen for each usage and selector; TLSA_FULL, which is 0, for none. */
struct strongest {
	enum tlsa_matching of[TLSA_DANE_EE + 1][TLSA_SPKI + 1];
};

static enum tlsa_matching *strongest_of(struct strongest *s, const struct dane_record *r)
{
	return &s->of[r->usage][r->selector];
}

/* The order of strength is that of the numbers: RFC 7671 9, RFC 7672 5. */
static_assert(TLSA_SHA512 > TLSA_SHA256 && TLSA_SHA256 > TLSA_FULL, "order of the digests");

static void note_digest(struct strongest *s, const struct dane_record *r)
{
	if (r->matching > *strongest_of(s, r))
		*strongest_of(s, r) = r->matching;
}

static bool is_weaker(struct strongest *s, const struct dane_record *r)
{
	return r->matching != TLSA_FULL && r->matching < *strongest_of(s, r);
}

void dane_select(const struct slice *rdata, size_t num, struct dane_records *out, struct why *why)
{
	struct strongest strongest = { 0 };
	struct dane_record r;
	out->num = 0;
	/* Unusable ones go first: a SHA2-512 digest of 20 octets must not push SHA2-256 out. */
	for (size_t i = 0; i < num; i++)
		if (dane_record_read(rdata[i], &r, why) == EC_OK)
			note_digest(&strongest, &r);
	for (size_t i = 0; i < num && out->num < DANE_RECORDS_MAX; i++)
		if (dane_record_read(rdata[i], &r, NULL) == EC_OK && !is_weaker(&strongest, &r))
			out->items[out->num++] = r;
}

/* What a record of this selector and matching type holds for `c`. */
static struct slice association(const struct dane_record *r, const struct dane_certificate *c)
{
	const struct cert_digests *d = &c->digests;
	bool spki = r->selector == TLSA_SPKI;
	switch (r->matching) {
	case TLSA_SHA256:
		return spki ? slice_of(d->spki_sha256, sizeof d->spki_sha256) : slice_of(d->cert_sha256, sizeof d->cert_sha256);
	case TLSA_SHA512:
		return spki ? slice_of(d->spki_sha512, sizeof d->spki_sha512) : slice_of(d->cert_sha512, sizeof d->cert_sha512);
	case TLSA_FULL:
		break;
	}
	return spki ? c->spki : c->der;
}

bool dane_matches(const struct dane_record *r, const struct dane_certificate *c)
{
	return r->data.len > 0 && slice_eq(association(r, c), r->data);
}

/* Where the first label ends: at a dot or at the end. */
static size_t label_len(struct slice name)
{
	size_t len = 0;
	while (len < name.len && name.p[len] != '.')
		len++;
	return len;
}

static bool has_dot(struct slice name)
{
	return label_len(name) < name.len;
}

bool dane_name_matches(struct slice presented, struct slice name)
{
	if (name.len > 0 && name.p[name.len - 1] == '.')
		name.len--;
	size_t first = label_len(name);
	if (first == 0)
		return false;
	if (slice_eq_nocase(presented, name))
		return true;
	if (presented.len < 3 || presented.p[0] != '*' || presented.p[1] != '.')
		return false;
	/* "*.org" would stand for all of them. */
	struct slice parent = slice_from(presented, 2);
	return has_dot(parent) && first < name.len && slice_eq_nocase(parent, slice_from(name, first + 1));
}

void dane_print_kind(char out[TLSA_KIND_SIZE], const struct dane_record *r)
{
	struct tlsa kind = { .usage = (uint8_t)r->usage, .selector = (uint8_t)r->selector, .matching = (uint8_t)r->matching };
	tlsa_print_kind(out, &kind);
}
