/* The load: many SMTP sessions over STARTTLS from one thread. Every reply is checked,
 * every message carries a sum that the sink checks (see wire.h). At the end one
 * line of JSON says what was done, how long sessions took, and what failed.
 *
 * A session is a script; two cursors walk it: what was sent, and what was answered.
 * Where the script says so (or the server offers no PIPELINING) they meet before
 * the next command. `pump` is the only place that sends.
 *
 * Modes: `sessions` runs a number of them, `clients` at a time. `idle` opens them, waits
 * in TLS behind EHLO until standard input closes. `slow` does so in the middle of
 * a message, one octet each second. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench/wire.h"

enum { EVENTS = 512, INPUT = 4096, COMMANDS = 8192, SUM_DIGITS = 2 * SHA256_DIGEST_LENGTH };

enum mode { MODE_SESSIONS, MODE_IDLE, MODE_SLOW };
enum verb { GREETING, EHLO, STARTTLS, EHLO_TLS, MAIL, RCPT, DATA, TEXT, QUIT, DONE };

static const struct {
	const char *command; /* NULL: nothing is sent for it */
	char reply;          /* first digit */
	bool meets;          /* the next command waits for this one's reply, even with PIPELINING */
} script[DONE] = {
	[GREETING] = { NULL, '2', true },
	[EHLO] = { "EHLO load.bench\r\n", '2', true },
	[STARTTLS] = { "STARTTLS\r\n", '2', true },
	[EHLO_TLS] = { "EHLO load.bench\r\n", '2', true },
	[MAIL] = { "MAIL FROM:<load@load.bench>\r\n", '2', false },
	[RCPT] = { "RCPT TO:<someone@sink.bench>\r\n", '2', false },
	[DATA] = { "DATA\r\n", '3', true },
	[TEXT] = { NULL, '2', true },
	[QUIT] = { "QUIT\r\n", '2', true },
};

static struct {
	enum mode mode;
	struct sockaddr_in to;
	unsigned clients;
	uint64_t sessions;
	unsigned messages;
	unsigned recipients;
	size_t size;
	unsigned names; /* asked for by SNI, in turn: mx1.example.lab, mx2.insecure.lab, … */
	bool clear;
} plan = { .clients = 1, .sessions = 1, .messages = 1, .recipients = 1, .size = 4096, .names = 1 };

struct cursor {
	enum verb verb;
	unsigned message, recipient;
};

struct session {
	int fd;
	SSL *ssl; /* NULL: in clear */
	bool handshaking;
	bool pipelining;
	bool held;
	struct cursor sent, answered;
	char input[INPUT];
	size_t input_len;
	char commands[COMMANDS];
	size_t commands_len, commands_off;
	size_t text_off, text_len; /* of the message being sent */
	uint32_t waits; /* what epoll watches */
	int64_t begun_us, secure_us;
};

static struct {
	uint64_t begun, ended, messages, refused_connections, broken, wrong_replies, failed_handshakes;
	unsigned open;
	struct session **held; /* idle and slow ones that have come where they stay */
	unsigned num_held;
	uint32_t *session_us, *handshake_us;
	uint64_t num_session_us, num_handshake_us;
	char first_failure[256];
} done;

static int epoll = -1;
static SSL_CTX *tls;
static char *text; /* the one message, dots stuffed, with its end */
static size_t text_len;

static int64_t now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static struct cursor next_of(struct cursor c)
{
	switch (c.verb) {
	case EHLO:
		c.verb = plan.clear ? (plan.messages > 0 ? MAIL : QUIT) : STARTTLS;
		break;
	case EHLO_TLS:
		c.verb = plan.messages > 0 ? MAIL : QUIT;
		break;
	case RCPT:
		if (++c.recipient == plan.recipients) {
			c.recipient = 0;
			c.verb = DATA;
		}
		break;
	case TEXT:
		c.verb = ++c.message < plan.messages ? MAIL : QUIT;
		break;
	default:
		c.verb++;
	}
	return c;
}

static void held(struct session *s)
{
	s->held = true;
	done.held[done.num_held++] = s;
}

static bool same(struct cursor a, struct cursor b)
{
	return a.verb == b.verb && a.message == b.message && a.recipient == b.recipient;
}

/* --- ends ------------------------------------------------------------------ */

static void session_begin(void);

static void session_end(struct session *s, uint64_t *failure, const char *why)
{
	if (failure != NULL) {
		(*failure)++;
		if (done.first_failure[0] == '\0')
			(void)snprintf(done.first_failure, sizeof done.first_failure, "%s (step %d): %.*s", why, (int)s->answered.verb,
			               (int)(s->input_len < 80 ? s->input_len : 80), s->input);
	}
	if (s->ssl != NULL) {
		if (failure == NULL)
			(void)SSL_shutdown(s->ssl);
		SSL_free(s->ssl);
	}
	if (s->fd >= 0)
		close(s->fd);
	if (s->held) {
		(void)fprintf(stderr, "bench-load: the server ended a session that was to be held: %s\n", why);
		exit(1);
	}
	done.open--;
	done.ended++;
	free(s);
	if (plan.mode == MODE_SESSIONS && done.begun < plan.sessions)
		session_begin();
}

static void session_succeeded(struct session *s)
{
	done.session_us[done.num_session_us++] = (uint32_t)(now_us() - s->begun_us);
	session_end(s, NULL, NULL);
}

/* --- octets ------------------------------------------------------------------ */

static void watch(struct session *s, uint32_t events)
{
	if (s->waits == events)
		return;
	struct epoll_event e = { .events = events, .data.ptr = s };
	(void)epoll_ctl(epoll, s->waits == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, s->fd, &e);
	s->waits = events;
}

/* put returns how many octets left, 0: later, -1: the connection is broken. */
static ssize_t put(struct session *s, const char *p, size_t len)
{
	if (s->ssl == NULL) {
		ssize_t n = send(s->fd, p, len, MSG_NOSIGNAL);
		return n < 0 && errno == EAGAIN ? 0 : n;
	}
	int n = SSL_write(s->ssl, p, len > 1 << 20 ? 1 << 20 : (int)len);
	if (n > 0)
		return n;
	return SSL_get_error(s->ssl, n) == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

/* flush sends commands, then the message's text; false: broken. */
static bool flush(struct session *s)
{
	while (s->commands_off < s->commands_len) {
		ssize_t n = put(s, s->commands + s->commands_off, s->commands_len - s->commands_off);
		if (n <= 0)
			return n == 0;
		s->commands_off += (size_t)n;
	}
	s->commands_off = s->commands_len = 0;
	while (s->text_off < s->text_len) {
		ssize_t n = put(s, text + s->text_off, s->text_len - s->text_off);
		if (n <= 0)
			return n == 0;
		s->text_off += (size_t)n;
	}
	return true;
}

static bool owes(const struct session *s)
{
	return s->commands_off < s->commands_len || s->text_off < s->text_len;
}

/* pump sends whatever the script allows now; false: broken. */
static bool pump(struct session *s)
{
	while (s->text_off == s->text_len && s->sent.verb != DONE) {
		bool meets = !s->pipelining || script[s->sent.verb].meets;
		bool met = same(s->sent, s->answered);
		struct cursor next = next_of(s->sent);
		/* `answered` stands on the last command that was answered. */
		if (next.verb == DONE || (meets && !met))
			break;
		if (next.verb == MAIL && plan.mode == MODE_IDLE) {
			if (!s->held)
				held(s);
			break;
		}
		const char *command = script[next.verb].command;
		size_t len = command == NULL ? 0 : strlen(command);
		if (s->commands_len + len > sizeof s->commands)
			break; /* flush first */
		if (len > 0)
			memcpy(s->commands + s->commands_len, command, len);
		s->commands_len += len;
		s->sent = next;
		if (next.verb == TEXT) {
			s->text_off = 0;
			s->text_len = plan.mode == MODE_SLOW ? 0 : text_len;
			if (plan.mode == MODE_SLOW)
				held(s);
		}
		bool more = s->pipelining && !script[next.verb].meets && s->commands_len + 64 < sizeof s->commands;
		if (!more && !flush(s))
			return false;
		if (more)
			continue;
	}
	if (!flush(s))
		return false;
	watch(s, owes(s) ? EPOLLIN | EPOLLOUT : EPOLLIN);
	return true;
}

/* --- TLS --------------------------------------------------------------------- */

/* Neighbours in the list are far apart in time, and each comes once before one comes again. */
static const char *next_name(void)
{
	enum { STEP = 7919 }; /* a prime */
	static char name[64];
	static uint64_t turn;
	unsigned number = 1 + (unsigned)(turn++ * STEP % plan.names);
	if (number == 1)
		return "mx1.example.lab";
	(void)snprintf(name, sizeof name, "mx%u.insecure.lab", number);
	return name;
}

static bool tls_begin(struct session *s)
{
	s->ssl = SSL_new(tls);
	s->handshaking = true;
	s->secure_us = now_us();
	return s->ssl != NULL && SSL_set_fd(s->ssl, s->fd) == 1 && SSL_set_tlsext_host_name(s->ssl, next_name()) == 1;
}

/* handshake returns false when it failed. */
static bool handshake(struct session *s)
{
	int n = SSL_connect(s->ssl);
	if (n == 1) {
		s->handshaking = false;
		done.handshake_us[done.num_handshake_us++] = (uint32_t)(now_us() - s->secure_us);
		return pump(s);
	}
	int e = SSL_get_error(s->ssl, n);
	watch(s, e == SSL_ERROR_WANT_WRITE ? EPOLLIN | EPOLLOUT : EPOLLIN);
	return e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE;
}

/* --- replies ------------------------------------------------------------------- */

enum taken { TAKEN, TAKEN_WRONG, TAKEN_LAST, TAKEN_TLS };

static enum taken reply_line(struct session *s, const char *line, size_t len)
{
	struct cursor at = next_of(s->answered);
	if (s->answered.verb == DONE) /* the greeting: nothing was answered before */
		at = (struct cursor){ .verb = GREETING };
	if ((at.verb == EHLO_TLS || (at.verb == EHLO && plan.clear)) && len >= 14 && memcmp(line + 4, "PIPELINING", 10) == 0)
		s->pipelining = true;
	if (len >= 4 && line[3] == '-')
		return TAKEN;
	if (at.verb == DONE || line[0] != script[at.verb].reply)
		return TAKEN_WRONG;
	s->answered = at;
	if (at.verb == TEXT)
		done.messages++;
	return at.verb == QUIT ? TAKEN_LAST : at.verb == STARTTLS ? TAKEN_TLS : TAKEN;
}

static enum taken take(struct session *s)
{
	char *p = s->input, *end = s->input + s->input_len;
	enum taken r = TAKEN;
	while (r == TAKEN && p < end) {
		char *lf = memchr(p, '\n', (size_t)(end - p));
		if (lf == NULL)
			break;
		r = reply_line(s, p, (size_t)(lf - p));
		if (r == TAKEN_WRONG)
			return r; /* the line is shown */
		p = lf + 1;
	}
	s->input_len = (size_t)(end - p);
	memmove(s->input, p, s->input_len);
	return r;
}

/* get returns octets read, 0: later, -1: the end or an error. */
static ssize_t get(struct session *s)
{
	size_t room = sizeof s->input - s->input_len;
	if (s->ssl == NULL) {
		ssize_t n = recv(s->fd, s->input + s->input_len, room, 0);
		return n > 0 ? n : n < 0 && errno == EAGAIN ? 0 : -1;
	}
	int n = SSL_read(s->ssl, s->input + s->input_len, (int)room);
	return n > 0 ? n : SSL_get_error(s->ssl, n) == SSL_ERROR_WANT_READ ? 0 : -1;
}

static void on_event(struct session *s, uint32_t events)
{
	if (s->handshaking) {
		if (!handshake(s))
			session_end(s, &done.failed_handshakes, "handshake");
		return;
	}
	if ((events & EPOLLOUT) != 0 && !pump(s)) {
		session_end(s, &done.broken, "write");
		return;
	}
	for (;;) {
		ssize_t n = get(s);
		if (n == 0)
			return;
		if (n < 0) {
			session_end(s, s->answered.verb == DONE ? &done.refused_connections : &done.broken, "closed");
			return;
		}
		s->input_len += (size_t)n;
		enum taken r = take(s);
		if (r == TAKEN_LAST) {
			session_succeeded(s);
			return;
		}
		if (r == TAKEN_WRONG) {
			session_end(s, &done.wrong_replies, "reply");
			return;
		}
		bool ok = r == TAKEN_TLS ? tls_begin(s) && handshake(s) : pump(s);
		if (!ok) {
			session_end(s, r == TAKEN_TLS ? &done.failed_handshakes : &done.broken, "connection");
			return;
		}
		if (s->handshaking)
			return;
	}
}

static void session_begin(void)
{
	struct session *s = calloc(1, sizeof *s);
	int one = 1;
	if (s == NULL)
		exit(1);
	done.begun++;
	done.open++;
	s->begun_us = now_us();
	s->answered.verb = DONE;
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0 || setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) != 0 ||
	    (connect(s->fd, (const struct sockaddr *)&plan.to, sizeof plan.to) != 0 && errno != EINPROGRESS)) {
		perror("bench-load: connect");
		exit(1);
	}
	watch(s, EPOLLIN);
}

/* --- the message --------------------------------------------------------------- */

/* make_text writes a message of about plan.size octets: lines of 74, one in 16
 * with a leading dot, which makes both ends do their work. */
static void make_text(void)
{
	static const char head[] = "From: <load@load.bench>\r\nTo: <someone@sink.bench>\r\nSubject: load\r\n" BENCH_SUM_HEADER;
	size_t room = plan.size + 512, at = sizeof head - 1 + SUM_DIGITS;
	text = calloc(1, room + 128);
	if (text == NULL)
		exit(1);
	memcpy(text, head, sizeof head - 1);
	memcpy(text + at, "\r\n", 2);
	size_t summed = at += 2;
	memcpy(text + at, "\r\n", 2);
	at += 2;
	for (unsigned line = 0; at + 80 < plan.size; line++) {
		if (line % 16 == 7)
			at += (size_t)sprintf(text + at, "..");
		for (unsigned i = 0; i < 72; i++)
			text[at++] = (char)('!' + 14 + (line * 7 + i) % 70); /* never a dot */
		at += (size_t)sprintf(text + at, "\r\n");
	}
	at += (size_t)sprintf(text + at, "end\r\n.\r\n");
	text_len = at;
	uint8_t digest[SHA256_DIGEST_LENGTH];
	SHA256((const uint8_t *)text + summed, text_len - summed, digest);
	char digits[SUM_DIGITS + 1];
	for (size_t i = 0; i < sizeof digest; i++)
		(void)snprintf(digits + 2 * i, 3, "%02x", digest[i]);
	memcpy(text + sizeof head - 1, digits, SUM_DIGITS);
}

/* --- the result ------------------------------------------------------------------ */

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

static double at_rank(const uint32_t *sorted, uint64_t num, double rank)
{
	return num == 0 ? 0 : sorted[(uint64_t)((double)(num - 1) * rank)] / 1000.0;
}

static void print_times(const char *name, uint32_t *us, uint64_t num)
{
	qsort(us, num, sizeof *us, by_value);
	printf(",\"%s_ms\":{\"p50\":%.3f,\"p90\":%.3f,\"p99\":%.3f,\"max\":%.3f}", name, at_rank(us, num, 0.5), at_rank(us, num, 0.9),
	       at_rank(us, num, 0.99), at_rank(us, num, 1));
}

static void print_result(double seconds)
{
	uint64_t failed = done.refused_connections + done.broken + done.wrong_replies + done.failed_handshakes;
	printf("{\"sessions\":%llu,\"messages\":%llu,\"text_octets\":%zu,\"seconds\":%.4f,\"failed\":%llu,\"refused\":%llu,\"broken\":%llu,"
	       "\"wrong_replies\":%llu,\"failed_handshakes\":%llu",
	       (unsigned long long)done.num_session_us, (unsigned long long)done.messages, text_len, seconds,
	       (unsigned long long)failed, (unsigned long long)done.refused_connections, (unsigned long long)done.broken,
	       (unsigned long long)done.wrong_replies, (unsigned long long)done.failed_handshakes);
	print_times("session", done.session_us, done.num_session_us);
	print_times("handshake", done.handshake_us, done.num_handshake_us);
	printf("}\n");
	if (done.first_failure[0] != '\0')
		(void)fprintf(stderr, "bench-load: first failure: %s\n", done.first_failure);
}

/* --- the loop ---------------------------------------------------------------------- */

static void loop_once(int timeout_ms)
{
	struct epoll_event events[EVENTS];
	int n = epoll_wait(epoll, events, EVENTS, timeout_ms);
	for (int i = 0; i < n; i++)
		if (events[i].data.ptr != NULL)
			on_event(events[i].data.ptr, events[i].events);
}

/* trickle sends one more octet of a message that never ends. */
static void trickle(struct session *s)
{
	if (s->text_off + 1 < text_len && put(s, text + s->text_off, 1) == 1)
		s->text_off = s->text_len = s->text_off + 1;
}

static void run_sessions(void)
{
	for (unsigned i = 0; i < plan.clients && done.begun < plan.sessions; i++)
		session_begin();
	while (done.ended < plan.sessions)
		loop_once(-1);
}

/* hold opens all sessions, at most `clients` of them on their way at a time, tells that
 * it is ready, and holds them until standard input closes. */
static void hold(void)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	int64_t tick_us = now_us();
	bool told = false;
	while (poll(&input, 1, 0) == 0) {
		while (done.begun < plan.sessions && done.open - done.num_held < plan.clients)
			session_begin();
		loop_once(20);
		if (!told && done.num_held == plan.sessions) {
			told = true;
			printf("{\"ready\":%u}\n", done.num_held);
			(void)fflush(stdout);
		}
		if (plan.mode == MODE_SLOW && now_us() - tick_us >= 1000000) {
			tick_us = now_us();
			for (unsigned i = 0; i < done.num_held; i++)
				trickle(done.held[i]);
		}
	}
}

static bool parse_to(const char *at)
{
	char host[64];
	const char *colon = strrchr(at, ':');
	if (colon == NULL || (size_t)(colon - at) >= sizeof host)
		return false;
	(void)snprintf(host, sizeof host, "%.*s", (int)(colon - at), at);
	plan.to = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(colon + 1)) };
	return inet_pton(AF_INET, host, &plan.to.sin_addr) == 1;
}

static void usage(void)
{
	(void)fprintf(stderr, "usage: bench-load --to ADDRESS:PORT [--mode sessions|idle|slow] [--clients N] [--sessions N]\n"
	                      "                  [--messages N] [--size OCTETS] [--recipients N] [--names N] [--tls12] [--clear]\n");
	exit(2);
}

static enum mode parse_mode(const char *name)
{
	static const char *const names[] = { [MODE_SESSIONS] = "sessions", [MODE_IDLE] = "idle", [MODE_SLOW] = "slow" };
	for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
		if (strcmp(names[i], name) == 0)
			return (enum mode)i;
	usage();
	return MODE_SESSIONS;
}

static bool parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "to", required_argument, NULL, 't' },       { "mode", required_argument, NULL, 'm' },
		{ "clients", required_argument, NULL, 'c' },  { "sessions", required_argument, NULL, 's' },
		{ "messages", required_argument, NULL, 'n' }, { "size", required_argument, NULL, 'z' },
		{ "recipients", required_argument, NULL, 'r' }, { "tls12", no_argument, NULL, '2' },
		{ "clear", no_argument, NULL, 'x' },          { "names", required_argument, NULL, 'i' },
		{ 0 },
	};
	bool old = false;
	for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		switch (o) {
		case 't': if (!parse_to(optarg)) usage(); break;
		case 'm': plan.mode = parse_mode(optarg); break;
		case 'c': plan.clients = (unsigned)atoi(optarg); break;
		case 's': plan.sessions = (uint64_t)atoll(optarg); break;
		case 'n': plan.messages = (unsigned)atoi(optarg); break;
		case 'z': plan.size = (size_t)atoll(optarg); break;
		case 'r': plan.recipients = (unsigned)atoi(optarg); break;
		case 'i': plan.names = (unsigned)atoi(optarg); break;
		case '2': old = true; break;
		case 'x': plan.clear = true; break;
		default: usage();
		}
	}
	if (plan.to.sin_port == 0 || plan.clients == 0 || plan.recipients == 0 || plan.names == 0 || optind != argc)
		usage();
	return old;
}

int main(int argc, char **argv)
{
	bool old = parse(argc, argv);
	int version = old ? TLS1_2_VERSION : TLS1_3_VERSION;
	epoll = epoll_create1(EPOLL_CLOEXEC);
	tls = SSL_CTX_new(TLS_client_method());
	done.session_us = calloc(plan.sessions, sizeof *done.session_us);
	done.handshake_us = calloc(plan.sessions, sizeof *done.handshake_us);
	done.held = calloc(plan.sessions, sizeof *done.held);
	if (epoll < 0 || tls == NULL || done.session_us == NULL || done.handshake_us == NULL || done.held == NULL ||
	    SSL_CTX_set_min_proto_version(tls, (uint16_t)version) != 1 || SSL_CTX_set_max_proto_version(tls, (uint16_t)version) != 1 ||
	    SSL_CTX_set1_curves_list(tls, "X25519") != 1)
		return 1;
	SSL_CTX_set_verify(tls, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	make_text();
	int64_t begun = now_us();
	if (plan.mode == MODE_SESSIONS) {
		run_sessions();
		print_result((double)(now_us() - begun) / 1e6);
	} else {
		hold();
	}
	return 0;
}
