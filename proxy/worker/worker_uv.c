/* worker_run: adopt the descriptors, then serve until a drain is done or the wire
 * closes. What to serve, and when to begin, comes over the wire: worker_wire_uv.c. */
#include "proxy/worker/worker_uv.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/log_fs.h"
#include "proxy/census_fs.h"
#include "proxy/worker/conn_uv.h"
#include "proxy/worker/worker_parts_uv.h"

enum { FD_WIRE = 3, FD_COUNTERS = 4, FD_CENSUS = 5, FD_LISTEN = WORKER_FD_LISTEN, LISTENERS_MAX = 256 };

static void stop(struct worker *w)
{
	w->over = true;
	uv_stop(&w->work.loop);
}

void worker_fail(struct worker *w, const char *what, const char *why)
{
	log_why(LOG_ERROR, "worker-failed", what, why);
	w->failed = true;
	stop(w);
}

static void on_wire_closed(void *arg, struct wire *wire, const char *why)
{
	struct worker *w = arg;
	(void)wire;
	w->wire = NULL;
	/* Without a supervisor nobody could swap our keys: end. */
	if (!w->over)
		log_why(LOG_NOTICE, "worker-ends", "wire", why);
	stop(w);
}

static void on_drain_over(uv_timer_t *t)
{
	struct worker *w = t->data;
	struct log_line l;
	log_begin(&l, LOG_NOTICE, "drain-cut");
	log_int(&l, "sessions", (int64_t)w->work.num_conns);
	log_end(&l);
	stop(w);
}

static void on_session_end(struct work *work)
{
	struct worker *w = (struct worker *)work;
	if (w->door != NULL)
		door_resume(w->door);
	if (work->draining && work->num_conns == 0)
		stop(w);
}

void worker_drain(struct worker *w)
{
	if (w->work.draining)
		return;
	door_close(w->door);
	w->door = NULL;
	w->work.draining = true;
	int64_t patience = w->work.settings == NULL ? 0 : w->work.settings->config->proxy.drain_timeout_ms;
	uv_timer_start(&w->drain_timer, on_drain_over, (uint64_t)patience, 0);
	conn_drain_all(&w->work);
	if (w->work.num_conns == 0)
		stop(w);
}

/* The supervisor decides about these; a terminal or service manager sends them to
 * the whole group. */
static void ignore_signals(void)
{
	static const int ignored[] = { SIGPIPE, SIGHUP, SIGINT, SIGTERM };
	for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
		(void)signal(ignored[i], SIG_IGN);
}

/* A session costs one descriptor, and a second while it has a backend. */
static void raise_descriptors(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

static enum ec adopt(struct worker *w, int num_listeners, unsigned slot, struct why *why)
{
	if (num_listeners < 1 || num_listeners > LISTENERS_MAX)
		return why_set(why, EC_RANGE, "%d listening sockets", num_listeners);
	struct counters *page = mmap(NULL, counters_size(), PROT_READ | PROT_WRITE, MAP_SHARED, FD_COUNTERS, 0);
	if (page == MAP_FAILED)
		return why_set(why, EC_IO, "counter page: %s", strerror(errno));
	enum ec ec = counters_begin(page);
	if (ec != EC_OK)
		return why_set(why, ec, "counter page: made by another version");
	struct census *census = NULL;
	ec = census_adopt(FD_CENSUS, slot, &census, why);
	if (ec == EC_OK)
		ec = work_init(&w->work, page, census, slot, why);
	if (ec != EC_OK)
		return ec;
	int fds[LISTENERS_MAX];
	for (int i = 0; i < num_listeners; i++)
		fds[i] = FD_LISTEN + i;
	ec = door_new(&w->work, fds, (size_t)num_listeners, &w->door, why);
	if (ec != EC_OK)
		return ec;
	uv_timer_init(&w->work.loop, &w->drain_timer);
	w->drain_timer.data = w;
	w->work.on_session_end = on_session_end;
	ec = worker_exits_init(w);
	if (ec != EC_OK)
		return why_set(why, ec, "out of memory");
	static const struct wire_events events = { .on_line = worker_on_line, .on_close = on_wire_closed };
	ec = wire_adopt(&w->work.loop, FD_WIRE, events, w, &w->wire);
	return ec == EC_OK ? ec : why_set(why, ec, "wire: %s", ec_text(ec));
}

/* clean_up gives everything back, so that a leak checker has a say. */
static void clean_up(struct worker *w)
{
	w->over = true;
	w->work.on_session_end = NULL;
	door_close(w->door);
	w->door = NULL;
	conn_end_all(&w->work);
	probe_stop(w->probe);
	worker_tell_ledger(w);
	worker_exits_fini(w);
	wire_close(w->wire);
	uv_close((uv_handle_t *)&w->drain_timer, NULL);
	uv_close((uv_handle_t *)&w->work.tick, NULL);
	while (uv_run(&w->work.loop, UV_RUN_DEFAULT) != 0)
		;
	uv_loop_close(&w->work.loop);
	bytes_fini(&w->work.replies);
	snapshot_unref(w->draft);
	snapshot_unref(w->work.snapshot);
	settings_unref(w->work.settings);
	clients_free(w->work.clients);
	(void)munmap(w->work.counters, counters_size());
	census_unmap(w->work.census);
	free(w);
}

int worker_run(int num_listeners, unsigned slot)
{
	struct why why = { 0 };
	struct worker *w = calloc(1, sizeof *w);
	(void)prctl(PR_SET_NAME, "danegate-worker");
	ignore_signals();
	raise_descriptors();
	wire_secrets();
	enum ec ec = w == NULL ? why_set(&why, EC_NO_MEMORY, "out of memory") : adopt(w, num_listeners, slot, &why);
	if (ec != EC_OK) {
		log_why(LOG_ERROR, "worker-failed", "start", why.text);
		free(w);
		return 1;
	}
	uv_run(&w->work.loop, UV_RUN_DEFAULT);
	int status = w->failed ? 1 : 0;
	clean_up(w);
	return status;
}
