#include "tlsa-sync/sender.h"

#include <string.h>

static const struct {
	const char *name;
	const char *words;
} verdicts[SENDER_NUM] = {
	[SENDER_VERIFIES] = { "verifies", "verifies the key and delivers" },
	[SENDER_NO_DANE] = { "no-dane", "finds no secure record, and sends without DANE" },
	[SENDER_UNAUTHENTICATED] = { "unauthenticated", "finds no record it can use, and sends over TLS without checking the key" },
	[SENDER_MISMATCH] = { "mismatch", "finds no record of this key, and defers its mail" },
	[SENDER_BOGUS] = { "bogus", "can't validate the answer, and defers its mail" },
	[SENDER_UNKNOWN] = { "unknown", "may or may not deliver: the answer could not be validated" },
};

const char *sender_words(enum sender_verdict verdict)
{
	return verdicts[verdict].words;
}

const char *sender_name(enum sender_verdict verdict)
{
	return verdicts[verdict].name;
}

/* Digest agility: of records with the same usage and selector a client looks only at those
 * with the strongest digest it knows. Whole data is no digest. RFC 7671 9. */
static bool outdone(const struct tlsa_set *set, const struct tlsa *t)
{
	if (t->matching != TLSA_SHA256)
		return false;
	for (size_t i = 0; i < set->num; i++) {
		const struct tlsa *other = &set->items[i];
		if (other->usage == t->usage && other->selector == t->selector && other->matching == TLSA_SHA512 &&
		    tlsa_usable(other, NULL))
			return true;
	}
	return false;
}

static bool is_digest(const struct tlsa *t, const uint8_t *digest, size_t len)
{
	static const uint8_t unknown[64];
	return t->len == len && memcmp(digest, unknown, len) != 0 && memcmp(t->data, digest, len) == 0;
}

static bool matches(const struct tlsa *t, const struct fact_key *k)
{
	bool spki = t->selector == TLSA_SPKI;
	if (t->usage == TLSA_DANE_TA)
		return t->matching == TLSA_SHA256 && is_digest(t, spki ? k->issuer_spki_sha256 : k->issuer_cert_sha256, 32);
	if (t->matching == TLSA_SHA256)
		return is_digest(t, spki ? k->spki_sha256 : k->cert_sha256, 32);
	return t->matching == TLSA_SHA512 && is_digest(t, spki ? k->spki_sha512 : k->cert_sha512, 64);
}

enum sender_verdict sender_sees(const struct tlsa_set *set, enum fact_validity validity, const struct fact_key *k,
                                struct tlsa *out_match)
{
	if (validity == VALIDITY_BOGUS)
		return SENDER_BOGUS;
	if (validity == VALIDITY_UNKNOWN)
		return SENDER_UNKNOWN;
	if (validity == VALIDITY_INSECURE || set->num == 0)
		return SENDER_NO_DANE;
	bool usable = false;
	for (size_t i = 0; i < set->num; i++) {
		const struct tlsa *t = &set->items[i];
		if (!tlsa_usable(t, NULL))
			continue;
		usable = true;
		if (outdone(set, t) || !matches(t, k))
			continue;
		if (out_match != NULL)
			*out_match = *t;
		return SENDER_VERIFIES;
	}
	return usable ? SENDER_MISMATCH : SENDER_UNAUTHENTICATED;
}
