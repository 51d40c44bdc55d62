/* The line protocol of every socket of ours, over a real pair of sockets: the lines
 * that arrive are those of the octets alone, however they come in; a NUL or a line
 * without end closes. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/wire_uv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct seen {
	struct bytes lines;
	bool closed;
};

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void on_line(void *arg, struct wire *w, char *line, size_t len)
{
	struct seen *s = arg;
	assert(!s->closed && line[len] == '\0' && memchr(line, '\0', len) == NULL && memchr(line, '\n', len) == NULL);
	must(bytes_append(&s->lines, slice_of(line, len)) == EC_OK && bytes_append(&s->lines, SLICE_LIT("\n")) == EC_OK);
	/* What a line is answered with goes back as one line. */
	json_t *answer = json_pack("[s%]", line, len < 8 ? len : (size_t)8);
	if (answer != NULL)
		wire_send_json(w, answer);
}

static void on_close(void *arg, struct wire *w, const char *why)
{
	struct seen *s = arg;
	(void)w;
	assert(!s->closed && why != NULL);
	s->closed = true;
}

static void talk(struct seen *s, struct slice in, size_t step)
{
	uv_loop_t loop;
	struct wire *w = NULL;
	int fds[2];
	must(uv_loop_init(&loop) == 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
	must(wire_adopt(&loop, fds[0], (struct wire_events){ .on_line = on_line, .on_close = on_close }, s, &w) == EC_OK);
	while (in.len > 0 && !s->closed) {
		struct slice piece = slice_first(in, step < 32768 ? step : 32768);
		ssize_t n = send(fds[1], piece.p, piece.len, MSG_NOSIGNAL);
		(void)uv_run(&loop, UV_RUN_NOWAIT);
		char answers[8192];
		while (read(fds[1], answers, sizeof answers) > 0)
			;
		in = slice_from(in, n > 0 ? (size_t)n : 0);
	}
	(void)close(fds[1]);
	must(uv_run(&loop, UV_RUN_DEFAULT) == 0);
	assert(s->closed && uv_loop_close(&loop) == 0);
}

/* Every line that has its end, without a CR before it, up to the first with a NUL. */
static void check(const struct seen *s, struct slice in)
{
	struct slice lines = bytes_slice(&s->lines);
	for (const uint8_t *lf; in.len > 0 && (lf = memchr(in.p, '\n', in.len)) != NULL;) {
		struct slice line = slice_first(in, (size_t)(lf - in.p));
		in = slice_from(in, line.len + 1);
		if (line.len > 0 && memchr(line.p, '\0', line.len) != NULL)
			break;
		if (line.len > 0 && line.p[line.len - 1] == '\r')
			line.len--;
		assert(slice_eq(slice_first(lines, line.len), line) && lines.len > line.len && lines.p[line.len] == '\n');
		lines = slice_from(lines, line.len + 1);
	}
	assert(lines.len == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct seen a = { 0 }, b = { 0 };
	if (len < 1 || len > 4096) /* octet by octet, longer ones take long and find no more */
		return 0;
	struct slice in = slice_of(data + 1, len - 1);
	talk(&a, in, SIZE_MAX);
	talk(&b, in, 1 + data[0]);
	assert(slice_eq(bytes_slice(&a.lines), bytes_slice(&b.lines)));
	check(&a, in);
	bytes_fini(&a.lines);
	bytes_fini(&b.lines);
	return 0;
}
