#include "tlsa-sync/probe_ssl.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

struct probe_tls {
	SSL_CTX *ctx;
	SSL *ssl;
	BIO *in;  /* owned by ssl */
	BIO *out; /* owned by ssl */
};

/* What a client offers so that only a key of this kind can answer. In TLS 1.3
 * the signature algorithms decide, in TLS 1.2 the cipher suite too. */
static const struct kind {
	const char *ciphers;
	uint16_t signatures[4];
	size_t num_signatures;
} kinds[KEY_NUM_ALGORITHMS] = {
	[KEY_ECDSA_P256] = { "ECDHE+ECDSA", { SSL_SIGN_ECDSA_SECP256R1_SHA256 }, 1 },
	[KEY_RSA_3072] = { "ECDHE+aRSA",
	                   { SSL_SIGN_RSA_PSS_RSAE_SHA256, SSL_SIGN_RSA_PSS_RSAE_SHA384, SSL_SIGN_RSA_PSS_RSAE_SHA512,
	                     SSL_SIGN_RSA_PKCS1_SHA256 },
	                   4 },
};

/* tls_error takes the library's first complaint and empties its queue. */
static enum ec tls_error(struct why *why, const char *what)
{
	uint32_t e = ERR_get_error();
	const char *reason = e == 0 ? NULL : ERR_reason_error_string(e);
	ERR_clear_error();
	return why_set(why, EC_TLS, "%s: %s", what, reason == NULL ? "no reason given" : reason);
}

static enum ec context_new(enum key_algorithm algorithm, SSL_CTX **out, struct why *why)
{
	const struct kind *k = &kinds[algorithm];
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	if (ctx == NULL)
		return why_set(why, EC_NO_MEMORY, "out of memory");
	*out = ctx;
	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	if (!SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) || !SSL_CTX_set_cipher_list(ctx, k->ciphers) ||
	    !SSL_CTX_set_verify_algorithm_prefs(ctx, k->signatures, k->num_signatures))
		return tls_error(why, "TLS settings");
	return EC_OK;
}

enum ec probe_tls_new(enum key_algorithm algorithm, const char *sni, struct probe_tls **out, struct why *why)
{
	struct probe_tls *t = calloc(1, sizeof *t);
	if (t == NULL)
		return why_set(why, EC_NO_MEMORY, "out of memory");
	enum ec ec = context_new(algorithm, &t->ctx, why);
	if (ec != EC_OK)
		goto out;
	t->ssl = SSL_new(t->ctx);
	t->in = BIO_new(BIO_s_mem());
	t->out = BIO_new(BIO_s_mem());
	if (t->ssl == NULL || t->in == NULL || t->out == NULL) {
		BIO_free(t->in);
		BIO_free(t->out);
		ec = why_set(why, EC_NO_MEMORY, "out of memory");
		goto out;
	}
	SSL_set_bio(t->ssl, t->in, t->out);
	SSL_set_connect_state(t->ssl);
	if (sni != NULL && sni[0] != '\0' && !SSL_set_tlsext_host_name(t->ssl, sni))
		ec = tls_error(why, "server name");
out:
	if (ec != EC_OK) {
		probe_tls_free(t);
		t = NULL;
	}
	*out = t;
	return ec;
}

static enum ec take_output(struct probe_tls *t, struct bytes *out)
{
	const uint8_t *p = NULL;
	size_t len = 0;
	if (!BIO_mem_contents(t->out, &p, &len) || len == 0)
		return EC_OK;
	enum ec ec = bytes_append(out, slice_of(p, len));
	(void)BIO_reset(t->out);
	return ec;
}

enum ec probe_tls_feed(struct probe_tls *t, struct slice in, struct bytes *out, struct why *why)
{
	ERR_clear_error();
	if (in.len > 0 && BIO_write_all(t->in, in.p, in.len) != 1)
		return why_set(why, EC_NO_MEMORY, "out of memory");
	int r = SSL_do_handshake(t->ssl);
	int e = r == 1 ? SSL_ERROR_NONE : SSL_get_error(t->ssl, r);
	enum ec ec = EC_OK;
	if (e == SSL_ERROR_WANT_READ)
		ec = EC_AGAIN;
	else if (e != SSL_ERROR_NONE)
		ec = tls_error(why, "TLS handshake");
	/* The last flight, or an alert, goes out in any case. */
	enum ec sent = take_output(t, out);
	return ec == EC_OK || ec == EC_AGAIN ? (sent == EC_OK ? ec : sent) : ec;
}

enum ec probe_tls_spki(const struct probe_tls *t, uint8_t out[32], struct why *why)
{
	X509 *leaf = SSL_get_peer_certificate(t->ssl);
	if (leaf == NULL)
		return why_set(why, EC_TLS, "the server sent no certificate");
	uint8_t *der = NULL;
	int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(leaf), &der);
	X509_free(leaf);
	if (len <= 0)
		return tls_error(why, "the certificate's public key");
	SHA256(der, (size_t)len, out);
	OPENSSL_free(der);
	return EC_OK;
}

void probe_tls_bye(struct probe_tls *t, struct bytes *out)
{
	static const char quit[] = "QUIT\r\n";
	(void)SSL_write(t->ssl, quit, (int)sizeof quit - 1);
	(void)SSL_shutdown(t->ssl);
	enum ec ec = take_output(t, out);
	(void)ec; /* then the server sees a bare close */
	ERR_clear_error();
}

void probe_tls_free(struct probe_tls *t)
{
	if (t == NULL)
		return;
	SSL_free(t->ssl);
	SSL_CTX_free(t->ctx);
	free(t);
}
