/* A backend that costs as little as one can: epoll, one thread, no disk. It answers
 * SMTP, sums each message (see wire.h) and says 250 to it only when the sum is
 * the one the sender wrote; 554 otherwise. SIGTERM ends it; it then prints how many
 * messages and octets it took, and how many sums were wrong.
 *
 *   bench-sink ADDRESS PORT [CERTIFICATE KEY]
 *
 * With a certificate it ends STARTTLS itself and sums nothing: what is left when
 * nothing is proxied. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/wire.h"

enum { BUFFER = 256 << 10, EVENTS = 256, LINE = 512, OUT = 16 << 10 };

enum mode { COMMANDS, HEADERS, BODY };

struct link {
	int fd;
	SSL *ssl; /* NULL: in clear */
	bool handshaking;
	enum mode mode;
	unsigned matched; /* octets of CRLF.CRLF seen; a body begins as if behind a CRLF */
	char line[LINE];
	size_t len;
	char sum[2 * SHA256_DIGEST_LENGTH + 1];
	SHA256_CTX sha;
};

/* Replies of the one link that is being served; they leave before the next one's turn. */
static char out[OUT];
static size_t out_len;

static struct {
	uint64_t messages, octets, wrong, connections;
} total;

static SSL_CTX *tls;

static const char end_of_data[] = "\r\n.\r\n";

static void say(const char *text)
{
	size_t len = strlen(text);
	if (out_len + len <= sizeof out) {
		memcpy(out + out_len, text, len);
		out_len += len;
	}
}

static bool is(const struct link *l, const char *verb)
{
	size_t len = strlen(verb);
	return l->len >= len && strncasecmp(l->line, verb, len) == 0;
}

/* command returns false when the link is to be closed. */
static bool command(struct link *l)
{
	if (is(l, "EHLO")) {
		say("250-sink.bench\r\n");
		if (tls != NULL && l->ssl == NULL)
			say("250-STARTTLS\r\n");
		say("250-PIPELINING\r\n250-SIZE 1000000000\r\n250-8BITMIME\r\n250-DSN\r\n250 ENHANCEDSTATUSCODES\r\n");
	} else if (is(l, "DATA")) {
		say("354 go on\r\n");
		l->mode = HEADERS;
		l->sum[0] = '\0';
	} else if (is(l, "STARTTLS") && tls != NULL) {
		say("220 2.0.0 go on\r\n");
		l->handshaking = true;
	} else if (is(l, "QUIT")) {
		say("221 2.0.0 bye\r\n");
		return false;
	} else {
		say("250 2.0.0 ok\r\n");
	}
	return true;
}

static void header(struct link *l)
{
	const size_t head = sizeof BENCH_SUM_HEADER - 1, digits = sizeof l->sum - 1;
	if (l->len != head + digits || memcmp(l->line, BENCH_SUM_HEADER, head) != 0)
		return;
	memcpy(l->sum, l->line + head, digits);
	l->sum[digits] = '\0';
	l->mode = BODY;
	l->matched = 2;
	SHA256_Init(&l->sha);
}

static void message_end(struct link *l)
{
	uint8_t digest[SHA256_DIGEST_LENGTH];
	char text[sizeof l->sum];
	SHA256_Final(digest, &l->sha);
	for (size_t i = 0; i < sizeof digest; i++)
		(void)snprintf(text + 2 * i, 3, "%02x", digest[i]);
	bool right = tls != NULL || strcmp(text, l->sum) == 0;
	total.messages++;
	total.wrong += !right;
	l->mode = COMMANDS;
	l->len = 0;
	say(right ? "250 2.0.0 stored\r\n" : "554 5.6.0 the sum is wrong\r\n");
}

/* body takes octets up to the end of data and returns how many. */
static size_t body(struct link *l, const char *p, size_t len)
{
	size_t used = 0;
	while (used < len) {
		if (l->matched == 0) { /* nothing can end before the next CR */
			const char *cr = memchr(p + used, '\r', len - used);
			if (cr == NULL) {
				used = len;
				break;
			}
			used = (size_t)(cr - p);
		}
		char c = p[used++];
		l->matched = c == end_of_data[l->matched] ? l->matched + 1 : c == '\r' ? 1 : 0;
		if (l->matched == sizeof end_of_data - 1)
			break;
	}
	if (tls == NULL)
		SHA256_Update(&l->sha, p, used);
	total.octets += used;
	return used;
}

/* take returns false when the link is to be closed. */
static bool take(struct link *l, const char *p, size_t len)
{
	while (len > 0) {
		size_t used;
		if (l->mode == BODY) {
			used = body(l, p, len);
			if (l->matched == sizeof end_of_data - 1)
				message_end(l);
		} else {
			const char *lf = memchr(p, '\n', len);
			used = lf == NULL ? len : (size_t)(lf - p) + 1;
			if (l->len + used > sizeof l->line)
				return false;
			memcpy(l->line + l->len, p, used);
			l->len += used;
			if (lf != NULL) {
				while (l->len > 0 && (l->line[l->len - 1] == '\n' || l->line[l->len - 1] == '\r'))
					l->len--;
				bool go_on = true;
				if (l->mode == HEADERS)
					header(l);
				else
					go_on = command(l);
				l->len = 0;
				if (!go_on)
					return false;
			}
		}
		p += used;
		len -= used;
	}
	return true;
}

/* flush returns false when the link is broken. Replies are short: a full socket buffer
 * means a peer that does not read. */
static bool flush(struct link *l)
{
	if (out_len == 0)
		return true;
	ssize_t n = l->ssl != NULL ? SSL_write(l->ssl, out, (int)out_len) : send(l->fd, out, out_len, MSG_NOSIGNAL);
	bool whole = n == (ssize_t)out_len;
	out_len = 0;
	return whole;
}

/* get returns octets read, 0: later, -1: the end or an error. */
static ssize_t get(struct link *l, char *buffer, size_t room)
{
	if (l->ssl == NULL) {
		ssize_t n = recv(l->fd, buffer, room, 0);
		return n > 0 ? n : n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
	}
	int n = SSL_read(l->ssl, buffer, (int)room);
	return n > 0 ? n : SSL_get_error(l->ssl, n) == SSL_ERROR_WANT_READ ? 0 : -1;
}

/* secure goes on with the handshake; false: the link is broken. */
static bool secure(struct link *l)
{
	if (l->ssl == NULL) {
		l->ssl = SSL_new(tls);
		if (l->ssl != NULL)
			SSL_set_shed_handshake_config(l->ssl, 1);
		if (l->ssl == NULL || SSL_set_fd(l->ssl, l->fd) != 1)
			return false;
	}
	int n = SSL_accept(l->ssl);
	if (n != 1)
		return SSL_get_error(l->ssl, n) == SSL_ERROR_WANT_READ;
	l->handshaking = false;
	return true;
}

static bool serve(struct link *l)
{
	static char buffer[BUFFER];
	for (;;) {
		if (l->handshaking) {
			if (!secure(l))
				return false;
			if (l->handshaking)
				return true;
		}
		ssize_t n = get(l, buffer, sizeof buffer);
		if (n <= 0)
			return n == 0;
		bool open = take(l, buffer, (size_t)n);
		if (!flush(l) || !open)
			return false;
		if (l->ssl == NULL && !l->handshaking)
			return true; /* epoll tells when there is more; TLS may hold some back */
	}
}

static void on_readable(struct link *l)
{
	if (serve(l))
		return;
	if (l->ssl != NULL)
		(void)SSL_shutdown(l->ssl);
	SSL_free(l->ssl);
	close(l->fd);
	free(l);
}

static void on_connection(int epoll, int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), one = 1;
	struct link *l = fd < 0 ? NULL : calloc(1, sizeof *l);
	if (l == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	total.connections++;
	l->fd = fd;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = l };
	(void)epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e);
	say("220 sink.bench ESMTP\r\n");
	(void)flush(l);
}

static int listen_at(const char *address, const char *port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || inet_pton(AF_INET, address, &at.sin_addr) != 1 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
	    bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 4096) != 0) {
		perror("bench-sink");
		exit(1);
	}
	return fd;
}

static void secure_with(const char *certificate, const char *key)
{
	tls = SSL_CTX_new(TLS_server_method());
	if (tls == NULL || SSL_CTX_use_certificate_file(tls, certificate, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_use_PrivateKey_file(tls, key, SSL_FILETYPE_PEM) != 1 || SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION) != 1) {
		(void)fprintf(stderr, "bench-sink: %s and %s can't be used\n", certificate, key);
		exit(1);
	}
	SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS);
	(void)SSL_CTX_set_num_tickets(tls, 1);
}

int main(int argc, char **argv)
{
	if (argc != 3 && argc != 5) {
		(void)fprintf(stderr, "usage: bench-sink ADDRESS PORT [CERTIFICATE KEY]\n");
		return 2;
	}
	if (argc == 5)
		secure_with(argv[3], argv[4]);
	sigset_t stop;
	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	sigprocmask(SIG_BLOCK, &stop, NULL);
	int epoll = epoll_create1(EPOLL_CLOEXEC), listener = listen_at(argv[1], argv[2]);
	int signals = signalfd(-1, &stop, SFD_CLOEXEC);
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = &listener };
	(void)epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &e);
	e.data.ptr = &signals;
	(void)epoll_ctl(epoll, EPOLL_CTL_ADD, signals, &e);
	for (;;) {
		struct epoll_event events[EVENTS];
		int n = epoll_wait(epoll, events, EVENTS, -1);
		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr == &signals) {
				printf("{\"messages\":%llu,\"octets\":%llu,\"wrong\":%llu,\"connections\":%llu}\n",
				       (unsigned long long)total.messages, (unsigned long long)total.octets,
				       (unsigned long long)total.wrong, (unsigned long long)total.connections);
				return 0;
			}
			if (events[i].data.ptr == &listener)
				on_connection(epoll, listener);
			else
				on_readable(events[i].data.ptr);
		}
	}
}
