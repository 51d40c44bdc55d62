/* The shells of this room against a server on loopback that behaves in a chosen
 * way: asking, updating, validating. Real servers are for tests/e2e. */
#include "dns/ask_ares.h"
#include "dns/packet_ldns.h"
#include "dns/secure_ub.h"
#include "dns/update_uv.h"
#include "dns/zone_uv.h"

#include "base/address.h"
#include "tests/unit/self.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum manner {
	ANSWERS,
	SILENT,
	OTHER_ID_FIRST, /* a wrong one, then the right one */
	OTHER_QUESTION, /* right id, wrong question */
	TRUNCATES,      /* by UDP; answers by TCP */
	GARBAGE,
	CLOSES, /* as soon as something arrived */
	CLOSES_AT_ONCE,
	DRIPS, /* octet by octet */
	SAYS_SERVFAIL,
	CUT_REPLY, /* half an answer, then closes */
};

struct server {
	uv_udp_t udp;
	uv_tcp_t tcp;
	uv_tcp_t peer;
	bool has_peer;
	uint8_t in[2048];
	size_t in_len;
	enum manner manner;
	unsigned udp_seen, tcp_seen;
	struct sockaddr_storage address;
};

static uv_loop_t loop;
static struct server server;

static void on_buffer(uv_handle_t *h, size_t size, uv_buf_t *buf)
{
	(void)h;
	(void)size;
	*buf = uv_buf_init((char *)server.in + server.in_len, (unsigned)(sizeof server.in - server.in_len));
}

/* Turns a question or update into its answer, in place. */
static size_t answer(uint8_t *wire, size_t len, bool tcp)
{
	wire[2] |= 0x84;
	if (server.manner == TRUNCATES && !tcp)
		wire[2] |= 0x02;
	if (server.manner == SAYS_SERVFAIL)
		wire[3] = (uint8_t)((wire[3] & 0xf0) | DNS_SERVFAIL);
	if (server.manner == OTHER_QUESTION)
		wire[13] ^= 1;
	if (server.manner == GARBAGE) {
		memset(wire + 4, 0xff, len - 4);
		return len;
	}
	return len;
}

static void on_datagram(uv_udp_t *u, ssize_t n, const uv_buf_t *buf, const struct sockaddr *from, unsigned flags)
{
	(void)flags;
	if (n <= 0 || from == NULL)
		return;
	server.udp_seen++;
	uint8_t *wire = (uint8_t *)buf->base;
	if (server.manner == SILENT)
		return;
	if (server.manner == OTHER_ID_FIRST) {
		uint8_t other[2048];
		memcpy(other, wire, (size_t)n);
		uv_buf_t b = uv_buf_init((char *)other, (unsigned)answer(other, (size_t)n, false));
		other[0] ^= 1;
		(void)uv_udp_try_send(u, &b, 1, from);
	}
	uv_buf_t b = uv_buf_init((char *)wire, (unsigned)answer(wire, (size_t)n, false));
	(void)uv_udp_try_send(u, &b, 1, from);
}

static void send_tcp(const uint8_t *p, size_t len)
{
	uv_buf_t b = uv_buf_init((char *)(uintptr_t)p, (unsigned)len);
	assert_int_equal(uv_try_write((uv_stream_t *)&server.peer, &b, 1), len);
}

static void on_peer_closed(uv_handle_t *h)
{
	(void)h;
	server.has_peer = false;
}

static void peer_close(void)
{
	if (server.has_peer && !uv_is_closing((uv_handle_t *)&server.peer))
		uv_close((uv_handle_t *)&server.peer, on_peer_closed);
}

static void serve_message(size_t len)
{
	uint8_t *message = server.in;
	if (server.manner == OTHER_ID_FIRST) {
		static uint8_t other[2048];
		memcpy(other, message, len + 2);
		other[2] ^= 1;
		(void)answer(other + 2, len, true);
		send_tcp(other, len + 2);
	}
	(void)answer(message + 2, len, true);
	if (server.manner == DRIPS) {
		for (size_t i = 0; i < len + 2; i++)
			send_tcp(message + i, 1);
	} else {
		send_tcp(message, server.manner == CUT_REPLY ? len / 2 : len + 2);
	}
	if (server.manner == CUT_REPLY)
		peer_close();
}

static void on_stream(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	(void)s;
	(void)buf;
	if (n < 0) {
		peer_close();
		return;
	}
	server.in_len += (size_t)n;
	if (server.manner == CLOSES) {
		peer_close();
		return;
	}
	if (server.in_len < 2 || server.manner == SILENT)
		return;
	size_t len = (size_t)server.in[0] << 8 | server.in[1];
	if (server.in_len >= len + 2) {
		server.tcp_seen++;
		server.in_len = 0;
		serve_message(len);
	}
}

static void on_connection(uv_stream_t *s, int status)
{
	assert_int_equal(status, 0);
	assert_false(server.has_peer);
	assert_int_equal(uv_tcp_init(&loop, &server.peer), 0);
	assert_int_equal(uv_accept(s, (uv_stream_t *)&server.peer), 0);
	server.has_peer = true;
	server.in_len = 0;
	if (server.manner == CLOSES_AT_ONCE)
		peer_close();
	else
		assert_int_equal(uv_read_start((uv_stream_t *)&server.peer, on_buffer, on_stream), 0);
}

static int setup(void **state)
{
	(void)state;
	memset(&server, 0, sizeof server);
	assert_int_equal(uv_loop_init(&loop), 0);
	for (int tries = 0;; tries++) {
		struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
		int len = sizeof server.address;
		assert_true(tries < 20);
		assert_int_equal(uv_udp_init(&loop, &server.udp), 0);
		assert_int_equal(uv_tcp_init(&loop, &server.tcp), 0);
		assert_int_equal(uv_udp_bind(&server.udp, (struct sockaddr *)&a, 0), 0);
		assert_int_equal(uv_udp_getsockname(&server.udp, (struct sockaddr *)&server.address, &len), 0);
		if (uv_tcp_bind(&server.tcp, (struct sockaddr *)&server.address, 0) == 0 &&
		    uv_listen((uv_stream_t *)&server.tcp, 8, on_connection) == 0)
			break;
		uv_close((uv_handle_t *)&server.udp, NULL);
		uv_close((uv_handle_t *)&server.tcp, NULL);
		uv_run(&loop, UV_RUN_DEFAULT);
	}
	assert_int_equal(uv_udp_recv_start(&server.udp, on_buffer, on_datagram), 0);
	uv_unref((uv_handle_t *)&server.udp);
	uv_unref((uv_handle_t *)&server.tcp);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	uv_ref((uv_handle_t *)&server.udp);
	uv_close((uv_handle_t *)&server.udp, NULL);
	uv_close((uv_handle_t *)&server.tcp, NULL);
	peer_close();
	uv_run(&loop, UV_RUN_DEFAULT);
	/* Every handle of ours and of the room is closed, or this says so. */
	assert_int_equal(uv_loop_close(&loop), 0);
	return 0;
}

static struct dns_name name_of(const char *text)
{
	struct dns_name n;
	assert_int_equal(dns_name_parse(slice_str(text), &n, NULL), EC_OK);
	return n;
}

/* --- asking --- */

struct asked {
	unsigned calls;
	enum ec ec;
	int rcode;
	struct why why;
	struct ask *free_me;
};

static void on_asked(void *arg, enum ec ec, struct slice packet, const struct why *why)
{
	struct asked *r = arg;
	static struct dns_answer a;
	r->calls++;
	r->ec = ec;
	r->why = *why;
	if (ec == EC_OK) {
		assert_int_equal(packet_parse(packet, &a, NULL), EC_OK);
		r->rcode = a.rcode;
		assert_false(a.tc);
	} else {
		assert_int_equal(packet.len, 0);
	}
	ask_free(r->free_me); /* allowed here; NULL too */
}

static void one_server_is_asked(void **state)
{
	(void)state;
	static const struct {
		enum manner manner;
		bool tcp;
		enum ec ec;
		int rcode;
		unsigned min_udp, max_udp, num_tcp;
	} cases[] = {
		{ ANSWERS, false, EC_OK, DNS_NOERROR, 1, 1, 0 },
		{ ANSWERS, true, EC_OK, DNS_NOERROR, 0, 0, 1 },
		{ DRIPS, true, EC_OK, DNS_NOERROR, 0, 0, 1 },
		{ SAYS_SERVFAIL, false, EC_OK, DNS_SERVFAIL, 1, 1, 0 },
		{ TRUNCATES, false, EC_OK, DNS_NOERROR, 1, 1, 1 },
		{ OTHER_ID_FIRST, false, EC_OK, DNS_NOERROR, 1, 1, 0 },
		{ OTHER_QUESTION, false, EC_TIMEOUT, 0, 1, 3, 0 }, /* c-ares drops it and goes on waiting */
		{ SILENT, false, EC_TIMEOUT, 0, 2, 3, 0 },
		{ SILENT, true, EC_TIMEOUT, 0, 0, 0, 0 },
		{ CLOSES, true, EC_IO, 0, 0, 0, 0 },
	};
	for (size_t i = 0; i < NUM(cases); i++) {
		struct ask *a;
		struct asked r = { 0 };
		struct dns_name name = name_of("_25._tcp.mx1.example.org");
		struct ask_flags flags = { .tcp = cases[i].tcp, .dnssec = true };
		server.manner = cases[i].manner;
		server.udp_seen = server.tcp_seen = 0;
		assert_int_equal(ask_new(&loop, &a, NULL), EC_OK);
		uint64_t start = uv_hrtime();
		assert_int_equal(ask_server(a, &server.address, &name, DNS_TLSA, flags, cases[i].ec == EC_TIMEOUT ? 350 : 60000, on_asked, &r, NULL, NULL), EC_OK);
		assert_int_equal(r.calls, 0); /* never from inside */
		while (r.calls == 0)
			uv_run(&loop, UV_RUN_ONCE);
		uint64_t ms = (uv_hrtime() - start) / 1000000;
		ask_free(a);
		peer_close();
		uv_run(&loop, UV_RUN_DEFAULT);
		if (r.calls != 1 || r.ec != cases[i].ec || r.rcode != cases[i].rcode || server.udp_seen < cases[i].min_udp ||
		    server.udp_seen > cases[i].max_udp || server.tcp_seen != cases[i].num_tcp)
			fail_msg("case %zu: %u calls, %s, rcode %d, udp %u, tcp %u: %s", i, r.calls, ec_name(r.ec), r.rcode,
				 server.udp_seen, server.tcp_seen, r.why.text);
		if (r.ec == EC_TIMEOUT)
			assert_in_range(ms, 300, 60000);
	}
}

static void nobody_there_is_an_io_error(void **state)
{
	(void)state;
	struct dns_name name = name_of("example.org");
	struct sockaddr_storage nobody = server.address;
	struct asked r[2] = { 0 };
	struct ask *a;
	/* Nothing of ours listens on 127.0.0.2 at that port. */
	((struct sockaddr_in *)&nobody)->sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
	assert_int_equal(ask_new(&loop, &a, NULL), EC_OK);
	for (int i = 0; i < 2; i++) {
		struct ask_flags flags = { .tcp = i == 1 };
		assert_int_equal(ask_server(a, &nobody, &name, DNS_SOA, flags, 60000, on_asked, &r[i], NULL, NULL), EC_OK);
	}
	uv_run(&loop, UV_RUN_DEFAULT);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(r[i].calls, 1);
		assert_int_equal(r[i].ec, EC_IO);
	}
	ask_free(a);
}

static void asking_can_stop_at_any_time(void **state)
{
	(void)state;
	struct dns_name name = name_of("example.org");
	for (int steps = 0; steps < 12; steps++) {
		struct ask *a;
		struct asked r[3] = { 0 };
		struct ask_call *call[3];
		server.manner = TRUNCATES;
		assert_int_equal(ask_new(&loop, &a, NULL), EC_OK);
		for (int i = 0; i < 3; i++) {
			struct ask_flags flags = { 0 };
			/* one at a time: the server takes one TCP peer */
			assert_int_equal(ask_server(a, &server.address, &name, DNS_SOA, flags, 60000, on_asked, &r[i], &call[i], NULL),
					 EC_OK);
			for (int s = 0; s < steps && r[i].calls == 0; s++)
				uv_run(&loop, UV_RUN_NOWAIT);
			if (r[i].calls == 0 && i < 2)
				ask_cancel(call[i]);
			unsigned calls = r[i].calls;
			if (i == 2 && calls == 0)
				ask_free(a);
			else if (i == 2)
				r[i].free_me = NULL;
			peer_close();
			uv_run(&loop, UV_RUN_DEFAULT);
			assert_int_equal(r[i].calls, calls);
			if (i == 2 && calls > 0)
				ask_free(a);
		}
	}
	/* and inside its own callback, with another call under way */
	struct ask *a;
	struct asked first = { 0 }, second = { 0 };
	struct ask_flags flags = { 0 };
	server.manner = ANSWERS;
	assert_int_equal(ask_new(&loop, &a, NULL), EC_OK);
	first.free_me = second.free_me = a;
	assert_int_equal(ask_server(a, &server.address, &name, DNS_SOA, flags, 60000, on_asked, &first, NULL, NULL), EC_OK);
	assert_int_equal(ask_server(a, &server.address, &name, DNS_NS, flags, 60000, on_asked, &second, NULL, NULL), EC_OK);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(first.calls + second.calls, 1);
}

/* --- updating --- */

struct updated {
	unsigned calls;
	enum ec ec;
	struct why why;
};

static void on_updated(void *arg, enum ec ec, const struct update_outcome *outcome, const struct why *why)
{
	struct updated *r = arg;
	r->calls++;
	r->ec = ec;
	r->why = *why;
	assert_false(outcome->proven);
}

static struct update example(void)
{
	struct update u = { .ttl_s = 5, .zone = name_of("example.org"), .owner = name_of("_25._tcp.mx1.example.org") };
	uint8_t digest[32] = { 1 };
	struct tlsa t = tlsa_311(digest);
	assert_int_equal(tlsa_set_add(&u.adds, &t), EC_OK);
	return u;
}

static void updates_are_sent_once_and_judged(void **state)
{
	(void)state;
	static const struct {
		enum manner manner;
		enum ec ec;
		const char *words;
	} cases[] = {
		{ ANSWERS, EC_OK, "" },
		{ DRIPS, EC_OK, "" },
		{ OTHER_ID_FIRST, EC_OK, "" },
		{ SAYS_SERVFAIL, EC_DNS_FAILED, "SERVFAIL" },
		{ SILENT, EC_OUTCOME_UNKNOWN, "no answer in time after the update was sent" },
		{ CLOSES, EC_OUTCOME_UNKNOWN, "connection" },
		{ CUT_REPLY, EC_OUTCOME_UNKNOWN, "connection" },
		{ GARBAGE, EC_OUTCOME_UNKNOWN, "can't be read" },
		{ CLOSES_AT_ONCE, EC_OUTCOME_UNKNOWN, "may have been applied" },
	};
	struct update u = example();
	for (size_t i = 0; i < NUM(cases); i++) {
		struct updated r = { 0 };
		server.manner = cases[i].manner;
		assert_int_equal(update_send(&loop, &server.address, &u, NULL, cases[i].manner == SILENT ? 300 : 60000, on_updated, &r, NULL, NULL), EC_OK);
		assert_int_equal(r.calls, 0);
		uv_run(&loop, UV_RUN_DEFAULT);
		while (server.has_peer) {
			peer_close();
			uv_run(&loop, UV_RUN_DEFAULT);
		}
		if (r.calls != 1 || r.ec != cases[i].ec || strstr(r.why.text, cases[i].words) == NULL)
			fail_msg("case %zu: %u calls, %s: %s", i, r.calls, ec_name(r.ec), r.why.text);
	}
	/* A signed request that is answered without a signature proves nothing. */
	struct updated r = { 0 };
	struct tsig_key key;
	server.manner = ANSWERS;
	assert_int_equal(tsig_key_init(&key, SLICE_LIT("upd"), SLICE_LIT("hmac-sha256"),
				       SLICE_LIT("ZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7fH1+f4CBgoM="), NULL),
			 EC_OK);
	assert_int_equal(update_send(&loop, &server.address, &u, &key, 60000, on_updated, &r, NULL, NULL), EC_OK);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(r.ec, EC_TSIG); /* our own TSIG came back: the MAC is not the server's */
	tsig_key_fini(&key);
}

static void an_update_that_was_not_sent_says_so(void **state)
{
	(void)state;
	struct update u = example();
	struct updated r = { 0 };
	struct sockaddr_storage nobody = server.address;
	((struct sockaddr_in *)&nobody)->sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
	assert_int_equal(update_send(&loop, &nobody, &u, NULL, 60000, on_updated, &r, NULL, NULL), EC_OK);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(r.ec, EC_IO);
	assert_non_null(strstr(r.why.text, "was not sent"));
	u.zone = name_of("example.net");
	assert_int_equal(update_send(&loop, &nobody, &u, NULL, 60000, on_updated, &r, NULL, NULL), EC_INVARIANT);
	/* Stopping at any time. */
	u = example();
	for (int steps = 0; steps < 8; steps++) {
		struct update_call *call;
		struct updated stopped = { 0 };
		server.manner = SILENT;
		assert_int_equal(update_send(&loop, &server.address, &u, NULL, 60000, on_updated, &stopped, &call, NULL), EC_OK);
		for (int s = 0; s < steps; s++)
			uv_run(&loop, UV_RUN_NOWAIT);
		update_cancel(call);
		uv_run(&loop, UV_RUN_DEFAULT);
		while (server.has_peer) {
			peer_close();
			uv_run(&loop, UV_RUN_DEFAULT);
		}
		assert_int_equal(stopped.calls, 0);
	}
}

/* --- validating --- */

#define TEMPLATE "/tmp/danegate-test-XXXXXX"
static char anchor_path[] = TEMPLATE, hints_path[] = TEMPLATE;

static void write_temporary(char *path, const char *text)
{
	memcpy(path, TEMPLATE, sizeof TEMPLATE);
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void write_anchor(const char *text)
{
	write_temporary(anchor_path, text);
}

/* RFC 9718 / IANA: key tag 20326. Nothing here is ever validated with it. */
#define ROOT_DS ". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D\n"

static void options_are_checked(void **state)
{
	(void)state;
	static const struct {
		const char *anchor; /* NULL: none named */
		const char *hints;
		const char *forwarder;
		enum ec ec;
		const char *words;
	} cases[] = {
		{ ROOT_DS, NULL, NULL, EC_OK, "" },
		{ ROOT_DS, "", "192.0.2.53", EC_OK, "" },
		{ ". 172800 IN DNSKEY 257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ== ; root\n",
		  NULL, NULL, EC_OK, "" },
		{ NULL, NULL, NULL, EC_MISSING, "no trust anchor" },
		/* Without an anchor for the root everything would seem insecure. */
		{ "", NULL, NULL, EC_MISSING, "no DS or DNSKEY" },
		{ ";" ROOT_DS, NULL, NULL, EC_MISSING, "no DS or DNSKEY" },
		{ "example. IN DS 1 13 2 00\n", NULL, NULL, EC_MISSING, "no DS or DNSKEY" },
		{ ". IN NS a.root-servers.net. ; DS\n", NULL, NULL, EC_MISSING, "no DS or DNSKEY" },
		{ ". IN DS x y z\n", NULL, NULL, EC_SYNTAX, "libunbound" },
		{ ROOT_DS, "/nonexistent/hints", NULL, EC_IO, "/nonexistent/hints" },
		{ ROOT_DS, NULL, "resolver.example", EC_SYNTAX, "resolver.example" },
		{ ROOT_DS, NULL, "192.0.2.53:0", EC_SYNTAX, "192.0.2.53:0" },
	};
	for (size_t i = 0; i < NUM(cases); i++) {
		struct secure *s;
		struct why why = { 0 };
		struct secure_options o = { .root_hints_file = cases[i].hints, .forwarders = &cases[i].forwarder,
					    .num_forwarders = cases[i].forwarder != NULL };
		if (cases[i].anchor != NULL) {
			write_anchor(cases[i].anchor);
			o.trust_anchor_file = anchor_path;
		}
		enum ec ec = secure_new(&loop, &o, &s, &why);
		if (ec != cases[i].ec || strstr(why.text, cases[i].words) == NULL)
			fail_msg("case %zu: %s: %s", i, ec_name(ec), why.text);
		secure_free(s);
		uv_run(&loop, UV_RUN_DEFAULT);
		if (cases[i].anchor != NULL)
			unlink(anchor_path);
	}
	struct secure *s;
	struct secure_options o = { .trust_anchor_file = "/nonexistent/root.key" };
	assert_int_equal(secure_new(&loop, &o, &s, NULL), EC_IO);
}

static struct secure *secure_with_server(void)
{
	static char forwarder[ADDRESS_TEXT_SIZE];
	static const char *forwarders[1] = { forwarder };
	struct secure *s;
	address_print(forwarder, &server.address);
	write_anchor(ROOT_DS);
	write_temporary(hints_path, ". 3600000 NS a.root.\na.root. 3600000 A 127.0.0.1\n");
	struct secure_options o = { .trust_anchor_file = anchor_path, .root_hints_file = hints_path,
				    .forwarders = forwarders, .num_forwarders = 1 };
	assert_int_equal(secure_new(&loop, &o, &s, NULL), EC_OK);
	/* They are read once: new contexts don't need them. */
	unlink(anchor_path);
	unlink(hints_path);
	return s;
}

struct secured {
	unsigned calls;
	enum secure_status status;
	enum ec ec;
	struct secure *free_me;
};

static void on_secured(void *arg, const struct secure_answer *a)
{
	struct secured *r = arg;
	r->calls++;
	r->status = a->status;
	r->ec = a->ec;
	if (a->status == SECURE_FAILED || a->status == SECURE_BOGUS) {
		assert_int_equal(a->num, 0);
		assert_true(a->why.text[0] != '\0');
	}
	secure_free(r->free_me);
}

static void look_ups_end_in_time(void **state)
{
	(void)state;
	struct secure *s = secure_with_server();
	struct dns_name name = name_of("example.org");
	struct secured r[3] = { 0 };
	server.manner = SILENT;
	uint64_t start = uv_hrtime();
	for (int i = 0; i < 3; i++)
		assert_int_equal(secure_ask(s, &name, (uint16_t)(DNS_A + i), 200 + 100 * i, on_secured, &r[i], NULL, NULL), EC_OK);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_in_range((uv_hrtime() - start) / 1000000, 390, 60000);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(r[i].calls, 1);
		assert_int_equal(r[i].status, SECURE_FAILED);
		assert_int_equal(r[i].ec, EC_TIMEOUT);
	}
	/* A resolver that says SERVFAIL: failed, and not "insecure". */
	server.manner = SAYS_SERVFAIL;
	secure_forget(s);
	r[0] = (struct secured){ 0 };
	assert_int_equal(secure_ask(s, &name, DNS_TLSA, 60000, on_secured, &r[0], NULL, NULL), EC_OK);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(r[0].calls, 1);
	assert_int_equal(r[0].status, SECURE_FAILED);
	/* One that denies everything without proof: bogus, or failed, never insecure or secure. */
	server.manner = ANSWERS;
	secure_forget(s);
	r[0] = (struct secured){ 0 };
	assert_int_equal(secure_ask(s, &name, DNS_TLSA, 60000, on_secured, &r[0], NULL, NULL), EC_OK);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(r[0].calls, 1);
	assert_true(r[0].status == SECURE_BOGUS || r[0].status == SECURE_FAILED);
	secure_free(s);
	uv_run(&loop, UV_RUN_DEFAULT);
}

/* libunbound's thread and memory: only while something is asked, and shortly after. */
static void an_idle_resolver_holds_nothing(void **state)
{
	(void)state;
	struct dns_name name = name_of("example.org");
	unsigned threads = self_count("/proc/self/task"), fds = self_count("/proc/self/fd");
	for (int asked = 0; asked < 2; asked++) {
		struct secure *s = secure_with_server();
		assert_true(self_count("/proc/self/fd") > fds);
		struct secured r = { 0 };
		server.manner = SAYS_SERVFAIL;
		if (asked)
			assert_int_equal(secure_ask(s, &name, DNS_TLSA, 60000, on_secured, &r, NULL, NULL), EC_OK);
		uv_run(&loop, UV_RUN_DEFAULT);
		assert_int_equal(r.calls, asked);
		uv_ref((uv_handle_t *)&server.udp); /* a loop that goes on, as a daemon's does */
		for (uint64_t end = uv_hrtime() + UINT64_C(60000000000); self_count("/proc/self/fd") > fds && uv_hrtime() < end;) {
			(void)uv_run(&loop, UV_RUN_NOWAIT);
			(void)usleep(10000);
		}
		uv_unref((uv_handle_t *)&server.udp);
		assert_int_equal(self_count("/proc/self/fd"), fds);
		assert_int_equal(self_count("/proc/self/task"), threads);
		/* and it can be asked again */
		assert_int_equal(secure_ask(s, &name, DNS_TLSA, 60000, on_secured, &r, NULL, NULL), EC_OK);
		uv_run(&loop, UV_RUN_DEFAULT);
		assert_int_equal(r.calls, asked + 1);
		secure_free(s);
		uv_run(&loop, UV_RUN_DEFAULT);
	}
}

static void validating_can_stop_at_any_time(void **state)
{
	(void)state;
	struct dns_name name = name_of("example.org");
	for (int steps = 0; steps < 6; steps++) {
		struct secure *s = secure_with_server();
		struct secured r[4] = { 0 };
		struct secure_call *call[4];
		server.manner = SILENT;
		for (int i = 0; i < 4; i++)
			assert_int_equal(secure_ask(s, &name, (uint16_t)(DNS_A + i), 60000, on_secured, &r[i], &call[i], NULL), EC_OK);
		for (int n = 0; n < steps; n++)
			uv_run(&loop, UV_RUN_NOWAIT);
		secure_cancel(call[1]);
		secure_forget(s);
		secure_cancel(call[3]);
		secure_free(s);
		uv_run(&loop, UV_RUN_DEFAULT);
		for (int i = 0; i < 4; i++)
			assert_int_equal(r[i].calls, 0);
		}
	/* inside a callback, with others under way */
	struct secure *s = secure_with_server();
	struct secured first = { .free_me = s }, second = { 0 };
	server.manner = SILENT;
	assert_int_equal(secure_ask(s, &name, DNS_A, 100, on_secured, &first, NULL, NULL), EC_OK);
	assert_int_equal(secure_ask(s, &name, DNS_NS, 60000, on_secured, &second, NULL, NULL), EC_OK);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(first.calls, 1);
	assert_int_equal(second.calls, 0);
}

static void on_zone(void *arg, enum ec ec, const struct zone_map *map, const struct why *why)
{
	struct updated *r = arg;
	r->calls++;
	r->ec = ec;
	r->why = *why;
	assert_true((ec == EC_OK) == (map != NULL));
}

static void searches_end_in_time_and_can_stop(void **state)
{
	(void)state;
	struct secure *s = secure_with_server();
	struct dns_name name = name_of("_25._tcp.mx1.example.org");
	struct zone_options options = { .timeout_ms = 200 };
	struct updated r = { 0 }, stopped = { 0 };
	struct zone_call *call;
	server.manner = SILENT;
	assert_int_equal(zone_find(s, &loop, &name, options, on_zone, &r, NULL, NULL), EC_OK);
	assert_int_equal(zone_find(s, &loop, &name, options, on_zone, &stopped, &call, NULL), EC_OK);
	uv_run(&loop, UV_RUN_NOWAIT);
	zone_cancel(call);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(r.calls, 1);
	assert_int_equal(r.ec, EC_TIMEOUT);
	assert_int_equal(stopped.calls, 0);
	secure_free(s);
	uv_run(&loop, UV_RUN_DEFAULT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_server_is_asked, setup, teardown),
		cmocka_unit_test_setup_teardown(nobody_there_is_an_io_error, setup, teardown),
		cmocka_unit_test_setup_teardown(asking_can_stop_at_any_time, setup, teardown),
		cmocka_unit_test_setup_teardown(updates_are_sent_once_and_judged, setup, teardown),
		cmocka_unit_test_setup_teardown(an_update_that_was_not_sent_says_so, setup, teardown),
		cmocka_unit_test_setup_teardown(options_are_checked, setup, teardown),
		cmocka_unit_test_setup_teardown(look_ups_end_in_time, setup, teardown),
		cmocka_unit_test_setup_teardown(an_idle_resolver_holds_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(validating_can_stop_at_any_time, setup, teardown),
		cmocka_unit_test_setup_teardown(searches_end_in_time_and_can_stop, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
