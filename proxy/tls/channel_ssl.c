/* One SSL_CTX per key in use, hung on the identity in the snapshot and made when
 * first needed; an SSL starts with the default identity's and moves to another
 * one's in on_hello. The BIO reads from the lent or kept bytes and appends to the
 * queue of the call in progress: no buffer outlives a call unless bytes are left. */
#include "proxy/tls/channel_ssl.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/nid.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

#include "proxy/tls/hello.h"

/* A ClientHello is at most 2^24 long by its header; BoringSSL stops at 16 KiB per
 * message, and a handshake has few. Post-handshake messages are KeyUpdates only:
 * RFC 8446 5.5 needs one per many gigabytes. */
enum { HANDSHAKE_BYTES_MAX = 64 << 10, KEY_UPDATES_FREE = 32, BYTES_PER_KEY_UPDATE = 1 << 20 };
enum { TICKET_LIFE_S = 2 * 3600, HANDSHAKE_KEY_UPDATE = 24 };

/* struct served is what we hang on an identity. */
struct served {
	SSL_CTX *ctx[KEY_NUM_ALGORITHMS];
	uint8_t ticket_key[SNAPSHOT_TICKET_KEY_SIZE]; /* 16 name, 16 HMAC, 16 AES, as BoringSSL lays it out */
};

struct channel {
	SSL *ssl;
	struct snapshot *snapshot;
	struct snapshot_identity *identity;
	struct slice lent;
	struct bytes kept;
	struct bytes *out; /* of the call in progress */
	uint64_t taken;    /* cipher bytes used so far */
	uint64_t records;  /* received so far, those of the handshake too */
	uint64_t plain;    /* octets they carried to us */
	uint64_t tiny_free;
	uint32_t key_updates;
	enum key_algorithm algorithm;
	enum channel_sni match;
	bool no_memory;
	bool no_binding; /* a TLS 1.2 client without the extended master secret */
	enum channel_fault fault;
	const char *flood; /* NULL, or what there is too much of; static */
	enum ec failed;    /* EC_OK while the channel works; what ended it else */
	const char *words; /* about `failed`; static */
};

/* ---- the BIO ---- */

static int bio_read(BIO *bio, char *p, int len)
{
	struct channel *c = BIO_get_data(bio);
	BIO_clear_retry_flags(bio);
	if (len <= 0)
		return 0;
	bool kept = bytes_len(&c->kept) > 0;
	struct slice have = kept ? bytes_slice(&c->kept) : c->lent;
	if (have.len == 0) {
		BIO_set_retry_read(bio);
		return -1;
	}
	struct slice take = slice_first(have, (size_t)len);
	memcpy(p, take.p, take.len);
	if (kept)
		bytes_consume(&c->kept, take.len);
	else
		c->lent = slice_from(c->lent, take.len);
	c->taken += take.len;
	return (int)take.len;
}

static int bio_write(BIO *bio, const char *p, int len)
{
	struct channel *c = BIO_get_data(bio);
	BIO_clear_retry_flags(bio);
	if (len <= 0)
		return 0;
	if (c->out == NULL || bytes_append(c->out, slice_of(p, (size_t)len)) != EC_OK) {
		c->no_memory = true;
		return -1;
	}
	return len;
}

static long bio_ctrl(BIO *bio, int cmd, long larg, void *parg)
{
	(void)bio, (void)larg, (void)parg;
	return cmd == BIO_CTRL_FLUSH ? 1 : 0;
}

static int bio_create(BIO *bio)
{
	BIO_set_init(bio, 1);
	return 1;
}

/* The one method for all channels of the process; never freed. */
static const BIO_METHOD *bio_method(void)
{
	static BIO_METHOD *method;
	if (method == NULL && (method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "channel")) != NULL) {
		BIO_meth_set_read(method, bio_read);
		BIO_meth_set_write(method, bio_write);
		BIO_meth_set_ctrl(method, bio_ctrl);
		BIO_meth_set_create(method, bio_create);
	}
	return method;
}

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

static enum ssl_select_cert_result_t on_hello(const SSL_CLIENT_HELLO *ch)
{
	struct channel *c = SSL_get_app_data(ch->ssl);
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
	SSL_CTX *ctx = context_of(c->snapshot, id, algorithm, NULL);
	if (ctx == NULL)
		return ssl_select_cert_error;
	c->match = sni == NULL ? CHANNEL_SNI_ABSENT : known ? CHANNEL_SNI_KNOWN : CHANNEL_SNI_UNKNOWN;
	c->identity = id;
	c->algorithm = algorithm;
	if (ctx != SSL_get_SSL_CTX(ch->ssl) && SSL_set_SSL_CTX(ch->ssl, ctx) == NULL)
		return ssl_select_cert_error;
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
	struct channel *c = SSL_get_app_data(ssl);
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

/* A record costs us the same whether it carries one octet or 16 KiB; who writes
 * text has no need of records that carry next to nothing. */
static void count_record(struct channel *c)
{
	c->records++;
	if (c->records > c->tiny_free + c->plain / CHANNEL_TINY)
		c->flood = "too many tiny records";
}

/* on_message counts records, and KeyUpdates: BoringSSL bounds those in a row, not
 * those with a byte of data in between. */
static void on_message(int is_write, int version, int type, const void *p, size_t len, SSL *ssl, void *arg)
{
	(void)version, (void)arg;
	struct channel *c = SSL_get_app_data(ssl);
	if (!is_write && type == SSL3_RT_HEADER)
		count_record(c);
	if (is_write || type != SSL3_RT_HANDSHAKE || len == 0 || *(const uint8_t *)p != HANDSHAKE_KEY_UPDATE)
		return;
	c->key_updates++;
	if (c->key_updates > KEY_UPDATES_FREE + c->taken / BYTES_PER_KEY_UPDATE)
		c->flood = "too many KeyUpdates";
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
	SSL_CTX_set_msg_callback(ctx, on_message);
	/* No early data, no compression, no renegotiation: the library's defaults for a server. */
	return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) && SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) &&
	       SSL_CTX_set_strict_cipher_list(ctx, tls12_suites) && set_groups(ctx) &&
	       SSL_CTX_set_signing_algorithm_prefs(ctx, signatures, sizeof signatures / sizeof *signatures) &&
	       SSL_CTX_set_num_tickets(ctx, 1) && SSL_CTX_set_tlsext_ticket_key_cb(ctx, on_ticket);
}

/* error_words describes the oldest error in the library's queue; static. */
static const char *error_words(void)
{
	uint32_t e = ERR_peek_error();
	const char *words = e == 0 ? NULL : ERR_reason_error_string(e);
	return words == NULL ? "no reason given" : words;
}

static SSL_CTX *make_context(struct loaded *key, struct why *why)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_with_buffers_method());
	if (ctx != NULL && set_rules(ctx) &&
	    SSL_CTX_set_chain_and_key(ctx, key->chain, key->num_chain, key->key, NULL))
		return ctx;
	(void)why_set(why, EC_TLS, "TLS set-up: %s", error_words());
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

static SSL_CTX *context_of(struct snapshot *s, struct snapshot_identity *id, enum key_algorithm algorithm,
                           struct why *why)
{
	struct served *served = id->attached;
	if (served == NULL) {
		served = calloc(1, sizeof *served);
		if (served == NULL) {
			(void)why_set(why, EC_NO_MEMORY, "out of memory");
			return NULL;
		}
		snapshot_ticket_key(s, id, served->ticket_key);
		snapshot_attach(id, served, served_free);
	}
	if (served->ctx[algorithm] == NULL)
		served->ctx[algorithm] = make_context(snapshot_key(id, algorithm), why);
	return served->ctx[algorithm];
}

enum ec channel_prepare(struct snapshot *s, struct why *why)
{
	struct snapshot_identity *id = snapshot_default(s);
	for (size_t i = 0; i < id->num_keys; i++) {
		if (context_of(s, id, id->keys[i].info.algorithm, why) == NULL) {
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
	c->tiny_free = CHANNEL_TINY_FREE;
	c->algorithm = c->identity->keys[0].info.algorithm;
	SSL_CTX *ctx = context_of(s, c->identity, c->algorithm, NULL);
	BIO *bio = bio_method() == NULL ? NULL : BIO_new(bio_method());
	c->ssl = ctx == NULL || bio == NULL ? NULL : SSL_new(ctx);
	if (c->ssl == NULL) {
		BIO_free(bio);
		ERR_clear_error();
		channel_free(c);
		return NULL;
	}
	BIO_set_data(bio, c);
	SSL_set_bio(c->ssl, bio, bio);
	SSL_set_app_data(c->ssl, c);
	SSL_set_accept_state(c->ssl);
	SSL_set_shed_handshake_config(c->ssl, 1);
	return c;
}

void channel_allow_tiny(struct channel *c, uint64_t num)
{
	c->tiny_free = num;
}

void channel_free(struct channel *c)
{
	if (c == NULL)
		return;
	SSL_free(c->ssl);
	snapshot_unref(c->snapshot);
	bytes_fini(&c->kept);
	free(c);
}

enum ec channel_give(struct channel *c, struct slice in)
{
	assert(c->lent.len == 0);
	if (bytes_len(&c->kept) > 0)
		return bytes_append(&c->kept, in);
	c->lent = in;
	return EC_OK;
}

enum ec channel_keep(struct channel *c)
{
	enum ec ec = bytes_append(&c->kept, c->lent);
	c->lent = (struct slice){ 0 };
	if (bytes_len(&c->kept) == 0)
		bytes_fini(&c->kept);
	return ec;
}

size_t channel_waiting(const struct channel *c)
{
	return bytes_len(&c->kept) + c->lent.len;
}

static enum ec fail(struct channel *c, enum ec ec, enum channel_fault fault, const char *words)
{
	c->failed = ec;
	c->fault = fault;
	c->words = words;
	ERR_clear_error();
	return ec;
}

/* fault_of sorts the library's reasons. Those from SSL_AD_REASON_OFFSET on are alerts of the client. */
static enum channel_fault fault_of(int reason)
{
	switch (reason) {
	case SSL_R_TOO_MANY_EMPTY_FRAGMENTS:
	case SSL_R_TOO_MANY_KEY_UPDATES:
	case SSL_R_TOO_MANY_WARNING_ALERTS:
		return CHANNEL_FAULT_FLOOD;
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

/* verdict turns what SSL_* returned into a code, and remembers an end. */
static enum ec verdict(struct channel *c, int r)
{
	int e = SSL_get_error(c->ssl, r);
	if (c->no_memory)
		return fail(c, EC_NO_MEMORY, CHANNEL_FAULT_OTHER, "out of memory");
	if (e == SSL_ERROR_WANT_READ)
		return EC_AGAIN;
	if (e == SSL_ERROR_ZERO_RETURN)
		return EC_CLOSED;
	uint32_t packed = ERR_peek_error();
	int reason = ERR_GET_LIB(packed) == ERR_LIB_SSL ? ERR_GET_REASON(packed) : 0;
	enum channel_fault fault = fault_of(reason);
	return fail(c, fault == CHANNEL_FAULT_FLOOD ? EC_LIMIT : EC_TLS, fault, error_words());
}

static enum ec failed(const struct channel *c, const char *what, struct why *why)
{
	return why_set(why, c->failed, "%s: %s", what, c->words);
}

/* refuse_unbound: without extended master secret no handshake is completed. The refusal
 * comes when the client goes on behind our hello: in its place it could be taken for
 * something else that we can't do, as scanners take it. */
static enum ec refuse_unbound(struct channel *c, struct bytes *out)
{
	if (channel_waiting(c) == 0 && SSL_in_init(c->ssl))
		return EC_AGAIN;
	c->out = out;
	(void)SSL_send_fatal_alert(c->ssl, SSL_AD_HANDSHAKE_FAILURE);
	c->out = NULL;
	return fail(c, EC_TLS, CHANNEL_FAULT_NO_EMS, "no extended master secret");
}

enum ec channel_handshake(struct channel *c, struct bytes *out, struct why *why)
{
	if (c->failed != EC_OK)
		return failed(c, "handshake", why);
	ERR_clear_error();
	if (c->no_binding) {
		enum ec refused = refuse_unbound(c, out);
		return refused == EC_AGAIN ? refused : failed(c, "handshake", why);
	}
	c->out = out;
	int r = SSL_do_handshake(c->ssl);
	c->out = NULL;
	if (r == 1 && !c->no_binding)
		return EC_OK;
	enum ec ec = r == 1 ? refuse_unbound(c, out) : verdict(c, r);
	if (ec == EC_AGAIN && c->taken > HANDSHAKE_BYTES_MAX)
		ec = fail(c, EC_LIMIT, CHANNEL_FAULT_FLOOD, "more bytes than any handshake needs");
	else if (ec == EC_CLOSED)
		ec = fail(c, EC_TLS, CHANNEL_FAULT_ALERT, "closed by the client");
	return ec == EC_AGAIN ? ec : failed(c, "handshake", why);
}

void channel_info(const struct channel *c, struct channel_info *info)
{
	const char *sni = SSL_get_servername(c->ssl, TLSEXT_NAMETYPE_host_name);
	const char *group = SSL_get_curve_name(SSL_get_curve_id(c->ssl));
	*info = (struct channel_info){
		.version = SSL_get_version(c->ssl),
		.cipher = SSL_CIPHER_standard_name(SSL_get_current_cipher(c->ssl)),
		.group = group == NULL ? "" : group,
		.sni = sni == NULL ? "" : sni,
		.match = c->match,
		.resumed = SSL_session_reused(c->ssl) == 1,
		.algorithm = c->algorithm,
		.identity = c->identity->name,
		.generation = c->identity->generation,
	};
}

enum channel_fault channel_fault(const struct channel *c)
{
	return c->fault;
}

uint32_t channel_key_updates(const struct channel *c)
{
	return c->key_updates;
}

enum ec channel_read(struct channel *c, void *p, size_t cap, size_t *got, struct bytes *out, struct why *why)
{
	*got = 0;
	enum ec ec = c->failed;
	ERR_clear_error();
	c->out = out;
	while (*got < cap && ec == EC_OK) {
		size_t room = cap - *got;
		int r = SSL_read(c->ssl, (uint8_t *)p + *got, room > INT32_MAX ? INT32_MAX : (int)room);
		if (c->flood != NULL)
			ec = fail(c, EC_LIMIT, CHANNEL_FAULT_FLOOD, c->flood);
		else if (r <= 0)
			ec = verdict(c, r);
		else
			c->plain += (uint64_t)r, *got += (size_t)r;
	}
	c->out = NULL;
	/* What came before the end is delivered first; the end shows again. */
	if (*got > 0)
		return EC_OK;
	return c->failed != EC_OK ? failed(c, "record", why) : ec;
}

enum ec channel_write(struct channel *c, struct slice plain, struct bytes *out)
{
	enum ec ec = c->failed;
	ERR_clear_error();
	c->out = out;
	while (plain.len > 0 && ec == EC_OK) {
		int r = SSL_write(c->ssl, plain.p, plain.len > INT32_MAX ? INT32_MAX : (int)plain.len);
		if (r > 0)
			plain = slice_from(plain, (size_t)r);
		else
			ec = verdict(c, r);
	}
	c->out = NULL;
	return ec == EC_AGAIN || ec == EC_CLOSED ? EC_TLS : ec;
}

void channel_shutdown(struct channel *c, struct bytes *out)
{
	/* During the handshake there is nothing to protect: an alert says it better. */
	if (c->failed != EC_OK || SSL_in_init(c->ssl))
		return;
	ERR_clear_error();
	c->out = out;
	(void)SSL_shutdown(c->ssl);
	c->out = NULL;
	ERR_clear_error();
}
