/* on_timer -> look at the connector that is due first: route -> opening -> READY: note, QUIT
 * -> the next one, or the timer again. One at a time. */
#include "proxy/worker/probe_uv.h"

#include <stdlib.h>

enum { FRESH_MS = 60000, RETRY_MS = 5000, PATIENCE_MS = 10000 };

struct probe {
	struct work *work;
	uv_timer_t timer;
	struct settings *settings; /* of the look under way */
	size_t at;                 /* its connector */
	struct routes_wait *wait;
	struct opening *opening;
};

static void on_timer(uv_timer_t *t);

static struct exit_way *way_of(const struct probe *p)
{
	return &p->settings->exits.ways[p->at];
}

static void drop(struct probe *p)
{
	routes_cancel(p->wait);
	opening_free(p->opening);
	settings_unref(p->settings);
	p->wait = NULL;
	p->opening = NULL;
	p->settings = NULL;
}

/* over ends one look and arranges the next. */
static void over(struct probe *p, int64_t due_in_ms)
{
	way_of(p)->due_ms = work_now(p->work).ms + due_in_ms;
	drop(p);
	uv_timer_start(&p->timer, on_timer, 0, 0);
}

static void fail(struct probe *p, const char *why)
{
	work_count(p->work, COUNT_PROBES_FAILED);
	work_missed_exit(p->work, p->settings, p->at, why);
	over(p, RETRY_MS);
}

static void succeed(struct probe *p)
{
	struct opened got;
	opening_take(p->opening, NULL, NULL, &got);
	work_count(p->work, COUNT_PROBES_OK);
	work_saw_exit(p->work, p->settings, p->at, got.caps);
	opened_quit(&got);
	over(p, FRESH_MS);
}

static void look(struct probe *p)
{
	const char *words;
	switch (opening_state(p->opening)) {
	case OPENING_READY:
		succeed(p);
		break;
	case OPENING_FAILED:
		(void)opening_refusal(p->opening, &words);
		fail(p, words);
		break;
	case OPENING_BUSY:
		break;
	}
}

static void on_opening(void *arg)
{
	look(arg);
}

static void open_link(struct probe *p, struct route *route)
{
	const struct exit_way *way = way_of(p);
	char text[PROXY_V2_MAX];
	struct writer w = writer_of(text, sizeof text);
	if (route->refused != SMTP_R_NONE) {
		fail(p, route->why);
		return;
	}
	if (way->config->client_info == CONFIG_CLIENT_PROXY_V2 && proxy_v2_encode_own(&w) != EC_OK) {
		fail(p, "no PROXY header");
		return;
	}
	struct opening_setup setup = work_opening(p->work, p->settings, p->at, route);
	setup.header = writer_slice(&w);
	setup.connect_timeout_ms = setup.reply_timeout_ms = PATIENCE_MS;
	setup.on_event = on_opening;
	setup.arg = p;
	p->opening = opening_start(&setup);
	if (p->opening == NULL) {
		fail(p, "out of memory");
		return;
	}
	uv_timer_start(&p->timer, on_timer, PATIENCE_MS, 0);
	look(p);
}

static void on_route(void *arg, struct route *route)
{
	struct probe *p = arg;
	p->wait = NULL;
	open_link(p, route);
}

static void begin(struct probe *p, size_t at)
{
	struct why why = { 0 };
	struct route *route = NULL;
	p->settings = settings_ref(p->work->settings);
	p->at = at;
	enum ec ec = work_route(p->work, way_of(p), "", &route, on_route, p, &p->wait, &why);
	if (ec == EC_OK)
		open_link(p, route);
	else if (ec != EC_AGAIN)
		fail(p, why.text);
}

/* due_of: when a connector is to be looked at. A session that saw it is as good as a look. One
 * whose way depends on the domain can't be looked at: false. */
static bool due_of(const struct exit_way *w, int64_t *out)
{
	int64_t seen = w->caps_ms == 0 ? 0 : w->caps_ms + FRESH_MS;
	*out = seen > w->due_ms ? seen : w->due_ms;
	return !w->per_domain;
}

static void on_timer(uv_timer_t *t)
{
	struct probe *p = t->data;
	int64_t now = work_now(p->work).ms, first = now + FRESH_MS, due;
	if (p->opening != NULL) {
		opening_late(p->opening);
		uv_timer_start(t, on_timer, PATIENCE_MS, 0);
		look(p);
		return;
	}
	const struct settings *s = p->work->settings;
	for (size_t i = 0; s != NULL && i < s->exits.num && p->settings == NULL; i++) {
		if (!due_of(&s->exits.ways[i], &due))
			continue;
		if (due <= now) {
			begin(p, i);
			return;
		}
		first = due < first ? due : first;
	}
	if (p->settings == NULL)
		uv_timer_start(t, on_timer, (uint64_t)(first - now), 0);
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
