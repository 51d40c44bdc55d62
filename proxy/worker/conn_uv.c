/* One connection.
 *
 * Happy path, in the order of the callbacks:
 *   conn_open          greet now, or after greeting_delay (conn_on_deadline), or after
 *                      the PROXY header of a load balancer (conn_proxy_uv.c)
 *   on_alloc, on_read  client bytes; under TLS they go to the channel
 *   link's on_event    connected to the backend; its replies; its socket took bytes
 *   on_written         the client took what it had not taken at once
 *   on_closed          frees
 * Each records what happened and calls conn_pump, which moves bytes
 * tcp -> tls -> session -> backend and back until nothing moves, then writes once
 * to each side and arms reading and the deadline from the state.
 *
 * Failure: the client's side breaks -> conn_break -> the session aborts what is
 * not committed and closes. The backend's side breaks -> conn_backend_lost -> the
 * session answers 4xx. Deadlines: conn_time_uv.c. The end: conn_end_uv.c. */
#include "proxy/worker/conn_uv.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/address.h"
#include "base/log_fs.h"
#include "proxy/worker/conn_parts_uv.h"

/* backed_up: one of the two sides takes nothing more, so neither do we. */
static bool backed_up(struct conn *c)
{
	size_t max = c->settings->config->limits.queue_bytes;
	if (c->link != NULL && link_waiting(c->link) > max) {
		link_flush(c->link);
		if (link_waiting(c->link) > max)
			return true;
	}
	if (outbox_waiting(&c->box) + bytes_len(&c->work->replies) <= max)
		return false;
	outbox_flush(&c->box);
	return outbox_waiting(&c->box) > max;
}

void conn_break(struct conn *c, enum smtp_reason reason, const char *words)
{
	if (c->broken)
		return;
	c->broken = c->eof = c->eof_told = true;
	c->reason = reason;
	if (words != NULL)
		conn_say(c, words);
	smtp_session_end(c->session, SMTP_R_NONE);
}

static void act_reply(struct conn *c, const struct smtp_event *ev)
{
	if (ev->reason != SMTP_WHY_NONE)
		work_count(c->work, counter_refusal(ev->reason));
	if (ev->code >= 400)
		work_count(c->work, ev->code < 500 ? COUNT_REPLIES_4XX : COUNT_REPLIES_5XX);
	if (ev->message)
		conn_message(c, ev);
	/* Under TLS all replies of a wake-up share one record: see settle. */
	struct bytes *to = c->secure ? &c->work->replies : &c->box.out;
	if (!c->broken && bytes_append(to, ev->bytes) != EC_OK)
		conn_break(c, SMTP_WHY_NO_MEMORY, "out of memory");
}

static void act(struct conn *c, const struct smtp_event *ev)
{
	switch (ev->kind) {
	case SMTP_EV_REPLY:
		act_reply(c, ev);
		break;
	case SMTP_EV_START_TLS:
		conn_tls_begin(c);
		break;
	case SMTP_EV_CLOSE:
		c->ending = true;
		if (c->reason == SMTP_WHY_NONE)
			c->reason = ev->reason;
		break;
	default:
		conn_backend_event(c, ev);
	}
}

static bool step_events(struct conn *c)
{
	struct smtp_event ev;
	bool moved = false;
	while (!c->ending && smtp_session_next(c->session, &ev)) {
		act(c, &ev);
		moved = true;
	}
	return moved;
}

/* feed_view offers all plain bytes in hand. The session's events borrow from
 * them, so they are acted on before the bytes go. */
static bool feed_view(struct conn *c)
{
	size_t used = 0;
	smtp_session_set_time(c->session, (struct wall){ (int64_t)time(NULL) });
	smtp_session_feed(c->session, c->view, &used);
	bool moved = step_events(c) || used > 0;
	c->view = slice_from(c->view, used);
	c->starved = !moved;
	return moved;
}

static bool step_input(struct conn *c)
{
	if (c->ending || (c->tls != NULL && !c->secure))
		return false;
	c->blocked = backed_up(c);
	if (c->blocked)
		return false;
	if (c->header_due)
		return conn_proxy_step(c);
	if ((c->view.len > 0 || c->eof_told) && feed_view(c))
		return true;
	return c->secure && !c->broken && smtp_session_wants(c->session) && conn_tls_refill(c);
}

/* step_eof tells the session of the client's end once it has all bytes it can
 * use: what is left then is half a command. */
static bool step_eof(struct conn *c)
{
	if (!c->eof || c->eof_told || c->ending)
		return false;
	bool handshaking = c->tls != NULL && !c->secure;
	if (!handshaking && c->view.len > 0 && !(c->starved && smtp_session_wants(c->session)))
		return false;
	if (c->secure && !c->dry)
		return false;
	c->eof_told = true;
	if (handshaking) {
		work_count(c->work, COUNT_TLS_CLOSED);
		smtp_session_tls_failed(c->session);
	} else {
		smtp_session_eof(c->session);
	}
	return true;
}

/* keep_view saves what the session has not taken: the scratch is not ours. */
static enum ec keep_view(struct conn *c)
{
	struct slice kept = bytes_slice(&c->kept);
	enum ec ec = EC_OK;
	if (kept.len > 0 && (c->view.len == 0 || (c->view.p >= kept.p && c->view.p < kept.p + kept.len)))
		bytes_consume(&c->kept, kept.len - c->view.len);
	else
		ec = bytes_append(&c->kept, c->view);
	if (bytes_len(&c->kept) == 0)
		bytes_fini(&c->kept);
	c->view = (struct slice){ 0 };
	return ec;
}

static size_t held(const struct conn *c)
{
	return bytes_len(&c->kept) + (c->tls == NULL ? 0 : channel_waiting(c->tls));
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf);
static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf);

static void arm_reading(struct conn *c)
{
	bool stop = c->eof || c->broken, full = !c->ending && backed_up(c);
	if (c->ending)
		stop |= !c->lingering; /* what the client says now is only thrown away */
	else
		stop |= full || held(c) > WORK_HELD_MAX;
	if (stop && c->reading) {
		uv_read_stop((uv_stream_t *)&c->tcp);
		if (full)
			work_count(c->work, COUNT_PAUSED);
	}
	if (!stop && !c->reading && uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read) < 0)
		conn_break(c, SMTP_WHY_EOF, "can't read");
	c->reading = !stop;
}

/* only_head: of a message, the backend has only our own trace line to get. It can
 * wait for the client's first bytes and share their packet. */
static bool only_head(const struct conn *c)
{
	return smtp_session_deadline(c->session) == SMTP_DEADLINE_BODY && smtp_session_message_size(c->session) == 0;
}

/* grouped: the client sent commands in one go, and the backend owes the reply to a
 * later one. What we answered at once goes out with its first answer, in one packet
 * (RFC 2920 3.2 suggests it); a client that waits for each reply is never held up. */
static bool grouped(const struct conn *c)
{
	return c->clients_turn && !c->ending && smtp_session_deadline(c->session) == SMTP_DEADLINE_BACKEND;
}

/* settle is the end of a pump: one write to each side. */
static void settle(struct conn *c)
{
	struct bytes *replies = &c->work->replies;
	if (bytes_len(replies) > 0) {
		if (!c->broken && channel_write(c->tls, bytes_slice(replies), &c->box.out) != EC_OK)
			conn_break(c, SMTP_WHY_TLS_FAILED, "can't encrypt");
		bytes_consume(replies, bytes_len(replies));
	}
	if (c->ending && c->secure && !c->shut) {
		c->shut = true;
		channel_shutdown(c->tls, &c->box.out);
	}
	smtp_session_rest(c->session);
	if (keep_view(c) != EC_OK || (c->tls != NULL && channel_keep(c->tls) != EC_OK))
		conn_break(c, SMTP_WHY_NO_MEMORY, "out of memory");
	if (c->link != NULL && !only_head(c))
		link_flush(c->link);
	if (c->ack_due && bytes_len(&c->box.out) == 0)
		conn_tls_acknowledge(c);
	c->ack_due = false;
	if (!grouped(c))
		outbox_flush(&c->box);
	c->clients_turn = false;
	if (c->box.error != 0)
		conn_break(c, SMTP_WHY_EOF, uv_err_name(c->box.error));
}

static void run(struct conn *c)
{
	if (c->view.len == 0)
		c->view = bytes_slice(&c->kept);
	c->starved = false;
	bool moved;
	do {
		moved = step_events(c);
		moved |= conn_tls_step(c);
		moved |= step_input(c);
		moved |= conn_backend_step(c);
		moved |= step_eof(c);
	} while (moved && !c->ending);
	settle(c);
}

void conn_pump(struct conn *c)
{
	if (c->closed)
		return;
	do
		run(c);
	while (c->blocked && !c->ending && !c->broken && !backed_up(c));
	/* Writing may have found the client gone: the session must hear of it. */
	if (c->broken && !c->ending)
		(void)step_events(c);
	if (c->ending || c->broken)
		conn_finish(c);
	if (c->closed)
		return;
	arm_reading(c);
	conn_time(c);
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	struct conn *c = h->data;
	(void)suggested;
	if (c->tls != NULL || c->lingering) {
		*buf = uv_buf_init((char *)c->work->cipher, WORK_READ);
		return;
	}
	/* What is left over goes in front, so that the session sees one run of bytes. */
	struct slice kept = bytes_slice(&c->kept);
	assert(kept.len <= WORK_PLAIN - WORK_READ);
	if (kept.len > 0)
		memcpy(c->work->plain, kept.p, kept.len);
	*buf = uv_buf_init((char *)c->work->plain + kept.len, WORK_READ);
}

static void note_read(struct conn *c, ssize_t n)
{
	if (n == UV_EOF) {
		c->eof = true;
	} else if (n < 0) {
		conn_break(c, SMTP_WHY_EOF, uv_err_name((int)n));
	} else if (c->ending) {
		c->num_discarded += (size_t)n;
	} else {
		c->bytes_in += (uint64_t)n;
		work_count_by(c->work, COUNT_BYTES_IN, n);
		if (c->tls == NULL) {
			c->view = slice_of(c->work->plain, bytes_len(&c->kept) + (size_t)n);
			bytes_fini(&c->kept);
			return;
		}
		c->dry = false;
		if (channel_give(c->tls, slice_of(c->work->cipher, (size_t)n)) != EC_OK) {
			conn_break(c, SMTP_WHY_NO_MEMORY, "out of memory");
		}
	}
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct conn *c = s->data;
	(void)buf;
	if (n == 0 || c->closed)
		return;
	note_read(c, n);
	c->clients_turn = true;
	conn_pump(c);
}

static void on_written(struct outbox *o)
{
	struct conn *c = o->stream->data;
	if (c->closed)
		return;
	if (o->error != 0)
		conn_break(c, SMTP_WHY_EOF, uv_err_name(o->error));
	conn_pump(c);
}

static struct smtp_session *make_session(struct conn *c)
{
	char addr[ADDRESS_TEXT_SIZE];
	address_print_ip(addr, &c->client);
	struct smtp_setup setup = {
		.limits = &c->settings->limits,
		.caps = c->settings->exits.offer,
		.tls_offered = c->work->snapshot != NULL,
		.client_addr = slice_str(addr),
		.id = slice_str(c->id),
		.normalize = settings_exempt(c->settings, &c->client),
	};
	return smtp_session_new(&setup);
}

static void on_never_opened(uv_handle_t *h)
{
	free(h->data);
}

enum ec conn_open(struct work *w, int fd, const struct sockaddr_storage *client, bool header_due)
{
	struct conn *c = calloc(1, sizeof *c);
	if (c != NULL) {
		c->work = w;
		c->client = *client;
		c->header_due = header_due;
		c->named = !header_due;
		c->settings = w->settings;
		work_new_id(w, c->id);
		c->session = make_session(c);
	}
	if (c == NULL || c->session == NULL) {
		free(c);
		close(fd);
		clients_leave(w->clients, header_due ? NULL : client);
		return EC_NO_MEMORY;
	}
	uv_tcp_init(&w->loop, &c->tcp);
	c->tcp.data = c;
	if (uv_tcp_open(&c->tcp, fd) < 0) {
		close(fd);
		smtp_session_free(c->session);
		clients_leave(w->clients, header_due ? NULL : client);
		uv_close((uv_handle_t *)&c->tcp, on_never_opened);
		return EC_IO;
	}
	settings_ref(c->settings);
	c->box.stream = (uv_stream_t *)&c->tcp;
	c->box.on_written = on_written;
	c->next = w->conns;
	if (c->next != NULL)
		c->next->prev = c;
	w->conns = c;
	w->num_conns++;
	counters_set(w->counters, COUNT_SESSIONS_OPEN, w->num_conns);
	c->started_ms = work_now(w).ms;
	c->session_ms = c->started_ms + c->settings->config->smtp.session_timeout_ms;
	if (!header_due && c->settings->config->smtp.greeting_delay_ms == 0)
		smtp_session_greet(c->session);
	conn_pump(c);
	return EC_OK;
}

void conn_drain_all(struct work *w)
{
	struct conn *next;
	for (struct conn *c = w->conns; c != NULL; c = next) {
		next = c->next;
		smtp_session_drain(c->session);
		conn_pump(c);
	}
}

void conn_end_all(struct work *w)
{
	struct conn *next;
	for (struct conn *c = w->conns; c != NULL; c = next) {
		next = c->next;
		if (c->reason == SMTP_WHY_NONE)
			c->reason = SMTP_WHY_SHUTDOWN;
		conn_close(c);
	}
}
