#include "fuzz/proxy/hop.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEAD = 16 };

static void must(enum ec ec)
{
	if (ec != EC_OK)
		abort();
}

void hop_drop(struct hop *h)
{
	if (h->fd >= 0)
		close(h->fd);
	h->fd = -1;
	bytes_fini(&h->head);
	mta_drop(&h->mta);
}

static bool hop_accept(struct hop *h)
{
	int fd = accept4(h->door, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return false;
	hop_drop(h);
	h->fd = fd;
	h->head_due = h->heads;
	mta_connect(&h->mta);
	return true;
}

/* The header is ours to make, so it is right: PROXY protocol 2.2, as spec.txt of HAProxy. */
static struct slice without_head(struct hop *h, struct slice in)
{
	if (!h->head_due)
		return in;
	must(bytes_append(&h->head, in));
	struct slice all = bytes_slice(&h->head);
	if (all.len < HEAD)
		return (struct slice){ 0 };
	size_t len = HEAD + (size_t)(all.p[14] << 8 | all.p[15]);
	assert(memcmp(all.p, "\r\n\r\n\0\r\nQUIT\n", 12) == 0 && (all.p[12] & 0xf0) == 0x20 && len < 256);
	if (all.len < len)
		return (struct slice){ 0 };
	h->head_due = false;
	return slice_from(all, len);
}

static bool hop_read(struct hop *h)
{
	uint8_t in[8192];
	if (h->deaf)
		return false;
	ssize_t n = recv(h->fd, in, sizeof in, 0);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return false;
	if (n <= 0) {
		hop_drop(h);
		return true;
	}
	must(bytes_append(&h->mta.in, without_head(h, slice_of(in, (size_t)n))));
	mta_take(&h->mta);
	return true;
}

bool hop_move(struct hop *h)
{
	bool moved = hop_accept(h);
	if (h->fd < 0 || h->deaf)
		return moved;
	struct slice said = slice_first(bytes_slice(&h->mta.out), h->step);
	if (said.len > 0) {
		ssize_t n = send(h->fd, said.p, said.len, MSG_NOSIGNAL);
		bytes_consume(&h->mta.out, n < 0 ? 0 : (size_t)n);
		moved |= n > 0;
		return moved | hop_read(h);
	}
	if (h->mta.closed) {
		h->lost = true;
		hop_drop(h);
		return true;
	}
	return moved | hop_read(h);
}
