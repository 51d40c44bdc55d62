/* Two things end independently: the process (exit callback) and its wire (close
 * callback). Whichever comes first hurries the other; when both are gone the
 * owner is told and the restart timer runs. Only then does the struct's process
 * handle become free for the next uv_spawn. */
#include "proxy/super/hand_uv.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/log_fs.h"
#include "base/wire_uv.h"
#include "proxy/worker/worker_uv.h"

enum {
	CRASH_SOON_MS = 1000,
	RESTART_FIRST_MS = 100,
	RESTART_MAX_MS = 30000,
	EXIT_GRACE_MS = 2000, /* from the wire's end to the kill */
	WIRE_FD = 3,
	PAGE_FD = 4,
	CENSUS_FD = 5,
	LISTEN_FD = WORKER_FD_LISTEN
};

enum ec hand_init(struct hand *h, uv_loop_t *loop, unsigned number, const int *listeners, unsigned num_listeners,
                  struct census *census, int census_fd, const struct hand_events *events, void *arg, struct why *why)
{
	*h = (struct hand){
		.number = number,
		.loop = loop,
		.events = events,
		.arg = arg,
		.listeners = listeners,
		.num_listeners = num_listeners,
		.page_fd = -1,
		.census = census,
		.census_fd = census_fd,
		.backoff = { .first_ms = RESTART_FIRST_MS, .max_ms = RESTART_MAX_MS },
	};
	uv_timer_init(loop, &h->timer);
	h->timer.data = h;
	h->page_fd = memfd_create("danegate-counters", MFD_CLOEXEC);
	if (h->page_fd < 0 || ftruncate(h->page_fd, (off_t)counters_size()) != 0)
		return why_set(why, EC_IO, "counter page: %s", strerror(errno));
	void *p = mmap(NULL, counters_size(), PROT_READ, MAP_SHARED, h->page_fd, 0);
	if (p == MAP_FAILED)
		return why_set(why, EC_IO, "counter page: %s", strerror(errno));
	h->page = p;
	return EC_OK;
}

static void mishap(struct hand *h, const char *why)
{
	(void)why_set(&h->why, EC_OK, "%s", why);
	h->events->on_mishap(h->arg, h, h->why.text);
}

static void on_restart(uv_timer_t *t)
{
	struct hand *h = t->data;
	if (!h->retired)
		hand_start(h);
}

static void on_grace_over(uv_timer_t *t)
{
	hand_kill(t->data);
}

static void check_gone(struct hand *h)
{
	if (!hand_is_gone(h))
		return;
	uv_timer_stop(&h->timer);
	census_clear(h->census, h->number);
	h->since = (struct wall){ (int64_t)time(NULL) };
	if (!h->retired) {
		int64_t lived = (int64_t)uv_now(h->loop) - h->started_ms;
		int64_t wait = backoff_after_crash(&h->backoff, lived, CRASH_SOON_MS);
		uv_timer_start(&h->timer, on_restart, (uint64_t)wait, 0);
	}
	h->events->on_down(h->arg, h);
}

static void on_process_closed(uv_handle_t *handle)
{
	struct hand *h = handle->data;
	h->running = false;
	wire_close(h->wire);
	check_gone(h);
}

static void on_exit_seen(uv_process_t *p, int64_t status, int signal_number)
{
	struct hand *h = p->data;
	struct why why;
	h->exited = true;
	if (signal_number != 0)
		(void)why_set(&why, EC_OK, "process %d was ended by signal %d (%s)", p->pid, signal_number, strsignal(signal_number));
	else
		(void)why_set(&why, EC_OK, "process %d exited with status %lld", p->pid, (long long)status);
	if (!h->retired || status != 0 || signal_number != 0)
		mishap(h, why.text);
	uv_close((uv_handle_t *)p, on_process_closed);
}

static void on_wire_line(void *arg, struct wire *w, char *line, size_t len)
{
	struct hand *h = arg;
	(void)w;
	json_t *value = json_loadb(line, len, 0, NULL);
	if (value != NULL)
		h->events->on_line(h->arg, h, value);
	json_decref(value);
}

static void on_wire_closed(void *arg, struct wire *w, const char *why)
{
	struct hand *h = arg;
	(void)w;
	(void)why;
	h->wire = NULL;
	/* Without its wire a worker exits by itself. */
	if (h->running)
		uv_timer_start(&h->timer, on_grace_over, EXIT_GRACE_MS, 0);
	check_gone(h);
}

static void on_wire_drained(void *arg, struct wire *w)
{
	struct hand *h = arg;
	(void)w;
	h->events->on_drained(h->arg, h);
}

static int spawn(struct hand *h, int wire_fd)
{
	unsigned num = h->num_listeners;
	uv_stdio_container_t *stdio = calloc(LISTEN_FD + num, sizeof *stdio);
	if (stdio == NULL)
		return UV_ENOMEM;
	stdio[0].flags = UV_IGNORE;
	for (int i = 1; i <= 2; i++)
		stdio[i] = (uv_stdio_container_t){ .flags = UV_INHERIT_FD, .data.fd = i };
	stdio[WIRE_FD] = (uv_stdio_container_t){ .flags = UV_INHERIT_FD, .data.fd = wire_fd };
	stdio[PAGE_FD] = (uv_stdio_container_t){ .flags = UV_INHERIT_FD, .data.fd = h->page_fd };
	stdio[CENSUS_FD] = (uv_stdio_container_t){ .flags = UV_INHERIT_FD, .data.fd = h->census_fd };
	for (unsigned a = 0; a < num; a++)
		stdio[LISTEN_FD + a] = (uv_stdio_container_t){ .flags = UV_INHERIT_FD, .data.fd = h->listeners[a] };
	char count[16], slot[16], name[] = "danegate", flag[] = "--worker", slot_flag[] = "--slot";
	(void)snprintf(count, sizeof count, "%u", num);
	(void)snprintf(slot, sizeof slot, "%u", h->number);
	char *args[] = { name, flag, count, slot_flag, slot, NULL };
	uv_process_options_t options = {
		.exit_cb = on_exit_seen,
		.file = "/proc/self/exe",
		.args = args,
		.stdio_count = (int)(LISTEN_FD + num),
		.stdio = stdio,
	};
	int r = uv_spawn(h->loop, &h->process, &options);
	h->process.data = h;
	h->running = true; /* a failed spawn's handle must be closed as well */
	h->exited = r < 0;
	free(stdio);
	return r;
}

void hand_start(struct hand *h)
{
	static const struct wire_events events = { .on_line = on_wire_line, .on_close = on_wire_closed,
	                                           .on_drained = on_wire_drained };
	int pair[2] = { -1, -1 };
	h->restarts += h->started_before;
	h->started_before = true;
	uv_update_time(h->loop);
	h->started_ms = (int64_t)uv_now(h->loop);
	h->since = (struct wall){ (int64_t)time(NULL) };
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
		mishap(h, strerror(errno));
		check_gone(h);
		return;
	}
	int r = spawn(h, pair[1]);
	close(pair[1]);
	if (r < 0) {
		close(pair[0]);
		mishap(h, uv_strerror(r));
		if (h->running)
			uv_close((uv_handle_t *)&h->process, on_process_closed);
		else
			check_gone(h);
		return;
	}
	if (wire_adopt(h->loop, pair[0], events, h, &h->wire) != EC_OK)
		hand_kill(h);
	else
		h->events->on_up(h->arg, h);
}

bool hand_is_up(const struct hand *h)
{
	return h->running && !h->exited && h->wire != NULL;
}

bool hand_is_gone(const struct hand *h)
{
	return !h->running && h->wire == NULL;
}

int64_t hand_pid(const struct hand *h)
{
	return hand_is_up(h) ? h->process.pid : 0;
}

void hand_send(struct hand *h, struct slice line)
{
	if (hand_is_up(h))
		wire_send(h->wire, line);
}

void hand_send_json(struct hand *h, json_t *line)
{
	if (hand_is_up(h))
		wire_send_json(h->wire, line);
	else
		json_decref(line);
}

void hand_kill(struct hand *h)
{
	if (h->running && !h->exited)
		uv_process_kill(&h->process, SIGKILL);
}

void hand_retire(struct hand *h)
{
	h->retired = true;
	if (hand_is_gone(h))
		uv_timer_stop(&h->timer);
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct hand *h = handle->data;
	h->freed(h->arg);
}

void hand_fini(struct hand *h, void (*freed)(void *arg), void *arg)
{
	if (h->page != NULL)
		munmap((void *)(uintptr_t)h->page, counters_size());
	if (h->page_fd >= 0)
		close(h->page_fd);
	h->page = NULL;
	h->page_fd = -1;
	h->freed = freed;
	h->arg = arg;
	uv_close((uv_handle_t *)&h->timer, on_timer_closed);
}
