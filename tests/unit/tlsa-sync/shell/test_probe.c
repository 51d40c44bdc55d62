#include "tlsa-sync/probes_uv.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "base/address.h"
#include "certs/load_ssl.h"
#include "certs/make_ssl.h"
#include "tests/unit/unit.h"
#include "tlsa-sync/probe_ssl.h"
#include "tlsa-sync/probe_uv.h"

/* --- one key of each kind, made by certs, digested by its own code --- */

struct pair {
	struct secret key;
	struct bytes cert;
	uint8_t spki_sha256[32];
};
static struct pair pairs[KEY_NUM_ALGORITHMS];

static int make_pairs(void **state)
{
	(void)state;
	for (unsigned a = 0; a < KEY_NUM_ALGORITHMS; a++) {
		struct pair *p = &pairs[a];
		struct why why = { 0 };
		struct loaded loaded = { 0 };
		assert_int_equal(make_key(a, &p->key, &why), EC_OK);
		struct slice key = slice_of(p->key.p, p->key.len);
		assert_int_equal(make_self_signed(key, "mx.test", (struct wall){ 1700000000 }, 86400, &p->cert, &why), EC_OK);
		assert_int_equal(load_key(key, &loaded, &why), EC_OK);
		memcpy(p->spki_sha256, loaded.info.chain[0].spki_sha256, 32);
		loaded_fini(&loaded);
	}
	return 0;
}

static int free_pairs(void **state)
{
	(void)state;
	for (unsigned a = 0; a < KEY_NUM_ALGORITHMS; a++) {
		secret_fini(&pairs[a].key);
		bytes_fini(&pairs[a].cert);
	}
	return 0;
}

/* --- a TLS server over memory --- */

struct tls {
	SSL_CTX *ctx;
	SSL *ssl;
	BIO *in;
	BIO *out;
	char sni[64];
};

static int on_sni(SSL *ssl, int *alert, void *arg)
{
	struct tls *t = arg;
	(void)alert;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	(void)snprintf(t->sni, sizeof t->sni, "%s", name == NULL ? "-" : name);
	return SSL_TLSEXT_ERR_OK;
}

static void tls_open(struct tls *t, enum key_algorithm algorithm, uint16_t version)
{
	*t = (struct tls){ .ctx = SSL_CTX_new(TLS_server_method()) };
	assert_non_null(t->ctx);
	struct pair *p = &pairs[algorithm];
	BIO *b = BIO_new_mem_buf(p->key.p, (int)p->key.len);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(b, NULL, NULL, NULL);
	BIO_free(b);
	b = BIO_new_mem_buf(bytes_slice(&p->cert).p, (int)bytes_len(&p->cert));
	X509 *cert = PEM_read_bio_X509(b, NULL, NULL, NULL);
	BIO_free(b);
	assert_int_equal(SSL_CTX_use_certificate(t->ctx, cert), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(t->ctx, key), 1);
	X509_free(cert);
	EVP_PKEY_free(key);
	SSL_CTX_set_max_proto_version(t->ctx, version);
	SSL_CTX_set_tlsext_servername_callback(t->ctx, on_sni);
	SSL_CTX_set_tlsext_servername_arg(t->ctx, t);
	t->ssl = SSL_new(t->ctx);
	t->in = BIO_new(BIO_s_mem());
	t->out = BIO_new(BIO_s_mem());
	SSL_set_bio(t->ssl, t->in, t->out);
	SSL_set_accept_state(t->ssl);
}

static void tls_close(struct tls *t)
{
	SSL_free(t->ssl);
	SSL_CTX_free(t->ctx);
}

/* tls_step gives the server `in` and appends what it answers to `out`. */
static void tls_step(struct tls *t, struct slice in, struct bytes *out)
{
	if (in.len > 0)
		assert_int_equal(BIO_write_all(t->in, in.p, in.len), 1);
	(void)SSL_do_handshake(t->ssl);
	char plain[512];
	if (SSL_is_init_finished(t->ssl))
		while (SSL_read(t->ssl, plain, sizeof plain) > 0) {
		}
	const uint8_t *p = NULL;
	size_t len = 0;
	if (BIO_mem_contents(t->out, &p, &len) && len > 0)
		assert_int_equal(bytes_append(out, slice_of(p, len)), EC_OK);
	(void)BIO_reset(t->out);
}

static enum ec handshake(struct tls *server, enum key_algorithm algorithm, const char *sni, uint8_t spki[32])
{
	struct probe_tls *client = NULL;
	struct why why = { 0 };
	assert_int_equal(probe_tls_new(algorithm, sni, &client, &why), EC_OK);
	struct bytes to_server = { 0 };
	struct bytes to_client = { 0 };
	enum ec ec = EC_AGAIN;
	for (int i = 0; i < 10 && ec == EC_AGAIN; i++) {
		ec = probe_tls_feed(client, bytes_slice(&to_client), &to_server, &why);
		bytes_consume(&to_client, bytes_len(&to_client));
		tls_step(server, bytes_slice(&to_server), &to_client);
		bytes_consume(&to_server, bytes_len(&to_server));
	}
	if (ec == EC_OK)
		assert_int_equal(probe_tls_spki(client, spki, &why), EC_OK);
	else
		assert_true(why.text[0] != '\0');
	bytes_fini(&to_server);
	bytes_fini(&to_client);
	probe_tls_free(client);
	return ec;
}

/* The probe sees the key of the kind it asks for, and no other, in both versions. */
static void test_algorithms(void **state)
{
	(void)state;
	static const uint16_t versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	for (size_t v = 0; v < NUM(versions); v++) {
		for (unsigned has = 0; has < KEY_NUM_ALGORITHMS; has++) {
			for (unsigned wants = 0; wants < KEY_NUM_ALGORITHMS; wants++) {
				struct tls server;
				uint8_t spki[32] = { 0 };
				tls_open(&server, has, versions[v]);
				enum ec ec = handshake(&server, wants, "mx.test", spki);
				assert_int_equal(ec, has == wants ? EC_OK : EC_TLS);
				if (ec == EC_OK)
					assert_memory_equal(spki, pairs[has].spki_sha256, 32);
				tls_close(&server);
			}
		}
	}
}

static void test_server_names(void **state)
{
	(void)state;
	static const char *const names[][2] = { { "mx.test", "mx.test" }, { "other.invalid", "other.invalid" }, { "", "-" }, { NULL, "-" } };
	for (size_t i = 0; i < NUM(names); i++) {
		struct tls server;
		uint8_t spki[32];
		tls_open(&server, KEY_ECDSA_P256, TLS1_3_VERSION);
		assert_int_equal(handshake(&server, KEY_ECDSA_P256, names[i][0], spki), EC_OK);
		assert_string_equal(server.sni, names[i][1]);
		tls_close(&server);
	}
}

static void test_garbage(void **state)
{
	(void)state;
	struct probe_tls *client = NULL;
	struct bytes out = { 0 };
	struct why why = { 0 };
	assert_int_equal(probe_tls_new(KEY_ECDSA_P256, "mx.test", &client, &why), EC_OK);
	assert_int_equal(probe_tls_feed(client, slice_of(NULL, 0), &out, &why), EC_AGAIN);
	assert_true(bytes_len(&out) > 0);
	assert_int_equal(probe_tls_feed(client, SLICE_LIT("421 go away\r\n"), &out, &why), EC_TLS);
	uint8_t spki[32];
	assert_int_equal(probe_tls_spki(client, spki, &why), EC_TLS);
	bytes_fini(&out);
	probe_tls_free(client);
}

/* --- over sockets: a mail server that greets, offers STARTTLS and shakes hands --- */

enum mood { FRIENDLY, NO_TLS, SILENT, HANGS_UP };

struct session {
	uv_tcp_t tcp;
	struct rig *rig;
	struct tls tls;
	int stage;
	char buffer[20000];
};

struct rig {
	uv_loop_t loop;
	uv_timer_t limit;
	uv_tcp_t listener;
	enum mood mood;
	bool only_by_name;
	int num_sessions;
	int num_open;
	int num_goodbyes;
	int max_open;
	bool saw_name, saw_other, saw_none;
	struct probes *round;
	int cancel_at; /* cancel from inside this result; 0: never */
	char address[FACT_ADDRESS];
	int num_results;
	int num_seen;
	int num_right;
	bool done;
	char words[160];
	unsigned seen_sni;
};

static void on_session_closed(uv_handle_t *h)
{
	struct session *s = h->data;
	tls_close(&s->tls);
	s->rig->num_open--;
	free(s);
}

static void say(struct session *s, struct slice text)
{
	uv_buf_t b = uv_buf_init((char *)(uintptr_t)text.p, (unsigned)text.len);
	(void)uv_try_write((uv_stream_t *)&s->tcp, &b, 1);
}

static void session_alloc(uv_handle_t *h, size_t size, uv_buf_t *b)
{
	struct session *s = h->data;
	(void)size;
	*b = uv_buf_init(s->buffer, sizeof s->buffer);
}

static void session_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b)
{
	struct session *s = stream->data;
	(void)b;
	if (n < 0) {
		uv_close((uv_handle_t *)stream, on_session_closed);
		return;
	}
	if (s->stage == 0) {
		s->stage = 1;
		say(s, s->rig->mood == NO_TLS ? SLICE_LIT("250 mx\r\n") : SLICE_LIT("250-mx\r\n250 STARTTLS\r\n"));
	} else if (s->stage == 1) {
		s->stage = 2;
		say(s, SLICE_LIT("220 go\r\n"));
	} else {
		struct bytes out = { 0 };
		tls_step(&s->tls, slice_of(s->buffer, (size_t)n), &out);
		say(s, bytes_slice(&out));
		bytes_fini(&out);
		s->rig->saw_name |= strcmp(s->tls.sni, "mx.test") == 0;
		s->rig->saw_other |= strcmp(s->tls.sni, "other.invalid") == 0;
		s->rig->saw_none |= strcmp(s->tls.sni, "-") == 0;
		/* A polite client says good bye, and so do we. */
		if ((SSL_get_shutdown(s->tls.ssl) & SSL_RECEIVED_SHUTDOWN) != 0) {
			s->rig->num_goodbyes++;
			uv_close((uv_handle_t *)stream, on_session_closed);
		}
	}
}

static void on_connection(uv_stream_t *server, int status)
{
	struct rig *rig = server->data;
	assert_int_equal(status, 0);
	struct session *s = calloc(1, sizeof *s);
	assert_non_null(s);
	s->rig = rig;
	s->tcp.data = s;
	rig->num_sessions++;
	if (++rig->num_open > rig->max_open)
		rig->max_open = rig->num_open;
	tls_open(&s->tls, KEY_ECDSA_P256, TLS1_3_VERSION);
	uv_tcp_init(&rig->loop, &s->tcp);
	assert_int_equal(uv_accept(server, (uv_stream_t *)&s->tcp), 0);
	uv_read_start((uv_stream_t *)&s->tcp, session_alloc, session_read);
	if (rig->mood == HANGS_UP)
		uv_close((uv_handle_t *)&s->tcp, on_session_closed);
	else if (rig->mood != SILENT)
		say(s, SLICE_LIT("220 mx\r\n"));
}

static void on_limit(uv_timer_t *t)
{
	(void)t;
	fail_msg("the loop did not end in time");
}

static void rig_open(struct rig *rig, enum mood mood)
{
	*rig = (struct rig){ .mood = mood };
	assert_int_equal(uv_loop_init(&rig->loop), 0);
	uv_timer_init(&rig->loop, &rig->limit);
	uv_timer_start(&rig->limit, on_limit, 200000, 0);
	uv_tcp_init(&rig->loop, &rig->listener);
	rig->listener.data = rig;
	struct sockaddr_storage a;
	int len = sizeof a;
	assert_int_equal(address_parse(slice_str("127.0.0.1:1"), 1, &a, NULL), EC_OK);
	address_set_port(&a, 0); /* any free one */
	assert_int_equal(uv_tcp_bind(&rig->listener, (struct sockaddr *)&a, 0), 0);
	assert_int_equal(uv_listen((uv_stream_t *)&rig->listener, 64, on_connection), 0);
	assert_int_equal(uv_tcp_getsockname(&rig->listener, (struct sockaddr *)&a, &len), 0);
	address_print(rig->address, &a);
}

static void rig_close(struct rig *rig)
{
	uv_close((uv_handle_t *)&rig->limit, NULL);
	if (!uv_is_closing((uv_handle_t *)&rig->listener))
		uv_close((uv_handle_t *)&rig->listener, NULL);
	uv_run(&rig->loop, UV_RUN_DEFAULT);
	assert_int_equal(rig->num_open, 0);
	assert_int_equal(uv_loop_close(&rig->loop), 0);
}

static void on_result(void *arg, const char *address, enum key_algorithm algorithm, enum sni_kind sni,
                      const uint8_t *spki, const char *words)
{
	struct rig *rig = arg;
	assert_string_equal(address, rig->address);
	rig->num_results++;
	rig->seen_sni |= 1u << sni;
	if (spki != NULL) {
		rig->num_seen++;
		rig->num_right += memcmp(spki, pairs[algorithm].spki_sha256, 32) == 0;
	} else {
		(void)snprintf(rig->words, sizeof rig->words, "%s", words);
	}
	if (rig->num_results == rig->cancel_at)
		probes_cancel(rig->round);
}

static void on_done(void *arg)
{
	struct rig *rig = arg;
	rig->done = true;
}

static struct probes *begin(struct rig *rig, unsigned algorithms, size_t num_addresses, int timeout_ms)
{
	static char addresses[FACT_ADDRESSES][FACT_ADDRESS];
	for (size_t i = 0; i < FACT_ADDRESSES; i++)
		memcpy(addresses[i], rig->address, FACT_ADDRESS);
	struct probes_plan plan = { .identity = "mx.test", .addresses = (const char (*)[FACT_ADDRESS])addresses,
	                            .num_addresses = num_addresses, .algorithms = algorithms, .only_by_name = rig->only_by_name,
	                            .timeout_ms = timeout_ms };
	struct probes_events events = { .result = on_result, .done = on_done };
	struct probes *p = NULL;
	assert_int_equal(probes_start(&rig->loop, &plan, events, rig, &p), EC_OK);
	assert_false(rig->done);
	rig->round = p;
	return p;
}

static const struct mood_case {
	const char *name;
	enum mood mood;
	unsigned algorithms;
	size_t addresses;
	int results, seen;
	const char *words;
} moods[] = {
	{ "friendly", FRIENDLY, 1u << KEY_ECDSA_P256, 1, 3, 3, "" },
	{ "both kinds, one is there", FRIENDLY, 1u << KEY_ECDSA_P256 | 1u << KEY_RSA_3072, 1, 6, 3, "handshake" },
	{ "more than at once", FRIENDLY, 1u << KEY_ECDSA_P256, 12, 36, 36, "" },
	{ "no STARTTLS", NO_TLS, 1u << KEY_ECDSA_P256, 1, 3, 0, "not offered" },
	{ "silent", SILENT, 1u << KEY_ECDSA_P256, 1, 3, 0, "no greeting in time" },
	{ "many that are silent", SILENT, 1u << KEY_ECDSA_P256, 15, 45, 0, "no greeting in time" },
	{ "hangs up", HANGS_UP, 1u << KEY_ECDSA_P256, 1, 3, 0, "closed before TLS" },
	{ "nowhere to look", FRIENDLY, 1u << KEY_ECDSA_P256, 0, 0, 0, "" },
};

static void test_rounds(void **state)
{
	(void)state;
	for (size_t i = 0; i < NUM(moods); i++) {
		const struct mood_case *c = &moods[i];
		struct rig rig;
		rig_open(&rig, c->mood);
		(void)begin(&rig, c->algorithms, c->addresses, c->mood == SILENT ? 500 : 60000);
		while (!rig.done)
			uv_run(&rig.loop, UV_RUN_ONCE);
		if (rig.num_results != c->results || rig.num_seen != c->seen || rig.num_right != c->seen ||
		    strstr(rig.words, c->words) == NULL)
			fail_msg("%s: %d results, %d seen, %d right, \"%s\"", c->name, rig.num_results, rig.num_seen, rig.num_right,
			         rig.words);
		if (c->results > 0)
			assert_int_equal(rig.seen_sni, 7);
		if (c->seen > 0)
			assert_true(rig.saw_name && rig.saw_other && rig.saw_none);
		/* Those of one batch may still be closing while the next opens. */
		assert_true(rig.max_open <= 2 * PROBES_AT_ONCE);
		rig_close(&rig);
		assert_int_equal(rig.num_goodbyes, c->seen); /* the edge counts no broken session */
	}
}

static void test_only_by_name(void **state)
{
	(void)state;
	struct rig rig;
	rig_open(&rig, FRIENDLY);
	rig.only_by_name = true;
	(void)begin(&rig, 1u << KEY_ECDSA_P256 | 1u << KEY_RSA_3072, 2, 60000);
	while (!rig.done)
		uv_run(&rig.loop, UV_RUN_ONCE);
	assert_int_equal(rig.num_results, 4);
	assert_int_equal(rig.seen_sni, 1u << SNI_RIGHT);
	assert_true(rig.saw_name && !rig.saw_other && !rig.saw_none);
	rig_close(&rig);
}

static void test_connection_refused(void **state)
{
	(void)state;
	struct rig rig;
	rig_open(&rig, FRIENDLY);
	uv_close((uv_handle_t *)&rig.listener, NULL);
	uv_run(&rig.loop, UV_RUN_NOWAIT);
	(void)begin(&rig, 1u << KEY_ECDSA_P256, 1, 60000);
	while (!rig.done)
		uv_run(&rig.loop, UV_RUN_ONCE);
	assert_int_equal(rig.num_results, 3);
	assert_non_null(strstr(rig.words, "can't connect"));
	rig_close(&rig);
}

static void test_cancel_inside_a_result(void **state)
{
	(void)state;
	struct rig rig;
	rig_open(&rig, HANGS_UP);
	rig.cancel_at = 2;
	(void)begin(&rig, 1u << KEY_ECDSA_P256, 12, 60000);
	while (rig.num_results < 2)
		uv_run(&rig.loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&rig.listener, NULL);
	uv_run(&rig.loop, UV_RUN_NOWAIT);
	assert_int_equal(rig.num_results, 2);
	assert_false(rig.done);
	rig_close(&rig);
	assert_int_equal(rig.num_results, 2);
}

static void test_cancel(void **state)
{
	(void)state;
	for (int steps = 0; steps < 12; steps++) {
		struct rig rig;
		rig_open(&rig, FRIENDLY);
		struct probes *p = begin(&rig, 1u << KEY_ECDSA_P256, 2, 60000);
		for (int i = 0; i < steps && !rig.done; i++)
			uv_run(&rig.loop, UV_RUN_ONCE);
		int before = rig.num_results;
		if (!rig.done)
			probes_cancel(p);
		uv_close((uv_handle_t *)&rig.listener, NULL);
		bool was_done = rig.done;
		uv_run(&rig.loop, UV_RUN_NOWAIT);
		assert_int_equal(rig.num_results, before);
		assert_true(rig.done == was_done);
		rig_close(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_algorithms), cmocka_unit_test(test_server_names),       cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_rounds),     cmocka_unit_test(test_connection_refused), cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_cancel_inside_a_result), cmocka_unit_test(test_only_by_name),
	};
	return cmocka_run_group_tests(tests, make_pairs, free_pairs);
}
