#include "base/ask_fs.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static enum ec ready(int fd, short events, int64_t deadline_ms)
{
	for (;;) {
		int64_t left = deadline_ms - now_ms();
		if (left <= 0)
			return EC_TIMEOUT;
		struct pollfd p = { .fd = fd, .events = events };
		int n = poll(&p, 1, (int)left);
		if (n > 0)
			return EC_OK;
		if (n < 0 && errno != EINTR)
			return EC_IO;
	}
}

static enum ec connect_to(const char *path, int *out_fd, struct why *why)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof sa.sun_path)
		return why_set(why, EC_RANGE, "%s: a socket path has at most %zu bytes", path, sizeof sa.sun_path - 1);
	memcpy(sa.sun_path, path, strlen(path) + 1);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return why_set(why, EC_IO, "%s: %s", path, strerror(errno));
	if (connect(fd, (struct sockaddr *)&sa, sizeof sa) == 0) {
		*out_fd = fd;
		return EC_OK;
	}
	int e = errno;
	close(fd);
	if (e == ENOENT || e == ECONNREFUSED)
		return why_set(why, EC_NOT_FOUND, "%s: nobody listens there; is the daemon running?", path);
	if (e == EACCES || e == EPERM)
		return why_set(why, EC_PERMISSION, "%s: no permission; run as root or as the daemon's user", path);
	return why_set(why, EC_IO, "%s: %s", path, strerror(e));
}

static enum ec send_all(int fd, struct slice s, int64_t deadline_ms)
{
	while (s.len > 0) {
		enum ec ec = ready(fd, POLLOUT, deadline_ms);
		if (ec != EC_OK)
			return ec;
		ssize_t n = send(fd, s.p, s.len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return EC_CLOSED;
		if (n > 0)
			s = slice_from(s, (size_t)n);
	}
	return EC_OK;
}

static enum ec receive(int fd, bool one_line, int64_t deadline_ms, struct bytes *out)
{
	size_t before = bytes_len(out);
	for (;;) {
		enum ec ec = ready(fd, POLLIN, deadline_ms);
		if (ec != EC_OK)
			return ec;
		uint8_t *p = NULL;
		ec = bytes_reserve(out, 65536, &p);
		if (ec != EC_OK)
			return ec;
		ssize_t n = read(fd, p, 65536);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return EC_CLOSED;
		if (n == 0)
			return !one_line && bytes_len(out) > before ? EC_OK : EC_CLOSED;
		const uint8_t *end = one_line ? memchr(p, '\n', (size_t)n) : NULL;
		if (end != NULL) {
			bytes_commit(out, (size_t)(end - p));
			return EC_OK;
		}
		bytes_commit(out, (size_t)n);
	}
}

enum ec ask_socket(const char *path, struct slice line, bool one_line, int timeout_ms, struct bytes *out,
                   struct why *why)
{
	int fd = -1;
	enum ec ec = connect_to(path, &fd, why);
	if (ec != EC_OK)
		return ec;
	int64_t deadline_ms = now_ms() + timeout_ms;
	ec = send_all(fd, line, deadline_ms);
	if (ec == EC_OK)
		ec = send_all(fd, SLICE_LIT("\n"), deadline_ms);
	if (ec == EC_OK)
		ec = receive(fd, one_line, deadline_ms, out);
	close(fd);
	if (ec == EC_TIMEOUT)
		return why_set(why, ec, "%s: no answer within %d s", path, timeout_ms / 1000);
	if (ec == EC_CLOSED)
		return why_set(why, ec, "%s: closed without an answer", path);
	return ec == EC_OK ? EC_OK : why_set(why, ec, "%s: %s", path, ec_text(ec));
}
