#include "certs/make_ssl.h"

#include <string.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec_key.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/nid.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "certs/load_ssl.h"

enum { RSA_BITS = 3072, SERIAL_SIZE = 16, CN_MAX = 64, LIFE_MAX_S = 3660 * 86400 };

static enum ec library_failed(struct why *why, const char *what)
{
	char text[128];
	ERR_error_string_n(ERR_peek_last_error(), text, sizeof text);
	ERR_clear_error();
	return why_set(why, EC_TLS, "%s failed: %s", what, text);
}

static EVP_PKEY *new_ecdsa(void)
{
	EC_KEY *ec = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);
	EVP_PKEY *key = EVP_PKEY_new();
	bool ok = ec != NULL && key != NULL && EC_KEY_generate_key(ec) == 1 && EVP_PKEY_set1_EC_KEY(key, ec) == 1;
	EC_KEY_free(ec);
	if (!ok) {
		EVP_PKEY_free(key);
		return NULL;
	}
	return key;
}

static EVP_PKEY *new_rsa(void)
{
	RSA *rsa = RSA_new();
	BIGNUM *e = BN_new();
	EVP_PKEY *key = EVP_PKEY_new();
	bool ok = rsa != NULL && e != NULL && key != NULL && BN_set_word(e, RSA_F4) == 1 &&
	          RSA_generate_key_ex(rsa, RSA_BITS, e, NULL) == 1 && EVP_PKEY_set1_RSA(key, rsa) == 1;
	RSA_free(rsa);
	BN_free(e);
	if (!ok) {
		EVP_PKEY_free(key);
		return NULL;
	}
	return key;
}

enum ec make_key(enum key_algorithm algorithm, struct secret *out_pem, struct why *why)
{
	EVP_PKEY *key = algorithm == KEY_RSA_3072 ? new_rsa() : new_ecdsa();
	BIO *bio = BIO_new(BIO_s_mem());
	const uint8_t *pem = NULL;
	size_t len = 0;
	enum ec ec = EC_OK;
	/* The library wipes what it frees, so nothing of the key stays behind. */
	if (key == NULL || bio == NULL || PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1 ||
	    BIO_mem_contents(bio, &pem, &len) != 1)
		ec = library_failed(why, "making a private key");
	else
		ec = secret_copy(out_pem, slice_of(pem, len));
	BIO_free(bio);
	EVP_PKEY_free(key);
	return ec;
}

static GENERAL_NAMES *san_of(const char *identity)
{
	GENERAL_NAMES *names = GENERAL_NAMES_new();
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_IA5STRING *text = ASN1_IA5STRING_new();
	if (names == NULL || name == NULL || text == NULL ||
	    ASN1_STRING_set(text, identity, (int)strlen(identity)) != 1)
		goto fail;
	GENERAL_NAME_set0_value(name, GEN_DNS, text);
	text = NULL; /* the name has it */
	if (sk_GENERAL_NAME_push(names, name) == 0)
		goto fail;
	return names;
fail:
	ASN1_IA5STRING_free(text);
	GENERAL_NAME_free(name);
	GENERAL_NAMES_free(names);
	return NULL;
}

/* A CN has at most 64 characters (RFC 5280 A.1, ub-common-name); a longer name
 * stands in the SAN alone. */
static X509_NAME *subject_of(const char *identity)
{
	size_t len = strlen(identity);
	X509_NAME *name = X509_NAME_new();
	if (name != NULL && len <= CN_MAX &&
	    X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_ASC, (const unsigned char *)identity, (int)len, -1,
	                               0) != 1) {
		X509_NAME_free(name);
		return NULL;
	}
	return name;
}

/* The SAN is critical when there is no subject (RFC 5280 4.2.1.6). */
static int san_critical(const char *identity)
{
	return strlen(identity) > CN_MAX ? 1 : 0;
}

static bool add_extension(X509 *x, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
	X509_EXTENSION *e = X509V3_EXT_nconf_nid(NULL, &ctx, nid, value);
	bool ok = e != NULL && X509_add_ext(x, e, -1) == 1;
	X509_EXTENSION_free(e);
	return ok;
}

static bool set_serial(X509 *x)
{
	uint8_t bytes[SERIAL_SIZE];
	if (RAND_bytes(bytes, sizeof bytes) != 1)
		return false;
	/* Positive, and never zero (RFC 5280 4.1.2.2). */
	bytes[0] = (uint8_t)((bytes[0] & 0x7f) | 0x40);
	BIGNUM *n = BN_bin2bn(bytes, sizeof bytes, NULL);
	ASN1_INTEGER *serial = n == NULL ? NULL : BN_to_ASN1_INTEGER(n, NULL);
	bool ok = serial != NULL && X509_set_serialNumber(x, serial) == 1;
	ASN1_INTEGER_free(serial);
	BN_free(n);
	return ok;
}

static bool fill_cert(X509 *x, EVP_PKEY *key, enum key_algorithm algorithm, const char *identity, struct wall now,
                      int64_t life_s)
{
	GENERAL_NAMES *san = san_of(identity);
	const char *usage =
		algorithm == KEY_RSA_3072 ? "critical,digitalSignature,keyEncipherment" : "critical,digitalSignature";
	X509_NAME *subject = subject_of(identity);
	bool ok = san != NULL && subject != NULL && X509_set_version(x, X509_VERSION_3) == 1 && set_serial(x) &&
	          ASN1_TIME_set(X509_getm_notBefore(x), (time_t)(now.s - MAKE_BACKDATE_S)) != NULL &&
	          ASN1_TIME_set(X509_getm_notAfter(x), (time_t)(now.s + life_s)) != NULL &&
	          X509_set_subject_name(x, subject) == 1 && X509_set_issuer_name(x, subject) == 1 && X509_set_pubkey(x, key) == 1 &&
	          add_extension(x, NID_basic_constraints, "critical,CA:FALSE") &&
	          add_extension(x, NID_key_usage, usage) && add_extension(x, NID_ext_key_usage, "serverAuth") &&
	          X509_add1_ext_i2d(x, NID_subject_alt_name, san, san_critical(identity), X509V3_ADD_DEFAULT) == 1 &&
	          X509_sign(x, key, EVP_sha256()) > 0;
	X509_NAME_free(subject);
	GENERAL_NAMES_free(san);
	return ok;
}

static enum ec append_bio(BIO *bio, struct bytes *out)
{
	const uint8_t *pem = NULL;
	size_t len = 0;
	return BIO_mem_contents(bio, &pem, &len) == 1 ? bytes_append(out, slice_of(pem, len)) : EC_NO_MEMORY;
}

enum ec make_self_signed(struct slice key_pem, const char *identity, struct wall now, int64_t life_s,
                         struct bytes *out_pem, struct why *why)
{
	struct loaded key = { 0 };
	if (life_s <= 0 || life_s > LIFE_MAX_S || now.s < MAKE_BACKDATE_S)
		return why_set(why, EC_RANGE, "a life of %lld seconds from now is not possible", (long long)life_s);
	enum ec ec = load_key(key_pem, &key, why);
	if (ec != EC_OK)
		return ec;
	X509 *x = X509_new();
	BIO *bio = BIO_new(BIO_s_mem());
	if (x == NULL || bio == NULL || !fill_cert(x, key.key, key.info.algorithm, identity, now, life_s) ||
	    PEM_write_bio_X509(bio, x) != 1)
		ec = library_failed(why, "making a certificate");
	else
		ec = append_bio(bio, out_pem);
	BIO_free(bio);
	X509_free(x);
	loaded_fini(&key);
	return ec;
}

static bool fill_request(X509_REQ *req, EVP_PKEY *key, const char *identity)
{
	GENERAL_NAMES *san = san_of(identity);
	X509_EXTENSION *e =
		san == NULL ? NULL : X509V3_EXT_i2d(NID_subject_alt_name, san_critical(identity), san);
	X509_NAME *subject = subject_of(identity);
	STACK_OF(X509_EXTENSION) *list = sk_X509_EXTENSION_new_null();
	bool ok = e != NULL && list != NULL && subject != NULL && sk_X509_EXTENSION_push(list, e) != 0;
	if (ok)
		e = NULL; /* the list has it */
	ok = ok && X509_REQ_set_version(req, X509_REQ_VERSION_1) == 1 &&
	     X509_REQ_set_subject_name(req, subject) == 1 && X509_REQ_set_pubkey(req, key) == 1 &&
	     X509_REQ_add_extensions(req, list) == 1 && X509_REQ_sign(req, key, EVP_sha256()) > 0;
	sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
	X509_EXTENSION_free(e);
	X509_NAME_free(subject);
	GENERAL_NAMES_free(san);
	return ok;
}

enum ec make_csr(struct slice key_pem, const char *identity, struct bytes *out_pem, struct why *why)
{
	struct loaded key = { 0 };
	enum ec ec = load_key(key_pem, &key, why);
	if (ec != EC_OK)
		return ec;
	X509_REQ *req = X509_REQ_new();
	BIO *bio = BIO_new(BIO_s_mem());
	if (req == NULL || bio == NULL || !fill_request(req, key.key, identity) || PEM_write_bio_X509_REQ(bio, req) != 1)
		ec = library_failed(why, "making a signing request");
	else
		ec = append_bio(bio, out_pem);
	BIO_free(bio);
	X509_REQ_free(req);
	loaded_fini(&key);
	return ec;
}
