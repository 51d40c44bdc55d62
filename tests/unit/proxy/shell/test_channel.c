/* The server channel against BoringSSL's own client, both in memory. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pool.h>
#include <openssl/ssl.h>

#include "certs/load_ssl.h"
#include "certs/make_ssl.h"
#include "proxy/tls/channel_ssl.h"

enum { T12 = TLS1_2_VERSION, T13 = TLS1_3_VERSION };
#define VERSION(v) .min = (v), .max = (v)
#define V12 VERSION(T12)
#define V13 VERSION(T13)

static const uint8_t seed[SNAPSHOT_SEED_SIZE] = { 1, 2, 3 };

/* ---- identities ---- */

struct pair {
	struct secret key;
	struct bytes chain;
};

static void pair_make(struct pair *p, enum key_algorithm algorithm, const char *name)
{
	*p = (struct pair){ 0 };
	assert_int_equal(make_key(algorithm, &p->key, NULL), EC_OK);
	assert_int_equal(make_self_signed(slice_of(p->key.p, p->key.len), name, (struct wall){ 1800000000 }, 86400, &p->chain,
	                                  NULL),
	                 EC_OK);
}

static void pair_fini(struct pair *p)
{
	secret_fini(&p->key);
	bytes_fini(&p->chain);
}

static struct snapshot_source source(const struct pair *p, const char *name, enum key_algorithm algorithm, uint64_t generation)
{
	return (struct snapshot_source){ name, generation, algorithm, slice_of(p->key.p, p->key.len), bytes_slice(&p->chain) };
}

/* mx1 (the default) has both algorithms, mx2 only ECDSA. `next` has new keys for mx1. */
static struct {
	struct pair ecdsa, rsa, other, fresh;
	struct snapshot *now, *same, *next;
} world;

static struct snapshot *make(struct snapshot_source *sources, size_t num)
{
	struct snapshot *s = NULL;
	struct why why = { 0 };
	assert_int_equal(snapshot_new(sources, num, "mx1.example.org", seed, 1, &s, &why), EC_OK);
	assert_int_equal(channel_prepare(s, &why), EC_OK);
	return s;
}

static int set_up(void **state)
{
	(void)state;
	pair_make(&world.ecdsa, KEY_ECDSA_P256, "mx1.example.org");
	pair_make(&world.rsa, KEY_RSA_3072, "mx1.example.org");
	pair_make(&world.other, KEY_ECDSA_P256, "mx2.example.org");
	pair_make(&world.fresh, KEY_ECDSA_P256, "mx1.example.org");
	struct snapshot_source now[] = {
		source(&world.ecdsa, "mx1.example.org", KEY_ECDSA_P256, 7),
		source(&world.rsa, "mx1.example.org", KEY_RSA_3072, 7),
		source(&world.other, "mx2.example.org", KEY_ECDSA_P256, 3),
	};
	struct snapshot_source next[] = {
		source(&world.fresh, "mx1.example.org", KEY_ECDSA_P256, 8),
		source(&world.other, "mx2.example.org", KEY_ECDSA_P256, 3),
	};
	world.now = make(now, NUM(now));
	world.same = make(now, NUM(now)); /* what another worker has */
	world.next = make(next, NUM(next));
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	snapshot_unref(world.now);
	snapshot_unref(world.same);
	snapshot_unref(world.next);
	pair_fini(&world.ecdsa);
	pair_fini(&world.rsa);
	pair_fini(&world.other);
	pair_fini(&world.fresh);
	return 0;
}

/* ---- the peer ---- */

static const uint16_t rsa_only[] = { SSL_SIGN_RSA_PSS_RSAE_SHA256, SSL_SIGN_RSA_PKCS1_SHA256 };

struct peer {
	SSL_CTX *ctx;
	SSL *ssl;
	BIO *in, *out;
	struct channel *channel;
	struct bytes to_client;
	size_t chunk;      /* octets carried at a time, towards the channel */
	enum ec handshake; /* what the channel said last */
	struct why why;
	SSL_SESSION *session;
	int num_tickets;
};

struct wish {
	uint16_t min, max; /* 0: the library's own */
	const char *sni;
	bool rsa;
	const char *alpn; /* in wire form */
	size_t chunk;
	SSL_SESSION *resume;
	const char *ciphers;
};

static int on_ticket(SSL *ssl, SSL_SESSION *session)
{
	struct peer *p = SSL_get_app_data(ssl);
	p->num_tickets++;
	SSL_SESSION_free(p->session);
	p->session = session;
	return 1;
}

static enum ssl_verify_result_t accept_any(SSL *ssl, uint8_t *out_alert)
{
	(void)ssl, (void)out_alert;
	return ssl_verify_ok;
}

static void peer_init(struct peer *p, struct snapshot *s, struct wish wish)
{
	*p = (struct peer){ .chunk = wish.chunk == 0 ? SIZE_MAX : wish.chunk, .handshake = EC_AGAIN };
	p->ctx = SSL_CTX_new(TLS_with_buffers_method());
	SSL_CTX_set_session_cache_mode(p->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(p->ctx, on_ticket);
	SSL_CTX_set_custom_verify(p->ctx, SSL_VERIFY_PEER, accept_any);
	assert_true(SSL_CTX_set_min_proto_version(p->ctx, wish.min));
	assert_true(SSL_CTX_set_max_proto_version(p->ctx, wish.max));
	if (wish.rsa)
		assert_true(SSL_CTX_set_verify_algorithm_prefs(p->ctx, rsa_only, NUM(rsa_only)));
	if (wish.ciphers != NULL)
		assert_true(SSL_CTX_set_cipher_list(p->ctx, wish.ciphers));
	if (wish.alpn != NULL)
		assert_int_equal(SSL_CTX_set_alpn_protos(p->ctx, (const uint8_t *)wish.alpn, (unsigned)strlen(wish.alpn)), 0);
	p->ssl = SSL_new(p->ctx);
	SSL_set_app_data(p->ssl, p);
	p->in = BIO_new(BIO_s_mem());
	p->out = BIO_new(BIO_s_mem());
	BIO_set_mem_eof_return(p->in, -1);
	SSL_set_bio(p->ssl, p->in, p->out);
	SSL_set_connect_state(p->ssl);
	if (wish.sni != NULL)
		assert_true(SSL_set_tlsext_host_name(p->ssl, wish.sni));
	if (wish.resume != NULL)
		assert_true(SSL_set_session(p->ssl, wish.resume));
	p->channel = channel_new(s);
	assert_non_null(p->channel);
}

static void peer_fini(struct peer *p)
{
	channel_free(p->channel);
	SSL_SESSION_free(p->session);
	SSL_free(p->ssl);
	SSL_CTX_free(p->ctx);
	bytes_fini(&p->to_client);
	ERR_clear_error();
}

/* to_channel carries what the client wants sent, in chunks, kept between. */
static void to_channel(struct peer *p, void (*then)(struct peer *p, void *arg), void *arg)
{
	const uint8_t *bytes;
	size_t len;
	assert_true(BIO_mem_contents(p->out, &bytes, &len));
	uint8_t *copy = malloc(len + 1);
	memcpy(copy, bytes, len);
	(void)BIO_reset(p->out);
	for (size_t at = 0; at < len;) {
		struct slice part = slice_first(slice_from(slice_of(copy, len), at), p->chunk);
		at += part.len;
		assert_int_equal(channel_give(p->channel, part), EC_OK);
		then(p, arg);
		assert_int_equal(channel_keep(p->channel), EC_OK);
	}
	free(copy);
}

static void to_client(struct peer *p)
{
	struct slice s = bytes_slice(&p->to_client);
	if (s.len == 0)
		return;
	assert_int_equal(BIO_write(p->in, s.p, (int)s.len), (int)s.len);
	bytes_consume(&p->to_client, s.len);
}

static void step(struct peer *p, void *arg)
{
	(void)arg;
	if (p->handshake == EC_AGAIN)
		p->handshake = channel_handshake(p->channel, &p->to_client, &p->why);
}

/* shake goes on until both are done or one gives up; it returns the client's word. */
static bool shake(struct peer *p)
{
	bool done = false;
	for (int i = 0; i < 20; i++) {
		done = SSL_do_handshake(p->ssl) == 1;
		to_channel(p, step, NULL);
		to_client(p);
		if ((done && p->handshake == EC_OK) || (p->handshake != EC_OK && p->handshake != EC_AGAIN))
			break;
	}
	ERR_clear_error();
	return done && p->handshake == EC_OK;
}

struct sink {
	struct bytes got;
	enum ec ec;
	struct why why;
};

static void drain(struct peer *p, void *arg)
{
	struct sink *s = arg;
	uint8_t plain[5000];
	size_t got;
	while (s->ec == EC_OK || s->ec == EC_AGAIN) {
		s->ec = channel_read(p->channel, plain, sizeof plain, &got, &p->to_client, &s->why);
		if (s->ec != EC_OK)
			break;
		assert_int_equal(bytes_append(&s->got, slice_of(plain, got)), EC_OK);
	}
}

static struct sink send_through(struct peer *p, const void *bytes, size_t len)
{
	struct sink s = { 0 };
	if (len > 0)
		assert_int_equal(SSL_write(p->ssl, bytes, (int)len), (int)len);
	to_channel(p, drain, &s);
	return s;
}

static bool presents(const struct peer *p, const struct pair *pair)
{
	struct loaded leaf = { 0 };
	assert_int_equal(load_chain(bytes_slice(&pair->chain), &leaf, NULL), EC_OK);
	const STACK_OF(CRYPTO_BUFFER) *chain = SSL_get0_peer_certificates(p->ssl);
	const CRYPTO_BUFFER *first = sk_CRYPTO_BUFFER_value(chain, 0);
	bool same = CRYPTO_BUFFER_len(first) == CRYPTO_BUFFER_len(leaf.chain[0]) &&
	            memcmp(CRYPTO_BUFFER_data(first), CRYPTO_BUFFER_data(leaf.chain[0]), CRYPTO_BUFFER_len(first)) == 0;
	loaded_fini(&leaf);
	return same;
}

/* ---- handshakes ---- */

static void test_who_gets_what(void **state)
{
	const struct {
		const char *name;
		struct wish wish;
		const struct pair *pair; /* NULL: no handshake */
		enum channel_sni match;
	} cases[] = {
		{ "1.3, right name", { V13, .sni = "mx1.example.org" }, &world.ecdsa, CHANNEL_SNI_KNOWN },
		{ "1.2, right name", { V12, .sni = "mx1.example.org" }, &world.ecdsa, CHANNEL_SNI_KNOWN },
		{ "second identity", { V13, .sni = "mx2.example.org" }, &world.other, CHANNEL_SNI_KNOWN },
		{ "second identity, 1.2", { V12, .sni = "mx2.example.org" }, &world.other, CHANNEL_SNI_KNOWN },
		{ "in capitals", { V13, .sni = "MX2.Example.ORG" }, &world.other, CHANNEL_SNI_KNOWN },
		{ "a name we don't know", { V13, .sni = "mx9.example.net" }, &world.ecdsa, CHANNEL_SNI_UNKNOWN },
		{ "a name we don't know, 1.2", { V12, .sni = "x" }, &world.ecdsa, CHANNEL_SNI_UNKNOWN },
		{ "no name", { V13 }, &world.ecdsa, CHANNEL_SNI_ABSENT },
		{ "no name, 1.2", { V12 }, &world.ecdsa, CHANNEL_SNI_ABSENT },
		{ "RSA only", { V13, .rsa = true }, &world.rsa, CHANNEL_SNI_ABSENT },
		{ "RSA only, 1.2", { V12, .rsa = true, .sni = "mx1.example.org" }, &world.rsa, CHANNEL_SNI_KNOWN },
		{ "RSA suites only, 1.2", { V12, .ciphers = "ECDHE-RSA-AES128-GCM-SHA256" }, &world.rsa, CHANNEL_SNI_ABSENT },
		{ "RSA only at an identity without", { V13, .rsa = true, .sni = "mx2.example.org" }, NULL, 0 },
		{ "ALPN smtp", { V13, .alpn = "\x04smtp" }, &world.ecdsa, CHANNEL_SNI_ABSENT },
		{ "ALPN smtp behind another", { V12, .alpn = "\x02h2\x04smtp" }, &world.ecdsa, CHANNEL_SNI_ABSENT },
		{ "ALPN http/1.1", { V13, .alpn = "\x08http/1.1" }, NULL, 0 },
		{ "ALPN smtps is not smtp", { V12, .alpn = "\x05smtps" }, NULL, 0 },
		{ "TLS 1.1", { .min = TLS1_VERSION, .max = TLS1_1_VERSION }, NULL, 0 },
		{ "CBC only", { V12, .ciphers = "ECDHE-RSA-AES128-SHA:ECDHE-ECDSA-AES128-SHA" }, NULL, 0 },
		{ "no forward secrecy", { V12, .ciphers = "AES128-GCM-SHA256" }, NULL, 0 },
	};
	static const size_t chunks[] = { 0, 1, 7 };
	(void)state;
	for (size_t i = 0; i < NUM(cases) * NUM(chunks); i++) {
		struct wish wish = cases[i / NUM(chunks)].wish;
		const char *name = cases[i / NUM(chunks)].name;
		const struct pair *pair = cases[i / NUM(chunks)].pair;
		struct peer p;
		wish.chunk = chunks[i % NUM(chunks)];
		peer_init(&p, world.now, wish);
		if (shake(&p) != (pair != NULL))
			fail_msg("%s, by %zu: %s", name, wish.chunk, p.why.text);
		if (pair != NULL) {
			struct channel_info info;
			channel_info(p.channel, &info);
			if (!presents(&p, pair))
				fail_msg("%s: the wrong certificate", name);
			assert_int_equal(info.match, cases[i / NUM(chunks)].match);
			assert_string_equal(info.sni, wish.sni == NULL ? "" : wish.sni);
			assert_string_equal(info.version, wish.max == T13 ? "TLSv1.3" : "TLSv1.2");
			assert_int_equal(info.algorithm, pair == &world.rsa ? KEY_RSA_3072 : KEY_ECDSA_P256);
			assert_int_equal(info.generation, pair == &world.other ? 3 : 7);
			assert_string_equal(info.cipher, SSL_CIPHER_standard_name(SSL_get_current_cipher(p.ssl)));
			assert_int_equal(SSL_get_extms_support(p.ssl), 1);
		} else {
			assert_int_equal(p.handshake, EC_TLS);
			assert_true(strlen(p.why.text) > strlen("handshake: "));
			/* The client was told by an alert, not by silence. */
			assert_int_not_equal(SSL_do_handshake(p.ssl), 1);
			assert_int_equal(ERR_GET_LIB(ERR_peek_error()), ERR_LIB_SSL);
		}
		peer_fini(&p);
	}
}

static void test_no_handshake_at_all(void **state)
{
	static const char *const talk[] = {
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"EHLO client.example\r\n",
		"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10", /* SSLv2 */
		"\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00",     /* a ServerHello */
		"\x15\x03\x01\x00\x02\x02\x28",                 /* a fatal alert */
		"\x17\x03\x03\x00\x01x",                        /* data */
	};
	(void)state;
	for (size_t i = 0; i < NUM(talk); i++) {
		struct channel *c = channel_new(world.now);
		struct bytes out = { 0 };
		size_t len = i < 2 ? strlen(talk[i]) : i == 2 ? 11 : i == 3 ? 10 : i == 4 ? 7 : 6;
		assert_int_equal(channel_give(c, slice_of(talk[i], len)), EC_OK);
		if (channel_handshake(c, &out, NULL) != EC_TLS)
			fail_msg("talk %zu", i);
		assert_int_equal(channel_handshake(c, &out, NULL), EC_TLS);
		channel_free(c);
		bytes_fini(&out);
	}
}

/* ---- data and ends ---- */

static void test_data_both_ways(void **state)
{
	static const struct wish wishes[] = { { V13, .chunk = 1 }, { V12, .chunk = 1 }, { V13, .chunk = 1000 },
		                              { V12 } };
	enum { BIG = 100000 };
	static uint8_t big[BIG], back[BIG];
	(void)state;
	for (size_t i = 0; i < BIG; i++)
		big[i] = (uint8_t)(i * 7 + i / 251);
	for (size_t i = 0; i < NUM(wishes); i++) {
		struct peer p;
		peer_init(&p, world.now, wishes[i]);
		assert_true(shake(&p));
		struct sink s = send_through(&p, big, BIG);
		assert_int_equal(s.ec, EC_AGAIN);
		assert_true(slice_eq(bytes_slice(&s.got), slice_of(big, BIG)));
		bytes_fini(&s.got);
		assert_int_equal(channel_waiting(p.channel), 0);
		assert_int_equal(channel_write(p.channel, slice_of(big, BIG), &p.to_client), EC_OK);
		to_client(&p);
		size_t n = 0;
		for (int r; n < BIG && (r = SSL_read(p.ssl, back + n, (int)(BIG - n))) > 0;)
			n += (size_t)r;
		assert_int_equal(n, BIG);
		assert_memory_equal(back, big, BIG);
		/* One ticket, no more. RFC 8446 4.6.1 would allow many. */
		assert_int_equal(p.num_tickets, 1);
		peer_fini(&p);
	}
}

/* Bytes that the session can't use yet are kept, and come before newer ones. */
static void test_kept_bytes(void **state)
{
	static const char *const words[] = { "one ", "two ", "three ", "four" };
	struct peer p;
	struct bytes got = { 0 };
	uint8_t plain[8];
	size_t n;
	(void)state;
	peer_init(&p, world.now, (struct wish){ V13 });
	assert_true(shake(&p));
	for (size_t i = 0; i < NUM(words); i++) {
		const uint8_t *bytes;
		size_t len;
		assert_true(SSL_write(p.ssl, words[i], (int)strlen(words[i])) > 0);
		assert_true(BIO_mem_contents(p.out, &bytes, &len));
		assert_int_equal(channel_give(p.channel, slice_of(bytes, len)), EC_OK);
		if (i == 1) {
			/* One octet: the rest of its record stays inside, the next record outside. */
			assert_int_equal(channel_read(p.channel, plain, 1, &n, &p.to_client, NULL), EC_OK);
			assert_int_equal(n, 1);
			assert_int_equal(bytes_append(&got, slice_of(plain, n)), EC_OK);
		}
		assert_int_equal(channel_keep(p.channel), EC_OK);
		(void)BIO_reset(p.out);
	}
	assert_true(channel_waiting(p.channel) > 0);
	while (channel_read(p.channel, plain, sizeof plain, &n, &p.to_client, NULL) == EC_OK)
		assert_int_equal(bytes_append(&got, slice_of(plain, n)), EC_OK);
	assert_true(slice_eq(bytes_slice(&got), slice_str("one two three four")));
	assert_int_equal(channel_waiting(p.channel), 0);
	bytes_fini(&got);
	peer_fini(&p);
}

static void test_honest_end(void **state)
{
	uint8_t octet;
	(void)state;
	for (int v = 0; v < 2; v++) {
		struct peer p;
		peer_init(&p, world.now, (struct wish){ VERSION(v ? T13 : T12) });
		assert_true(shake(&p));
		assert_int_equal(SSL_write(p.ssl, "QUIT\r\n", 6), 6);
		(void)SSL_shutdown(p.ssl);
		struct sink s = send_through(&p, NULL, 0);
		assert_int_equal(bytes_len(&s.got), 6);
		assert_int_equal(s.ec, EC_CLOSED);
		bytes_fini(&s.got);
		/* We can still answer, and then end as honestly. */
		assert_int_equal(channel_write(p.channel, slice_str("221\r\n"), &p.to_client), EC_OK);
		channel_shutdown(p.channel, &p.to_client);
		to_client(&p);
		peer_fini(&p);

		peer_init(&p, world.now, (struct wish){ VERSION(v ? T13 : T12) });
		assert_true(shake(&p));
		channel_shutdown(p.channel, &p.to_client);
		to_client(&p);
		int r = SSL_read(p.ssl, &octet, 1);
		assert_int_equal(SSL_get_error(p.ssl, r), SSL_ERROR_ZERO_RETURN);
		peer_fini(&p);
	}
}

/* A cut connection never looks like an end, wherever it is cut. */
static void test_truncated(void **state)
{
	(void)state;
	for (size_t cut = 0; cut < 60; cut++) {
		struct peer p;
		struct sink s = { 0 };
		const uint8_t *bytes;
		size_t len;
		peer_init(&p, world.now, (struct wish){ V13 });
		assert_true(shake(&p));
		assert_int_equal(SSL_write(p.ssl, "x: y\r\n\r\n.\r\n", 11), 11);
		(void)SSL_shutdown(p.ssl);
		assert_true(BIO_mem_contents(p.out, &bytes, &len));
		if (cut < len) {
			assert_int_equal(channel_give(p.channel, slice_of(bytes, len - 1 - cut)), EC_OK);
			drain(&p, &s);
			assert_int_equal(s.ec, EC_AGAIN);
			assert_int_equal(channel_keep(p.channel), EC_OK);
		}
		bytes_fini(&s.got);
		peer_fini(&p);
	}
}

/* Each octet of a record in turn is damaged on the way. */
static void test_damaged(void **state)
{
	(void)state;
	for (size_t at = 5; at < 5 + 6 + 17; at++) {
		struct peer p;
		struct sink s = { 0 };
		const uint8_t *bytes;
		size_t len;
		uint8_t copy[200];
		peer_init(&p, world.now, (struct wish){ V13 });
		assert_true(shake(&p));
		assert_int_equal(SSL_write(p.ssl, "NOOP\r\n", 6), 6);
		assert_true(BIO_mem_contents(p.out, &bytes, &len));
		assert_true(len <= sizeof copy && at < len);
		memcpy(copy, bytes, len);
		copy[at] ^= 1;
		assert_int_equal(channel_give(p.channel, slice_of(copy, len)), EC_OK);
		drain(&p, &s);
		assert_int_equal(s.ec, EC_TLS);
		assert_int_equal(bytes_len(&s.got), 0);
		/* An alert goes out, and nothing after it. */
		assert_true(bytes_len(&p.to_client) > 0);
		assert_int_equal(channel_write(p.channel, slice_str("250\r\n"), &p.to_client), EC_TLS);
		peer_fini(&p);
	}
}

static void test_clear_text_after_handshake(void **state)
{
	(void)state;
	for (int v = 0; v < 2; v++) {
		struct peer p;
		struct sink s = { 0 };
		peer_init(&p, world.now, (struct wish){ VERSION(v ? T13 : T12) });
		assert_true(shake(&p));
		assert_int_equal(channel_give(p.channel, slice_str("MAIL FROM:<evil@example.com>\r\n")), EC_OK);
		drain(&p, &s);
		assert_int_equal(s.ec, EC_TLS);
		assert_int_equal(bytes_len(&s.got), 0);
		/* The fault stays. */
		s.ec = EC_OK;
		drain(&p, &s);
		assert_int_equal(s.ec, EC_TLS);
		peer_fini(&p);
	}
}

static void test_key_updates(void **state)
{
	static const struct {
		const char *name;
		int updates;
		bool data_between;
		enum ec ec;
	} cases[] = {
		{ "a few", 5, true, EC_AGAIN },
		{ "a flood", 200, false, EC_LIMIT },
		{ "a flood hidden behind data", 200, true, EC_LIMIT },
	};
	(void)state;
	for (size_t i = 0; i < NUM(cases); i++) {
		struct peer p;
		struct sink s = { 0 };
		peer_init(&p, world.now, (struct wish){ V13 });
		assert_true(shake(&p));
		for (int n = 0; n < cases[i].updates; n++) {
			assert_true(SSL_key_update(p.ssl, SSL_KEY_UPDATE_NOT_REQUESTED));
			if (cases[i].data_between || n + 1 == cases[i].updates)
				assert_int_equal(SSL_write(p.ssl, "x", 1), 1);
			else
				assert_true(SSL_write(p.ssl, "", 0) <= 0);
		}
		to_channel(&p, drain, &s);
		if (s.ec != cases[i].ec)
			fail_msg("%s: %s", cases[i].name, ec_name(s.ec));
		bytes_fini(&s.got);
		peer_fini(&p);
	}
}

/* A body in records of one octet each costs its sender nothing and us a lot; small
 * records now and then are how people write. */
static void test_tiny_records(void **state)
{
	static const struct {
		const char *name;
		uint64_t allowed; /* 0: not said */
		int first, each, num;
		enum ec ec;
	} cases[] = {
		{ "a few of one octet", 200, 0, 1, 150, EC_AGAIN },
		{ "many of one octet", 200, 0, 1, 300, EC_LIMIT },
		{ "after a large one they are paid for", 200, 16000, 1, 1000, EC_AGAIN },
		{ "but not for ever", 200, 16000, 1, 1400, EC_LIMIT },
		{ "16 octets each", 200, 0, 16, 3000, EC_AGAIN },
		{ "QUIT, again and again", 200, 0, 6, 600, EC_LIMIT },
		{ "unless told, thousands", 0, 0, 1, 9000, EC_AGAIN },
		{ "but not all", 0, 0, 1, 11000, EC_LIMIT },
	};
	static const char text[16000];
	(void)state;
	for (size_t i = 0; i < 2 * NUM(cases); i++) {
		struct peer p;
		struct sink s = { 0 };
		peer_init(&p, world.now, (struct wish){ VERSION(i % 2 != 0 ? T13 : T12) });
		if (cases[i / 2].allowed != 0)
			channel_allow_tiny(p.channel, cases[i / 2].allowed);
		assert_true(shake(&p));
		if (cases[i / 2].first > 0)
			assert_int_equal(SSL_write(p.ssl, text, cases[i / 2].first), cases[i / 2].first);
		for (int n = 0; n < cases[i / 2].num; n++)
			assert_int_equal(SSL_write(p.ssl, text, cases[i / 2].each), cases[i / 2].each);
		to_channel(&p, drain, &s);
		if (s.ec != cases[i / 2].ec)
			fail_msg("%s: %s", cases[i / 2].name, ec_name(s.ec));
		size_t sent = (size_t)(cases[i / 2].first + cases[i / 2].num * cases[i / 2].each);
		assert_int_equal(bytes_len(&s.got) == sent, s.ec == EC_AGAIN);
		assert_int_equal(strstr(s.why.text, "tiny records") != NULL, s.ec == EC_LIMIT);
		bytes_fini(&s.got);
		peer_fini(&p);
	}
}

/* ---- tickets ---- */

static SSL_SESSION *ticket_of(struct snapshot *s, struct wish wish, bool *out_resumed)
{
	struct peer p;
	struct channel_info info;
	uint8_t octet;
	peer_init(&p, s, wish);
	assert_true(shake(&p));
	channel_info(p.channel, &info);
	*out_resumed = info.resumed;
	assert_int_equal(SSL_session_reused(p.ssl) == 1, info.resumed);
	/* In TLS 1.3 the ticket travels with our first words. */
	assert_int_equal(channel_write(p.channel, slice_str("2"), &p.to_client), EC_OK);
	to_client(&p);
	assert_int_equal(SSL_read(p.ssl, &octet, 1), 1);
	SSL_SESSION *session = p.session;
	p.session = NULL;
	peer_fini(&p);
	return session;
}

static void test_resumption(void **state)
{
	(void)state;
	for (int v = 0; v < 2; v++) {
		struct wish wish = { VERSION(v ? T13 : T12), .sni = "mx1.example.org" };
		const struct {
			const char *name;
			struct snapshot *s;
			const char *sni;
			bool resumed;
		} cases[] = {
			{ "same worker", world.now, "mx1.example.org", true },
			{ "another worker", world.same, "mx1.example.org", true },
			{ "another identity", world.now, "mx2.example.org", false },
			{ "after a swap", world.next, "mx1.example.org", false },
		};
		bool resumed;
		SSL_SESSION *ticket = ticket_of(world.now, wish, &resumed);
		assert_non_null(ticket);
		assert_false(resumed);
		for (size_t i = 0; i < NUM(cases); i++) {
			wish.sni = cases[i].sni;
			wish.resume = ticket;
			SSL_SESSION *more = ticket_of(cases[i].s, wish, &resumed);
			if (resumed != cases[i].resumed)
				fail_msg("%s, TLS 1.%d", cases[i].name, v ? 3 : 2);
			SSL_SESSION_free(more);
		}
		SSL_SESSION_free(ticket);
	}
}

/* A live connection outlasts the snapshot's other users: a swap drops nobody. */
static void test_snapshot_lives_on(void **state)
{
	struct snapshot_source only = source(&world.ecdsa, "mx1.example.org", KEY_ECDSA_P256, 1);
	struct snapshot *s = make(&only, 1);
	struct peer p;
	(void)state;
	peer_init(&p, s, (struct wish){ V13, .sni = "mx1.example.org" });
	snapshot_unref(s);
	assert_true(shake(&p));
	struct sink sink = send_through(&p, "NOOP\r\n", 6);
	assert_int_equal(bytes_len(&sink.got), 6);
	bytes_fini(&sink.got);
	peer_fini(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_gets_what),
		cmocka_unit_test(test_no_handshake_at_all),
		cmocka_unit_test(test_data_both_ways),
		cmocka_unit_test(test_kept_bytes),
		cmocka_unit_test(test_honest_end),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_clear_text_after_handshake),
		cmocka_unit_test(test_key_updates),
		cmocka_unit_test(test_tiny_records),
		cmocka_unit_test(test_resumption),
		cmocka_unit_test(test_snapshot_lives_on),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
