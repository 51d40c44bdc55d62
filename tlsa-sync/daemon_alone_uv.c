/* What a command does where no daemon runs. daemon_look: journal read and let go -> every
 * controller looks once -> the request is answered. daemon_drive: journal held -> look ->
 * the request is carried out -> the controllers go on by themselves, as in the
 * daemon, until the job says that it is over. */
#include "tlsa-sync/daemon_in_uv.h"

#include <string.h>
#include <unistd.h>

#include "tlsa-sync/serve_uv.h"

/* One look takes the slowest server's time-out and the search before it. */
enum { LOOK_MAX_MS = 20000, TICK_MS = 250 };

struct alone {
	struct daemon *d;
	const struct daemon_job *job; /* NULL: only look */
	struct request request;       /* how the job's stands, for `tick` */
	size_t pending;               /* controllers that have not looked yet */
	uv_timer_t timer;
};

static void alone_go_on(struct alone *a);

static void on_late(uv_timer_t *t)
{
	struct alone *a = t->data;
	a->pending = 0;
	alone_go_on(a); /* what has not answered by now is told as silent */
}

static void on_looked(void *arg)
{
	struct alone *a = arg;
	if (a->pending > 0 && --a->pending == 0)
		alone_go_on(a);
}

static void alone_look(struct alone *a)
{
	struct controller_world *w = &a->d->world;
	a->pending = w->num_controllers;
	w->looked = on_looked;
	w->looked_arg = a;
	uv_timer_start(&a->timer, on_late, LOOK_MAX_MS, 0);
	for (size_t i = 0; i < w->num_controllers; i++)
		controller_start(w->controllers[i]);
}

static void on_tick(uv_timer_t *t)
{
	struct alone *a = t->data;
	json_t *answer = serve_request(a->d, &a->request);
	if (a->job->tick(a->job->arg, answer))
		uv_stop(&a->d->loop);
	json_decref(answer);
}

/* Everything has been looked at: from here on the controllers act. */
static void alone_go_on(struct alone *a)
{
	struct controller_world *w = &a->d->world;
	uv_timer_stop(&a->timer);
	if (a->job == NULL) {
		uv_stop(&a->d->loop);
		return;
	}
	w->looked = NULL;
	enum daemon_next next;
	do {
		json_t *answer = serve_request(a->d, a->job->request);
		next = a->job->answered(a->job->arg, answer);
		json_decref(answer);
	} while (next == DAEMON_AGAIN);
	if (next == DAEMON_STOP) {
		uv_stop(&a->d->loop);
		return;
	}
	for (size_t i = 0; i < w->num_controllers; i++)
		controller_start(w->controllers[i]);
	uv_timer_start(&a->timer, on_tick, TICK_MS, TICK_MS);
}

static void alone_run(struct alone *a)
{
	uv_timer_init(&a->d->loop, &a->timer);
	a->timer.data = a;
	alone_look(a);
	uv_run(&a->d->loop, UV_RUN_DEFAULT);
}

static void alone_end(struct alone *a)
{
	if (a->timer.data != NULL)
		uv_close((uv_handle_t *)&a->timer, NULL);
	daemon_end(a->d);
}

/* Without a journal there is nothing to remember: then only what is seen now is told. */
static enum ec read_journal(struct daemon *d, struct why *why)
{
	return access(d->cfg->tlsa_sync.journal, F_OK) == 0 ? daemon_open_journal(d, why) : EC_OK;
}

enum ec daemon_look(const struct config *cfg, const struct request *r, json_t **out, struct why *why)
{
	struct alone a = { 0 };
	*out = NULL;
	enum ec ec = daemon_make(cfg, &a.d, why);
	if (ec != EC_OK)
		return ec;
	struct controller_world *w = &a.d->world;
	ec = read_journal(a.d, why);
	if (ec == EC_OK)
		ec = daemon_open_controllers(a.d, why);
	if (ec == EC_OK && r->verb != REQUEST_HISTORY) {
		journal_close(w->journal); /* a daemon may start meanwhile */
		w->journal = NULL;
		alone_run(&a);
	}
	if (ec == EC_OK && (*out = serve_request(a.d, r)) == NULL)
		ec = why_set(why, EC_NO_MEMORY, "out of memory");
	alone_end(&a);
	return ec;
}

enum ec daemon_drive(const struct config *cfg, const struct daemon_job *job, bool *out_interrupted, struct why *why)
{
	struct alone a = { .job = job, .request = { .verb = REQUEST_ROLL } };
	struct why ignored = { 0 };
	memcpy(a.request.identity, job->request->identity, sizeof a.request.identity);
	*out_interrupted = false;
	enum ec ec = daemon_make(cfg, &a.d, why);
	if (ec != EC_OK)
		return ec;
	ec = daemon_open_journal(a.d, why);
	if (ec == EC_OK)
		ec = daemon_open_publisher(a.d, why);
	if (ec == EC_OK)
		ec = daemon_open_controllers(a.d, why);
	if (ec == EC_OK) {
		/* so that `status` works meanwhile; where it can't be, the roll is no worse for it */
		(void)!daemon_open_sockets(a.d, &ignored);
		daemon_open_signals(a.d);
		alone_run(&a);
		*out_interrupted = a.d->interrupted;
	}
	alone_end(&a);
	return ec;
}
