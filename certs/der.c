#include "certs/der.h"

enum { DER_INTEGER = 0x02, DER_BIT_STRING = 0x03, DER_OID = 0x06, DER_SEQUENCE = 0x30, DER_VERSION = 0xa0 };

/* read_length: definite and shortest, X.690 10.1. Nothing in a certificate has 16 MiB. */
static size_t read_length(struct reader *r)
{
	uint8_t first = reader_u8(r);
	if (first < 0x80)
		return first;
	unsigned num = first & 0x7f;
	size_t len = 0;
	if (num == 0 || num > 3)
		r->bad = true;
	for (unsigned i = 0; i < num && !r->bad; i++)
		len = len << 8 | reader_u8(r);
	if (len < 0x80 || (num > 1 && len >> (8 * (num - 1)) == 0))
		r->bad = true;
	return len;
}

/* take reads one element of `tag` and gives its content. */
static struct slice take(struct reader *r, uint8_t tag)
{
	if (reader_u8(r) != tag)
		r->bad = true;
	size_t len = read_length(r);
	return r->bad ? (struct slice){ 0 } : reader_bytes(r, len);
}

static bool next_is(const struct reader *r, uint8_t tag)
{
	return !r->bad && r->rest.len > 0 && r->rest.p[0] == tag;
}

static bool at_end(const struct reader *r)
{
	return !r->bad && r->rest.len == 0;
}

bool der_is_spki(struct slice der)
{
	struct reader r = reader_of(der);
	struct reader in = reader_of(take(&r, DER_SEQUENCE));
	struct reader algorithm = reader_of(take(&in, DER_SEQUENCE));
	(void)take(&algorithm, DER_OID);
	(void)take(&in, DER_BIT_STRING);
	return at_end(&r) && at_end(&in) && !algorithm.bad;
}

/* RFC 5280 4.1: what stands in front of the key in TBSCertificate. What follows it is optional. */
static struct slice spki_of(struct slice tbs)
{
	struct reader r = reader_of(tbs);
	if (next_is(&r, DER_VERSION))
		(void)take(&r, DER_VERSION);
	(void)take(&r, DER_INTEGER); /* serialNumber */
	for (int i = 0; i < 4; i++)
		(void)take(&r, DER_SEQUENCE); /* signature, issuer, validity, subject */
	struct slice from = r.rest;
	(void)take(&r, DER_SEQUENCE);
	return r.bad ? (struct slice){ 0 } : slice_first(from, from.len - r.rest.len);
}

bool der_certificate_spki(struct slice der, struct slice *out_spki)
{
	struct reader r = reader_of(der);
	struct reader in = reader_of(take(&r, DER_SEQUENCE));
	struct slice tbs = take(&in, DER_SEQUENCE);
	(void)take(&in, DER_SEQUENCE);   /* signatureAlgorithm */
	(void)take(&in, DER_BIT_STRING); /* signatureValue */
	*out_spki = spki_of(tbs);
	return at_end(&r) && at_end(&in) && der_is_spki(*out_spki);
}
