#include "certs/dane_ssl.h"

#include <assert.h>
#include <time.h>

#include <openssl/bytestring.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "certs/der.h"
#include "certs/path_ssl.h"

const char *dane_result_name(enum dane_result r)
{
	static const char *const names[] = {
		[DANE_OK] = "ok",           [DANE_EXPIRED] = "expired",   [DANE_NAME] = "name",
		[DANE_MISMATCH] = "mismatch", [DANE_UNUSABLE] = "unusable",
	};
	static_assert(sizeof names / sizeof *names == DANE_NUM_RESULTS, "one for each");
	return names[r];
}

/* ---- decoding ---- */

static X509 *decode_certificate(struct slice der)
{
	const uint8_t *p = der.p;
	X509 *x = der.len > INT32_MAX ? NULL : d2i_X509(NULL, &p, (long)der.len);
	if (x != NULL && p != der.p + der.len) {
		X509_free(x);
		x = NULL;
	}
	ERR_clear_error();
	return x;
}

static EVP_PKEY *decode_key(struct slice spki)
{
	CBS cbs;
	CBS_init(&cbs, spki.p, spki.len);
	EVP_PKEY *key = EVP_parse_public_key(&cbs);
	if (key != NULL && CBS_len(&cbs) != 0) {
		EVP_PKEY_free(key);
		key = NULL;
	}
	ERR_clear_error();
	return key;
}

/* A certificate is of use only with a key that can be read. */
static bool can_be_decoded(const struct dane_record *r)
{
	struct slice spki = r->data;
	if (r->matching != TLSA_FULL)
		return true;
	if (r->selector == TLSA_CERT) {
		X509 *x = decode_certificate(r->data);
		bool good = x != NULL && der_certificate_spki(r->data, &spki);
		X509_free(x);
		if (!good)
			return false;
	}
	EVP_PKEY *key = decode_key(spki);
	bool good = key != NULL;
	EVP_PKEY_free(key);
	return good;
}

void dane_decode(struct dane_records *records, struct why *why)
{
	size_t kept = 0;
	for (size_t i = 0; i < records->num; i++) {
		if (can_be_decoded(&records->items[i])) {
			records->items[kept++] = records->items[i];
			continue;
		}
		char kind[TLSA_KIND_SIZE];
		dane_print_kind(kind, &records->items[i]);
		(void)why_set(why, EC_UNSUPPORTED, "%s: it can't be decoded", kind);
	}
	records->num = kept;
}

static bool describe(struct slice der, struct dane_certificate *out)
{
	*out = (struct dane_certificate){ .der = der };
	if (!der_certificate_spki(der, &out->spki))
		return false;
	(void)SHA256(der.p, der.len, out->digests.cert_sha256);
	(void)SHA512(der.p, der.len, out->digests.cert_sha512);
	(void)SHA256(out->spki.p, out->spki.len, out->digests.spki_sha256);
	(void)SHA512(out->spki.p, out->spki.len, out->digests.spki_sha512);
	return true;
}

/* ---- DANE ---- */

static const struct dane_record *match(const struct dane_records *records, enum tlsa_usage usage, struct slice der)
{
	struct dane_certificate c;
	if (!describe(der, &c))
		return NULL;
	for (size_t i = 0; i < records->num; i++)
		if (records->items[i].usage == usage && dane_matches(&records->items[i], &c))
			return &records->items[i];
	return NULL;
}

static size_t looked_at(const struct dane_presented *p)
{
	return p->num_chain < DANE_CHAIN_MAX ? p->num_chain : DANE_CHAIN_MAX;
}

/* What the server sent, and whose records make them trust anchors. Returns false if the leaf is none. */
static bool add_presented(struct path_pool *pool, const struct dane_records *records, const struct dane_presented *p)
{
	for (size_t i = 0; i < looked_at(p); i++) {
		X509 *x = decode_certificate(p->chain[i]);
		if (x != NULL)
			path_add(pool, x, match(records, TLSA_DANE_TA, p->chain[i]));
		else if (i == 0)
			return false;
	}
	return pool->num_certificates > 0;
}

/* RFC 7671 5.2.2, 5.2.3: 2 0 0 and 2 1 0 carry all that is needed. */
static void add_carried(struct path_pool *pool, const struct dane_records *records)
{
	for (size_t i = 0; i < records->num; i++) {
		const struct dane_record *r = &records->items[i];
		if (r->usage != TLSA_DANE_TA || r->matching != TLSA_FULL)
			continue;
		X509 *x = r->selector == TLSA_CERT ? decode_certificate(r->data) : NULL;
		EVP_PKEY *key = r->selector == TLSA_SPKI ? decode_key(r->data) : NULL;
		if (x != NULL)
			path_add(pool, x, r);
		if (key != NULL)
			path_add_key(pool, key, r);
	}
}

static bool has_usage(const struct dane_records *records, enum tlsa_usage usage)
{
	for (size_t i = 0; i < records->num; i++)
		if (records->items[i].usage == usage)
			return true;
	return false;
}

static enum dane_result verify_anchors(const struct dane_records *records, const struct dane_presented *p,
                                       const struct dane_record **used, struct why *why)
{
	struct path_pool pool = { 0 };
	enum dane_result result = DANE_MISMATCH;
	if (add_presented(&pool, records, p)) {
		add_carried(&pool, records);
		result = path_find(&pool, p, used, why);
	}
	path_pool_fini(&pool);
	return result;
}

/* Points from records that were dropped back to the caller's. */
static const struct dane_record *original(const struct dane_records *records, const struct dane_record *r)
{
	for (size_t i = 0; r != NULL && i < records->num; i++) {
		const struct dane_record *o = &records->items[i];
		if (o->usage == r->usage && o->selector == r->selector && o->matching == r->matching && slice_eq(o->data, r->data))
			return o;
	}
	return NULL;
}

enum dane_result dane_verify(const struct dane_records *records, const struct dane_presented *p,
                             const struct dane_record **used, struct why *why)
{
	struct dane_records usable = *records;
	const struct dane_record *decided = NULL;
	enum dane_result result = DANE_MISMATCH;
	if (used != NULL)
		*used = NULL;
	(void)why_set(why, EC_UNSUPPORTED, "there are no usable TLSA records");
	dane_decode(&usable, why);
	if (usable.num == 0)
		return DANE_UNUSABLE;
	(void)why_set(why, EC_PIN_MISMATCH, "none of %zu TLSA records matches the certificate, or a chain of %zu", usable.num,
	              p->num_chain);
	if (p->num_chain > 0)
		decided = match(&usable, TLSA_DANE_EE, p->chain[0]);
	if (decided != NULL) {
		char kind[TLSA_KIND_SIZE];
		dane_print_kind(kind, decided);
		result = DANE_OK;
		(void)why_set(why, EC_OK, "%s matches", kind);
	} else if (has_usage(&usable, TLSA_DANE_TA)) {
		result = verify_anchors(&usable, p, &decided, why);
	}
	if (used != NULL)
		*used = original(records, decided);
	return result;
}

/* ---- CA stores ---- */

static STACK_OF(X509) *decode_above(const struct dane_presented *p)
{
	STACK_OF(X509) *sk = sk_X509_new_null();
	for (size_t i = 1; sk != NULL && i < looked_at(p); i++) {
		X509 *x = decode_certificate(p->chain[i]);
		if (x != NULL && sk_X509_push(sk, x) == 0)
			X509_free(x);
	}
	return sk;
}

/* The certificates of a store are trust anchors, roots or not: so one of our own, signed by
 * itself, may be put there. */
static int verify_chain(X509_STORE *store, X509 *leaf, STACK_OF(X509) *above, struct wall now)
{
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	int error = X509_V_ERR_OUT_OF_MEM;
	if (ctx != NULL && above != NULL && X509_STORE_CTX_init(ctx, store, leaf, above) &&
	    X509_STORE_CTX_set_purpose(ctx, X509_PURPOSE_SSL_SERVER)) {
		X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST);
		X509_STORE_CTX_set_time(ctx, 0, (time_t)now.s);
		error = X509_verify_cert(ctx) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(ctx);
	}
	X509_STORE_CTX_free(ctx);
	ERR_clear_error();
	return error;
}

enum dane_result dane_verify_store(X509_STORE *store, const struct dane_presented *p, struct why *why)
{
	X509 *leaf = p->num_chain > 0 ? decode_certificate(p->chain[0]) : NULL;
	STACK_OF(X509) *above = decode_above(p);
	int error = leaf == NULL ? X509_V_ERR_UNSPECIFIED : verify_chain(store, leaf, above, p->now);
	bool expired = error == X509_V_ERR_CERT_HAS_EXPIRED || error == X509_V_ERR_CERT_NOT_YET_VALID;
	bool name = leaf != NULL && (p->num_names == 0 || path_has_name(leaf, p->names, p->num_names, false));
	enum dane_result result = DANE_OK;
	if (error != X509_V_OK && !expired)
		result = DANE_MISMATCH;
	else if (!name)
		result = DANE_NAME;
	else if (expired)
		result = DANE_EXPIRED;
	if (result == DANE_NAME)
		(void)why_set(why, EC_TLS, "the certificate is not for %s", p->names[0]);
	else
		(void)why_set(why, result == DANE_OK ? EC_OK : EC_TLS, "the certificate chain: %s", X509_verify_cert_error_string(error));
	sk_X509_pop_free(above, X509_free);
	X509_free(leaf);
	return result;
}
