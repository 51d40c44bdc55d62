/* connect -> greeting, EHLO, STARTTLS (probe_talk) -> handshake (probe_ssl) ->
 * digest -> report -> QUIT, wait for the server to close. Whatever fails, and
 * the timer, end in probe_finish, which reports once; the last close callback frees. */
#include "tlsa-sync/probe_uv.h"

#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/slice.h"
#include "tlsa-sync/probe_ssl.h"
#include "tlsa-sync/probe_talk.h"

enum { LEAVE_MS = 2000 };

struct probe {
	uv_tcp_t tcp;
	uv_timer_t timer;
	uv_connect_t connect;
	uv_write_t write;
	bool writing;
	bool finished; /* the handles are being closed */
	bool leaving;  /* reported; QUIT is on its way, what comes is thrown away */
	int num_handles;
	struct probe_talk talk;
	struct probe_tls *tls;
	bool in_tls;
	char helo[256];
	struct bytes out;     /* to be sent */
	struct bytes sending; /* lent to the write under way */
	char in[16384];
	probe_done *done;
	void *arg;
};

static void on_closed(uv_handle_t *h)
{
	struct probe *p = h->data;
	if (--p->num_handles > 0)
		return;
	probe_tls_free(p->tls);
	bytes_fini(&p->out);
	bytes_fini(&p->sending);
	free(p);
}

static void probe_close(struct probe *p)
{
	p->finished = true;
	if (!uv_is_closing((uv_handle_t *)&p->tcp))
		uv_close((uv_handle_t *)&p->tcp, on_closed);
	if (!uv_is_closing((uv_handle_t *)&p->timer))
		uv_close((uv_handle_t *)&p->timer, on_closed);
}

static void probe_finish(struct probe *p, enum ec ec, const uint8_t *spki, const struct why *why)
{
	if (p->finished)
		return;
	probe_close(p);
	if (!p->leaving)
		p->done(p->arg, ec, spki, why);
}

static void probe_fail(struct probe *p, enum ec ec, const char *what, int uv_error)
{
	struct why why = { 0 };
	probe_finish(p, why_set(&why, ec, "%s: %s", what, uv_strerror(uv_error)), NULL, &why);
}

static void probe_flush(struct probe *p);

static void on_written(uv_write_t *req, int status)
{
	struct probe *p = req->data;
	p->writing = false;
	bytes_consume(&p->sending, bytes_len(&p->sending));
	if (status < 0 && status != UV_ECANCELED)
		probe_fail(p, EC_CLOSED, "sending", status);
	else
		probe_flush(p);
}

static void probe_flush(struct probe *p)
{
	if (p->finished || p->writing || bytes_len(&p->out) == 0)
		return;
	struct bytes swap = p->sending;
	p->sending = p->out;
	p->out = swap;
	struct slice s = bytes_slice(&p->sending);
	uv_buf_t buf = uv_buf_init((char *)(uintptr_t)s.p, (unsigned)s.len);
	p->write.data = p;
	int r = uv_write(&p->write, (uv_stream_t *)&p->tcp, &buf, 1, on_written);
	if (r < 0)
		probe_fail(p, EC_CLOSED, "sending", r);
	else
		p->writing = true;
}

static void on_leave_timer(uv_timer_t *t)
{
	probe_close(t->data);
}

/* probe_leave reports the digest and ends the session as a client should. */
static void probe_leave(struct probe *p, const uint8_t *spki)
{
	p->leaving = true;
	probe_tls_bye(p->tls, &p->out);
	uv_timer_start(&p->timer, on_leave_timer, LEAVE_MS, 0);
	probe_flush(p);
	struct why why = { 0 };
	p->done(p->arg, EC_OK, spki, &why);
}

static void tls_step(struct probe *p, struct slice in)
{
	struct why why = { 0 };
	enum ec ec = probe_tls_feed(p->tls, in, &p->out, &why);
	uint8_t spki[32];
	if (ec == EC_OK)
		ec = probe_tls_spki(p->tls, spki, &why);
	if (ec == EC_OK)
		probe_leave(p, spki);
	else if (ec == EC_AGAIN)
		probe_flush(p);
	else
		probe_finish(p, ec, NULL, &why);
}

static void talk_step(struct probe *p, struct slice in)
{
	struct why why = { 0 };
	char text[512];
	struct writer send = writer_of(text, sizeof text);
	enum ec ec = probe_talk_feed(&p->talk, in, p->helo, &send, &why);
	if (ec == EC_AGAIN && (send.bad || bytes_append(&p->out, writer_slice(&send)) != EC_OK))
		ec = why_set(&why, EC_NO_MEMORY, "out of memory");
	if (ec == EC_AGAIN) {
		probe_flush(p);
	} else if (ec == EC_OK) {
		p->in_tls = true;
		tls_step(p, slice_of(NULL, 0));
	} else {
		probe_finish(p, ec, NULL, &why);
	}
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	struct probe *p = h->data;
	(void)suggested;
	*buf = uv_buf_init(p->in, sizeof p->in);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct probe *p = s->data;
	(void)buf;
	if (p->finished || n == 0)
		return;
	if (n < 0)
		probe_fail(p, EC_CLOSED, p->in_tls ? "closed inside the TLS handshake" : "closed before TLS", (int)n);
	else if (p->in_tls && !p->leaving)
		tls_step(p, slice_of(p->in, (size_t)n));
	else if (!p->in_tls)
		talk_step(p, slice_of(p->in, (size_t)n));
}

static void on_connected(uv_connect_t *req, int status)
{
	struct probe *p = req->data;
	if (p->finished)
		return;
	int r = status < 0 ? status : uv_read_start((uv_stream_t *)&p->tcp, on_alloc, on_read);
	if (r < 0)
		probe_fail(p, EC_IO, "can't connect", r);
}

static void on_timer(uv_timer_t *t)
{
	struct probe *p = t->data;
	static const char *const where[] = {
		[PROBE_GREETING] = "no greeting",
		[PROBE_EHLO] = "no reply to EHLO",
		[PROBE_STARTTLS] = "no reply to STARTTLS",
		[PROBE_TLS] = "the TLS handshake did not end",
	};
	struct why why = { 0 };
	probe_finish(p, why_set(&why, EC_TIMEOUT, "%s in time", where[p->talk.stage]), NULL, &why);
}

enum ec probe_start(uv_loop_t *loop, const struct sockaddr_storage *address, enum key_algorithm algorithm,
                    const char *sni, const char *helo, int timeout_ms, probe_done *done, void *arg, struct probe **out,
                    struct why *why)
{
	struct probe *p = calloc(1, sizeof *p);
	if (p == NULL)
		return why_set(why, EC_NO_MEMORY, "out of memory");
	enum ec ec = probe_tls_new(algorithm, sni, &p->tls, why);
	if (ec != EC_OK) {
		free(p);
		return ec;
	}
	struct writer w = writer_of(p->helo, sizeof p->helo);
	writer_str(&w, helo);
	p->done = done;
	p->arg = arg;
	p->num_handles = 2;
	uv_tcp_init(loop, &p->tcp);
	uv_timer_init(loop, &p->timer);
	p->tcp.data = p->timer.data = p->connect.data = p;
	int r = uv_tcp_connect(&p->connect, &p->tcp, (const struct sockaddr *)address, on_connected);
	if (r < 0) {
		probe_close(p);
		return why_set(why, EC_IO, "can't connect: %s", uv_strerror(r));
	}
	uv_timer_start(&p->timer, on_timer, (uint64_t)timeout_ms, 0);
	if (out != NULL)
		*out = p;
	return EC_OK;
}

void probe_cancel(struct probe *p)
{
	if (p != NULL)
		probe_close(p);
}
