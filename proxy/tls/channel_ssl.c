/* The default identity has an SSL_CTX per key, hung on it in the snapshot, and an SSL
 * starts with one of them. on_hello gives it the chain and key of another identity: of
 * those there may be very many, and a context each would cost more than all else of
 * them together. What is no business of a server alone is in stream_ssl.c. */
#include "proxy/tls/channel_ssl.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/nid.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

#include "proxy/tls/hello.h"
#include "proxy/tls/stream_ssl.h"

enum { TICKET_LIFE_S = 2 * 3600 };
static_assert((int)CHANNEL_TINY == TLS_STREAM_TINY && (int)CHANNEL_TINY_FREE == TLS_STREAM_TINY_FREE, "as documented");

/* struct served is what we hang on an identity when it is first asked for. */
struct served {
	SSL_CTX *ctx[KEY_NUM_ALGORITHMS]; /* of a default identity */
	uint8_t ticket_key[SNAPSHOT_TICKET_KEY_SIZE]; /* 16 name, 16 HMAC, 16 AES, as BoringSSL lays it out */
};

struct channel {
	struct tls_stream stream;
	struct snapshot *snapshot;
	struct snapshot_identity *identity;
	enum key_algorithm algorithm;
	enum channel_sni match;
	bool no_binding; /* a TLS 1.2 client without the extended master secret */
	bool refused;    /* for that */
};

/* ---- choosing identity, key and protocol ---- */

static struct slice extension(const SSL_CLIENT_HELLO *h, uint16_t type)
{
	const uint8_t *p;
	size_t len;
	/* An empty extension still differs from an absent one. */
	if (!SSL_early_callback_ctx_extension_get(h, type, &p, &len))
		return (struct slice){ 0 };
	return slice_of(p, len);
}

static struct served *served_of(struct snapshot *s, struct snapshot_identity *id);
static SSL_CTX *context_of(struct snapshot *s, struct snapshot_identity *id, enum key_algorithm algorithm,
                           struct why *why);

/* choose_key picks the key that the client can verify: ECDSA where it can. */
static enum key_algorithm choose_key(struct snapshot_identity *id, const struct hello *h)
{
	if (snapshot_key(id, KEY_RSA_3072) == NULL)
		return KEY_ECDSA_P256;
	if (snapshot_key(id, KEY_ECDSA_P256) == NULL)
		return KEY_RSA_3072;
	return hello_verifies_ecdsa(h) ? KEY_ECDSA_P256 : KEY_RSA_3072;
}

/* present_key makes `ssl` present a key of `id`. */
static bool present_key(SSL *ssl, struct snapshot *s, struct snapshot_identity *id, enum key_algorithm algorithm)
{
	if (id == snapshot_default(s)) {
		SSL_CTX *ctx = context_of(s, id, algorithm, NULL);
		return ctx != NULL && (ctx == SSL_get_SSL_CTX(ssl) || SSL_set_SSL_CTX(ssl, ctx) != NULL);
	}
	const struct presented_key *key = snapshot_key(id, algorithm);
	return served_of(s, id) != NULL && SSL_set_chain_and_key(ssl, key->chain, key->num_chain, key->key, NULL) == 1;
}

static enum ssl_select_cert_result_t on_hello(const SSL_CLIENT_HELLO *ch)
{
	struct channel *c = tls_stream_owner(ch->ssl);
	const char *sni = SSL_get_servername(ch->ssl, TLSEXT_NAMETYPE_host_name);
	bool known = false;
	/* RFC 7672 8.1: a name we don't know gets the default identity. */
	struct snapshot_identity *id = snapshot_find(c->snapshot, slice_str(sni == NULL ? "" : sni), &known);
	struct hello h = {
		.ciphers = slice_of(ch->cipher_suites, ch->cipher_suites_len),
		.versions = extension(ch, TLSEXT_TYPE_supported_versions),
		.signatures = extension(ch, TLSEXT_TYPE_signature_algorithms),
		.groups = extension(ch, TLSEXT_TYPE_supported_groups),
		.binding = extension(ch, TLSEXT_TYPE_extended_master_secret),
	};
	c->no_binding = !hello_binds_secret(&h);
	enum key_algorithm algorithm = choose_key(id, &h);
	if (!present_key(ch->ssl, c->snapshot, id, algorithm))
		return ssl_select_cert_error;
	c->match = sni == NULL ? CHANNEL_SNI_ABSENT : known ? CHANNEL_SNI_KNOWN : CHANNEL_SNI_UNKNOWN;
	c->identity = id;
	c->algorithm = algorithm;
	return ssl_select_cert_success;
}

/* ALPACA: a client that names protocols and not "smtp" is at the wrong door. */
static int on_alpn(SSL *ssl, const uint8_t **out, uint8_t *out_len, const uint8_t *in, unsigned in_len, void *arg)
{
	static const uint8_t smtp[] = { 's', 'm', 't', 'p' };
	(void)ssl, (void)arg;
	struct reader r = reader_of(slice_of(in, in_len));
	while (r.rest.len > 0 && !r.bad) {
		struct slice name = reader_bytes(&r, reader_u8(&r));
		if (slice_eq(name, slice_of(smtp, sizeof smtp))) {
			*out = name.p;
			*out_len = (uint8_t)name.len;
			return SSL_TLSEXT_ERR_OK;
		}
	}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* on_ticket seals and opens tickets under the key of the identity's generation;
 * the session's own context would be the default identity's. RFC 5077 4. */
static int on_ticket(SSL *ssl, uint8_t *name, uint8_t *iv, EVP_CIPHER_CTX *cipher, HMAC_CTX *hmac, int encrypt)
{
	struct channel *c = tls_stream_owner(ssl);
	struct served *served = c->identity->attached;
	const uint8_t *key = served->ticket_key;
	enum { PART = 16 };
	if (encrypt) {
		memcpy(name, key, PART);
		if (!RAND_bytes(iv, EVP_MAX_IV_LENGTH))
			return -1;
	} else if (memcmp(name, key, PART) != 0) {
		return 0;
	}
	if (!HMAC_Init_ex(hmac, key + PART, PART, EVP_sha256(), NULL) ||
	    !EVP_CipherInit_ex(cipher, EVP_aes_128_cbc(), NULL, key + 2 * PART, iv, encrypt))
		return -1;
	return 1;
}

/* ---- contexts ---- */

/* Senders are servers with AES in hardware: ours goes before theirs. RFC 9325 4.2. */
static const char tls12_suites[] =
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
	"ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

/* RFC 9155: no SHA-1. */
static const uint16_t signatures[] = {
	SSL_SIGN_ECDSA_SECP256R1_SHA256, SSL_SIGN_RSA_PSS_RSAE_SHA256, SSL_SIGN_RSA_PSS_RSAE_SHA384,
	SSL_SIGN_RSA_PSS_RSAE_SHA512,    SSL_SIGN_RSA_PKCS1_SHA256,    SSL_SIGN_RSA_PKCS1_SHA384,
	SSL_SIGN_RSA_PKCS1_SHA512,
};

/* set_groups asks for hybrid key agreement where the library has it. */
static int set_groups(SSL_CTX *ctx)
{
#if defined(SSL_GROUP_X25519_MLKEM768) || defined(SSL_CURVE_X25519_MLKEM768)
	return SSL_CTX_set1_curves_list(ctx, "X25519MLKEM768:X25519:P-256:P-384");
#else
	return SSL_CTX_set1_curves_list(ctx, "X25519:P-256:P-384");
#endif
}

static int set_rules(SSL_CTX *ctx)
{
	SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_timeout(ctx, TICKET_LIFE_S);
	SSL_CTX_set_session_psk_dhe_timeout(ctx, TICKET_LIFE_S);
	SSL_CTX_set_select_certificate_cb(ctx, on_hello);
	SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
	tls_stream_watch(ctx);
	/* No early data, no compression, no renegotiation: the library's defaults for a server. */
	return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) && SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) &&
	       SSL_CTX_set_strict_cipher_list(ctx, tls12_suites) && set_groups(ctx) &&
	       SSL_CTX_set_signing_algorithm_prefs(ctx, signatures, sizeof signatures / sizeof *signatures) &&
	       SSL_CTX_set_num_tickets(ctx, 1) && SSL_CTX_set_tlsext_ticket_key_cb(ctx, on_ticket);
}

static SSL_CTX *make_context(const struct presented_key *key, struct why *why)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_with_buffers_method());
	if (ctx != NULL && set_rules(ctx) &&
	    SSL_CTX_set_chain_and_key(ctx, key->chain, key->num_chain, key->key, NULL))
		return ctx;
	(void)why_set(why, EC_TLS, "TLS set-up: %s", tls_error_words());
	ERR_clear_error();
	SSL_CTX_free(ctx);
	return NULL;
}

static void served_free(void *p)
{
	struct served *served = p;
	for (size_t i = 0; i < KEY_NUM_ALGORITHMS; i++)
		SSL_CTX_free(served->ctx[i]);
	wipe(served->ticket_key, sizeof served->ticket_key);
	free(served);
}

static struct served *served_of(struct snapshot *s, struct snapshot_identity *id)
{
	struct served *served = id->attached;
	if (served == NULL && (served = calloc(1, sizeof *served)) != NULL) {
		snapshot_ticket_key(s, id, served->ticket_key);
		snapshot_attach(id, served, served_free);
	}
	return served;
}

static SSL_CTX *context_of(struct snapshot *s, struct snapshot_identity *id, enum key_algorithm algorithm,
                           struct why *why)
{
	struct served *served = served_of(s, id);
	if (served == NULL)
		(void)why_set(why, EC_NO_MEMORY, "out of memory");
	else if (served->ctx[algorithm] == NULL)
		served->ctx[algorithm] = make_context(snapshot_key(id, algorithm), why);
	return served == NULL ? NULL : served->ctx[algorithm];
}

enum ec channel_prepare(struct snapshot *s, struct why *why)
{
	struct snapshot_identity *id = snapshot_default(s);
	for (size_t i = 0; i < id->num_keys; i++) {
		if (context_of(s, id, id->keys[i].algorithm, why) == NULL) {
			why_prefix(why, "%s", id->name);
			return EC_TLS;
		}
	}
	return EC_OK;
}

/* ---- one channel ---- */

struct channel *channel_new(struct snapshot *s)
{
	struct channel *c = calloc(1, sizeof *c);
	if (c == NULL)
		return NULL;
	c->snapshot = snapshot_ref(s);
	c->identity = snapshot_default(s);
	c->algorithm = c->identity->keys[0].algorithm;
	SSL_CTX *ctx = context_of(s, c->identity, c->algorithm, NULL);
	if (!tls_stream_init(&c->stream, ctx, c)) {
		channel_free(c);
		return NULL;
	}
	SSL_set_accept_state(c->stream.ssl);
	return c;
}

void channel_allow_tiny(struct channel *c, uint64_t num)
{
	c->stream.tiny_free = num;
}

void channel_free(struct channel *c)
{
	if (c == NULL)
		return;
	tls_stream_fini(&c->stream);
	snapshot_unref(c->snapshot);
	free(c);
}

enum ec channel_give(struct channel *c, struct slice in)
{
	return tls_stream_give(&c->stream, in);
}

enum ec channel_keep(struct channel *c)
{
	return tls_stream_keep(&c->stream);
}

size_t channel_waiting(const struct channel *c)
{
	return tls_stream_waiting(&c->stream);
}

/* fault_of sorts the library's reasons. Those from SSL_AD_REASON_OFFSET on are alerts of the client. */
static enum channel_fault fault_of(int reason)
{
	switch (reason) {
	case SSL_R_UNSUPPORTED_PROTOCOL:
	case SSL_R_INAPPROPRIATE_FALLBACK:
		return CHANNEL_FAULT_VERSION;
	case SSL_R_NO_SHARED_CIPHER:
	case SSL_R_NO_SHARED_GROUP:
	case SSL_R_NO_COMMON_SIGNATURE_ALGORITHMS:
	case SSL_R_NO_CIPHERS_SPECIFIED:
		return CHANNEL_FAULT_NOTHING_SHARED;
	case SSL_R_NO_APPLICATION_PROTOCOL:
		return CHANNEL_FAULT_ALPN;
	case SSL_R_WRONG_VERSION_NUMBER:
	case SSL_R_HTTP_REQUEST:
	case SSL_R_HTTPS_PROXY_REQUEST:
		return CHANNEL_FAULT_CLEAR_TEXT;
	default:
		return reason >= SSL_AD_REASON_OFFSET && reason <= SSL_AD_REASON_OFFSET + UINT8_MAX ? CHANNEL_FAULT_ALERT :
		                                                                                     CHANNEL_FAULT_OTHER;
	}
}

/* refuse_unbound: without extended master secret no handshake is completed. The refusal
 * comes when the client goes on behind our hello: in its place it could be taken for
 * something else that we can't do, as scanners take it. */
static enum ec refuse_unbound(struct channel *c, struct bytes *out)
{
	struct tls_stream *s = &c->stream;
	if (tls_stream_waiting(s) == 0 && SSL_in_init(s->ssl))
		return EC_AGAIN;
	s->out = out;
	(void)SSL_send_fatal_alert(s->ssl, SSL_AD_HANDSHAKE_FAILURE);
	s->out = NULL;
	c->refused = true;
	return tls_stream_fail(s, EC_TLS, "no extended master secret");
}

enum ec channel_handshake(struct channel *c, struct bytes *out, struct why *why)
{
	struct tls_stream *s = &c->stream;
	enum ec ec = s->failed;
	/* It shows when the hello is read: then nothing more is to be done for this client. */
	if (ec == EC_OK && !c->no_binding)
		ec = tls_stream_handshake(s, out);
	if (s->failed == EC_OK && c->no_binding)
		ec = refuse_unbound(c, out);
	return s->failed == EC_OK ? ec : tls_stream_failed(s, "handshake", why);
}

void channel_info(const struct channel *c, struct channel_info *info)
{
	const char *sni = SSL_get_servername(c->stream.ssl, TLSEXT_NAMETYPE_host_name);
	const char *group = SSL_get_curve_name(SSL_get_curve_id(c->stream.ssl));
	*info = (struct channel_info){
		.version = SSL_get_version(c->stream.ssl),
		.cipher = SSL_CIPHER_standard_name(SSL_get_current_cipher(c->stream.ssl)),
		.group = group == NULL ? "" : group,
		.sni = sni == NULL ? "" : sni,
		.match = c->match,
		.resumed = SSL_session_reused(c->stream.ssl) == 1,
		.algorithm = c->algorithm,
		.identity = c->identity->name,
		.generation = c->identity->generation,
	};
}

enum channel_fault channel_fault(const struct channel *c)
{
	const struct tls_stream *s = &c->stream;
	if (s->failed == EC_OK)
		return CHANNEL_FAULT_OTHER;
	if (c->refused)
		return CHANNEL_FAULT_NO_EMS;
	if (s->closed)
		return CHANNEL_FAULT_ALERT;
	return s->failed == EC_LIMIT ? CHANNEL_FAULT_FLOOD : fault_of(s->reason);
}

uint32_t channel_key_updates(const struct channel *c)
{
	return c->stream.key_updates;
}

enum ec channel_read(struct channel *c, void *p, size_t cap, size_t *got, struct bytes *out, struct why *why)
{
	return tls_stream_read(&c->stream, p, cap, got, out, why);
}

enum ec channel_write(struct channel *c, struct slice plain, struct bytes *out)
{
	return tls_stream_write(&c->stream, plain, out);
}

void channel_shutdown(struct channel *c, struct bytes *out)
{
	tls_stream_shutdown(&c->stream, out);
}
