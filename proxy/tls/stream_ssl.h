/* Owns:  what the server and the client side of TLS over memory have in common: the lent
 *        and kept cipher bytes, records in and out, bounds on what a peer may send, and
 *        how a stream ends.
 * Never: chooses a version, a suite or a key, or judges a certificate (channel_ssl.c and
 *        client_ssl.c do); touches a socket or a clock.
 * Spec:  RFC 8446 5, 6.1; CVE-2016-8610 and the like (records that carry nothing).
 * Start at: struct tls_stream. */
#ifndef PROXY_TLS_STREAM_SSL_H
#define PROXY_TLS_STREAM_SSL_H

#include <stdbool.h>

#include <openssl/base.h>

#include "base/ec.h"
#include "base/slice.h"

/* How many records a peer may send beyond one for each TLS_STREAM_TINY octets that they
 * carried: a record costs the same whether it carries one octet or 16 KiB. */
enum { TLS_STREAM_TINY = 16, TLS_STREAM_TINY_FREE = 10000 };

/* struct tls_stream is embedded in its owner, which reads and never writes it. */
struct tls_stream {
	SSL *ssl;
	void *owner;
	struct slice lent;
	struct bytes kept;
	struct bytes *out; /* of the call in progress */
	uint64_t taken;    /* cipher bytes used so far */
	uint64_t records;  /* received so far, those of the handshake too */
	uint64_t plain;    /* octets they carried to us */
	uint64_t tiny_free;
	uint32_t key_updates; /* that the peer has sent */
	bool no_memory;
	bool closed;       /* close_notify came */
	const char *flood; /* NULL, or what there is too much of; static */
	enum ec failed;    /* EC_OK while the stream works; what ended it else */
	int reason;        /* about `failed`: an SSL_R_* of the library, or 0 */
	const char *words; /* about `failed`; static */
};

/* tls_stream_watch lets streams of a context count what their peers send. */
void tls_stream_watch(SSL_CTX *ctx);

/* tls_stream_init makes the SSL of a stream, which must not move from then on. Returns
 * false without memory; tls_stream_fini is right for a zeroed stream too. */
bool tls_stream_init(struct tls_stream *s, SSL_CTX *ctx, void *owner);
void tls_stream_fini(struct tls_stream *s);
/* tls_stream_owner finds the owner, for callbacks of the library. */
void *tls_stream_owner(const SSL *ssl);

/* As channel_give, _keep, _waiting, _read, _write, _shutdown in channel_ssl.h. */
enum ec tls_stream_give(struct tls_stream *s, struct slice in) MUST_CHECK;
enum ec tls_stream_keep(struct tls_stream *s) MUST_CHECK;
size_t tls_stream_waiting(const struct tls_stream *s);
enum ec tls_stream_read(struct tls_stream *s, void *p, size_t cap, size_t *got, struct bytes *out,
                        struct why *why) MUST_CHECK;
enum ec tls_stream_write(struct tls_stream *s, struct slice plain, struct bytes *out) MUST_CHECK;
void tls_stream_shutdown(struct tls_stream *s, struct bytes *out);

/* tls_stream_handshake goes on with the handshake. Returns EC_OK, EC_AGAIN, or what
 * `failed` says from then on: EC_TLS, EC_LIMIT, EC_NO_MEMORY. */
enum ec tls_stream_handshake(struct tls_stream *s, struct bytes *out) MUST_CHECK;

/* tls_stream_fail ends the stream, and returns `ec`. tls_stream_failed puts its end into
 * words and returns it. */
enum ec tls_stream_fail(struct tls_stream *s, enum ec ec, const char *words);
enum ec tls_stream_failed(const struct tls_stream *s, const char *what, struct why *why) MUST_CHECK;

/* tls_error_words describes the oldest error in the library's queue; static. */
const char *tls_error_words(void);

#endif
