/* A wire is a pipe handle, a queue of bytes in and a queue of bytes out.
 *
 * Out: wire_send appends to `out`; when no write is under way the whole queue
 * moves to `sending` and is written at once, so many lines cost one write.
 * In:  bytes are read into `in`, cut at newlines, and each line is offered.
 * End: wire_close marks; what is queued is written first, bounded by a timer;
 * then both handles are closed and the last close callback reports and frees.
 * Nothing else frees. */
#include "base/wire_uv.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { LINGER_MS = 2000, READ_SIZE = 65536, BACKLOG = 64 };

struct wire {
	uv_pipe_t pipe;
	uv_timer_t linger;
	uv_connect_t connect;
	uv_write_t write;
	struct bytes in;
	size_t scanned; /* bytes of `in` known to hold no newline */
	struct bytes out;
	struct bytes sending;
	struct wire_events events;
	void *arg;
	size_t line_max, queue_max;
	bool connected;
	bool writing;
	bool closing; /* no more lines are offered or taken */
	bool dead;    /* the handles are being closed */
	bool eof; /* the peer writes no more */
	unsigned owed; /* answers that will be sent later */
	int num_handles;
	char why[128];
};

struct wire_listener {
	uv_pipe_t pipe;
	struct wire_events events;
	void *(*on_open)(void *arg, struct wire *w);
	void *arg;
	size_t line_max;
	char path[sizeof ((struct sockaddr_un *)0)->sun_path];
};

static void wire_on_closed(uv_handle_t *h)
{
	struct wire *w = h->data;
	if (--w->num_handles > 0)
		return;
	w->events.on_close(w->arg, w, w->why);
	bytes_fini(&w->in);
	bytes_fini(&w->out);
	bytes_fini(&w->sending);
	free(w);
}

static void wire_die(struct wire *w, const char *why)
{
	if (w->dead)
		return;
	w->closing = w->dead = true;
	if (w->why[0] == '\0')
		(void)snprintf(w->why, sizeof w->why, "%s", why);
	uv_close((uv_handle_t *)&w->pipe, wire_on_closed);
	uv_close((uv_handle_t *)&w->linger, wire_on_closed);
}

static void wire_flush(struct wire *w);

static void wire_on_written(uv_write_t *req, int status)
{
	struct wire *w = req->data;
	w->writing = false;
	bytes_consume(&w->sending, bytes_len(&w->sending));
	if (status < 0) {
		wire_die(w, uv_strerror(status));
		return;
	}
	if (bytes_len(&w->out) == 0 && !w->closing && w->events.on_drained != NULL)
		w->events.on_drained(w->arg, w);
	wire_flush(w);
}

static void wire_flush(struct wire *w)
{
	if (w->dead || w->writing || !w->connected)
		return;
	if (bytes_len(&w->out) == 0) {
		if (w->closing)
			wire_die(w, "closed");
		return;
	}
	struct bytes swap = w->sending;
	w->sending = w->out;
	w->out = swap;
	struct slice s = bytes_slice(&w->sending);
	uv_buf_t buf = uv_buf_init((char *)(uintptr_t)s.p, (unsigned)s.len);
	w->write.data = w;
	w->writing = true;
	int r = uv_write(&w->write, (uv_stream_t *)&w->pipe, &buf, 1, wire_on_written);
	if (r < 0) {
		w->writing = false;
		wire_die(w, uv_strerror(r));
	}
}

/* wire_offer gives the complete lines in `in` to the owner. */
static void wire_offer(struct wire *w)
{
	while (!w->closing) {
		struct slice s = bytes_slice(&w->in);
		struct slice fresh = slice_from(s, w->scanned);
		const uint8_t *end = fresh.len == 0 ? NULL : memchr(fresh.p, '\n', fresh.len);
		if (end == NULL) {
			w->scanned = s.len;
			if (s.len > w->line_max)
				wire_die(w, "line too long");
			return;
		}
		size_t len = (size_t)(end - s.p);
		if (len > w->line_max || memchr(s.p, '\0', len) != NULL) {
			wire_die(w, len > w->line_max ? "line too long" : "NUL in a line");
			return;
		}
		size_t text = len > 0 && s.p[len - 1] == '\r' ? len - 1 : len;
		char *line = (char *)(uintptr_t)s.p;
		line[text] = '\0';
		w->events.on_line(w->arg, w, line, text);
		bytes_consume(&w->in, len + 1);
		w->scanned = 0;
	}
}

static void wire_on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	struct wire *w = h->data;
	(void)suggested;
	uint8_t *p = NULL;
	if (bytes_reserve(&w->in, READ_SIZE, &p) != EC_OK)
		*buf = uv_buf_init(NULL, 0);
	else
		*buf = uv_buf_init((char *)p, READ_SIZE);
}

/* A peer may close its writing side and still wait for answers. */
static void wire_ended(struct wire *w, int status)
{
	if (status != UV_EOF) {
		wire_die(w, uv_strerror(status));
		return;
	}
	w->eof = true;
	uv_read_stop((uv_stream_t *)&w->pipe);
	if (w->owed > 0)
		return;
	if (bytes_len(&w->out) > 0 || w->writing)
		wire_close(w);
	else
		wire_die(w, "closed by the peer");
}

static void wire_on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct wire *w = s->data;
	(void)buf;
	if (n > 0) {
		bytes_commit(&w->in, (size_t)n);
		wire_offer(w);
	} else if (n < 0 && w->closing) {
		wire_die(w, "closed");
	} else if (n < 0) {
		wire_ended(w, (int)n);
	}
}

static void wire_on_linger(uv_timer_t *t)
{
	wire_die(t->data, "closed with lines unsent");
}

static struct wire *wire_alloc(uv_loop_t *loop, struct wire_events events, void *arg, size_t line_max)
{
	struct wire *w = calloc(1, sizeof *w);
	if (w == NULL)
		return NULL;
	*w = (struct wire){ .events = events, .arg = arg, .line_max = line_max, .queue_max = WIRE_QUEUE_MAX, .num_handles = 2 };
	w->in.secret = w->out.secret = w->sending.secret = true;
	uv_pipe_init(loop, &w->pipe, 0);
	uv_timer_init(loop, &w->linger);
	w->pipe.data = w->linger.data = w;
	return w;
}

static void wire_start(struct wire *w)
{
	w->connected = true;
	int r = uv_read_start((uv_stream_t *)&w->pipe, wire_on_alloc, wire_on_read);
	if (r < 0)
		wire_die(w, uv_strerror(r));
	else
		wire_flush(w);
}

static void wire_on_connected(uv_connect_t *req, int status)
{
	struct wire *w = req->data;
	if (w->dead)
		return;
	if (status < 0)
		wire_die(w, status == UV_ENOENT || status == UV_ECONNREFUSED ? "nobody listens there" : uv_strerror(status));
	else
		wire_start(w);
}

enum ec wire_connect(uv_loop_t *loop, const char *path, struct wire_events events, void *arg, struct wire **out)
{
	struct wire *w = wire_alloc(loop, events, arg, WIRE_LINE_MAX);
	if (w == NULL)
		return EC_NO_MEMORY;
	w->connect.data = w;
	uv_pipe_connect(&w->connect, &w->pipe, path, wire_on_connected);
	*out = w;
	return EC_OK;
}

enum ec wire_adopt(uv_loop_t *loop, int fd, struct wire_events events, void *arg, struct wire **out)
{
	struct wire *w = wire_alloc(loop, events, arg, WIRE_ADOPTED_MAX);
	if (w == NULL) {
		close(fd);
		return EC_NO_MEMORY;
	}
	w->queue_max = WIRE_ADOPTED_MAX;
	*out = w;
	int r = uv_pipe_open(&w->pipe, fd);
	if (r < 0) {
		close(fd);
		wire_die(w, uv_strerror(r));
	} else {
		wire_start(w);
	}
	return EC_OK;
}

void wire_send_text(struct wire *w, struct slice text)
{
	if (w->closing)
		return;
	if (bytes_len(&w->out) + text.len > w->queue_max)
		wire_die(w, "the peer does not read");
	else if (bytes_append(&w->out, text) != EC_OK)
		wire_die(w, "out of memory");
	else
		wire_flush(w);
}

void wire_send(struct wire *w, struct slice line)
{
	if (w->closing)
		return;
	uint8_t *p = NULL;
	if (bytes_len(&w->out) + line.len + 1 > w->queue_max) {
		wire_die(w, "the peer does not read");
	} else if (bytes_reserve(&w->out, line.len + 1, &p) != EC_OK) {
		wire_die(w, "out of memory");
	} else {
		if (line.len > 0)
			memcpy(p, line.p, line.len);
		p[line.len] = '\n';
		bytes_commit(&w->out, line.len + 1);
		wire_flush(w);
	}
}

void wire_send_json(struct wire *w, json_t *value)
{
	char *text = value == NULL ? NULL : json_dumps(value, JSON_COMPACT);
	json_decref(value);
	if (text == NULL) {
		wire_die(w, "out of memory");
		return;
	}
	size_t len = strlen(text);
	wire_send(w, slice_of(text, len));
	/* json_dumps allocates with jansson's allocator; give it back there. */
	json_malloc_t allocate;
	json_free_t release;
	json_get_alloc_funcs(&allocate, &release);
	release(text);
}

void wire_owe(struct wire *w)
{
	w->owed++;
}

void wire_paid(struct wire *w)
{
	assert(w->owed > 0);
	if (--w->owed == 0 && w->eof)
		wire_close(w);
}

void wire_close(struct wire *w)
{
	if (w == NULL || w->closing)
		return;
	w->closing = true;
	if (!w->connected || (bytes_len(&w->out) == 0 && !w->writing))
		wire_die(w, "closed");
	else
		uv_timer_start(&w->linger, wire_on_linger, LINGER_MS, 0);
}

void wire_set_arg(struct wire *w, void *arg)
{
	w->arg = arg;
}

/* Blocks carry their size in front, so that freeing can wipe them. */
static void *wiping_malloc(size_t size)
{
	size_t *p = malloc(size + sizeof(max_align_t));
	if (p == NULL)
		return NULL;
	*p = size;
	return (char *)p + sizeof(max_align_t);
}

static void wiping_free(void *p)
{
	if (p == NULL)
		return;
	size_t *block = (size_t *)(void *)((char *)p - sizeof(max_align_t));
	wipe(p, *block);
	free(block);
}

void wire_secrets(void)
{
	json_set_alloc_funcs(wiping_malloc, wiping_free);
}

static void listener_on_connection(uv_stream_t *s, int status)
{
	struct wire_listener *l = s->data;
	if (status < 0)
		return;
	struct wire *w = wire_alloc(s->loop, l->events, l->arg, l->line_max);
	if (w == NULL)
		return;
	if (uv_accept(s, (uv_stream_t *)&w->pipe) < 0) {
		wire_die(w, "accept failed");
		return;
	}
	if (l->on_open != NULL)
		w->arg = l->on_open(l->arg, w);
	if (!w->closing)
		wire_start(w);
}

static void listener_on_closed(uv_handle_t *h)
{
	free(h->data);
}

/* A socket file left by a dead process is removed; a live one is not. */
static enum ec clear_path(const char *path, struct why *why)
{
	struct stat st;
	if (lstat(path, &st) != 0)
		return errno == ENOENT ? EC_OK : why_set(why, EC_IO, "%s: %s", path, strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return why_set(why, EC_EXISTS, "%s: is there and is not a socket; choose another path or move it away", path);
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	memcpy(sa.sun_path, path, strlen(path) + 1);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return why_set(why, EC_IO, "%s: %s", path, strerror(errno));
	bool live = connect(fd, (struct sockaddr *)&sa, sizeof sa) == 0;
	close(fd);
	if (live)
		return why_set(why, EC_EXISTS, "%s: another process listens there; is the daemon running already?", path);
	if (unlink(path) != 0)
		return why_set(why, EC_IO, "%s: can't remove the stale socket: %s", path, strerror(errno));
	return EC_OK;
}

/* The socket is bound here, not by libuv, so that its mode is right from the
 * first moment. */
static enum ec bind_path(const char *path, mode_t mode, int *out_fd, struct why *why)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof sa.sun_path)
		return why_set(why, EC_RANGE, "%s: a socket path has at most %zu bytes", path, sizeof sa.sun_path - 1);
	enum ec ec = clear_path(path, why);
	if (ec != EC_OK)
		return ec;
	memcpy(sa.sun_path, path, strlen(path) + 1);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return why_set(why, EC_IO, "%s: %s", path, strerror(errno));
	mode_t old = umask(0777 & ~mode);
	int r = bind(fd, (struct sockaddr *)&sa, sizeof sa);
	int e = errno;
	umask(old);
	if (r != 0) {
		close(fd);
		return why_set(why, e == EACCES ? EC_PERMISSION : EC_IO, "%s: %s; does its directory exist and may this user write there?",
		               path, strerror(e));
	}
	*out_fd = fd;
	return EC_OK;
}

enum ec wire_listen(uv_loop_t *loop, const char *path, mode_t mode, size_t line_max, struct wire_events events,
                    void *(*on_open)(void *arg, struct wire *w), void *arg, struct wire_listener **out, struct why *why)
{
	int fd = -1;
	enum ec ec = bind_path(path, mode, &fd, why);
	if (ec != EC_OK)
		return ec;
	struct wire_listener *l = calloc(1, sizeof *l);
	if (l == NULL) {
		close(fd);
		return why_set(why, EC_NO_MEMORY, "out of memory");
	}
	*l = (struct wire_listener){ .events = events, .on_open = on_open, .arg = arg, .line_max = line_max };
	(void)snprintf(l->path, sizeof l->path, "%s", path);
	uv_pipe_init(loop, &l->pipe, 0);
	l->pipe.data = l;
	int r = uv_pipe_open(&l->pipe, fd);
	if (r < 0)
		close(fd);
	else
		r = uv_listen((uv_stream_t *)&l->pipe, BACKLOG, listener_on_connection);
	if (r < 0) {
		uv_close((uv_handle_t *)&l->pipe, listener_on_closed);
		return why_set(why, EC_IO, "%s: %s", path, uv_strerror(r));
	}
	*out = l;
	return EC_OK;
}

void wire_listener_close(struct wire_listener *l)
{
	if (l == NULL || uv_is_closing((uv_handle_t *)&l->pipe))
		return;
	unlink(l->path);
	uv_close((uv_handle_t *)&l->pipe, listener_on_closed);
}
