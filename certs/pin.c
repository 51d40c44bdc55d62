#include "certs/pin.h"

#include <assert.h>
#include <string.h>

/* What each outcome of the look-up means by itself (RFC 7672 2.1, 2.2). A secure
 * set is judged record by record. */
static const struct {
	enum ec new_key; /* for keys that were never presented */
	bool warning;
	const char *words;
} outcomes[] = {
	[PIN_DNS_SECURE] = { EC_OK, false, "" },
	[PIN_DNS_ABSENT] = { EC_OK, false, "DNS proves that there are no TLSA records: nobody pins us" },
	[PIN_DNS_INSECURE] = { EC_OK, true,
	                       "the zone is not signed, or not securely delegated: senders use no TLSA records, DANE is off" },
	[PIN_DNS_BOGUS] = { EC_PIN_UNPROVEN, true, "the TLSA answer failed DNSSEC validation" },
	[PIN_DNS_FAILED] = { EC_PIN_UNPROVEN, true, "the TLSA look-up gave no answer" },
};

/* The digest of `cert` that a record of this selector and matching type holds. */
static struct slice digest_of(const struct tlsa *record, const struct cert_digests *cert)
{
	switch (record->selector << 8 | record->matching) {
	case TLSA_SPKI << 8 | TLSA_SHA256:
		return slice_of(cert->spki_sha256, sizeof cert->spki_sha256);
	case TLSA_SPKI << 8 | TLSA_SHA512:
		return slice_of(cert->spki_sha512, sizeof cert->spki_sha512);
	case TLSA_CERT << 8 | TLSA_SHA256:
		return slice_of(cert->cert_sha256, sizeof cert->cert_sha256);
	case TLSA_CERT << 8 | TLSA_SHA512:
		return slice_of(cert->cert_sha512, sizeof cert->cert_sha512);
	default:
		/* Full(0): too large for a record of ours, and never to be published
		 * for SMTP (RFC 7672 3.1). Not comparing it means not proven. */
		return (struct slice){ 0 };
	}
}

bool pin_matches(const struct tlsa *record, const struct key_info *key)
{
	if (!tlsa_usable(record, NULL))
		return false;
	/* DANE-EE is the leaf and nothing else; DANE-TA a certificate that we send
	 * above it, for a sender has no other way to see it (RFC 7671 5.1, 5.2.2). */
	bool leaf = record->usage == TLSA_DANE_EE;
	if (!key->certified && (!leaf || record->selector != TLSA_SPKI))
		return false;
	size_t first = leaf ? 0 : 1, end = leaf ? 1 : key->num_chain;
	for (size_t i = first; i < end; i++) {
		struct slice digest = digest_of(record, &key->chain[i]);
		if (digest.len > 0 && slice_eq(digest, slice_of(record->data, record->len)))
			return true;
	}
	return false;
}

static bool same_kind(const struct tlsa *a, const struct tlsa *b)
{
	return a->usage == b->usage && a->selector == b->selector && a->matching == b->matching;
}

/* Is there a usable record of the kind of `kind` that matches `key`? */
static bool kind_matches(const struct tlsa_set *set, const struct tlsa *kind, const struct key_info *key)
{
	for (unsigned i = 0; i < set->num; i++)
		if (same_kind(&set->items[i], kind) && pin_matches(&set->items[i], key))
			return true;
	return false;
}

static enum ec mismatch(const struct tlsa_set *set, const struct tlsa *kind, const struct key_info *key, struct why *why)
{
	char text[TLSA_KIND_SIZE], ours[2 * 64 + 1] = "", theirs[200];
	struct writer w = writer_of(theirs, sizeof theirs);
	tlsa_print_kind(text, kind);
	/* At most two, by their first octets: enough to recognise them. */
	unsigned shown = 0;
	for (unsigned i = 0; i < set->num; i++) {
		if (!same_kind(&set->items[i], kind))
			continue;
		char hex[17];
		hex_encode(hex, slice_of(set->items[i].data, set->items[i].len < 8 ? set->items[i].len : 8));
		if (shown++ < 2)
			writer_format(&w, "%s%s...", shown == 1 ? "" : ", ", hex);
	}
	if (kind->matching == TLSA_FULL)
		return why_set(why, EC_PIN_MISMATCH,
		               "DNS has a %s record, which can't be checked and must not be used for SMTP (RFC 7672 "
		               "3.1); remove it",
		               text);
	if (kind->usage == TLSA_DANE_TA)
		return why_set(why, EC_PIN_MISMATCH,
		               "DNS pins with %s (%u of them: %s), and no certificate above the leaf in the %s chain (%zu "
		               "certificates) matches",
		               text, shown, theirs, key_algorithm_name(key->algorithm), key->num_chain);
	struct slice digest = digest_of(kind, &key->chain[0]);
	hex_encode(ours, key->certified || kind->selector == TLSA_SPKI ? digest : (struct slice){ 0 });
	return why_set(why, EC_PIN_MISMATCH, "DNS pins with %s (%u of them: %s), and the %s key has %s", text, shown, theirs,
	               key_algorithm_name(key->algorithm), *ours == '\0' ? "no certificate" : ours);
}

static enum ec judge_secure(const struct pin_question *q, struct pin_answer *out, struct why *why)
{
	const struct tlsa_set *set = q->records;
	unsigned usable = 0;
	struct why unusable = { 0 };
	for (unsigned i = 0; i < set->num; i++) {
		const struct tlsa *record = &set->items[i];
		if (!tlsa_usable(record, &unusable))
			continue;
		usable++;
		for (size_t k = 0; k < q->num_keys; k++)
			if (!kind_matches(set, record, &q->keys[k]))
				return mismatch(set, record, &q->keys[k], why);
	}
	out->allowed = true;
	if (usable == 0) {
		/* RFC 7672 2.2: TLS is then required but not authenticated. */
		out->warning = true;
		return why_set(why, EC_OK,
		               "none of the %u TLSA records is usable (%s): senders require TLS but can't verify us",
		               set->num, unusable.text);
	}
	out->pinned = true;
	return why_set(why, EC_OK, "DNS pins every key presented (%u usable records)", usable);
}

enum ec pin_decide(const struct pin_question *q, struct pin_answer *out, struct why *why)
{
	*out = (struct pin_answer){ 0 };
	assert((unsigned)q->dns < sizeof outcomes / sizeof outcomes[0]);
	if (q->num_keys == 0)
		return why_set(why, EC_MISSING, "there is no key to present");
	enum pin_dns dns = q->dns;
	if (dns == PIN_DNS_SECURE && (q->records == NULL || q->records->num == 0))
		dns = PIN_DNS_ABSENT;
	if (dns == PIN_DNS_SECURE)
		return judge_secure(q, out, why);
	const char *words = outcomes[dns].words;
	bool detail = q->dns_why != NULL && *q->dns_why != '\0';
	enum ec ec = outcomes[dns].new_key;
	if (ec != EC_OK && !q->presented_before)
		return why_set(why, ec, "%s%s%s; a key that was never presented waits for proof", words, detail ? ": " : "",
		               detail ? q->dns_why : "");
	out->allowed = true;
	out->warning = outcomes[dns].warning;
	return why_set(why, EC_OK, "%s%s%s%s", words, detail ? ": " : "", detail ? q->dns_why : "",
	               ec != EC_OK ? "; these keys were presented before and stay" : "");
}
