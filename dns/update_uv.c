/* Happy path: update_send -> on_connect -> on_written -> on_read (once or more)
 * -> finish -> two on_closed, the last of which frees.
 * It fails before on_connect: nothing was sent, EC_IO or EC_TIMEOUT. From the
 * moment uv_write is called the outcome is unknown until a reply was read. */
#include "dns/update_uv.h"

#include "base/address.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

enum { TIMEOUT_MS = 10000, REPLY_MAX = 65535 };

struct update_call {
	uv_tcp_t tcp;
	uv_timer_t timer;
	uv_connect_t connect;
	uv_write_t write;
	unsigned open_handles;
	bool sent;
	bool closing;
	char server[ADDRESS_TEXT_SIZE];
	const struct tsig_key *key;
	struct update_request request;
	uint8_t prefix[2];
	struct bytes in;
	update_done *done;
	void *arg;
};

static void on_closed(uv_handle_t *h)
{
	struct update_call *c = h->data;
	if (--c->open_handles > 0)
		return;
	bytes_fini(&c->in);
	wipe(&c->request, sizeof c->request);
	free(c);
}

static void call_close(struct update_call *c)
{
	if (c->closing)
		return;
	c->closing = true;
	uv_close((uv_handle_t *)&c->tcp, on_closed);
	uv_close((uv_handle_t *)&c->timer, on_closed);
}

static void finish(struct update_call *c, enum ec ec, const struct update_outcome *outcome, const struct why *why)
{
	static const struct update_outcome none;
	if (c->closing)
		return;
	call_close(c);
	c->done(c->arg, ec, outcome != NULL ? outcome : &none, why);
}

/* The way it fails depends on one thing: did anything go out? */
static void fail(struct update_call *c, enum ec before, const char *what)
{
	struct why why = { 0 };
	if (c->request.rehearsal)
		finish(c, why_set(&why, before, "%s: %s", c->server, what), NULL, &why);
	else if (c->sent)
		finish(c, why_set(&why, EC_OUTCOME_UNKNOWN, "%s: %s after the update was sent: it may have been applied",
				  c->server, what), NULL, &why);
	else
		finish(c, why_set(&why, before, "%s: %s; the update was not sent", c->server, what), NULL, &why);
}

static void on_timeout(uv_timer_t *t)
{
	fail(t->data, EC_TIMEOUT, "no answer in time");
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	struct update_call *c = h->data;
	uint8_t *room = NULL;
	(void)suggested;
	if (bytes_reserve(&c->in, 4096, &room) == EC_OK)
		*buf = uv_buf_init((char *)room, 4096);
	else
		*buf = uv_buf_init(NULL, 0); /* on_read gets UV_ENOBUFS */
}

/* Judges the first whole message in `in`. False: there is none yet. */
static bool judge_one(struct update_call *c)
{
	struct slice in = bytes_slice(&c->in);
	if (in.len < 2)
		return false;
	size_t len = (size_t)in.p[0] << 8 | in.p[1];
	if (in.len < 2 + len)
		return false;
	struct update_outcome outcome;
	struct why why = { 0 };
	struct slice reply = slice_first(slice_from(in, 2), len);
	enum ec ec = update_check(reply, &c->request, c->key, (int64_t)time(NULL), c->server, &outcome, &why);
	if (ec == EC_SYNTAX && !c->request.rehearsal) {
		why_prefix(&why, "the answer can't be read, so the update may have been applied");
		ec = EC_OUTCOME_UNKNOWN;
	}
	if (ec == EC_AGAIN)
		bytes_consume(&c->in, 2 + len);
	else
		finish(c, ec, &outcome, &why);
	return true;
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct update_call *c = s->data;
	(void)buf;
	if (n < 0) {
		fail(c, EC_IO, n == UV_EOF ? "connection closed" : uv_strerror((int)n));
		return;
	}
	bytes_commit(&c->in, (size_t)n);
	while (!c->closing && judge_one(c))
		;
	if (!c->closing && bytes_len(&c->in) > 2 * REPLY_MAX)
		fail(c, EC_IO, "too much was sent");
}

static void on_written(uv_write_t *w, int status)
{
	struct update_call *c = w->data;
	if (status < 0 && !c->closing)
		fail(c, EC_IO, uv_strerror(status));
}

static void on_connect(uv_connect_t *req, int status)
{
	struct update_call *c = req->data;
	if (c->closing)
		return;
	if (status < 0) {
		fail(c, EC_IO, uv_strerror(status));
		return;
	}
	c->sent = true;
	uv_buf_t bufs[2] = {
		uv_buf_init((char *)c->prefix, 2),
		uv_buf_init((char *)c->request.wire, (unsigned)c->request.len),
	};
	int rc = uv_write(&c->write, (uv_stream_t *)&c->tcp, bufs, 2, on_written);
	if (rc == 0)
		rc = uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
	if (rc < 0)
		fail(c, EC_IO, uv_strerror(rc));
}

static enum ec start(struct update_call *c, uv_loop_t *loop, const struct sockaddr_storage *server, int timeout_ms,
		     struct why *why)
{
	int rc = uv_timer_init(loop, &c->timer);
	if (rc == 0)
		rc = uv_tcp_init(loop, &c->tcp);
	assert(rc == 0); /* neither touches the system in libuv 1.x */
	c->open_handles = 2;
	c->tcp.data = c->timer.data = c->connect.data = c->write.data = c;
	rc = uv_tcp_connect(&c->connect, &c->tcp, (const struct sockaddr *)server, on_connect);
	if (rc == 0)
		rc = uv_timer_start(&c->timer, on_timeout, timeout_ms > 0 ? (uint64_t)timeout_ms : TIMEOUT_MS, 0);
	if (rc == 0)
		return EC_OK;
	call_close(c);
	return why_set(why, EC_IO, "%s: %s; the update was not sent", c->server, uv_strerror(rc));
}

enum ec update_send(uv_loop_t *loop, const struct sockaddr_storage *server, const struct update *u,
		    const struct tsig_key *key, int timeout_ms, update_done *done, void *arg,
		    struct update_call **out_call, struct why *why)
{
	uint16_t id = 0;
	if (out_call != NULL)
		*out_call = NULL;
	struct update_call *c = calloc(1, sizeof *c);
	if (c == NULL || getrandom(&id, sizeof id, 0) != sizeof id) {
		free(c);
		return why_set(why, EC_NO_MEMORY, "no memory for a DNS update");
	}
	c->key = key;
	c->done = done;
	c->arg = arg;
	address_print(c->server, server);
	enum ec ec = update_build(u, key, id, &c->request, why);
	if (ec != EC_OK) {
		free(c);
		return ec;
	}
	c->prefix[0] = (uint8_t)(c->request.len >> 8);
	c->prefix[1] = (uint8_t)c->request.len;
	ec = start(c, loop, server, timeout_ms, why);
	if (ec == EC_OK && out_call != NULL)
		*out_call = c;
	return ec;
}

void update_cancel(struct update_call *call)
{
	if (call != NULL)
		call_close(call);
}
