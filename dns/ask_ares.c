/* One call = one c-ares channel with one server. Happy path: ask_server ->
 * ares_send -> on_sock_state (c-ares wants a socket watched) -> on_poll ->
 * ares_process_fd -> on_answer, which only notes -> deliver.
 *
 * A channel must not be destroyed inside its own callbacks, so on_answer notes
 * and the code that entered c-ares decides afterwards. The call is freed when
 * its channel is gone and the last of its handles is closed. */
#include "dns/ask_ares.h"

#include "base/address.h"
#include "dns/packet_ldns.h"

#include <ares.h>
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { TIMEOUT_MS = 5000, TRIES = 3 };

/* A socket of c-ares under libuv. */
struct watch {
	uv_poll_t poll;
	struct ask_call *call;
	ares_socket_t fd;
	struct watch *next;
};

struct ask_call {
	struct ask *a;
	ares_channel channel;
	bool has_channel;
	uv_timer_t timer;
	uint64_t deadline_ms;
	unsigned open_handles;
	struct watch *watches;
	bool closing;
	bool answered; /* status and packet are valid */
	int status;
	struct bytes packet;
	uint16_t id;
	struct dns_name name;
	uint16_t type;
	struct ask_flags flags;
	char server[ADDRESS_TEXT_SIZE];
	ask_done *done;
	void *arg;
	struct ask_call *next;
};

struct ask {
	uv_loop_t *loop;
	struct ask_call *calls; /* those that are not closing */
	unsigned num_open;      /* closing ones too */
	bool closing;
};

static void ask_finish(struct ask *a)
{
	if (!a->closing || a->num_open > 0)
		return;
	ares_library_cleanup();
	free(a);
}

/* --- closing --- */

static void call_handle_closed(struct ask_call *c)
{
	if (--c->open_handles > 0)
		return;
	struct ask *a = c->a;
	bytes_fini(&c->packet);
	free(c);
	a->num_open--;
	ask_finish(a);
}

static void on_timer_closed(uv_handle_t *h)
{
	call_handle_closed(h->data);
}

static void on_watch_closed(uv_handle_t *h)
{
	struct watch *w = h->data;
	struct ask_call *c = w->call;
	free(w);
	call_handle_closed(c);
}

static void watch_close(struct ask_call *c, struct watch *w)
{
	struct watch **at = &c->watches;
	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	uv_close((uv_handle_t *)&w->poll, on_watch_closed);
}

static void call_close(struct ask_call *c)
{
	if (c->closing)
		return;
	c->closing = true;
	struct ask_call **at = &c->a->calls;
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	if (c->has_channel)
		ares_destroy(c->channel); /* closes the watches by on_sock_state; on_answer notes nothing any more */
	c->has_channel = false;
	while (c->watches != NULL)
		watch_close(c, c->watches);
	uv_close((uv_handle_t *)&c->timer, on_timer_closed);
}

/* --- the outcome --- */

static enum ec judge(const struct ask_call *c, struct why *why)
{
	struct slice packet = bytes_slice(&c->packet);
	const char *type = dns_type_name(c->type);
	if (packet.len > 0) {
		struct dns_answer *a = malloc(sizeof *a);
		if (a == NULL)
			return why_set(why, EC_NO_MEMORY, "no memory for a DNS answer");
		enum ec ec = packet_parse(packet, a, why);
		if (ec != EC_OK)
			why_prefix(why, "%s", c->server);
		else if (!packet_answers(a, c->id, &c->name, c->type))
			ec = why_set(why, EC_SYNTAX, "%s: the answer is not to our question", c->server);
		free(a);
		return ec;
	}
	switch (c->status) {
	case ARES_ENOMEM:
		return why_set(why, EC_NO_MEMORY, "no memory for a DNS question");
	case ARES_ETIMEOUT:
		return why_set(why, EC_TIMEOUT, "%s: no answer to %s in time", c->server, type);
	case ARES_ECONNREFUSED: /* c-ares: no server could be sent to */
		return why_set(why, EC_IO, "%s: connection refused or unreachable", c->server);
	case ARES_EBADRESP:
		return why_set(why, EC_SYNTAX, "%s: the answer is not DNS", c->server);
	default:
		return why_set(why, EC_IO, "%s: %s", c->server, ares_strerror(c->status));
	}
}

static void deliver(struct ask_call *c)
{
	struct why why = { 0 };
	enum ec ec = judge(c, &why);
	call_close(c); /* frees later: the packet lives until then */
	c->done(c->arg, ec, ec == EC_OK ? bytes_slice(&c->packet) : (struct slice){ 0 }, &why);
}

/* c-ares' callback: note, no more. */
static void on_answer(void *arg, int status, int timeouts, unsigned char *packet, int len)
{
	struct ask_call *c = arg;
	(void)timeouts;
	if (c->closing || c->answered)
		return;
	c->answered = true;
	c->status = status;
	if (packet != NULL && len > 0 && bytes_append(&c->packet, slice_of(packet, (size_t)len)) != EC_OK)
		c->status = ARES_ENOMEM;
}

/* --- sockets --- */

static void on_poll(uv_poll_t *p, int status, int events);
static void on_timer(uv_timer_t *t);

static struct watch *watch_find(struct ask_call *c, ares_socket_t fd)
{
	struct watch *w = c->watches;
	while (w != NULL && w->fd != fd)
		w = w->next;
	return w;
}

static struct watch *watch_new(struct ask_call *c, ares_socket_t fd)
{
	struct watch *w = calloc(1, sizeof *w);
	if (w == NULL || uv_poll_init(c->a->loop, &w->poll, fd) != 0) {
		free(w);
		return NULL; /* nothing will arrive: the deadline ends the call */
	}
	w->poll.data = w;
	w->call = c;
	w->fd = fd;
	w->next = c->watches;
	c->watches = w;
	c->open_handles++;
	return w;
}

/* c-ares says which sockets it waits for; none = it is about to close it. */
static void on_sock_state(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct ask_call *c = arg;
	struct watch *w = watch_find(c, fd);
	if (!readable && !writable) {
		if (w != NULL)
			watch_close(c, w);
		return;
	}
	if (w == NULL)
		w = watch_new(c, fd);
	if (w != NULL)
		(void)uv_poll_start(&w->poll, (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0), on_poll);
}

/* --- starting --- */

static int channel_new(struct ask_call *c, int timeout_ms)
{
	/* UDP tries double their time: 1 + 2 + 4 parts of the whole. c-ares tries TCP
	 * once. Everything that it would take from the system's files is given here. */
	char lookups[] = "b", none[] = "/dev/null";
	int part = c->flags.tcp ? timeout_ms : timeout_ms / 7;
	struct ares_options o = {
		.flags = ARES_FLAG_EDNS | ARES_FLAG_NOCHECKRESP | ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES |
			 ARES_FLAG_IGNTC | (c->flags.tcp ? ARES_FLAG_USEVC : 0),
		.timeout = part > 0 ? part : 1,
		.tries = c->flags.tcp ? 1 : TRIES,
		.ednspsz = PACKET_UDP_SIZE,
		.sock_state_cb = on_sock_state,
		.sock_state_cb_data = c,
		.lookups = lookups,
		.resolvconf_path = none,
	};
	int rc = ares_init_options(&c->channel, &o,
				   ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_EDNSPSZ |
					   ARES_OPT_SOCK_STATE_CB | ARES_OPT_LOOKUPS | ARES_OPT_RESOLVCONF |
					   ARES_OPT_DOMAINS);
	if (rc != ARES_SUCCESS)
		return rc;
	c->has_channel = true;
	return ares_set_servers_ports_csv(c->channel, c->server);
}

static enum ec call_start(struct ask_call *c, int timeout_ms, struct why *why)
{
	uint8_t question[PACKET_QUESTION_MAX];
	size_t len;
	if (getrandom(&c->id, sizeof c->id, 0) != sizeof c->id)
		return why_set(why, EC_IO, "no random numbers: %m");
	struct packet_flags flags = { .rd = c->flags.rd, .dnssec = c->flags.dnssec };
	enum ec ec = packet_question(&c->name, c->type, c->id, flags, question, &len, why);
	if (ec != EC_OK)
		return ec;
	int rc = channel_new(c, timeout_ms);
	if (rc != ARES_SUCCESS)
		return why_set(why, rc == ARES_ENOMEM ? EC_NO_MEMORY : EC_IO, "%s: %s", c->server, ares_strerror(rc));
	ares_send(c->channel, question, (int)len, on_answer, c);
	/* An outcome that is there already is delivered from the loop. */
	(void)uv_timer_start(&c->timer, on_timer, 0, 0);
	return EC_OK;
}

/* A truncated answer is asked for again by TCP, in the time that is left. c-ares
 * could do that, but would give TCP the time of one UDP try only. */
static bool is_truncated(const struct ask_call *c)
{
	struct slice packet = bytes_slice(&c->packet);
	return !c->flags.tcp && packet.len >= 4 && (packet.p[2] & 0x02) != 0;
}

static void call_again_by_tcp(struct ask_call *c, uint64_t left_ms)
{
	ares_destroy(c->channel);
	c->has_channel = false;
	bytes_consume(&c->packet, bytes_len(&c->packet));
	c->answered = false;
	c->flags.tcp = true;
	if (call_start(c, (int)left_ms, NULL) == EC_OK)
		return;
	c->answered = true;
	c->status = ARES_ENOMEM;
	(void)uv_timer_start(&c->timer, on_timer, 0, 0);
}

/* --- what runs c-ares --- */

/* The only place that decides what comes next. */
static void call_pump(struct ask_call *c)
{
	struct timeval most, left;
	if (c->closing)
		return;
	uint64_t now = uv_now(c->a->loop);
	bool late = now >= c->deadline_ms;
	if (c->answered && is_truncated(c) && !late) {
		call_again_by_tcp(c, c->deadline_ms - now);
		return;
	}
	if (late && (!c->answered || is_truncated(c))) {
		c->answered = true;
		c->status = ARES_ETIMEOUT;
		bytes_consume(&c->packet, bytes_len(&c->packet));
	}
	if (c->answered) {
		deliver(c);
		return;
	}
	uint64_t ms = c->deadline_ms - now;
	most = (struct timeval){ .tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000) };
	const struct timeval *tv = ares_timeout(c->channel, &most, &left);
	/* rounded up, so that c-ares finds its own timer due */
	ms = (uint64_t)tv->tv_sec * 1000 + ((uint64_t)tv->tv_usec + 999) / 1000;
	(void)uv_timer_start(&c->timer, on_timer, ms, 0);
}

static void on_timer(uv_timer_t *t)
{
	struct ask_call *c = t->data;
	if (c->has_channel)
		ares_process_fd(c->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	call_pump(c);
}

static void on_poll(uv_poll_t *p, int status, int events)
{
	struct watch *w = p->data;
	struct ask_call *c = w->call;
	ares_socket_t fd = w->fd;
	/* On an error c-ares has to look at the socket to learn of it. */
	bool in = status < 0 || (events & UV_READABLE) != 0;
	bool out = status < 0 || (events & UV_WRITABLE) != 0;
	ares_process_fd(c->channel, in ? fd : ARES_SOCKET_BAD, out ? fd : ARES_SOCKET_BAD);
	call_pump(c);
}

enum ec ask_server(struct ask *a, const struct sockaddr_storage *server, const struct dns_name *name, uint16_t type,
		   struct ask_flags flags, int timeout_ms, ask_done *done, void *arg, struct ask_call **out_call,
		   struct why *why)
{
	assert(!a->closing && name->len > 0);
	if (out_call != NULL)
		*out_call = NULL;
	struct ask_call *c = calloc(1, sizeof *c);
	if (c == NULL)
		return why_set(why, EC_NO_MEMORY, "no memory for a DNS question");
	if (timeout_ms <= 0)
		timeout_ms = TIMEOUT_MS;
	c->a = a;
	c->name = *name;
	c->type = type;
	c->done = done;
	c->arg = arg;
	c->flags = flags;
	address_print(c->server, server);
	int rc = uv_timer_init(a->loop, &c->timer);
	assert(rc == 0); /* can't fail in libuv 1.x */
	(void)rc;
	c->timer.data = c;
	c->open_handles = 1;
	uv_update_time(a->loop);
	c->deadline_ms = uv_now(a->loop) + (uint64_t)timeout_ms;
	c->next = a->calls;
	a->calls = c;
	a->num_open++;
	enum ec ec = call_start(c, timeout_ms, why);
	if (ec != EC_OK) {
		call_close(c);
		return ec;
	}
	if (out_call != NULL)
		*out_call = c;
	return EC_OK;
}

void ask_cancel(struct ask_call *call)
{
	if (call != NULL)
		call_close(call);
}

enum ec ask_new(uv_loop_t *loop, struct ask **out, struct why *why)
{
	*out = NULL;
	struct ask *a = calloc(1, sizeof *a);
	if (a == NULL)
		return why_set(why, EC_NO_MEMORY, "no memory for DNS questions");
	if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS) {
		free(a);
		return why_set(why, EC_IO, "c-ares can't start");
	}
	a->loop = loop;
	*out = a;
	return EC_OK;
}

void ask_free(struct ask *a)
{
	if (a == NULL || a->closing)
		return;
	a->closing = true;
	while (a->calls != NULL)
		call_close(a->calls);
	ask_finish(a);
}
