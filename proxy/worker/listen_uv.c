/* Each socket is polled and accept4 is called here, not by libuv: so the peer's
 * address comes for free, the number per wake-up is bounded, and EMFILE is seen. */
#include "proxy/worker/listen_uv.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/address.h"
#include "base/log_fs.h"
#include "proxy/worker/conn_uv.h"

enum { ACCEPTS_PER_WAKE = 64, BACKLOG = 4096, RETRY_MS = 1000 };

struct slot {
	uv_poll_t poll;
	struct door *door;
	int fd;
	bool listens;
};

struct door {
	struct work *work;
	uv_timer_t retry; /* after EMFILE, if no session of ours ends */
	size_t num, num_handles;
	bool open, full, closed;
	struct slot slots[];
};

/* refuse answers in one write, without a session: being refused must be cheap. */
static void refuse(struct work *w, int fd, enum clients_verdict why)
{
	char text[SMTP_REPLY_LINE_MAX];
	struct writer line = writer_of(text, sizeof text);
	smtp_reply_print(&line, SMTP_R_BUSY);
	work_count_refused(w, why);
	(void)send(fd, line.p, line.len, MSG_DONTWAIT | MSG_NOSIGNAL);
	close(fd);
}

static void welcome(struct work *w, int fd, struct sockaddr_storage *who)
{
	address_unmap(who);
	work_count(w, COUNT_ACCEPTED);
	/* Who stands behind a balancer is not known yet. */
	bool balancer = settings_balancer(w->settings, who);
	enum clients_verdict verdict = balancer ? clients_enter_unnamed(w->clients, &w->settings->clients)
	                                        : clients_enter(w->clients, &w->settings->clients, who);
	if (verdict != CLIENTS_WELCOME) {
		refuse(w, fd, verdict);
		return;
	}
	counters_set(w->counters, COUNT_ADDRESSES, clients_num_addresses(w->clients));
	if (conn_open(w, fd, who, balancer) != EC_OK)
		work_count(w, COUNT_REFUSED_MEMORY);
}

static void on_retry(uv_timer_t *t)
{
	door_resume(t->data);
}

static void set_polling(struct door *d);

/* accept_one tells whether it makes sense to go on. */
static bool accept_one(struct slot *s)
{
	struct door *d = s->door;
	struct sockaddr_storage who = { 0 };
	socklen_t len = sizeof who;
	int fd = accept4(s->fd, (struct sockaddr *)&who, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0) {
		welcome(d->work, fd, &who);
		return true;
	}
	if (errno == ECONNABORTED || errno == EINTR || errno == EPROTO)
		return true;
	if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
		work_count(d->work, COUNT_ACCEPT_PAUSED);
		log_why(LOG_WARNING, "accept-paused", NULL, strerror(errno));
		d->full = true;
		if (!d->closed)
			uv_timer_start(&d->retry, on_retry, RETRY_MS, 0);
		set_polling(d);
	}
	return false;
}

static void on_readable(uv_poll_t *p, int status, int events)
{
	struct slot *s = p->data;
	(void)status, (void)events;
	for (int i = 0; i < ACCEPTS_PER_WAKE && accept_one(s) && !s->door->closed; i++)
		;
}

static void set_polling(struct door *d)
{
	for (size_t i = 0; i < d->num && !d->closed; i++) {
		if (d->open && !d->full)
			uv_poll_start(&d->slots[i].poll, UV_READABLE, on_readable);
		else
			uv_poll_stop(&d->slots[i].poll);
	}
	counters_set(d->work->counters, COUNT_LISTENING, d->open && !d->closed ? 1 : 0);
}

enum ec door_new(struct work *w, const int *fds, size_t num, struct door **out, struct why *why)
{
	struct door *d = calloc(1, sizeof *d + num * sizeof *d->slots);
	if (d == NULL)
		return why_set(why, EC_NO_MEMORY, "out of memory");
	d->work = w;
	d->num_handles = 1;
	uv_timer_init(&w->loop, &d->retry);
	d->retry.data = d;
	*out = d;
	for (size_t i = 0; i < num; i++) {
		struct slot *s = &d->slots[i];
		*s = (struct slot){ .door = d, .fd = fds[i] };
		/* Accepted sockets inherit it. */
		int one = 1;
		(void)setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		int r = uv_poll_init_socket(&w->loop, &s->poll, fds[i]);
		if (r < 0)
			return why_set(why, EC_IO, "listening socket %d: %s", fds[i], uv_strerror(r));
		s->poll.data = s;
		d->num++;
		d->num_handles++;
	}
	return EC_OK;
}

enum ec door_open(struct door *d, struct why *why)
{
	for (size_t i = 0; i < d->num; i++) {
		struct slot *s = &d->slots[i];
		if (!s->listens && listen(s->fd, BACKLOG) != 0)
			return why_set(why, EC_IO, "listen: %s", strerror(errno));
		s->listens = true;
	}
	d->open = true;
	set_polling(d);
	return EC_OK;
}

void door_shut(struct door *d)
{
	d->open = false;
	set_polling(d);
}

void door_resume(struct door *d)
{
	if (d->closed || !d->full)
		return;
	d->full = false;
	uv_timer_stop(&d->retry);
	set_polling(d);
}

static void on_closed(uv_handle_t *h)
{
	struct door *d = h->type == UV_TIMER ? h->data : ((struct slot *)h->data)->door;
	if (--d->num_handles == 0)
		free(d);
}

void door_close(struct door *d)
{
	if (d == NULL || d->closed)
		return;
	for (size_t i = 0; i < d->num; i++) {
		struct slot *s = &d->slots[i];
		while (d->open && s->listens && accept_one(s))
			;
		uv_poll_stop(&s->poll);
	}
	d->closed = true;
	counters_set(d->work->counters, COUNT_LISTENING, 0);
	for (size_t i = 0; i < d->num; i++) {
		close(d->slots[i].fd);
		uv_close((uv_handle_t *)&d->slots[i].poll, on_closed);
	}
	uv_close((uv_handle_t *)&d->retry, on_closed);
}
