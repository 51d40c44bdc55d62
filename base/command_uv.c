/* command_start -> on_written (the input is out, or nobody wants it) -> on_read
 * of both outputs until they end -> on_exit, in any order -> finish -> the last
 * on_closed frees.
 *
 * It is over when the program has exited and both outputs have ended. A child it
 * left behind may hold them open, so after the exit only LINGER_MS are waited
 * for them. on_timer is each deadline in turn: time is up, SIGKILL is due, the
 * linger is over. */
#include "base/command_uv.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/printable.h"

enum { LINGER_MS = 1000, READ_SIZE = 65536, NUM_PIPES = 3 };

extern char **environ;

struct command_run {
	uv_process_t process;
	uv_pipe_t pipes[NUM_PIPES]; /* our ends of stdin, stdout, stderr */
	uv_timer_t timer;
	uv_write_t write;
	char *program;
	struct bytes input;
	struct bytes out;
	struct bytes errors;
	size_t out_max;
	int timeout_ms;
	unsigned open_handles;
	unsigned open_outputs;
	enum ec ec; /* EC_OK until it has to be killed */
	bool has_process; /* the handle is one */
	bool exited;
	bool over;  /* reported, or cancelled */
	int64_t exit_status;
	int exit_signal;
	command_done *done;
	void *arg;
};

/* --- the end --- */

static void on_closed(uv_handle_t *h)
{
	struct command_run *c = h->data;
	if (--c->open_handles > 0)
		return;
	bytes_fini(&c->input);
	bytes_fini(&c->out);
	bytes_fini(&c->errors);
	free(c->program);
	free(c);
}

static void close_handle(uv_handle_t *h)
{
	if (!uv_is_closing(h))
		uv_close(h, on_closed);
}

/* The process is closed only when it has exited: before that nobody would reap it. */
static void close_all(struct command_run *c)
{
	c->over = true;
	for (unsigned i = 0; i < NUM_PIPES; i++)
		close_handle((uv_handle_t *)&c->pipes[i]);
	close_handle((uv_handle_t *)&c->timer);
	if (c->has_process && c->exited)
		close_handle((uv_handle_t *)&c->process);
}

/* Only while its leader has not been reaped is the number of the group ours. */
static void kill_group(const struct command_run *c, int signal_number)
{
	if (!c->exited)
		(void)kill(-c->process.pid, signal_number);
}

void command_last_line(char *out, size_t size, struct slice text)
{
	size_t len = 0, end = text.len;
	while (end > 0 && (text.p[end - 1] <= ' ' || text.p[end - 1] == 0x7f))
		end--;
	size_t start = end;
	while (start > 0 && text.p[start - 1] != '\n' && text.p[start - 1] != '\r')
		start--;
	while (start < end && len + 1 < size)
		out[len++] = (char)text.p[start++];
	out[len] = '\0';
	printable(out, len);
}

static void describe(const struct command_run *c, const struct command_result *r, struct why *why)
{
	char line[300];
	command_last_line(line, sizeof line, r->errors);
	const char *colon = line[0] != '\0' ? ": " : "";
	if (r->ec == EC_TIMEOUT)
		(void)why_set(why, r->ec, "%.150s had not finished after %d ms and was killed%s%s", c->program, c->timeout_ms,
		              colon, line);
	else if (r->ec == EC_LIMIT)
		(void)why_set(why, r->ec, "%.150s printed more than %zu octets and was killed%s%s", c->program, c->out_max,
		              colon, line);
	else if (r->signal != 0)
		(void)why_set(why, r->ec, "%.150s was ended by signal %d (%s)%s%s", c->program, r->signal,
		              strsignal(r->signal), colon, line);
	else
		(void)why_set(why, r->ec, "%.150s exited with status %d%s%s", c->program, r->status, colon, line);
}

static void finish(struct command_run *c)
{
	if (c->over)
		return;
	struct why why = { 0 };
	struct command_result result = {
		.ec = c->ec,
		.status = (int)c->exit_status,
		.signal = c->exit_signal,
		.out = slice_first(bytes_slice(&c->out), c->out_max),
		.errors = bytes_slice(&c->errors),
	};
	if (result.errors.len > COMMAND_ERRORS_MAX)
		result.errors = slice_from(result.errors, result.errors.len - COMMAND_ERRORS_MAX);
	if (result.ec == EC_OK && (c->exit_status != 0 || c->exit_signal != 0))
		result.ec = EC_IO;
	if (result.ec != EC_OK)
		describe(c, &result, &why);
	close_all(c);
	c->done(c->arg, &result, &why);
}

static void on_timer(uv_timer_t *t);

static void finish_if_over(struct command_run *c)
{
	if (c->over || !c->exited)
		return;
	if (c->open_outputs == 0)
		finish(c);
	else
		uv_timer_start(&c->timer, on_timer, LINGER_MS, 0);
}

static void give_up(struct command_run *c, enum ec ec)
{
	if (c->over || c->ec != EC_OK)
		return;
	c->ec = ec;
	kill_group(c, SIGTERM);
	uv_timer_start(&c->timer, on_timer, COMMAND_GRACE_MS, 0);
}

static void on_timer(uv_timer_t *t)
{
	struct command_run *c = t->data;
	if (c->exited)
		finish(c);
	else if (c->ec == EC_OK)
		give_up(c, EC_TIMEOUT);
	else
		kill_group(c, SIGKILL);
}

static void on_exit_of(uv_process_t *process, int64_t status, int signal_number)
{
	struct command_run *c = process->data;
	if (c->ec != EC_OK) /* what it started goes with it: a group that is not empty keeps its number */
		(void)kill(-process->pid, SIGKILL);
	c->exited = true;
	c->exit_status = status;
	c->exit_signal = signal_number;
	if (c->over)
		close_handle((uv_handle_t *)process);
	else
		finish_if_over(c);
}

/* --- input and outputs --- */

static void on_written(uv_write_t *w, int status)
{
	struct command_run *c = w->data;
	(void)status; /* a program need not read its input */
	close_handle((uv_handle_t *)&c->pipes[0]);
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	struct command_run *c = h->data;
	struct bytes *b = h == (uv_handle_t *)&c->pipes[1] ? &c->out : &c->errors;
	uint8_t *room = NULL;
	(void)suggested;
	if (bytes_reserve(b, READ_SIZE, &room) == EC_OK)
		*buf = uv_buf_init((char *)room, READ_SIZE);
	else
		*buf = uv_buf_init(NULL, 0); /* on_read gets UV_ENOBUFS */
}

static void output_ended(struct command_run *c, uv_stream_t *s)
{
	close_handle((uv_handle_t *)s);
	c->open_outputs--;
	finish_if_over(c);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct command_run *c = s->data;
	(void)buf;
	if (c->over || n == 0)
		return;
	if (n < 0) {
		if (n != UV_EOF)
			give_up(c, EC_IO);
		output_ended(c, s);
		return;
	}
	if (s == (uv_stream_t *)&c->pipes[2]) {
		bytes_commit(&c->errors, (size_t)n);
		if (bytes_len(&c->errors) > 2 * COMMAND_ERRORS_MAX)
			bytes_consume(&c->errors, bytes_len(&c->errors) - COMMAND_ERRORS_MAX);
		return;
	}
	if (c->ec != EC_OK) /* being killed: read on, so that it can end, and keep nothing */
		return;
	bytes_commit(&c->out, (size_t)n);
	if (bytes_len(&c->out) > c->out_max)
		give_up(c, EC_LIMIT);
}

/* --- the start --- */

/* Our environment with `added` in the place of what has the same name. The array
 * is the caller's to free, the strings are not. */
static char **make_env(const char *const *added)
{
	size_t num = 0, num_added = 0;
	while (environ[num] != NULL)
		num++;
	while (added != NULL && added[num_added] != NULL)
		num_added++;
	char **env = calloc(num + num_added + 1, sizeof *env);
	if (env == NULL)
		return NULL;
	size_t k = 0;
	for (size_t i = 0; i < num; i++) {
		bool replaced = false;
		for (size_t a = 0; a < num_added; a++) {
			size_t len = strcspn(added[a], "=");
			replaced = replaced || (strncmp(environ[i], added[a], len) == 0 && environ[i][len] == '=');
		}
		if (!replaced)
			env[k++] = environ[i];
	}
	for (size_t a = 0; a < num_added; a++)
		env[k++] = (char *)(uintptr_t)added[a];
	return env;
}

/* Plain pipes, not libuv's socket pairs: a script may open /dev/stdin by name. */
static int open_pipes(struct command_run *c, uv_stdio_container_t stdio[NUM_PIPES], int theirs[NUM_PIPES])
{
	for (unsigned i = 0; i < NUM_PIPES; i++) {
		uv_file fds[2];
		int rc = uv_pipe(fds, i == 0 ? 0 : UV_NONBLOCK_PIPE, i == 0 ? UV_NONBLOCK_PIPE : 0);
		if (rc < 0)
			return rc;
		int ours = i == 0 ? fds[1] : fds[0];
		theirs[i] = i == 0 ? fds[0] : fds[1];
		stdio[i].flags = UV_INHERIT_FD;
		stdio[i].data.fd = theirs[i];
		rc = uv_pipe_open(&c->pipes[i], ours);
		if (rc < 0) {
			close(ours);
			return rc;
		}
	}
	return 0;
}

static int spawn(struct command_run *c, uv_loop_t *loop, const struct command_plan *plan)
{
	uv_stdio_container_t stdio[NUM_PIPES];
	int theirs[NUM_PIPES] = { -1, -1, -1 };
	char **env = make_env(plan->env);
	int rc = env == NULL ? UV_ENOMEM : open_pipes(c, stdio, theirs);
	if (rc == 0) {
		/* Libraries open descriptors too; none of them is the command's business. */
		(void)close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
		uv_process_options_t options = {
			.exit_cb = on_exit_of,
			.file = plan->argv[0],
			.args = (char **)(uintptr_t)plan->argv,
			.env = env,
			.flags = UV_PROCESS_DETACHED, /* its own session, so its own group */
			.stdio_count = NUM_PIPES,
			.stdio = stdio,
		};
		c->has_process = true;
		c->open_handles++;
		rc = uv_spawn(loop, &c->process, &options);
	}
	for (unsigned i = 0; i < NUM_PIPES; i++)
		if (theirs[i] >= 0)
			close(theirs[i]);
	free(env);
	return rc;
}

static void converse(struct command_run *c)
{
	struct slice input = bytes_slice(&c->input);
	uv_buf_t buf = uv_buf_init((char *)(uintptr_t)input.p, (unsigned)input.len);
	c->write.data = c;
	if (input.len == 0 || uv_write(&c->write, (uv_stream_t *)&c->pipes[0], &buf, 1, on_written) < 0)
		close_handle((uv_handle_t *)&c->pipes[0]);
	for (unsigned i = 1; i < NUM_PIPES; i++) {
		if (uv_read_start((uv_stream_t *)&c->pipes[i], on_alloc, on_read) == 0)
			c->open_outputs++;
		else
			close_handle((uv_handle_t *)&c->pipes[i]);
	}
	uv_timer_start(&c->timer, on_timer, (uint64_t)c->timeout_ms, 0);
}

static enum ec refuse(struct command_run *c, int rc, struct why *why)
{
	enum ec ec = rc == UV_ENOENT ? EC_NOT_FOUND : rc == UV_EACCES ? EC_PERMISSION : rc == UV_ENOMEM ? EC_NO_MEMORY : EC_IO;
	(void)why_set(why, ec, "%.200s can't be run: %s", c->program, uv_strerror(rc));
	c->exited = true; /* there is nothing to reap */
	close_all(c);
	return ec;
}

enum ec command_start(uv_loop_t *loop, const struct command_plan *plan, command_done *done, void *arg,
                      struct command_run **out, struct why *why)
{
	if (out != NULL)
		*out = NULL;
	struct command_run *c = calloc(1, sizeof *c);
	if (c != NULL)
		c->program = strdup(plan->argv[0]);
	if (c == NULL || c->program == NULL || bytes_append(&c->input, plan->input) != EC_OK) {
		if (c != NULL)
			free(c->program);
		free(c);
		return why_set(why, EC_NO_MEMORY, "out of memory");
	}
	c->out_max = plan->out_max > 0 ? plan->out_max : COMMAND_OUT_MAX;
	c->timeout_ms = plan->timeout_ms > 0 ? plan->timeout_ms : COMMAND_TIMEOUT_MS;
	c->done = done;
	c->arg = arg;
	for (unsigned i = 0; i < NUM_PIPES; i++) {
		(void)uv_pipe_init(loop, &c->pipes[i], 0);
		c->pipes[i].data = c;
	}
	(void)uv_timer_init(loop, &c->timer);
	c->timer.data = c->process.data = c;
	c->open_handles = NUM_PIPES + 1;
	int rc = spawn(c, loop, plan);
	if (rc < 0)
		return refuse(c, rc, why);
	converse(c);
	if (out != NULL)
		*out = c;
	return EC_OK;
}

void command_cancel(struct command_run *c)
{
	if (c == NULL || c->over)
		return;
	kill_group(c, SIGKILL);
	close_all(c);
}
