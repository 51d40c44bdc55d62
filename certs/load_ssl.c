#include "certs/load_ssl.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/bytestring.h>
#include <openssl/ec_key.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/pem.h>
#include <openssl/pool.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

enum { RSA_BITS_MIN = 2048, RSA_BITS_MAX = 8192, NAME_TEXT_MAX = 255 };

static BIO *bio_of(struct slice pem)
{
	/* Never called with more than LOAD_PEM_MAX, so the length fits. */
	return BIO_new_mem_buf(pem.p, (int)pem.len);
}

/* No key of ours has a passphrase, and nobody is there to be asked for one. */
static int no_passphrase(char *out, int size, int writing, void *arg)
{
	(void)out;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

static enum ec check_size(struct slice pem, const char *what, struct why *why)
{
	if (pem.len > LOAD_PEM_MAX)
		return why_set(why, EC_LIMIT, "the %s has %zu bytes; at most %d are read", what, pem.len, LOAD_PEM_MAX);
	return EC_OK;
}

static enum ec key_kind(const EVP_PKEY *key, const char *what, enum key_algorithm *out, struct why *why)
{
	if (EVP_PKEY_id(key) == EVP_PKEY_EC) {
		const EC_KEY *ec = EVP_PKEY_get0_EC_KEY(key);
		*out = KEY_ECDSA_P256;
		if (EC_GROUP_get_curve_name(EC_KEY_get0_group(ec)) == NID_X9_62_prime256v1)
			return EC_OK;
		return why_set(why, EC_UNSUPPORTED, "the %s is on another curve than P-256; use P-256 or RSA", what);
	}
	if (EVP_PKEY_id(key) == EVP_PKEY_RSA) {
		int bits = EVP_PKEY_bits(key);
		*out = KEY_RSA_3072;
		if (bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX)
			return EC_OK;
		return why_set(why, EC_UNSUPPORTED, "the %s has RSA of %d bits; use 3072 (at least %d, at most %d)", what,
		               bits, RSA_BITS_MIN, RSA_BITS_MAX);
	}
	return why_set(why, EC_UNSUPPORTED, "the %s is neither ECDSA nor RSA; use ecdsa-p256 or rsa-3072", what);
}

static void digest_spki(const uint8_t *der, size_t len, struct cert_digests *out)
{
	(void)SHA256(der, len, out->spki_sha256);
	(void)SHA512(der, len, out->spki_sha512);
}

static enum ec digest_key(const EVP_PKEY *key, struct cert_digests *out)
{
	CBB cbb;
	uint8_t *der = NULL;
	size_t len = 0;
	if (!CBB_init(&cbb, 256) || !EVP_marshal_public_key(&cbb, key) || !CBB_finish(&cbb, &der, &len)) {
		CBB_cleanup(&cbb);
		return EC_NO_MEMORY;
	}
	digest_spki(der, len, out);
	OPENSSL_free(der);
	return EC_OK;
}

enum ec load_key(struct slice key_pem, struct loaded *out, struct why *why)
{
	*out = (struct loaded){ 0 };
	enum ec ec = check_size(key_pem, "private key", why);
	if (ec != EC_OK)
		return ec;
	BIO *bio = bio_of(key_pem);
	if (bio == NULL)
		return why_set(why, EC_NO_MEMORY, "out of memory");
	out->key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	BIO_free(bio);
	ERR_clear_error();
	if (out->key == NULL)
		return why_set(why, EC_SYNTAX, "there is no private key in PEM without a passphrase");
	ec = key_kind(out->key, "private key", &out->info.algorithm, why);
	if (ec == EC_OK)
		ec = digest_key(out->key, &out->info.chain[0]);
	if (ec != EC_OK)
		loaded_fini(out);
	return ec;
}

static enum ec digest_cert(X509 *x, struct cert_digests *out, CRYPTO_BUFFER **out_der)
{
	uint8_t *der = NULL, *spki = NULL;
	int len = i2d_X509(x, &der);
	int spki_len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &spki);
	enum ec ec = EC_NO_MEMORY;
	if (len > 0 && spki_len > 0) {
		(void)SHA256(der, (size_t)len, out->cert_sha256);
		(void)SHA512(der, (size_t)len, out->cert_sha512);
		digest_spki(spki, (size_t)spki_len, out);
		*out_der = CRYPTO_BUFFER_new(der, (size_t)len, NULL);
		ec = *out_der == NULL ? EC_NO_MEMORY : EC_OK;
	}
	OPENSSL_free(der);
	OPENSSL_free(spki);
	return ec;
}

static bool read_time(const ASN1_TIME *t, struct wall *out)
{
	/* By difference: the direct conversion is missing in older BoringSSL. */
	ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
	int days = 0, seconds = 0;
	bool ok = epoch != NULL && ASN1_TIME_diff(&days, &seconds, epoch, t) == 1;
	out->s = (int64_t)days * 86400 + seconds;
	ASN1_TIME_free(epoch);
	return ok;
}

static enum ec read_names(X509 *leaf, struct loaded *out)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
	enum ec ec = EC_OK;
	for (size_t i = 0; names != NULL && i < sk_GENERAL_NAME_num(names) && out->num_names < LOAD_NAMES_MAX; i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		if (name->type != GEN_DNS)
			continue;
		const uint8_t *text = ASN1_STRING_get0_data(name->d.dNSName);
		size_t len = (size_t)ASN1_STRING_length(name->d.dNSName);
		/* A NUL inside would make it look like another name. */
		if (len == 0 || len > NAME_TEXT_MAX || memchr(text, 0, len) != NULL)
			continue;
		char *copy = strndup((const char *)text, len);
		if (copy == NULL) {
			ec = EC_NO_MEMORY;
			break;
		}
		out->names[out->num_names++] = copy;
	}
	GENERAL_NAMES_free(names);
	return ec;
}

static enum ec read_leaf(X509 *leaf, struct loaded *out, struct why *why)
{
	EVP_PKEY *key = X509_get_pubkey(leaf);
	if (key == NULL)
		return why_set(why, EC_UNSUPPORTED, "the certificate's key is of an unknown kind; use ecdsa-p256 or rsa-3072");
	enum ec ec = key_kind(key, "certificate", &out->info.algorithm, why);
	EVP_PKEY_free(key);
	if (ec != EC_OK)
		return ec;
	if (!read_time(X509_get0_notBefore(leaf), &out->info.not_before) ||
	    !read_time(X509_get0_notAfter(leaf), &out->info.not_after))
		return why_set(why, EC_SYNTAX, "the certificate's validity cannot be read");
	bool own = X509_NAME_cmp(X509_get_subject_name(leaf), X509_get_issuer_name(leaf)) == 0;
	out->info.issuer = own ? CERT_SELF_SIGNED : CERT_CA;
	out->info.certified = true;
	return read_names(leaf, out);
}

/* Each certificate must certify the one before it: clients up to TLS 1.2 may
 * insist (RFC 5246 7.4.2), and DANE-TA follows the chain (RFC 7671 5.2). */
static bool issued(X509 *cert, X509 *by)
{
	if (X509_NAME_cmp(X509_get_issuer_name(cert), X509_get_subject_name(by)) != 0)
		return false;
	EVP_PKEY *key = X509_get_pubkey(by);
	bool ok = key != NULL && X509_verify(cert, key) == 1;
	EVP_PKEY_free(key);
	return ok;
}

static enum ec add_cert(X509 *x, X509 *before, struct loaded *out, struct why *why)
{
	size_t n = out->num_chain;
	if (n == CERT_CHAIN_MAX)
		return why_set(why, EC_LIMIT, "the chain has more than %d certificates; leave those not needed away",
		               CERT_CHAIN_MAX);
	if (n > 0 && !issued(before, x))
		return why_set(why, EC_SYNTAX,
		               "certificate %zu did not sign certificate %zu; put the leaf first, each followed by its "
		               "issuer",
		               n + 1, n);
	enum ec ec = digest_cert(x, &out->info.chain[n], &out->chain[n]);
	if (ec == EC_OK)
		out->info.num_chain = ++out->num_chain;
	return ec == EC_OK && n == 0 ? read_leaf(x, out, why) : ec;
}

enum ec load_chain(struct slice chain_pem, struct loaded *out, struct why *why)
{
	*out = (struct loaded){ 0 };
	enum ec ec = check_size(chain_pem, "certificate file", why);
	if (ec != EC_OK)
		return ec;
	BIO *bio = bio_of(chain_pem);
	if (bio == NULL)
		return why_set(why, EC_NO_MEMORY, "out of memory");
	X509 *before = NULL, *x = NULL;
	ERR_clear_error();
	while (ec == EC_OK && (x = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL)) != NULL) {
		ec = add_cert(x, before, out, why);
		X509_free(before);
		before = x;
	}
	X509_free(before);
	BIO_free(bio);
	uint32_t error = ERR_peek_last_error();
	bool at_end = ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
	ERR_clear_error();
	if (ec == EC_OK && !at_end)
		ec = why_set(why, EC_SYNTAX, "certificate %zu is damaged", out->num_chain + 1);
	else if (ec == EC_OK && out->num_chain == 0)
		ec = why_set(why, EC_SYNTAX, "there is no certificate in PEM");
	if (ec != EC_OK)
		loaded_fini(out);
	return ec;
}

enum ec load_pair(struct slice key_pem, struct slice chain_pem, struct loaded *out, struct why *why)
{
	struct loaded key = { 0 };
	enum ec ec = load_chain(chain_pem, out, why);
	if (ec == EC_OK)
		ec = load_key(key_pem, &key, why);
	if (ec != EC_OK)
		goto out;
	const struct key_info *a = &key.info, *b = &out->info;
	if (a->algorithm != b->algorithm || memcmp(a->chain[0].spki_sha256, b->chain[0].spki_sha256, 32) != 0) {
		ec = why_set(why, EC_KEY_MISMATCH, "the certificate was made for another key");
		goto out;
	}
	out->key = key.key;
	key.key = NULL;
out:
	if (ec != EC_OK)
		loaded_fini(out);
	loaded_fini(&key);
	return ec;
}

void loaded_fini(struct loaded *l)
{
	EVP_PKEY_free(l->key);
	for (size_t i = 0; i < CERT_CHAIN_MAX; i++)
		CRYPTO_BUFFER_free(l->chain[i]);
	for (size_t i = 0; i < l->num_names; i++)
		free(l->names[i]);
	*l = (struct loaded){ 0 };
}

enum ec loaded_check_now(const struct loaded *l, struct wall now, struct why *why)
{
	char from[WALL_TEXT_SIZE], to[WALL_TEXT_SIZE];
	wall_print(from, l->info.not_before);
	wall_print(to, l->info.not_after);
	if (now.s < l->info.not_before.s)
		return why_set(why, EC_EXPIRED, "the certificate is not valid before %s; check the clock", from);
	if (now.s > l->info.not_after.s)
		return why_set(why, EC_EXPIRED, "the certificate expired at %s; renew it", to);
	return EC_OK;
}

bool loaded_covers(const struct loaded *l, const char *host)
{
	struct slice name = slice_str(host);
	const char *dot = strchr(host, '.');
	for (size_t i = 0; i < l->num_names; i++) {
		struct slice pattern = slice_str(l->names[i]);
		if (slice_eq_nocase(pattern, name))
			return true;
		if (pattern.len > 2 && pattern.p[0] == '*' && pattern.p[1] == '.' && dot != NULL && dot != host &&
		    slice_eq_nocase(slice_from(pattern, 1), slice_str(dot)))
			return true;
	}
	return false;
}
