#include "proxy/super/supervisor_uv.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/log_fs.h"
#include "config/load_fs.h"
#include "proxy/super/control_uv.h"
#include "proxy/listen_fs.h"
#include "proxy/super/reload_uv.h"
#include "proxy/super/stats_uv.h"
#include "proxy/super/ways_uv.h"
#include "proxy/super/trust_files_fs.h"

enum { OWN_NAMES_MAX = 10000, WORKERS_MAX = 256 };

struct wall supervisor_now(void)
{
	return (struct wall){ (int64_t)time(NULL) };
}

void supervisor_mishap(struct supervisor *s, const char *what, const char *where, const char *why)
{
	if (mishaps_add(&s->mishaps, supervisor_now(), what, where, why))
		log_why(LOG_ERROR, what, where, why);
}

/* --- one change at a time -------------------------------------------------- */

enum ec change_begin(struct supervisor *s, struct why *why, const char *format, ...)
{
	if (s->draining)
		return why_set(why, EC_CANCELLED, "danegate is stopping");
	if (s->change[0] != '\0')
		return why_set(why, EC_BUSY, "another change is under way: %s; try again", s->change);
	va_list ap;
	va_start(ap, format);
	(void)vsnprintf(s->change, sizeof s->change, format, ap);
	va_end(ap);
	return EC_OK;
}

static void on_reloaded(void *arg, enum ec ec, const struct why *why, json_t *details);

void change_end(struct supervisor *s)
{
	s->change[0] = '\0';
	if (s->draining)
		return;
	if (s->reload_wanted) {
		s->reload_wanted = false;
		reload_run(s, on_reloaded, s);
	} else {
		watch_settle(s);
	}
}

/* --- signals ------------------------------------------------------------------ */

/* The outcome was logged, and is in `show errors`; only a signal that came in the
 * middle of another change waits for its end. */
static void on_reloaded(void *arg, enum ec ec, const struct why *why, json_t *details)
{
	struct supervisor *s = arg;
	(void)why;
	(void)details;
	if (ec == EC_BUSY)
		s->reload_wanted = true;
}

static void on_signal(uv_signal_t *h, int number)
{
	struct supervisor *s = h->data;
	if (number == SIGHUP) {
		reload_run(s, on_reloaded, s);
	} else {
		log_why(LOG_NOTICE, "stop", NULL, s->draining ? "asked twice: sessions are cut off" : "draining: running transactions are finished first");
		supervisor_stop(s);
	}
}

static void signals_start(struct supervisor *s)
{
	static const int numbers[] = { SIGHUP, SIGTERM, SIGINT };
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		uv_signal_init(&s->loop, &s->signals[i]);
		s->signals[i].data = s;
		s->num_signals++;
		int r = uv_signal_start(&s->signals[i], on_signal, numbers[i]);
		if (r < 0)
			supervisor_mishap(s, "signal", strsignal(numbers[i]), uv_strerror(r));
	}
}

/* --- what the router says ---------------------------------------------------------- */

static void on_answer(void *arg, struct question_asker asker, json_t *answer)
{
	struct supervisor *s = arg;
	if (s->crew != NULL && crew_at(s->crew, asker.worker).restarts == asker.life)
		crew_send(s->crew, asker.worker, answer);
	else
		json_decref(answer);
}

static void on_router_mishap(void *arg, const char *why)
{
	supervisor_mishap(arg, "router", NULL, why);
}

static void on_question(struct supervisor *s, unsigned worker, const json_t *question)
{
	const struct question_asker asker = { .worker = worker, .life = crew_at(s->crew, worker).restarts };
	ways_ask(s->ways, asker, question);
}

/* configure_router gives the router what the workers got, and the names of this machine: it must
 * not send a domain's mail back here. */
static enum ec configure_router(struct supervisor *s, struct slice text)
{
	json_t *names = json_array();
	bool ok = names != NULL && json_array_append_new(names, json_string(s->cfg->proxy.hostname)) == 0;
	for (size_t i = 0; ok && i < s->cfg->num_identities && i < OWN_NAMES_MAX; i++)
		ok = json_array_append_new(names, json_string(s->cfg->identities[i].name)) == 0;
	if (ok)
		return ways_configure(s->ways, s->cfg, text, names);
	json_decref(names);
	return EC_NO_MEMORY;
}

/* --- what the workers say -------------------------------------------------------- */

static void on_mishap(void *arg, const char *what, const char *where, const char *why)
{
	supervisor_mishap(arg, what, where, why);
}

/* Each worker tells for itself; the last word is what is shown. */
static void on_message(void *arg, unsigned worker, json_t *message)
{
	struct supervisor *s = arg;
	const json_t *backend = json_object_get(message, "backend"), *ledger = json_object_get(message, "ledger");
	if (json_object_get(message, "route") != NULL) {
		on_question(s, worker, message);
		return;
	}
	const struct exit_said *said = backend == NULL ? NULL : exits_state_note(&s->exits, backend);
	if (said != NULL && !said->up)
		supervisor_mishap(s, "backend", said->name, said->why.text);
	if (ledger != NULL && ledger_merge(&s->exits.ledger, ledger) != EC_OK)
		supervisor_mishap(s, "ledger", NULL, "a worker's counts were not understood, or there is no memory for them");
}

/* --- exceptions that are over ------------------------------------------------------ */

enum { EXCEPTIONS_MS = 60000 };

static void tell_expired(void *arg, const struct config_connector *c, const char *words)
{
	supervisor_mishap(arg, "connector", c->name, words);
}

static void on_exceptions(uv_timer_t *t)
{
	struct supervisor *s = t->data;
	exits_expired(s->cfg, supervisor_now(), tell_expired, s);
}

/* --- the end ------------------------------------------------------------------------ */

static void on_drained(void *arg)
{
	struct supervisor *s = arg;
	guard_free(s->guard);
	s->guard = NULL;
	crew_free(s->crew);
	s->crew = NULL;
	ways_free(s->ways);
	s->ways = NULL;
	control_close(s);
	stats_close(s);
	exits_state_fini(&s->exits);
	uv_close((uv_handle_t *)&s->exceptions, NULL);
	for (unsigned i = 0; i < s->num_signals; i++)
		uv_close((uv_handle_t *)&s->signals[i], NULL);
	s->num_signals = 0;
}

void supervisor_stop(struct supervisor *s)
{
	if (!s->draining)
		watch_stop(s);
	s->draining = true;
	crew_drain(s->crew, s->cfg->proxy.drain_timeout_ms, on_drained, s);
}

/* --- the start ------------------------------------------------------------------------ */

static unsigned worker_count(const struct config *cfg)
{
	unsigned n = cfg->proxy.workers > 0 ? (unsigned)cfg->proxy.workers : uv_available_parallelism();
	return n > WORKERS_MAX ? WORKERS_MAX : n;
}

/* Workers have no use for the list of identities, which may be a very long one; a
 * configuration has at least the default one. */
enum ec supervisor_configure(struct supervisor *s, json_t *files, crew_configured *done, void *arg)
{
	struct config one = *s->cfg;
	struct bytes text = { 0 };
	one.num_identities = 1;
	enum ec ec = config_dump(&one, &text);
	if (ec == EC_OK)
		ec = crew_configure(s->crew, (const char *)bytes_slice(&text).p, bytes_len(&text), s->cfg->file_name, files, done, arg);
	else
		json_decref(files);
	if (ec == EC_OK)
		ec = configure_router(s, bytes_slice(&text));
	bytes_fini(&text);
	return ec;
}

static enum ec open_identities(struct supervisor *s, struct why *why)
{
	s->keeper.items = calloc(s->cfg->num_identities, sizeof *s->keeper.items);
	if (s->keeper.items == NULL)
		return why_set(why, EC_NO_MEMORY, "out of memory");
	for (size_t i = 0; i < s->cfg->num_identities; i++) {
		enum ec ec = identity_new(&s->cfg->identities[i], &s->keeper.items[i], why);
		if (ec != EC_OK)
			return ec;
		s->keeper.num = i + 1;
		if (i < KEEPER_READ_NOW)
			ec = identity_read(&s->keeper, s->keeper.items[i], supervisor_now(), why);
		if (ec != EC_OK)
			return ec;
	}
	if (keeper_index(s->keeper.items, s->keeper.num, &s->keeper.index) != EC_OK || watch_room(s, s->keeper.num) != EC_OK)
		return why_set(why, EC_NO_MEMORY, "out of memory");
	return EC_OK;
}

static enum ec open_all(struct supervisor *s, struct why *why)
{
	const struct crew_events events = { .on_mishap = on_mishap, .on_message = on_message };
	struct listeners listeners = { 0 };
	json_t *files = NULL;
	enum ec ec = listeners_open(&s->cfg->proxy.listen, worker_count(s->cfg), &listeners, why);
	if (ec != EC_OK)
		return ec;
	ec = crew_new(&s->loop, &listeners, events, s, &s->crew, why);
	s->ways = ways_new(&s->loop, (struct ways_events){ .on_answer = on_answer, .on_mishap = on_router_mishap }, s);
	if (ec == EC_OK && s->ways == NULL)
		ec = why_set(why, EC_NO_MEMORY, "out of memory");
	if (ec == EC_OK)
		ec = privilege_drop(s->cfg->user, why);
	if (ec == EC_OK)
		ec = keeper_open(&s->keeper, s->cfg->state_dir, why);
	if (ec == EC_OK)
		ec = control_open(s, why);
	if (ec == EC_OK)
		ec = stats_open(s, why);
	if (ec == EC_OK)
		ec = guard_new(&s->loop, &s->cfg->dns, &s->guard, why);
	if (ec == EC_OK)
		ec = open_identities(s, why);
	if (ec == EC_OK)
		ec = trust_files_read(s->cfg, &files, why);
	if (ec == EC_OK && exits_state_set(&s->exits, s->cfg) != EC_OK)
		ec = why_set(why, EC_NO_MEMORY, "out of memory");
	if (ec == EC_OK && supervisor_configure(s, files, NULL, NULL) != EC_OK)
		ec = why_set(why, EC_NO_MEMORY, "out of memory");
	return ec;
}

static enum ec load(struct supervisor *s)
{
	struct config_errors *errs = calloc(1, sizeof *errs);
	if (errs == NULL)
		return EC_NO_MEMORY;
	enum ec ec = config_load(s->config_path, CONFIG_FOR_DANEGATE, &s->cfg, errs);
	for (size_t i = 0; i < errs->num; i++)
		(void)fprintf(stderr, "%s\n", errs->items[i]);
	if (errs->more > 0)
		(void)fprintf(stderr, "%s: and %zu more errors\n", s->config_path, errs->more);
	free(errs);
	return ec;
}

static int loop_end(struct supervisor *s, int status)
{
	uv_run(&s->loop, UV_RUN_DEFAULT);
	agenda_fini(&s->watch.agenda);
	keeper_close(&s->keeper);
	config_free(s->cfg);
	(void)uv_loop_close(&s->loop);
	wipe(s->seed, sizeof s->seed);
	free(s);
	return status;
}

int supervisor_run(const char *path)
{
	struct supervisor *s = calloc(1, sizeof *s);
	struct why why = { 0 };
	if (s == NULL)
		return 1;
	s->config_path = path;
	s->since = supervisor_now();
	if (load(s) != EC_OK) {
		free(s);
		return 2;
	}
	log_setup((enum log_format)s->cfg->log.format, (enum log_level)s->cfg->log.level, "danegate");
	wire_secrets();
	(void)signal(SIGPIPE, SIG_IGN);
	if (uv_loop_init(&s->loop) != 0 || getrandom(s->seed, sizeof s->seed, 0) != sizeof s->seed) {
		config_free(s->cfg);
		free(s);
		return 1;
	}
	signals_start(s);
	uv_timer_init(&s->loop, &s->exceptions);
	s->exceptions.data = s;
	if (open_all(s, &why) != EC_OK) {
		log_why(LOG_ERROR, "start", path, why.text);
		on_drained(s);
		return loop_end(s, 1);
	}
	log_why(LOG_NOTICE, "start", path, "danegate " DANEGATE_VERSION);
	crew_start(s->crew);
	watch_start(s);
	uv_timer_start(&s->exceptions, on_exceptions, 0, EXCEPTIONS_MS);
	uv_run(&s->loop, UV_RUN_DEFAULT);
	log_why(LOG_NOTICE, "stopped", NULL, "all workers have ended");
	return loop_end(s, 0);
}
