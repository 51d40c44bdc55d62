/* Happy path: link_dial -> link_on_connected -> link_on_read … -> link_close ->
 * link_on_closed, which frees. With TLS, what is read goes through `tls` into `kept`, and
 * what is queued waits in `plain` until a flush, so that it shares records. Failure: connecting, reading or writing fails ->
 * LINK_ENDED with a reason, the owner hears on_event and calls link_close. */
#include "proxy/relay/dial_uv.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "proxy/relay/outbox_uv.h"

struct link {
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	} uv;
	uv_connect_t connect;
	struct outbox box;
	struct bytes kept; /* received in an earlier wake-up and not taken */
	struct slice lent; /* received in this wake-up */
	struct tls_client *tls;
	struct bytes plain; /* under TLS: queued and not encrypted yet */
	bool shaken;        /* the handshake is complete */
	uint8_t *scratch;
	link_event *on_event;
	void *arg;
	const char *why;
	enum link_state state;
	bool was_open, closed;
};

enum ec dial_target_parse(const char *text, struct dial_target *out, struct why *why)
{
	static const char unix_mark[] = "unix:";
	*out = (struct dial_target){ 0 };
	if (strncmp(text, unix_mark, sizeof unix_mark - 1) != 0)
		return address_parse(slice_str(text), 0, &out->addr, why);
	const char *path = text + sizeof unix_mark - 1;
	if (path[0] != '/' || strlen(path) >= sizeof out->path)
		return why_set(why, EC_RANGE, "a socket path starts with / and has at most %zu bytes", sizeof out->path - 1);
	memcpy(out->path, path, strlen(path) + 1);
	return EC_OK;
}

void dial_target_print(char out[DIAL_TEXT_SIZE], const struct dial_target *t)
{
	if (t->path[0] != '\0')
		(void)snprintf(out, DIAL_TEXT_SIZE, "unix:%s", t->path);
	else
		address_print(out, &t->addr);
}

static void link_end(struct link *l, const char *why)
{
	if (l->state == LINK_ENDED)
		return;
	l->state = LINK_ENDED;
	l->why = why;
	if (uv_is_active(&l->uv.handle))
		uv_read_stop(&l->uv.stream);
}

static void link_tell(struct link *l)
{
	if (!l->closed)
		l->on_event(l->arg);
}

static void link_on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	struct link *l = h->data;
	(void)suggested;
	*buf = uv_buf_init((char *)l->scratch, LINK_SCRATCH);
}

/* decrypt moves what TLS has for us into `kept`. */
static void decrypt(struct link *l)
{
	uint8_t plain[4096];
	struct why why;
	size_t got = 0;
	enum ec ec;
	while ((ec = tls_client_read(l->tls, plain, sizeof plain, &got, &l->box.out, &why)) == EC_OK) {
		if (bytes_append(&l->kept, slice_of(plain, got)) != EC_OK) {
			link_end(l, "out of memory");
			return;
		}
	}
	if (ec == EC_CLOSED)
		link_end(l, "closed by the backend");
	else if (ec != EC_AGAIN)
		link_end(l, "TLS broken by the backend");
}

static void link_note_cipher(struct link *l, struct slice in)
{
	if (tls_client_give(l->tls, in) != EC_OK)
		link_end(l, "out of memory");
	else if (l->shaken)
		decrypt(l);
}

static void link_note_read(struct link *l, ssize_t n)
{
	if (n < 0) {
		struct why why;
		/* A stream that ends without close_notify may have been cut off by somebody. What was
		 * received is whole replies or nothing, so it makes no difference but to the log. */
		bool cut = n == UV_EOF && l->shaken && tls_client_ended(l->tls, &why) != EC_CLOSED;
		link_end(l, cut ? "closed by the backend without close_notify" : n == UV_EOF ? "closed by the backend" : uv_err_name((int)n));
		return;
	}
	if (l->tls != NULL) {
		link_note_cipher(l, slice_of(l->scratch, (size_t)n));
		return;
	}
	if (bytes_len(&l->kept) == 0)
		l->lent = slice_of(l->scratch, (size_t)n);
	else if (bytes_append(&l->kept, slice_of(l->scratch, (size_t)n)) != EC_OK)
		link_end(l, "out of memory");
}

static void link_on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct link *l = s->data;
	(void)buf;
	if (n == 0 || l->closed)
		return;
	link_note_read(l, n);
	link_tell(l);
	/* The scratch belongs to the next reader: keep what was not taken. `l` is
	 * still there: it is freed by link_on_closed only. */
	if (!l->closed && l->lent.len > 0 && bytes_append(&l->kept, l->lent) != EC_OK)
		link_end(l, "out of memory");
	l->lent = (struct slice){ 0 };
	if (l->tls != NULL && tls_client_keep(l->tls) != EC_OK)
		link_end(l, "out of memory");
}

static void link_on_connected(uv_connect_t *req, int status)
{
	struct link *l = req->data;
	if (l->closed)
		return;
	if (status < 0) {
		link_end(l, uv_err_name(status));
	} else {
		l->state = LINK_OPEN;
		l->was_open = true;
		if (uv_read_start(&l->uv.stream, link_on_alloc, link_on_read) < 0)
			link_end(l, "can't read");
	}
	link_tell(l);
}

/* settle turns a failed write into the end. */
static void settle(struct link *l)
{
	if (l->box.error != 0)
		link_end(l, uv_err_name(l->box.error));
}

static void link_on_written(struct outbox *o)
{
	struct link *l = o->stream->data;
	if (l->closed)
		return;
	settle(l);
	link_tell(l);
}

static int link_start(uv_loop_t *loop, struct link *l, const struct dial_target *to)
{
	l->connect.data = l;
	int r;
	if (to->path[0] != '\0') {
		r = uv_pipe_init(loop, &l->uv.pipe, 0);
		if (r == 0)
			uv_pipe_connect(&l->connect, &l->uv.pipe, to->path, link_on_connected);
	} else {
		r = uv_tcp_init(loop, &l->uv.tcp);
		if (r == 0) {
			/* Takes effect when the socket is made by connect. */
			(void)uv_tcp_nodelay(&l->uv.tcp, 1);
			r = uv_tcp_connect(&l->connect, &l->uv.tcp, (const struct sockaddr *)&to->addr, link_on_connected);
		}
	}
	l->uv.handle.data = l;
	return r;
}

static void link_on_closed(uv_handle_t *h)
{
	struct link *l = h->data;
	outbox_fini(&l->box);
	bytes_fini(&l->kept);
	bytes_fini(&l->plain);
	tls_client_free(l->tls);
	free(l);
}

enum ec link_dial(uv_loop_t *loop, const struct dial_target *to, uint8_t *scratch, link_event *on_event, void *arg,
                  struct link **out, struct why *why)
{
	struct link *l = calloc(1, sizeof *l);
	if (l == NULL)
		return why_set(why, EC_NO_MEMORY, "out of memory");
	l->scratch = scratch;
	l->on_event = on_event;
	l->arg = arg;
	l->why = "";
	l->box.stream = &l->uv.stream;
	l->box.on_written = link_on_written;
	int r = link_start(loop, l, to);
	if (r < 0) {
		link_close(l);
		return why_set(why, EC_IO, "%s", uv_err_name(r));
	}
	*out = l;
	return EC_OK;
}

enum link_state link_state(const struct link *l)
{
	return l->state;
}

const char *link_why(const struct link *l)
{
	return l->why;
}

bool link_was_open(const struct link *l)
{
	return l->was_open;
}

struct slice link_in(const struct link *l)
{
	return bytes_len(&l->kept) > 0 ? bytes_slice(&l->kept) : l->lent;
}

void link_take(struct link *l, size_t len)
{
	if (bytes_len(&l->kept) == 0) {
		l->lent = slice_from(l->lent, len);
		return;
	}
	bytes_consume(&l->kept, len);
	if (bytes_len(&l->kept) == 0)
		bytes_fini(&l->kept);
}

void link_set_event(struct link *l, link_event *on_event, void *arg)
{
	l->on_event = on_event;
	l->arg = arg;
}

void link_secure(struct link *l, struct tls_client *tls)
{
	l->tls = tls;
}

enum ec link_handshake(struct link *l, struct why *why)
{
	enum ec ec = tls_client_handshake(l->tls, &l->box.out, why);
	if (l->state == LINK_OPEN)
		outbox_flush(&l->box); /* after a failure, the alert that says why */
	settle(l);
	if (ec == EC_OK && !l->shaken) {
		l->shaken = true;
		decrypt(l);
	}
	return ec;
}

enum smtp_reply_id link_verdict(const struct link *l)
{
	return l->tls == NULL ? SMTP_R_NONE : tls_client_verdict(l->tls);
}

const struct tls_client *link_tls(const struct link *l)
{
	return l->tls;
}

/* encrypt turns all that is queued into records. */
static enum ec encrypt(struct link *l)
{
	if (bytes_len(&l->plain) == 0)
		return EC_OK;
	enum ec ec = tls_client_write(l->tls, bytes_slice(&l->plain), &l->box.out);
	bytes_fini(&l->plain);
	return ec;
}

enum ec link_queue(struct link *l, struct slice s)
{
	return l->state == LINK_ENDED ? EC_OK : bytes_append(l->tls != NULL ? &l->plain : &l->box.out, s);
}

/* Many bytes at once: each full buffer becomes records and goes out. */
static enum ec queue_encrypted(struct link *l, const struct slice *ranges, size_t num)
{
	enum ec ec = EC_OK;
	for (size_t i = 0; i < num && ec == EC_OK; i++) {
		ec = bytes_append(&l->plain, ranges[i]);
		if (ec == EC_OK && bytes_len(&l->plain) >= OUTBOX_THROUGH)
			ec = encrypt(l);
	}
	if (ec == EC_OK && bytes_len(&l->box.out) >= OUTBOX_THROUGH)
		outbox_flush(&l->box);
	return ec;
}

enum ec link_queue_ranges(struct link *l, const struct slice *ranges, size_t num)
{
	enum ec ec = EC_OK;
	if (l->state == LINK_OPEN)
		ec = l->tls != NULL ? queue_encrypted(l, ranges, num) : outbox_ranges(&l->box, ranges, num);
	settle(l);
	return ec;
}

void link_flush(struct link *l)
{
	if (l->state == LINK_OPEN && encrypt(l) != EC_OK)
		link_end(l, "can't encrypt");
	if (l->state == LINK_OPEN)
		outbox_flush(&l->box);
	settle(l);
}

size_t link_waiting(const struct link *l)
{
	return outbox_waiting(&l->box) + bytes_len(&l->plain);
}

void link_bye(struct link *l)
{
	if (l->state == LINK_OPEN && l->shaken && encrypt(l) == EC_OK)
		tls_client_shutdown(l->tls, &l->box.out);
	link_flush(l);
}

void link_close(struct link *l)
{
	if (l == NULL || l->closed)
		return;
	l->closed = true;
	link_end(l, "closed by us");
	if (l->uv.handle.type == UV_UNKNOWN_HANDLE)
		link_on_closed(&l->uv.handle);
	else
		uv_close(&l->uv.handle, link_on_closed);
}
