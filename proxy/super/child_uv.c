/* Two things end independently: the process (exit callback) and its wire (close
 * callback). Whichever comes first hurries the other; when both are gone the
 * owner is told and the restart timer runs. Only then does the struct's process
 * handle become free for the next uv_spawn. */
#include "proxy/super/child_uv.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/wire_uv.h"

enum {
	CRASH_SOON_MS = 1000,
	RESTART_FIRST_MS = 100,
	RESTART_MAX_MS = 30000,
	EXIT_GRACE_MS = 2000 /* from the wire's end to the kill */
};

void child_init(struct child *c, uv_loop_t *loop, struct child_plan plan)
{
	*c = (struct child){
		.plan = plan,
		.loop = loop,
		.backoff = { .first_ms = RESTART_FIRST_MS, .max_ms = RESTART_MAX_MS },
	};
	uv_timer_init(loop, &c->timer);
	c->timer.data = c;
}

static void mishap(struct child *c, const char *why)
{
	c->plan.events->on_mishap(c->plan.arg, why);
}

/* --- its end ------------------------------------------------------------------------- */

static void launch(struct child *c);

static void on_restart(uv_timer_t *t)
{
	launch(t->data);
}

static void on_grace_over(uv_timer_t *t)
{
	child_kill(t->data);
}

static void check_gone(struct child *c)
{
	if (!child_is_gone(c))
		return;
	uv_timer_stop(&c->timer);
	c->since = (struct wall){ (int64_t)time(NULL) };
	if (c->wanted) {
		int64_t lived = (int64_t)uv_now(c->loop) - c->started_ms;
		int64_t wait = backoff_after_crash(&c->backoff, lived, CRASH_SOON_MS);
		uv_timer_start(&c->timer, on_restart, (uint64_t)wait, 0);
	}
	c->plan.events->on_down(c->plan.arg);
}

static void on_process_closed(uv_handle_t *handle)
{
	struct child *c = handle->data;
	c->running = false;
	wire_close(c->wire);
	check_gone(c);
}

static void on_exit_seen(uv_process_t *p, int64_t status, int signal_number)
{
	struct child *c = p->data;
	struct why why;
	c->exited = true;
	if (signal_number != 0)
		(void)why_set(&why, EC_OK, "process %d was ended by signal %d (%s)", p->pid, signal_number, strsignal(signal_number));
	else
		(void)why_set(&why, EC_OK, "process %d exited with status %lld", p->pid, (long long)status);
	if (c->wanted || status != 0 || (signal_number != 0 && !c->stopped))
		mishap(c, why.text);
	uv_close((uv_handle_t *)p, on_process_closed);
}

static void on_wire_closed(void *arg, struct wire *w, const char *why)
{
	struct child *c = arg;
	(void)w;
	(void)why;
	c->wire = NULL;
	/* Without its wire it exits by itself. */
	if (c->running)
		uv_timer_start(&c->timer, on_grace_over, EXIT_GRACE_MS, 0);
	check_gone(c);
}

/* --- its wire ------------------------------------------------------------------------ */

static void on_wire_line(void *arg, struct wire *w, char *line, size_t len)
{
	struct child *c = arg;
	(void)w;
	json_t *value = json_loadb(line, len, 0, NULL);
	if (value != NULL)
		c->plan.events->on_line(c->plan.arg, value);
	json_decref(value);
}

static void on_wire_drained(void *arg, struct wire *w)
{
	struct child *c = arg;
	(void)w;
	if (c->plan.events->on_drained != NULL)
		c->plan.events->on_drained(c->plan.arg);
}

/* --- its start ----------------------------------------------------------------------- */

static int spawn(struct child *c, int wire_fd)
{
	const unsigned num = CHILD_FD_FIRST + c->plan.num_fds;
	uv_stdio_container_t *stdio = calloc(num, sizeof *stdio);
	if (stdio == NULL)
		return UV_ENOMEM;
	stdio[0].flags = UV_IGNORE;
	for (int i = 1; i <= 2; i++)
		stdio[i] = (uv_stdio_container_t){ .flags = UV_INHERIT_FD, .data.fd = i };
	stdio[CHILD_FD_WIRE] = (uv_stdio_container_t){ .flags = UV_INHERIT_FD, .data.fd = wire_fd };
	for (unsigned i = 0; i < c->plan.num_fds; i++)
		stdio[CHILD_FD_FIRST + i] = (uv_stdio_container_t){ .flags = UV_INHERIT_FD, .data.fd = c->plan.fds[i] };
	uv_process_options_t options = {
		.exit_cb = on_exit_seen,
		.file = "/proc/self/exe",
		.args = (char **)(uintptr_t)c->plan.args,
		.stdio_count = (int)num,
		.stdio = stdio,
	};
	int r = uv_spawn(c->loop, &c->process, &options);
	c->process.data = c;
	c->running = true; /* a failed spawn's handle must be closed as well */
	c->exited = r < 0;
	free(stdio);
	return r;
}

static void launch(struct child *c)
{
	static const struct wire_events events = { .on_line = on_wire_line, .on_close = on_wire_closed,
	                                           .on_drained = on_wire_drained };
	int pair[2] = { -1, -1 };
	c->restarts += c->started_before;
	c->started_before = true;
	uv_timer_stop(&c->timer);
	uv_update_time(c->loop);
	c->started_ms = (int64_t)uv_now(c->loop);
	c->since = (struct wall){ (int64_t)time(NULL) };
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
		mishap(c, strerror(errno));
		check_gone(c);
		return;
	}
	int r = spawn(c, pair[1]);
	close(pair[1]);
	if (r < 0) {
		close(pair[0]);
		mishap(c, uv_strerror(r));
		if (c->running)
			uv_close((uv_handle_t *)&c->process, on_process_closed);
		else
			check_gone(c);
		return;
	}
	if (wire_adopt(c->loop, pair[0], events, c, &c->wire) != EC_OK)
		child_kill(c);
	else
		c->plan.events->on_up(c->plan.arg);
}

/* --- for its owner -------------------------------------------------------------------- */

void child_start(struct child *c)
{
	c->wanted = true;
	c->stopped = false;
	if (child_is_gone(c))
		launch(c);
}

void child_retire(struct child *c)
{
	c->wanted = false;
	if (child_is_gone(c))
		uv_timer_stop(&c->timer);
}

void child_stop(struct child *c)
{
	child_retire(c);
	c->stopped = true;
	wire_close(c->wire);
}

void child_kill(struct child *c)
{
	if (c->running && !c->exited)
		uv_process_kill(&c->process, SIGKILL);
}

bool child_is_up(const struct child *c)
{
	return c->running && !c->exited && c->wire != NULL;
}

bool child_is_gone(const struct child *c)
{
	return !c->running && c->wire == NULL;
}

int64_t child_pid(const struct child *c)
{
	return child_is_up(c) ? c->process.pid : 0;
}

void child_send(struct child *c, struct slice line)
{
	if (child_is_up(c))
		wire_send(c->wire, line);
}

void child_send_json(struct child *c, json_t *line)
{
	if (child_is_up(c))
		wire_send_json(c->wire, line);
	else
		json_decref(line);
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct child *c = handle->data;
	c->freed(c->plan.arg);
}

void child_fini(struct child *c, void (*freed)(void *arg), void *arg)
{
	c->freed = freed;
	c->plan.arg = arg;
	uv_close((uv_handle_t *)&c->timer, on_timer_closed);
}
