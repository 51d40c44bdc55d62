/* The BIO reads from the lent or kept bytes and appends to the queue of the call in
 * progress: no buffer outlives a call unless bytes are left. */
#include "proxy/tls/stream_ssl.h"

#include <assert.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

/* A hello is at most 2^24 long by its header; BoringSSL stops at 16 KiB per message, at
 * 100 KiB for certificates, and a handshake has few. Post-handshake messages are
 * KeyUpdates and a few tickets: RFC 8446 5.5 needs one KeyUpdate per many gigabytes. */
enum { HANDSHAKE_BYTES_MAX = 64 << 10, KEY_UPDATES_FREE = 32, BYTES_PER_KEY_UPDATE = 1 << 20 };
enum { HANDSHAKE_KEY_UPDATE = 24 };

/* ---- the BIO ---- */

static int bio_read(BIO *bio, char *p, int len)
{
	struct tls_stream *s = BIO_get_data(bio);
	BIO_clear_retry_flags(bio);
	if (len <= 0)
		return 0;
	bool kept = bytes_len(&s->kept) > 0;
	struct slice have = kept ? bytes_slice(&s->kept) : s->lent;
	if (have.len == 0) {
		BIO_set_retry_read(bio);
		return -1;
	}
	struct slice take = slice_first(have, (size_t)len);
	memcpy(p, take.p, take.len);
	if (kept)
		bytes_consume(&s->kept, take.len);
	else
		s->lent = slice_from(s->lent, take.len);
	s->taken += take.len;
	return (int)take.len;
}

static int bio_write(BIO *bio, const char *p, int len)
{
	struct tls_stream *s = BIO_get_data(bio);
	BIO_clear_retry_flags(bio);
	if (len <= 0)
		return 0;
	if (s->out == NULL || bytes_append(s->out, slice_of(p, (size_t)len)) != EC_OK) {
		s->no_memory = true;
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

/* The one method for all streams of the process; never freed. */
static const BIO_METHOD *bio_method(void)
{
	static BIO_METHOD *method;
	if (method == NULL && (method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stream")) != NULL) {
		BIO_meth_set_read(method, bio_read);
		BIO_meth_set_write(method, bio_write);
		BIO_meth_set_ctrl(method, bio_ctrl);
		BIO_meth_set_create(method, bio_create);
	}
	return method;
}

/* ---- bounds ---- */

/* Who writes text has no need of records that carry next to nothing. */
static void count_record(struct tls_stream *s)
{
	s->records++;
	if (s->records > s->tiny_free + s->plain / TLS_STREAM_TINY)
		s->flood = "too many tiny records";
}

/* on_message counts records, and KeyUpdates: BoringSSL bounds those in a row, not
 * those with a byte of data in between. */
static void on_message(int is_write, int version, int type, const void *p, size_t len, SSL *ssl, void *arg)
{
	(void)version, (void)arg;
	struct tls_stream *s = SSL_get_app_data(ssl);
	if (!is_write && type == SSL3_RT_HEADER)
		count_record(s);
	if (is_write || type != SSL3_RT_HANDSHAKE || len == 0 || *(const uint8_t *)p != HANDSHAKE_KEY_UPDATE)
		return;
	s->key_updates++;
	if (s->key_updates > KEY_UPDATES_FREE + s->taken / BYTES_PER_KEY_UPDATE)
		s->flood = "too many KeyUpdates";
}

void tls_stream_watch(SSL_CTX *ctx)
{
	SSL_CTX_set_msg_callback(ctx, on_message);
}

/* ---- one stream ---- */

bool tls_stream_init(struct tls_stream *s, SSL_CTX *ctx, void *owner)
{
	BIO *bio = bio_method() == NULL ? NULL : BIO_new(bio_method());
	*s = (struct tls_stream){ .owner = owner, .tiny_free = TLS_STREAM_TINY_FREE };
	s->ssl = ctx == NULL || bio == NULL ? NULL : SSL_new(ctx);
	if (s->ssl == NULL) {
		BIO_free(bio);
		ERR_clear_error();
		return false;
	}
	BIO_set_data(bio, s);
	SSL_set_bio(s->ssl, bio, bio);
	SSL_set_app_data(s->ssl, s);
	SSL_set_shed_handshake_config(s->ssl, 1);
	return true;
}

void tls_stream_fini(struct tls_stream *s)
{
	SSL_free(s->ssl);
	s->ssl = NULL;
	bytes_fini(&s->kept);
}

void *tls_stream_owner(const SSL *ssl)
{
	const struct tls_stream *s = SSL_get_app_data(ssl);
	return s->owner;
}

enum ec tls_stream_give(struct tls_stream *s, struct slice in)
{
	assert(s->lent.len == 0);
	if (bytes_len(&s->kept) > 0)
		return bytes_append(&s->kept, in);
	s->lent = in;
	return EC_OK;
}

enum ec tls_stream_keep(struct tls_stream *s)
{
	enum ec ec = bytes_append(&s->kept, s->lent);
	s->lent = (struct slice){ 0 };
	if (bytes_len(&s->kept) == 0)
		bytes_fini(&s->kept);
	return ec;
}

size_t tls_stream_waiting(const struct tls_stream *s)
{
	return bytes_len(&s->kept) + s->lent.len;
}

/* ---- how it ends ---- */

const char *tls_error_words(void)
{
	uint32_t e = ERR_peek_error();
	const char *words = e == 0 ? NULL : ERR_reason_error_string(e);
	return words == NULL ? "no reason given" : words;
}

enum ec tls_stream_fail(struct tls_stream *s, enum ec ec, const char *words)
{
	s->failed = ec;
	s->words = words;
	ERR_clear_error();
	return ec;
}

enum ec tls_stream_failed(const struct tls_stream *s, const char *what, struct why *why)
{
	return why_set(why, s->failed, "%s: %s", what, s->words);
}

/* The library has bounds of its own, too. */
static bool is_flood(int reason)
{
	return reason == SSL_R_TOO_MANY_EMPTY_FRAGMENTS || reason == SSL_R_TOO_MANY_KEY_UPDATES ||
	       reason == SSL_R_TOO_MANY_WARNING_ALERTS;
}

/* verdict turns what SSL_* returned into a code, and remembers an end. */
static enum ec verdict(struct tls_stream *s, int r)
{
	int e = SSL_get_error(s->ssl, r);
	if (s->no_memory)
		return tls_stream_fail(s, EC_NO_MEMORY, "out of memory");
	if (e == SSL_ERROR_WANT_READ)
		return EC_AGAIN;
	if (e == SSL_ERROR_ZERO_RETURN) {
		s->closed = true;
		return EC_CLOSED;
	}
	uint32_t packed = ERR_peek_error();
	s->reason = ERR_GET_LIB(packed) == ERR_LIB_SSL ? ERR_GET_REASON(packed) : 0;
	return tls_stream_fail(s, is_flood(s->reason) ? EC_LIMIT : EC_TLS, tls_error_words());
}

enum ec tls_stream_handshake(struct tls_stream *s, struct bytes *out)
{
	if (s->failed != EC_OK)
		return s->failed;
	ERR_clear_error();
	s->out = out;
	int r = SSL_do_handshake(s->ssl);
	s->out = NULL;
	if (r == 1)
		return EC_OK;
	enum ec ec = verdict(s, r);
	if (ec == EC_AGAIN && s->taken > HANDSHAKE_BYTES_MAX) {
		s->flood = "more bytes than any handshake needs";
		ec = tls_stream_fail(s, EC_LIMIT, s->flood);
	} else if (ec == EC_CLOSED) {
		ec = tls_stream_fail(s, EC_TLS, "closed by the peer");
	}
	return ec;
}

enum ec tls_stream_read(struct tls_stream *s, void *p, size_t cap, size_t *got, struct bytes *out, struct why *why)
{
	*got = 0;
	enum ec ec = s->failed;
	ERR_clear_error();
	s->out = out;
	while (*got < cap && ec == EC_OK) {
		size_t room = cap - *got;
		int r = SSL_read(s->ssl, (uint8_t *)p + *got, room > INT32_MAX ? INT32_MAX : (int)room);
		if (s->flood != NULL)
			ec = tls_stream_fail(s, EC_LIMIT, s->flood);
		else if (r <= 0)
			ec = verdict(s, r);
		else
			s->plain += (uint64_t)r, *got += (size_t)r;
	}
	s->out = NULL;
	/* What came before the end is delivered first; the end shows again. */
	if (*got > 0)
		return EC_OK;
	return s->failed != EC_OK ? tls_stream_failed(s, "record", why) : ec;
}

enum ec tls_stream_write(struct tls_stream *s, struct slice plain, struct bytes *out)
{
	enum ec ec = s->failed;
	ERR_clear_error();
	s->out = out;
	while (plain.len > 0 && ec == EC_OK) {
		int r = SSL_write(s->ssl, plain.p, plain.len > INT32_MAX ? INT32_MAX : (int)plain.len);
		if (r > 0)
			plain = slice_from(plain, (size_t)r);
		else
			ec = verdict(s, r);
	}
	s->out = NULL;
	return ec == EC_AGAIN || ec == EC_CLOSED ? EC_TLS : ec;
}

void tls_stream_shutdown(struct tls_stream *s, struct bytes *out)
{
	/* During the handshake there is nothing to protect: an alert says it better. */
	if (s->failed != EC_OK || SSL_in_init(s->ssl))
		return;
	ERR_clear_error();
	s->out = out;
	(void)SSL_shutdown(s->ssl);
	s->out = NULL;
	ERR_clear_error();
}
