#include "fuzz/proxy/caller.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

static void put(struct bytes *b, struct slice s)
{
	if (bytes_append(b, s) != EC_OK)
		abort();
}

void caller_open(struct caller *c, int fd, size_t step)
{
	*c = (struct caller){ .fd = fd, .step = step };
}

static enum ssl_verify_result_t accept_any(SSL *ssl, uint8_t *out_alert)
{
	(void)ssl, (void)out_alert;
	return ssl_verify_ok;
}

static SSL_CTX *context(void)
{
	static SSL_CTX *ctx;
	if (ctx == NULL) {
		ctx = SSL_CTX_new(TLS_with_buffers_method());
		assert(ctx != NULL);
		SSL_CTX_set_custom_verify(ctx, SSL_VERIFY_PEER, accept_any);
	}
	return ctx;
}

void caller_secure(struct caller *c, uint16_t max_version, const char *sni)
{
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	c->ssl = SSL_new(context());
	assert(in != NULL && out != NULL && c->ssl != NULL);
	BIO_set_mem_eof_return(in, -1);
	SSL_set_bio(c->ssl, in, out);
	SSL_set_connect_state(c->ssl);
	int ok = SSL_set_max_proto_version(c->ssl, max_version) & (sni == NULL || SSL_set_tlsext_host_name(c->ssl, sni));
	assert(ok == 1);
}

/* collect takes what TLS wants sent. */
static void collect(struct caller *c)
{
	const uint8_t *p;
	size_t len;
	BIO *out = SSL_get_wbio(c->ssl);
	if (BIO_mem_contents(out, &p, &len) == 1 && len > 0) {
		put(&c->out, slice_of(p, len));
		(void)BIO_reset(out);
	}
}

static void fail(struct caller *c)
{
	c->failed = true;
	ERR_clear_error();
}

void caller_say(struct caller *c, struct slice plain)
{
	if (c->fd < 0 || c->half || plain.len == 0)
		return;
	if (c->ssl == NULL) {
		put(&c->out, plain);
	} else if (!c->secure) {
		put(&c->later, plain);
	} else if (!c->failed) {
		if (SSL_write(c->ssl, plain.p, (int)plain.len) <= 0)
			fail(c);
		collect(c);
	}
}

void caller_raw(struct caller *c, struct slice octets)
{
	if (c->fd >= 0 && !c->half)
		put(&c->out, octets);
}

void caller_update(struct caller *c)
{
	if (c->secure && !c->failed && SSL_version(c->ssl) == TLS1_3_VERSION) {
		(void)SSL_key_update(c->ssl, SSL_KEY_UPDATE_REQUESTED);
		ERR_clear_error();
	}
}

void caller_bye(struct caller *c)
{
	if (c->secure && !c->failed) {
		(void)SSL_shutdown(c->ssl);
		collect(c);
		ERR_clear_error();
	}
}

void caller_hang_up(struct caller *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

void caller_fini(struct caller *c)
{
	caller_hang_up(c);
	SSL_free(c->ssl);
	c->ssl = NULL;
	bytes_fini(&c->later);
	bytes_fini(&c->out);
	bytes_fini(&c->heard);
}

static bool write_some(struct caller *c)
{
	struct slice next = slice_first(bytes_slice(&c->out), c->step);
	if (next.len == 0) {
		if (c->half && c->fd >= 0 && bytes_len(&c->later) == 0)
			(void)shutdown(c->fd, SHUT_WR);
		return false;
	}
	ssize_t n = send(c->fd, next.p, next.len, MSG_NOSIGNAL);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return false;
	/* To one that has gone nothing more can be said. */
	bytes_consume(&c->out, n < 0 ? bytes_len(&c->out) : (size_t)n);
	return true;
}

static void shake(struct caller *c)
{
	int done = SSL_do_handshake(c->ssl);
	if (done != 1 && SSL_get_error(c->ssl, done) != SSL_ERROR_WANT_READ)
		fail(c);
	collect(c);
	if (done != 1)
		return;
	c->secure = true;
	struct bytes later = c->later;
	c->later = (struct bytes){ 0 };
	caller_say(c, bytes_slice(&later));
	bytes_fini(&later);
}

static void take(struct caller *c, struct slice in)
{
	uint8_t plain[4096];
	if (c->ssl == NULL) {
		put(&c->heard, in);
		return;
	}
	if (c->failed)
		return;
	if (BIO_write(SSL_get_rbio(c->ssl), in.p, (int)in.len) != (int)in.len)
		abort();
	if (!c->secure)
		shake(c);
	while (c->secure && !c->failed) {
		int n = SSL_read(c->ssl, plain, sizeof plain);
		if (n > 0) {
			put(&c->heard, slice_of(plain, (size_t)n));
			continue;
		}
		int why = SSL_get_error(c->ssl, n);
		if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_ZERO_RETURN)
			fail(c);
		break;
	}
	collect(c);
}

static bool read_some(struct caller *c)
{
	uint8_t in[8192];
	if (c->deaf || c->eof)
		return false;
	ssize_t n = recv(c->fd, in, sizeof in, 0);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return false;
	if (n > 0) {
		take(c, slice_of(in, (size_t)n));
	} else {
		c->eof = true;
		c->reset = n < 0;
	}
	return true;
}

bool caller_move(struct caller *c)
{
	if (c->fd < 0)
		return false;
	if (c->ssl != NULL && !c->secure && !c->failed && bytes_len(&c->out) == 0)
		shake(c);
	bool moved = write_some(c);
	moved |= read_some(c);
	return moved;
}
