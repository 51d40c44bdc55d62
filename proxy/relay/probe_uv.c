/* on_timer -> begin (dial) -> on_link … -> READY: note, QUIT -> drop, timer again. */
#include "proxy/relay/probe_uv.h"

#include <stdlib.h>

#include "proxy/relay/backend.h"
#include "proxy/relay/dial_uv.h"
#include "proxy/relay/proxy_header.h"

enum { FRESH_MS = 60000, RETRY_MS = 5000, PATIENCE_MS = 10000 };

struct probe {
	struct work *work;
	uv_timer_t timer;
	struct settings *settings; /* of the look under way */
	struct link *link;
	struct backend *backend;
};

static void on_timer(uv_timer_t *t);

static void drop(struct probe *p)
{
	link_close(p->link);
	backend_free(p->backend);
	settings_unref(p->settings);
	p->link = NULL;
	p->backend = NULL;
	p->settings = NULL;
}

static void succeed(struct probe *p, const struct smtp_caps *caps)
{
	work_count(p->work, COUNT_PROBES_OK);
	work_saw_backend(p->work, caps);
	backend_quit(p->backend);
	if (link_queue(p->link, backend_output(p->backend)) == EC_OK)
		link_flush(p->link);
	drop(p);
	uv_timer_start(&p->timer, on_timer, FRESH_MS, 0);
}

static void fail(struct probe *p, const char *why)
{
	work_count(p->work, COUNT_PROBES_FAILED);
	work_missed_backend(p->work, why);
	drop(p);
	uv_timer_start(&p->timer, on_timer, RETRY_MS, 0);
}

static bool greet(struct probe *p)
{
	const struct config *cfg = p->settings->config;
	struct backend_setup setup = { .hostname = slice_str(cfg->proxy.hostname) };
	p->backend = backend_new(&setup);
	if (p->backend == NULL)
		return false;
	if (cfg->backend.client_info != CONFIG_CLIENT_PROXY_V2)
		return true;
	/* We are the client here. */
	char text[PROXY_V2_MAX];
	struct writer w = writer_of(text, sizeof text);
	struct proxy_end us = { .addr = { 127, 0, 0, 1 }, .port = 25 };
	return proxy_v2_encode(&w, &us, &us) == EC_OK && link_queue(p->link, writer_slice(&w)) == EC_OK;
}

/* step returns false once the look is over. */
static bool step(struct probe *p)
{
	struct backend_event ev;
	struct slice out = backend_output(p->backend);
	if (out.len > 0) {
		if (link_queue(p->link, out) != EC_OK) {
			fail(p, "out of memory");
			return false;
		}
		backend_sent(p->backend);
		link_flush(p->link);
	}
	while (backend_next(p->backend, &ev)) {
		if (ev.kind == BACKEND_EV_READY)
			succeed(p, ev.caps);
		else
			fail(p, ev.kind == BACKEND_EV_LOST && ev.words != NULL ? ev.words : "unexpected answer");
		return false;
	}
	return true;
}

static void on_link(void *arg)
{
	struct probe *p = arg;
	if (!link_was_open(p->link)) {
		fail(p, link_why(p->link));
		return;
	}
	if (p->backend == NULL) {
		if (!greet(p)) {
			fail(p, "out of memory");
			return;
		}
		link_flush(p->link); /* a PROXY header: the backend waits for it */
	}
	size_t used = 0;
	do {
		if (!step(p))
			return;
		backend_feed(p->backend, link_in(p->link), &used);
		link_take(p->link, used);
	} while (used > 0);
	if (step(p) && link_state(p->link) == LINK_ENDED)
		fail(p, link_why(p->link));
}

static void begin(struct probe *p)
{
	struct why why = { 0 };
	p->settings = settings_ref(p->work->settings);
	if (link_dial(&p->work->loop, &p->settings->backend, p->work->from_backend, on_link, p, &p->link, &why) != EC_OK)
		fail(p, why.text);
	else
		uv_timer_start(&p->timer, on_timer, PATIENCE_MS, 0);
}

static void on_timer(uv_timer_t *t)
{
	struct probe *p = t->data;
	int64_t fresh_for = p->work->caps_ms == 0 ? 0 : p->work->caps_ms + FRESH_MS - work_now(p->work).ms;
	if (p->link != NULL)
		fail(p, "no answer in time");
	else if (p->work->settings == NULL)
		uv_timer_start(t, on_timer, RETRY_MS, 0);
	else if (fresh_for > 0)
		/* A session has seen it since: that is as good. */
		uv_timer_start(t, on_timer, (uint64_t)fresh_for, 0);
	else
		begin(p);
}

struct probe *probe_start(struct work *w)
{
	struct probe *p = calloc(1, sizeof *p);
	if (p == NULL)
		return NULL;
	p->work = w;
	uv_timer_init(&w->loop, &p->timer);
	p->timer.data = p;
	uv_timer_start(&p->timer, on_timer, 0, 0);
	return p;
}

void probe_again(struct probe *p)
{
	p->work->caps_ms = 0;
	drop(p);
	uv_timer_start(&p->timer, on_timer, 0, 0);
}

static void on_closed(uv_handle_t *h)
{
	free(h->data);
}

void probe_stop(struct probe *p)
{
	if (p == NULL || uv_is_closing((uv_handle_t *)&p->timer))
		return;
	drop(p);
	uv_close((uv_handle_t *)&p->timer, on_closed);
}
