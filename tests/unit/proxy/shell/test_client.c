/* The TLS client against BoringSSL's own server, both in memory. What a chain and an RRset
 * are worth is tested in tests/unit/certs; here it is what the client makes of it. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pool.h>
#include <openssl/ssl.h>

#include "certs/load_ssl.h"
#include "certs/make_ssl.h"
#include "proxy/tls/client_ssl.h"

enum { T12 = TLS1_2_VERSION, T13 = TLS1_3_VERSION, MADE = 1800000000, NOW = MADE + 1000, LIFE = 86400, SHORT = 100 };

/* ---- certificates ---- */

struct pair {
	struct secret key;
	struct bytes chain;
	struct loaded loaded;
};

static struct {
	struct pair good, rsa, old, other;
	struct tls_store *all, *none; /* `none` trusts only a certificate that nobody presents */
} world;

static void pair_make(struct pair *p, enum key_algorithm algorithm, const char *name, int64_t life)
{
	*p = (struct pair){ 0 };
	assert_int_equal(make_key(algorithm, &p->key, NULL), EC_OK);
	struct slice key = slice_of(p->key.p, p->key.len);
	assert_int_equal(make_self_signed(key, name, (struct wall){ MADE }, life, &p->chain, NULL), EC_OK);
	assert_int_equal(load_pair(key, bytes_slice(&p->chain), &p->loaded, NULL), EC_OK);
}

static void pair_fini(struct pair *p)
{
	loaded_fini(&p->loaded);
	secret_fini(&p->key);
	bytes_fini(&p->chain);
}

static int set_up(void **state)
{
	(void)state;
	struct bytes bundle = { 0 };
	struct pair stranger;
	pair_make(&world.good, KEY_ECDSA_P256, "mx1.example.org", LIFE);
	pair_make(&world.rsa, KEY_RSA_3072, "mx1.example.org", LIFE);
	pair_make(&world.old, KEY_ECDSA_P256, "mx1.example.org", SHORT);
	pair_make(&world.other, KEY_ECDSA_P256, "other.example", LIFE);
	pair_make(&stranger, KEY_ECDSA_P256, "mx1.example.org", LIFE);
	struct pair *pairs[] = { &world.good, &world.rsa, &world.old, &world.other };
	for (size_t i = 0; i < NUM(pairs); i++)
		assert_int_equal(bytes_append(&bundle, bytes_slice(&pairs[i]->chain)), EC_OK);
	assert_int_equal(tls_store_new(bytes_slice(&bundle), &world.all, NULL), EC_OK);
	assert_int_equal(tls_store_new(bytes_slice(&stranger.chain), &world.none, NULL), EC_OK);
	bytes_fini(&bundle);
	pair_fini(&stranger);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	pair_fini(&world.good);
	pair_fini(&world.rsa);
	pair_fini(&world.old);
	pair_fini(&world.other);
	tls_store_free(world.all);
	tls_store_free(world.none);
	return 0;
}

/* ---- the server ---- */

struct server {
	SSL_CTX *ctx;
	SSL *ssl;
	BIO *in, *out;
	struct tls_client *client;
	struct bytes to_server;
	size_t chunk; /* octets carried at a time, towards the client */
	enum ec handshake;
	struct why why;
	char sni[64];
};

struct offer {
	const struct pair *pair;
	uint16_t min, max;
	const char *ciphers;
	size_t chunk;
};

static void server_init(struct server *s, struct offer o, const struct tls_client_want *want)
{
	*s = (struct server){ .chunk = o.chunk == 0 ? SIZE_MAX : o.chunk, .handshake = EC_AGAIN };
	const struct loaded *l = &o.pair->loaded;
	s->ctx = SSL_CTX_new(TLS_with_buffers_method());
	assert_true(SSL_CTX_set_chain_and_key(s->ctx, l->chain, l->num_chain, l->key, NULL));
	assert_true(SSL_CTX_set_min_proto_version(s->ctx, o.min));
	assert_true(SSL_CTX_set_max_proto_version(s->ctx, o.max));
	if (o.ciphers != NULL)
		assert_true(SSL_CTX_set_cipher_list(s->ctx, o.ciphers));
	s->ssl = SSL_new(s->ctx);
	s->in = BIO_new(BIO_s_mem());
	s->out = BIO_new(BIO_s_mem());
	BIO_set_mem_eof_return(s->in, -1);
	SSL_set_bio(s->ssl, s->in, s->out);
	SSL_set_accept_state(s->ssl);
	assert_int_equal(tls_client_new(want, &s->client, &s->why), EC_OK);
}

static void server_fini(struct server *s)
{
	tls_client_free(s->client);
	SSL_free(s->ssl);
	SSL_CTX_free(s->ctx);
	bytes_fini(&s->to_server);
	ERR_clear_error();
}

static void to_server(struct server *s)
{
	struct slice out = bytes_slice(&s->to_server);
	if (out.len == 0)
		return;
	assert_int_equal(BIO_write(s->in, out.p, (int)out.len), (int)out.len);
	bytes_consume(&s->to_server, out.len);
}

/* give carries octets to the client in chunks, kept between. */
static void give(struct server *s, struct slice octets, void (*then)(struct server *s, void *arg), void *arg)
{
	while (octets.len > 0) {
		struct slice part = slice_first(octets, s->chunk);
		octets = slice_from(octets, part.len);
		assert_int_equal(tls_client_give(s->client, part), EC_OK);
		then(s, arg);
		assert_int_equal(tls_client_keep(s->client), EC_OK);
	}
}

/* to_client carries what the server wants sent; `spoil` is the octet, from the end, that is damaged on the way, or 0. */
static void to_client(struct server *s, size_t spoil, void (*then)(struct server *s, void *arg), void *arg)
{
	const uint8_t *bytes;
	size_t len;
	assert_true(BIO_mem_contents(s->out, &bytes, &len));
	uint8_t *copy = malloc(len + 1);
	memcpy(copy, bytes, len);
	(void)BIO_reset(s->out);
	if (spoil > 0)
		copy[len - spoil] ^= 1;
	give(s, slice_of(copy, len), then, arg);
	free(copy);
}

static void step(struct server *s, void *arg)
{
	(void)arg;
	if (s->handshake == EC_AGAIN)
		s->handshake = tls_client_handshake(s->client, &s->to_server, &s->why);
}

static bool shake(struct server *s)
{
	bool done = false;
	step(s, NULL);
	for (int i = 0; i < 20 && (s->handshake == EC_AGAIN || !done); i++) {
		to_server(s);
		done = SSL_do_handshake(s->ssl) == 1;
		ERR_clear_error();
		to_client(s, 0, step, NULL);
		if (s->handshake != EC_AGAIN && s->handshake != EC_OK)
			break;
	}
	const char *sni = SSL_get_servername(s->ssl, TLSEXT_NAMETYPE_host_name);
	if (sni != NULL)
		(void)strncpy(s->sni, sni, sizeof s->sni - 1);
	return done && s->handshake == EC_OK;
}

/* ---- verdicts ---- */

enum { RDATA_MAX = 80, RECORDS_MAX = 3 };

/* struct rrset is built from words like "311=good": the parameters, and whose digest it is;
 * "x": nobody's. */
struct rrset {
	uint8_t octets[RECORDS_MAX][RDATA_MAX];
	struct slice rdata[RECORDS_MAX];
	size_t num;
};

static struct slice digest_of(const char *whose, char selector, char matching)
{
	const struct pair *p = strncmp(whose, "good", 4) == 0 ? &world.good : strncmp(whose, "rsa", 3) == 0 ? &world.rsa :
	                       strncmp(whose, "old", 3) == 0 ? &world.old : &world.other;
	const struct cert_digests *d = &p->loaded.info.chain[0];
	if (selector == '0')
		return matching == '2' ? slice_of(d->cert_sha512, 64) : slice_of(d->cert_sha256, 32);
	return matching == '2' ? slice_of(d->spki_sha512, 64) : slice_of(d->spki_sha256, 32);
}

static void rrset_make(struct rrset *r, const char *text)
{
	*r = (struct rrset){ 0 };
	for (const char *p = text; p != NULL && *p != '\0'; p = strchr(p, ' ') == NULL ? NULL : strchr(p, ' ') + 1) {
		uint8_t *o = r->octets[r->num];
		struct slice digest = digest_of(p + 4, p[1], p[2]);
		for (int i = 0; i < 3; i++)
			o[i] = (uint8_t)(p[i] - '0');
		memcpy(o + 3, digest.p, digest.len);
		o[3] ^= p[4] == 'x';
		r->rdata[r->num++] = slice_of(o, 3 + digest.len);
	}
}

struct verdict_case {
	const char *name;
	enum tls_client_verify verify;
	const char *records; /* DANE */
	struct tls_store **store; /* NAMES */
	const struct pair *pin; /* PINS */
	const struct pair *presented;
	enum smtp_reply_id verdict;
	enum smtp_reply_id with_sts;
};

#define OKAY SMTP_R_NONE, SMTP_R_NONE
#define REFUSED(id) SMTP_R_##id, SMTP_R_HOP_STS

static const struct verdict_case verdicts[] = {
	{ "anything goes", TLS_CLIENT_ANY, NULL, NULL, NULL, &world.other, OKAY },
	{ "anything goes, expired", TLS_CLIENT_ANY, NULL, NULL, NULL, &world.old, OKAY },
	{ "3 1 1", TLS_CLIENT_DANE, "311=good", NULL, NULL, &world.good, OKAY },
	{ "3 1 1, RSA", TLS_CLIENT_DANE, "311=rsa", NULL, NULL, &world.rsa, OKAY },
	{ "3 0 2 behind two others", TLS_CLIENT_DANE, "311=x 312=x 302=good", NULL, NULL, &world.good, OKAY },
	{ "3 1 1 of another key", TLS_CLIENT_DANE, "311=other", NULL, NULL, &world.good, REFUSED(HOP_TLSA) },
	{ "3 1 1 is weaker than 3 1 2", TLS_CLIENT_DANE, "311=good 312=x", NULL, NULL, &world.good, REFUSED(HOP_TLSA) },
	{ "DANE-EE knows no dates", TLS_CLIENT_DANE, "311=old", NULL, NULL, &world.old, OKAY },
	{ "DANE-EE knows no names", TLS_CLIENT_DANE, "311=other", NULL, NULL, &world.other, OKAY },
	{ "a leaf is no DANE-TA", TLS_CLIENT_DANE, "201=good", NULL, NULL, &world.good, REFUSED(HOP_TLSA) },
	{ "PKIX-EE only", TLS_CLIENT_DANE, "111=good", NULL, NULL, &world.good, REFUSED(HOP_TLSA) },
	{ "no record at all", TLS_CLIENT_DANE, "", NULL, NULL, &world.good, REFUSED(HOP_TLSA) },
	{ "CA and name", TLS_CLIENT_NAMES, NULL, &world.all, NULL, &world.good, OKAY },
	{ "another CA", TLS_CLIENT_NAMES, NULL, &world.none, NULL, &world.good, REFUSED(HOP_TRUST) },
	{ "another name", TLS_CLIENT_NAMES, NULL, &world.all, NULL, &world.other, REFUSED(HOP_NAME) },
	{ "expired", TLS_CLIENT_NAMES, NULL, &world.all, NULL, &world.old, REFUSED(HOP_EXPIRED) },
	{ "pinned", TLS_CLIENT_PINS, NULL, NULL, &world.good, &world.good, OKAY },
	{ "pinned, expired", TLS_CLIENT_PINS, NULL, NULL, &world.old, &world.old, OKAY },
	{ "another pin", TLS_CLIENT_PINS, NULL, NULL, &world.other, &world.good, REFUSED(HOP_TRUST) },
};

static void run_verdict(const struct verdict_case *c, uint16_t version, size_t chunk, bool sts)
{
	static const char *const names[] = { "mx1.example.org.", "example.org" };
	struct rrset records;
	uint8_t pins[2][TLS_CLIENT_PIN_SIZE] = { { 0 } };
	struct server s;
	rrset_make(&records, c->records);
	if (c->pin != NULL)
		memcpy(pins[1], c->pin->loaded.info.chain[0].spki_sha256, TLS_CLIENT_PIN_SIZE);
	struct tls_client_want want = { .verify = c->verify, .sni = names[0], .names = names, .num_names = 2, .records = records.rdata,
		                        .num_records = records.num, .store = c->store == NULL ? NULL : *c->store, .pins = pins,
		                        .num_pins = c->pin == NULL ? 0 : 2, .sts = sts, .now = { NOW } };
	server_init(&s, (struct offer){ c->presented, T12, version, NULL, chunk }, &want);
	memset(&records, 0xee, sizeof records); /* it has copies */
	memset(pins, 0xee, sizeof pins);
	bool done = shake(&s);
	enum smtp_reply_id verdict = sts ? c->with_sts : c->verdict;
	if (done != (verdict == SMTP_R_NONE) || tls_client_verdict(s.client) != verdict)
		fail_msg("%s: %d and not %d: %s", c->name, (int)tls_client_verdict(s.client), (int)verdict, s.why.text);
	assert_string_equal(s.sni, "mx1.example.org");
	if (done) {
		struct tls_client_info info;
		tls_client_info(s.client, &info);
		assert_string_equal(info.version, version == T13 ? "TLSv1.3" : "TLSv1.2");
		assert_int_equal(info.authenticated, c->verify != TLS_CLIENT_ANY);
		assert_true(strlen(info.proof) > 0 && strlen(info.cipher) > 0 && strlen(info.group) > 0);
	} else {
		assert_int_equal(s.handshake, EC_TLS);
		assert_true(strncmp(s.why.text, "certificate: ", 13) == 0 && s.why.text[13] != '\0');
		/* The server was told by an alert, not by silence. */
		to_server(&s);
		uint8_t octet;
		assert_true(SSL_do_handshake(s.ssl) != 1 || SSL_read(s.ssl, &octet, 1) < 0);
		uint32_t e = ERR_peek_error();
		assert_int_equal(ERR_GET_LIB(e), ERR_LIB_SSL);
		assert_int_equal(ERR_GET_REASON(e), verdict == SMTP_R_HOP_EXPIRED ? SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED :
		                 sts && c->verdict == SMTP_R_HOP_EXPIRED ? SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED : SSL_R_SSLV3_ALERT_BAD_CERTIFICATE);
	}
	server_fini(&s);
}

static void test_verdicts(void **state)
{
	(void)state;
	for (size_t i = 0; i < NUM(verdicts); i++)
		for (unsigned k = 0; k < 8; k++)
			run_verdict(&verdicts[i], (k & 1) != 0 ? T13 : T12, (k & 2) != 0 ? 7 : 0, (k & 4) != 0);
}

/* ---- servers of all kinds ---- */

static void test_servers(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		struct offer offer;
		bool any, dane; /* can be talked to, with nothing to prove, with DANE */
	} cases[] = {
		{ "TLS 1.3", { &world.rsa, T13, T13, NULL, 0 }, true, true },
		{ "AEAD", { &world.rsa, T12, T12, "ECDHE-RSA-CHACHA20-POLY1305", 0 }, true, true },
		{ "CBC, forward secret", { &world.rsa, T12, T12, "ECDHE-RSA-AES256-SHA", 0 }, true, true },
		{ "RSA key transport, GCM", { &world.rsa, T12, T12, "AES128-GCM-SHA256", 0 }, true, false },
		{ "RSA key transport, CBC", { &world.rsa, T12, T12, "AES256-SHA", 0 }, true, false },
		{ "3DES", { &world.rsa, T12, T12, "DES-CBC3-SHA", 0 }, false, false },
		{ "TLS 1.1", { &world.rsa, TLS1_VERSION, TLS1_1_VERSION, NULL, 0 }, false, false },
	};
	for (size_t i = 0; i < 2 * NUM(cases); i++) {
		bool dane = i % 2 == 1, good = dane ? cases[i / 2].dane : cases[i / 2].any;
		struct rrset records;
		struct server s;
		rrset_make(&records, "311=rsa");
		struct tls_client_want want = { .verify = dane ? TLS_CLIENT_DANE : TLS_CLIENT_ANY, .records = records.rdata,
			                        .num_records = records.num, .now = { NOW } };
		server_init(&s, cases[i / 2].offer, &want);
		if (shake(&s) != good)
			fail_msg("%s, %s: %s", cases[i / 2].name, dane ? "DANE" : "any", s.why.text);
		enum smtp_reply_id refused = dane ? SMTP_R_HOP_TLSA : SMTP_R_HOP_TRUST;
		assert_int_equal(tls_client_verdict(s.client), good ? SMTP_R_NONE : refused);
		server_fini(&s);
	}
}

static void test_sni(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
		{ "mx1.example.org", "mx1.example.org" }, { "mx1.example.org.", "mx1.example.org" }, { "", "" }, { NULL, "" },
		{ "192.0.2.1", "" }, { "2001:db8::1", "" }, /* RFC 6066 3 */
	};
	for (size_t i = 0; i < NUM(cases); i++) {
		struct server s;
		struct tls_client_want want = { .verify = TLS_CLIENT_ANY, .sni = cases[i][0] };
		server_init(&s, (struct offer){ &world.good, T12, T13, NULL, 0 }, &want);
		assert_true(shake(&s));
		assert_string_equal(s.sni, cases[i][1]);
		server_fini(&s);
	}
}

static void test_limits(void **state)
{
	(void)state;
	char label[300];
	const char *names[TLS_CLIENT_NAMES_MAX + 1] = { "a", "b", "c", "d", "e" };
	struct tls_client *c = NULL;
	struct tls_client_want want = { .names = names, .num_names = NUM(names) };
	assert_int_equal(tls_client_new(&want, &c, NULL), EC_LIMIT);
	memset(label, 'a', sizeof label - 1);
	label[sizeof label - 1] = '\0';
	want = (struct tls_client_want){ .sni = label };
	assert_int_equal(tls_client_new(&want, &c, NULL), EC_RANGE);
	names[0] = label;
	want = (struct tls_client_want){ .names = names, .num_names = 1 };
	assert_int_equal(tls_client_new(&want, &c, NULL), EC_RANGE);
	/* RFC 8461 4.2: a CA that everybody trusts says nothing without a name. */
	names[0] = "mx1.example.org";
	want = (struct tls_client_want){ .verify = TLS_CLIENT_NAMES, .store = world.all };
	assert_int_equal(tls_client_new(&want, &c, NULL), EC_MISSING);
	want = (struct tls_client_want){ .verify = TLS_CLIENT_NAMES, .names = names, .num_names = 1 };
	assert_int_equal(tls_client_new(&want, &c, NULL), EC_MISSING);
	assert_null(c);
	tls_client_free(NULL);
}

static void test_stores(void **state)
{
	(void)state;
	struct tls_store *store;
	struct bytes two = { 0 };
	assert_int_equal(tls_store_new((struct slice){ 0 }, &store, NULL), EC_MISSING);
	assert_int_equal(tls_store_new(slice_str("no PEM\n"), &store, NULL), EC_MISSING);
	assert_int_equal(tls_store_new(slice_of(world.good.key.p, world.good.key.len), &store, NULL), EC_MISSING);
	/* One that can't be decoded does not spoil the others. */
	assert_int_equal(bytes_append(&two, slice_str("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")), EC_OK);
	assert_int_equal(tls_store_new(bytes_slice(&two), &store, NULL), EC_MISSING);
	assert_int_equal(bytes_append(&two, bytes_slice(&world.good.chain)), EC_OK);
	assert_int_equal(tls_store_new(bytes_slice(&two), &store, NULL), EC_OK);
	assert_int_equal(tls_store_num(store), 1);
	assert_int_equal(tls_store_num(world.all), 4);
	/* One that is damaged: those behind it must not be missing without a word. */
	static const char *const damaged[] = {
		"-----BEGIN CERTIFICATE-----\nAAA\n-----END CERTIFICATE-----\n", "-----BEGIN CERTIFICATE-----\nA: B\n\nAAAA\n-----END CERTIFICATE-----\n",
		"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE----\n",  "----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
		"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",        "-----BEGIN X509 CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
	};
	for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
		struct bytes three = { 0 };
		struct tls_store *none = NULL;
		struct why why = { 0 };
		assert_int_equal(bytes_append(&three, bytes_slice(&world.good.chain)), EC_OK);
		assert_int_equal(bytes_append(&three, slice_str(damaged[i])), EC_OK);
		assert_int_equal(bytes_append(&three, bytes_slice(&world.other.chain)), EC_OK);
		assert_int_equal(tls_store_new(bytes_slice(&three), &none, &why), EC_CORRUPT);
		assert_null(none);
		assert_non_null(strstr(why.text, "certificate 2 "));
		bytes_fini(&three);
	}
	/* A client keeps it alive. */
	struct server s;
	static const char *const names[] = { "mx1.example.org" };
	struct tls_client_want want = { .verify = TLS_CLIENT_NAMES, .names = names, .num_names = 1, .store = store, .now = { NOW } };
	server_init(&s, (struct offer){ &world.good, T12, T13, NULL, 0 }, &want);
	tls_store_free(store);
	assert_true(shake(&s));
	server_fini(&s);
	bytes_fini(&two);
}

/* ---- records ---- */

struct sink {
	struct bytes got;
	enum ec ec;
	struct why why;
};

static void drain(struct server *s, void *arg)
{
	struct sink *sink = arg;
	uint8_t plain[5000];
	size_t got;
	sink->ec = sink->ec == EC_AGAIN ? EC_OK : sink->ec;
	while (sink->ec == EC_OK) {
		sink->ec = tls_client_read(s->client, plain, sizeof plain, &got, &s->to_server, &sink->why);
		if (sink->ec == EC_OK)
			assert_int_equal(bytes_append(&sink->got, slice_of(plain, got)), EC_OK);
	}
}

static void connect_to(struct server *s, uint16_t version, size_t chunk)
{
	struct tls_client_want want = { .verify = TLS_CLIENT_ANY };
	server_init(s, (struct offer){ &world.good, T12, version, NULL, chunk }, &want);
	assert_true(shake(s));
}

static void test_data(void **state)
{
	(void)state;
	enum { LARGE = 100000 };
	uint8_t *large = malloc(LARGE), *back = malloc(LARGE);
	for (size_t i = 0; i < LARGE; i++)
		large[i] = (uint8_t)(i * 7);
	for (unsigned k = 0; k < 4; k++) {
		struct server s;
		struct sink sink = { 0 };
		connect_to(&s, k % 2 == 0 ? T12 : T13, k / 2 == 0 ? 0 : 1000);
		assert_int_equal(SSL_write(s.ssl, large, LARGE), LARGE);
		to_client(&s, 0, drain, &sink);
		assert_true(slice_eq(bytes_slice(&sink.got), slice_of(large, LARGE)));
		assert_int_equal(tls_client_write(s.client, slice_of(large, LARGE), &s.to_server), EC_OK);
		to_server(&s);
		for (int at = 0, n; at < LARGE; at += n)
			assert_true((n = SSL_read(s.ssl, back + at, LARGE - at)) > 0);
		assert_memory_equal(large, back, LARGE);
		bytes_fini(&sink.got);
		server_fini(&s);
	}
	free(large);
	free(back);
}

static void test_ends(void **state)
{
	(void)state;
	for (unsigned k = 0; k < 2; k++) {
		struct server s;
		struct sink sink = { 0 };
		struct why why = { 0 };
		connect_to(&s, k == 0 ? T12 : T13, 0);
		assert_int_equal(SSL_write(s.ssl, "bye", 3), 3);
		to_client(&s, 0, drain, &sink);
		/* RFC 8446 6.1: without close_notify anybody may have ended it. */
		assert_int_equal(tls_client_ended(s.client, &why), EC_TLS);
		assert_non_null(strstr(why.text, "cut off"));
		(void)SSL_shutdown(s.ssl);
		to_client(&s, 0, drain, &sink);
		assert_int_equal(sink.ec, EC_CLOSED);
		assert_true(slice_eq(bytes_slice(&sink.got), SLICE_LIT("bye")));
		assert_int_equal(tls_client_ended(s.client, &why), EC_CLOSED);
		tls_client_shutdown(s.client, &s.to_server);
		to_server(&s);
		uint8_t octet;
		int r = SSL_read(s.ssl, &octet, 1);
		assert_int_equal(SSL_get_error(s.ssl, r), SSL_ERROR_ZERO_RETURN);
		bytes_fini(&sink.got);
		server_fini(&s);
	}
}

static void test_damaged(void **state)
{
	(void)state;
	for (unsigned k = 0; k < 2; k++) {
		struct server s;
		struct sink sink = { 0 };
		connect_to(&s, k == 0 ? T12 : T13, 0);
		to_client(&s, 0, drain, &sink);
		assert_int_equal(SSL_write(s.ssl, "hello", 5), 5);
		to_client(&s, 3, drain, &sink);
		assert_int_equal(sink.ec, EC_TLS);
		assert_int_equal(bytes_len(&sink.got), 0);
		assert_int_equal(tls_client_ended(s.client, NULL), EC_TLS);
		assert_int_equal(tls_client_write(s.client, SLICE_LIT("x"), &s.to_server), EC_TLS);
		bytes_fini(&sink.got);
		server_fini(&s);
	}
}

static void test_clear_text(void **state)
{
	(void)state;
	struct server s;
	struct tls_client_want want = { .verify = TLS_CLIENT_ANY };
	server_init(&s, (struct offer){ &world.good, T12, T13, NULL, 0 }, &want);
	step(&s, NULL);
	assert_int_equal(s.handshake, EC_AGAIN);
	assert_true(bytes_len(&s.to_server) > 100);
	give(&s, SLICE_LIT("454 4.7.0 TLS not available after all\r\n"), step, NULL);
	assert_int_equal(s.handshake, EC_TLS);
	assert_int_equal(tls_client_verdict(s.client), SMTP_R_HOP_TRUST);
	server_fini(&s);
}

/* ---- floods ---- */

static void test_tiny_records(void **state)
{
	(void)state;
	struct server s;
	struct sink sink = { 0 };
	connect_to(&s, T12, 0);
	size_t sent = 0;
	for (; sink.ec != EC_LIMIT && sent < 30000; sent += 100) {
		for (int i = 0; i < 100; i++)
			assert_int_equal(SSL_write(s.ssl, "x", 1), 1);
		to_client(&s, 0, drain, &sink);
	}
	assert_int_equal(sink.ec, EC_LIMIT);
	assert_in_range(sent, 9000, 12000);
	bytes_fini(&sink.got);
	server_fini(&s);
}

static void test_key_updates(void **state)
{
	(void)state;
	struct server s;
	struct sink sink = { 0 };
	connect_to(&s, T13, 0);
	unsigned sent = 0;
	for (; sink.ec != EC_LIMIT && sent < 200; sent++) {
		assert_true(SSL_key_update(s.ssl, SSL_KEY_UPDATE_NOT_REQUESTED));
		assert_int_equal(SSL_write(s.ssl, "x", 1), 1);
		to_client(&s, 0, drain, &sink);
	}
	assert_int_equal(sink.ec, EC_LIMIT);
	assert_in_range(sent, 32, 40);
	bytes_fini(&sink.got);
	server_fini(&s);
}

/* A handshake that never ends: a certificate message that announces much and comes in drips is bounded by octets. */
static void test_endless_handshake(void **state)
{
	(void)state;
	struct server s;
	struct tls_client_want want = { .verify = TLS_CLIENT_ANY };
	uint8_t record[5 + 4096] = { 0x16, 0x03, 0x03, 0x10, 0x00 };
	size_t sent = 0;
	server_init(&s, (struct offer){ &world.good, T12, T12, NULL, 0 }, &want);
	step(&s, NULL);
	/* The first record begins a ServerHello of 16 KiB; the rest goes on with it. */
	record[5] = 2;
	record[7] = 0x40;
	for (; s.handshake == EC_AGAIN && sent < 1 << 20; sent += sizeof record)
		give(&s, slice_of(record, sizeof record), step, NULL);
	assert_true(s.handshake == EC_TLS || s.handshake == EC_LIMIT);
	assert_true(sent < 128 << 10);
	server_fini(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verdicts),    cmocka_unit_test(test_servers),     cmocka_unit_test(test_sni),
		cmocka_unit_test(test_limits),      cmocka_unit_test(test_stores),      cmocka_unit_test(test_data),
		cmocka_unit_test(test_ends),        cmocka_unit_test(test_damaged),     cmocka_unit_test(test_clear_text),
		cmocka_unit_test(test_tiny_records), cmocka_unit_test(test_key_updates), cmocka_unit_test(test_endless_handshake),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
