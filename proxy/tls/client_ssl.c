/* One SSL_CTX for all clients of the process; what a single client wants is in its own
 * memory, and is asked for in on_certificate. */
#include "proxy/tls/client_ssl.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/base64.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/pool.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/address.h"
#include "certs/dane_ssl.h"
#include "certs/der.h"
#include "config/pem.h"
#include "proxy/tls/stream_ssl.h"

static_assert((int)TLS_CLIENT_NAMES_MAX == DANE_NAMES_MAX && (int)TLS_CLIENT_RECORDS_MAX == DANE_RECORDS_MAX, "as documented");

enum { NAME_SIZE = 256 };

struct tls_client {
	struct tls_stream stream;
	enum tls_client_verify verify;
	bool sts;
	struct wall now;
	size_t num_names;
	char names[TLS_CLIENT_NAMES_MAX][NAME_SIZE];
	uint8_t *rdata; /* what `records` point into */
	struct dane_records records;
	struct tls_store *store;
	size_t num_pins;
	uint8_t pins[TLS_CLIENT_PINS_MAX][TLS_CLIENT_PIN_SIZE];
	enum smtp_reply_id refused; /* by on_certificate */
	bool complete;
	struct why proof; /* what the certificate proved, or why it did not */
};

/* ---- CA stores ---- */

struct tls_store {
	size_t refs;
	size_t num;
	X509_STORE *store;
};

/* take_one adds a certificate. One that can't be decoded is none of ours: a bundle may have more
 * than we understand. Damage is another matter, and was told by pem_next. */
static enum ec take_one(struct tls_store *store, struct slice base64)
{
	uint8_t *der = malloc(base64.len);
	size_t len = 0;
	if (der == NULL)
		return EC_NO_MEMORY;
	bool ok = EVP_DecodeBase64(der, &len, base64.len, base64.p, base64.len) == 1;
	const uint8_t *p = der;
	X509 *x = ok ? d2i_X509(NULL, &p, (long)len) : NULL;
	store->num += x != NULL && X509_STORE_add_cert(store->store, x) == 1;
	X509_free(x);
	free(der);
	ERR_clear_error();
	return ok ? EC_OK : EC_CORRUPT;
}

static enum ec take_certificates(struct tls_store *store, struct slice text, struct why *why)
{
	struct pem pem = { .rest = text };
	enum ec ec;
	while ((ec = pem_next(&pem, why)) == EC_OK) {
		ec = take_one(store, bytes_slice(&pem.body));
		if (ec == EC_CORRUPT)
			(void)why_set(why, ec, "certificate %zu is not base64", pem.num);
		if (ec != EC_OK)
			break;
	}
	pem_fini(&pem);
	if (ec == EC_MISSING && store->num > 0)
		return EC_OK;
	return ec == EC_CORRUPT ? ec : why_set(why, ec, ec == EC_MISSING ? "there is no certificate in PEM" : "out of memory");
}

enum ec tls_store_new(struct slice pem, struct tls_store **out, struct why *why)
{
	struct tls_store *store = calloc(1, sizeof *store);
	X509_STORE *certificates = X509_STORE_new();
	*out = NULL;
	if (store == NULL || certificates == NULL) {
		X509_STORE_free(certificates);
		free(store);
		return why_set(why, EC_NO_MEMORY, "out of memory");
	}
	*store = (struct tls_store){ .refs = 1, .store = certificates };
	enum ec ec = take_certificates(store, pem, why);
	if (ec == EC_OK)
		*out = store;
	else
		tls_store_free(store);
	return ec;
}

struct tls_store *tls_store_ref(struct tls_store *store)
{
	store->refs++;
	return store;
}

void tls_store_free(struct tls_store *store)
{
	if (store == NULL || (store->refs > 0 && --store->refs > 0))
		return;
	X509_STORE_free(store->store);
	free(store);
}

size_t tls_store_num(const struct tls_store *store)
{
	return store->num;
}

/* ---- the verdict on a certificate ---- */

static enum smtp_reply_id reply_of(enum dane_result result, enum smtp_reply_id mismatch)
{
	switch (result) {
	case DANE_OK:
		return SMTP_R_NONE;
	case DANE_EXPIRED:
		return SMTP_R_HOP_EXPIRED;
	case DANE_NAME:
		return SMTP_R_HOP_NAME;
	case DANE_MISMATCH:
	case DANE_UNUSABLE:
		break;
	}
	return mismatch;
}

static enum smtp_reply_id check_pins(struct tls_client *c, const struct dane_presented *p)
{
	uint8_t digest[TLS_CLIENT_PIN_SIZE];
	struct slice spki;
	if (p->num_chain == 0 || !der_certificate_spki(p->chain[0], &spki)) {
		(void)why_set(&c->proof, EC_SYNTAX, "there is no certificate that can be read");
		return SMTP_R_HOP_TRUST;
	}
	(void)SHA256(spki.p, spki.len, digest);
	for (size_t i = 0; i < c->num_pins; i++) {
		if (memcmp(digest, c->pins[i], sizeof digest) == 0) {
			(void)why_set(&c->proof, EC_OK, "pin %zu matches", i + 1);
			return SMTP_R_NONE;
		}
	}
	char hex[2 * sizeof digest + 1];
	hex_encode(hex, slice_of(digest, sizeof digest));
	(void)why_set(&c->proof, EC_PIN_MISMATCH, "none of %zu pins matches the key, which is %s", c->num_pins, hex);
	return SMTP_R_HOP_TRUST;
}

static enum smtp_reply_id judge(struct tls_client *c, const struct dane_presented *p)
{
	switch (c->verify) {
	case TLS_CLIENT_DANE:
		return reply_of(dane_verify(&c->records, p, NULL, &c->proof), SMTP_R_HOP_TLSA);
	case TLS_CLIENT_NAMES:
		return reply_of(dane_verify_store(c->store->store, p, &c->proof), SMTP_R_HOP_TRUST);
	case TLS_CLIENT_PINS:
		return check_pins(c, p);
	case TLS_CLIENT_ANY:
		break;
	}
	(void)why_set(&c->proof, EC_OK, "not asked for");
	return SMTP_R_NONE;
}

static enum ssl_verify_result_t on_certificate(SSL *ssl, uint8_t *out_alert)
{
	struct tls_client *c = tls_stream_owner(ssl);
	const STACK_OF(CRYPTO_BUFFER) *sent = SSL_get0_peer_certificates(ssl);
	struct slice chain[DANE_CHAIN_MAX];
	const char *names[TLS_CLIENT_NAMES_MAX];
	struct dane_presented p = { .chain = chain, .names = names, .num_names = c->num_names, .now = c->now };
	for (size_t i = 0; sent != NULL && i < sk_CRYPTO_BUFFER_num(sent) && i < DANE_CHAIN_MAX; i++) {
		const CRYPTO_BUFFER *der = sk_CRYPTO_BUFFER_value(sent, i);
		chain[p.num_chain++] = slice_of(CRYPTO_BUFFER_data(der), CRYPTO_BUFFER_len(der));
	}
	for (size_t i = 0; i < c->num_names; i++)
		names[i] = c->names[i];
	c->refused = judge(c, &p);
	if (c->refused == SMTP_R_NONE)
		return ssl_verify_ok;
	*out_alert = c->refused == SMTP_R_HOP_EXPIRED ? SSL_AD_CERTIFICATE_EXPIRED : SSL_AD_BAD_CERTIFICATE;
	return ssl_verify_invalid;
}

/* ---- the context ---- */

/* RFC 9325 4.2, and behind it what mail servers with TLS 1.2 can do that have none of it:
 * an edge that refuses them sends nothing, or sends it in clear. */
#define FORWARD_SECRET                                                                        \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:" \
	"ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"   \
	"ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES256-SHA"
/* RFC 7435 3: where nothing is proven anyway, RSA key transport is better than clear. */
#define OPPORTUNISTIC FORWARD_SECRET ":AES128-GCM-SHA256:AES256-GCM-SHA384:AES128-SHA:AES256-SHA"

/* RFC 9155: no SHA-1. */
static const uint16_t signatures[] = {
	SSL_SIGN_ECDSA_SECP256R1_SHA256, SSL_SIGN_ED25519,          SSL_SIGN_ECDSA_SECP384R1_SHA384,
	SSL_SIGN_ECDSA_SECP521R1_SHA512, SSL_SIGN_RSA_PSS_RSAE_SHA256, SSL_SIGN_RSA_PSS_RSAE_SHA384,
	SSL_SIGN_RSA_PSS_RSAE_SHA512,    SSL_SIGN_RSA_PKCS1_SHA256, SSL_SIGN_RSA_PKCS1_SHA384,
	SSL_SIGN_RSA_PKCS1_SHA512,
};

static int set_groups(SSL_CTX *ctx)
{
#if defined(SSL_GROUP_X25519_MLKEM768) || defined(SSL_CURVE_X25519_MLKEM768)
	return SSL_CTX_set1_curves_list(ctx, "X25519MLKEM768:X25519:P-256:P-384:P-521");
#else
	return SSL_CTX_set1_curves_list(ctx, "X25519:P-256:P-384:P-521");
#endif
}

static int set_rules(SSL_CTX *ctx)
{
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
	SSL_CTX_set_custom_verify(ctx, SSL_VERIFY_PEER, on_certificate);
	tls_stream_watch(ctx);
	/* No renegotiation, no early data: the library's defaults. RFC 5746, RFC 8446 8. */
	return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) && SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) &&
	       SSL_CTX_set_strict_cipher_list(ctx, FORWARD_SECRET) && set_groups(ctx) &&
	       SSL_CTX_set_verify_algorithm_prefs(ctx, signatures, sizeof signatures / sizeof *signatures);
}

/* The one context of the process; never freed. */
static SSL_CTX *context(struct why *why)
{
	static SSL_CTX *shared;
	if (shared != NULL)
		return shared;
	SSL_CTX *ctx = SSL_CTX_new(TLS_with_buffers_method());
	if (ctx != NULL && set_rules(ctx)) {
		shared = ctx;
		return shared;
	}
	(void)why_set(why, EC_TLS, "TLS set-up: %s", tls_error_words());
	ERR_clear_error();
	SSL_CTX_free(ctx);
	return NULL;
}

/* ---- one client ---- */

/* Without the final dot: RFC 6066 3. */
static enum ec copy_name(char out[NAME_SIZE], const char *name, struct why *why)
{
	size_t len = strlen(name);
	if (len > 0 && name[len - 1] == '.')
		len--;
	if (len >= NAME_SIZE)
		return why_set(why, EC_RANGE, "a name of %zu octets", len);
	memcpy(out, name, len);
	out[len] = '\0';
	return EC_OK;
}

static enum ec copy_records(struct tls_client *c, const struct tls_client_want *want, struct why *why)
{
	struct dane_records picked;
	size_t len = 0;
	dane_select(want->records, want->num_records, &picked, why);
	for (size_t i = 0; i < picked.num; i++)
		len += picked.items[i].data.len;
	c->rdata = malloc(len > 0 ? len : 1);
	if (c->rdata == NULL)
		return why_set(why, EC_NO_MEMORY, "out of memory");
	uint8_t *p = c->rdata;
	for (size_t i = 0; i < picked.num; i++) {
		struct dane_record *r = &picked.items[i];
		memcpy(p, r->data.p, r->data.len);
		r->data.p = p;
		p += r->data.len;
	}
	c->records = picked;
	return EC_OK;
}

static enum ec copy_want(struct tls_client *c, const struct tls_client_want *want, struct why *why)
{
	enum ec ec = EC_OK;
	if (want->num_names > TLS_CLIENT_NAMES_MAX || want->num_pins > TLS_CLIENT_PINS_MAX)
		return why_set(why, EC_LIMIT, "%zu names, %zu pins", want->num_names, want->num_pins);
	if (want->verify == TLS_CLIENT_NAMES && (want->store == NULL || want->num_names == 0))
		return why_set(why, EC_MISSING, "there is no CA, or no name, to check the certificate by");
	c->verify = want->verify;
	c->sts = want->sts;
	c->now = want->now;
	for (size_t i = 0; i < want->num_names && ec == EC_OK; i++)
		ec = copy_name(c->names[c->num_names++], want->names[i], why);
	if (want->num_pins > 0)
		memcpy(c->pins, want->pins, want->num_pins * sizeof *c->pins);
	c->num_pins = want->num_pins;
	if (want->verify == TLS_CLIENT_NAMES)
		c->store = tls_store_ref(want->store);
	return ec == EC_OK && want->verify == TLS_CLIENT_DANE ? copy_records(c, want, why) : ec;
}

static bool is_address(const char *host)
{
	struct sockaddr_storage a;
	return address_parse(slice_str(host), 25, &a, NULL) == EC_OK;
}

/* RFC 6066 3: literal addresses are not permitted. */
static enum ec set_sni(struct tls_client *c, const char *host, struct why *why)
{
	char name[NAME_SIZE];
	if (host == NULL || is_address(host))
		return EC_OK;
	enum ec ec = copy_name(name, host, why);
	if (ec != EC_OK || *name == '\0')
		return ec;
	return SSL_set_tlsext_host_name(c->stream.ssl, name) == 1 ? EC_OK : why_set(why, EC_NO_MEMORY, "out of memory");
}

static enum ec set_up(struct tls_client *c, const struct tls_client_want *want, struct why *why)
{
	SSL_CTX *ctx = context(why);
	if (ctx == NULL)
		return EC_TLS;
	if (!tls_stream_init(&c->stream, ctx, c) ||
	    (c->verify == TLS_CLIENT_ANY && SSL_set_strict_cipher_list(c->stream.ssl, OPPORTUNISTIC) != 1))
		return why_set(why, EC_NO_MEMORY, "out of memory");
	SSL_set_connect_state(c->stream.ssl);
	return set_sni(c, want->sni, why);
}

enum ec tls_client_new(const struct tls_client_want *want, struct tls_client **out, struct why *why)
{
	struct tls_client *c = calloc(1, sizeof *c);
	*out = NULL;
	if (c == NULL)
		return why_set(why, EC_NO_MEMORY, "out of memory");
	enum ec ec = copy_want(c, want, why);
	if (ec == EC_OK)
		ec = set_up(c, want, why);
	ERR_clear_error();
	if (ec != EC_OK) {
		tls_client_free(c);
		return ec;
	}
	*out = c;
	return EC_OK;
}

void tls_client_free(struct tls_client *c)
{
	if (c == NULL)
		return;
	tls_stream_fini(&c->stream);
	tls_store_free(c->store);
	free(c->rdata);
	free(c);
}

enum ec tls_client_give(struct tls_client *c, struct slice in)
{
	return tls_stream_give(&c->stream, in);
}

enum ec tls_client_keep(struct tls_client *c)
{
	return tls_stream_keep(&c->stream);
}

size_t tls_client_waiting(const struct tls_client *c)
{
	return tls_stream_waiting(&c->stream);
}

enum ec tls_client_handshake(struct tls_client *c, struct bytes *out, struct why *why)
{
	enum ec ec = tls_stream_handshake(&c->stream, out);
	c->complete = ec == EC_OK;
	if (ec == EC_OK || ec == EC_AGAIN)
		return ec;
	if (c->refused != SMTP_R_NONE)
		return why_set(why, ec, "certificate: %s", c->proof.text);
	return tls_stream_failed(&c->stream, "handshake", why);
}

enum smtp_reply_id tls_client_verdict(const struct tls_client *c)
{
	if (c->complete || c->stream.failed == EC_OK)
		return SMTP_R_NONE;
	if (c->stream.failed == EC_NO_MEMORY)
		return SMTP_R_NO_MEMORY;
	if (c->sts)
		return SMTP_R_HOP_STS;
	if (c->refused != SMTP_R_NONE)
		return c->refused;
	return c->verify == TLS_CLIENT_DANE ? SMTP_R_HOP_TLSA : SMTP_R_HOP_TRUST;
}

void tls_client_info(const struct tls_client *c, struct tls_client_info *info)
{
	const SSL *ssl = c->stream.ssl;
	const char *group = SSL_get_curve_name(SSL_get_curve_id(ssl));
	*info = (struct tls_client_info){
		.version = SSL_get_version(ssl),
		.cipher = SSL_CIPHER_standard_name(SSL_get_current_cipher(ssl)),
		.group = group == NULL ? "" : group,
		.authenticated = c->verify != TLS_CLIENT_ANY,
		.proof = c->proof.text,
	};
}

enum ec tls_client_read(struct tls_client *c, void *p, size_t cap, size_t *got, struct bytes *out, struct why *why)
{
	return tls_stream_read(&c->stream, p, cap, got, out, why);
}

enum ec tls_client_ended(struct tls_client *c, struct why *why)
{
	if (c->stream.failed != EC_OK)
		return tls_stream_failed(&c->stream, "record", why);
	if (c->stream.closed)
		return EC_CLOSED;
	return why_set(why, EC_TLS, "the stream was cut off: it ended without close_notify");
}

enum ec tls_client_write(struct tls_client *c, struct slice plain, struct bytes *out)
{
	return tls_stream_write(&c->stream, plain, out);
}

void tls_client_shutdown(struct tls_client *c, struct bytes *out)
{
	tls_stream_shutdown(&c->stream, out);
}
