#include "proxy/relay/outbox_uv.h"

#include <assert.h>
#include <stdlib.h>

static uv_buf_t buf_of(struct slice s)
{
	return uv_buf_init((char *)(uintptr_t)s.p, (unsigned)s.len);
}

/* try_now returns how many bytes the kernel took. */
static size_t try_now(struct outbox *o, uv_buf_t *bufs, unsigned num)
{
	int r = uv_try_write(o->stream, bufs, num);
	if (r < 0 && r != UV_EAGAIN)
		o->error = r;
	return r < 0 ? 0 : (size_t)r;
}

static void on_written(uv_write_t *req, int status)
{
	struct outbox *o = req->data;
	free(req);
	o->req = NULL;
	bytes_fini(&o->sending);
	if (status < 0)
		o->error = status;
	else
		outbox_flush(o);
	o->on_written(o);
}

static void hand_over(struct outbox *o)
{
	o->req = malloc(sizeof *o->req);
	if (o->req == NULL) {
		o->error = UV_ENOMEM;
		return;
	}
	o->sending = o->out;
	o->out = (struct bytes){ 0 };
	o->req->data = o;
	uv_buf_t buf = buf_of(bytes_slice(&o->sending));
	int r = uv_write(o->req, o->stream, &buf, 1, on_written);
	if (r < 0) {
		free(o->req);
		o->req = NULL;
		o->error = r;
	}
}

void outbox_flush(struct outbox *o)
{
	struct slice s = bytes_slice(&o->out);
	if (o->req != NULL || o->error != 0 || s.len == 0)
		return;
	uv_buf_t buf = buf_of(s);
	size_t written = try_now(o, &buf, 1);
	bytes_consume(&o->out, written);
	if (bytes_len(&o->out) == 0)
		bytes_fini(&o->out);
	else if (o->error == 0)
		hand_over(o);
}

enum ec outbox_ranges(struct outbox *o, const struct slice *ranges, size_t num)
{
	assert(num <= OUTBOX_RANGES_MAX);
	size_t total = 0, written = 0;
	for (size_t i = 0; i < num; i++)
		total += ranges[i].len;
	if (total >= OUTBOX_THROUGH && o->req == NULL && o->error == 0) {
		uv_buf_t bufs[OUTBOX_RANGES_MAX + 1];
		unsigned n = 0;
		size_t before = bytes_len(&o->out);
		if (before > 0)
			bufs[n++] = buf_of(bytes_slice(&o->out));
		for (size_t i = 0; i < num; i++)
			bufs[n++] = buf_of(ranges[i]);
		written = try_now(o, bufs, n);
		size_t front = written < before ? written : before;
		if (front > 0)
			bytes_consume(&o->out, front);
		written -= front;
	}
	enum ec ec = EC_OK;
	for (size_t i = 0; i < num && ec == EC_OK; i++) {
		size_t skip = written < ranges[i].len ? written : ranges[i].len;
		written -= skip;
		ec = bytes_append(&o->out, slice_from(ranges[i], skip));
	}
	return ec;
}

size_t outbox_waiting(const struct outbox *o)
{
	return bytes_len(&o->out) + bytes_len(&o->sending);
}

void outbox_fini(struct outbox *o)
{
	bytes_fini(&o->out);
	bytes_fini(&o->sending);
}
