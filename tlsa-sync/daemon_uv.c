/* daemon_open makes everything, lowest first; uv_run; daemon_end ends it in
 * reverse and lets the loop run until every handle has closed. */
#include "tlsa-sync/daemon_uv.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/log_fs.h"
#include "config/load_fs.h"
#include "tlsa-sync/clock_uv.h"
#include "tlsa-sync/daemon_in_uv.h"
#include "tlsa-sync/serve_uv.h"
#include "tlsa-sync/stats_uv.h"

enum { SOCKET_MODE = 0660, LINE_MAX_BYTES = 65536, JOURNAL_RETRY_MS = 5000 };

static const int signal_numbers[DAEMON_SIGNALS] = { SIGTERM, SIGINT, SIGHUP };

/* One connection of a command; kept in a list so that the end can close them. */
struct client {
	struct daemon *d;
	struct wire *wire;
	struct client *next;
	struct client **link;
};

struct controller_world *daemon_world(struct daemon *d)
{
	return &d->world;
}

struct wall daemon_started(const struct daemon *d)
{
	return d->started;
}

enum ec daemon_find(struct daemon *d, const char *identity, size_t *out, struct why *why)
{
	const struct controller_world *w = &d->world;
	*out = 0;
	bool named = identity != NULL && identity[0] != '\0';
	if (!named && w->num_controllers == 1)
		return EC_OK;
	char names[256];
	struct writer names_w = writer_of(names, sizeof names);
	for (size_t i = 0; i < w->num_controllers; i++) {
		const char *name = controller_identity(w->controllers[i]);
		if (named && strcasecmp(name, identity) == 0) {
			*out = i;
			return EC_OK;
		}
		writer_format(&names_w, "%s%s", i > 0 ? ", " : "", name);
	}
	if (!named)
		return why_set(why, EC_MISSING, "which identity? There are %s", names);
	return why_set(why, EC_NOT_FOUND, "there is no identity %.100s here; there is %s", identity, names);
}

/* --- sockets --- */

static void *on_open(void *arg, struct wire *w)
{
	struct daemon *d = arg;
	struct client *c = calloc(1, sizeof *c);
	if (c == NULL) {
		wire_close(w);
		return NULL;
	}
	*c = (struct client){ .d = d, .wire = w, .next = d->clients, .link = &d->clients };
	if (c->next != NULL)
		c->next->link = &c->next;
	d->clients = c;
	return c;
}

static void on_wire_close(void *arg, struct wire *w, const char *why)
{
	struct client *c = arg;
	(void)w;
	(void)why;
	if (c == NULL)
		return;
	*c->link = c->next;
	if (c->next != NULL)
		c->next->link = c->link;
	free(c);
}

static void on_control_line(void *arg, struct wire *w, char *line, size_t len)
{
	struct client *c = arg;
	wire_send_json(w, serve_line(c->d, line, len));
}

static void on_stats_line(void *arg, struct wire *w, char *line, size_t len)
{
	struct client *c = arg;
	(void)len;
	struct bytes out = { 0 };
	if (stats_line(c->d, line, &out) == EC_OK)
		wire_send_text(w, bytes_slice(&out));
	bytes_fini(&out);
	wire_close(w);
}

enum ec daemon_open_sockets(struct daemon *d, struct why *why)
{
	const struct config_tlsa_sync *c = &d->cfg->tlsa_sync;
	struct wire_events control = { .on_line = on_control_line, .on_close = on_wire_close };
	struct wire_events stats = { .on_line = on_stats_line, .on_close = on_wire_close };
	enum ec ec = wire_listen(&d->loop, c->control_socket, SOCKET_MODE, LINE_MAX_BYTES, control, on_open, d, &d->control, why);
	return ec != EC_OK ? ec
	                   : wire_listen(&d->loop, c->stats_socket, SOCKET_MODE, LINE_MAX_BYTES, stats, on_open, d, &d->stats, why);
}

/* --- signals --- */

static void try_reload(struct daemon *d)
{
	if (d->next != NULL || d->path == NULL)
		return;
	struct config_errors *errs = calloc(1, sizeof *errs);
	if (errs == NULL)
		return;
	enum ec ec = config_load(d->path, CONFIG_FOR_TLSA_SYNC, &d->next, errs);
	for (size_t i = 0; ec != EC_OK && i < errs->num; i++)
		log_why(LOG_ERROR, "reload", "refused", errs->items[i]);
	if (ec != EC_OK)
		log_why(LOG_ERROR, "reload", NULL, "the new configuration is not used; the old one stays in force");
	else
		uv_stop(&d->loop);
	free(errs);
}

static void on_signal(uv_signal_t *s, int number)
{
	struct daemon *d = s->data;
	if (number == SIGHUP) {
		try_reload(d);
		return;
	}
	log_why(LOG_NOTICE, "stop", NULL, number == SIGTERM ? "SIGTERM" : "SIGINT");
	config_free(d->next);
	d->next = NULL;
	d->interrupted = true;
	uv_stop(&d->loop);
}

void daemon_open_signals(struct daemon *d)
{
	for (size_t i = 0; i < DAEMON_SIGNALS; i++) {
		uv_signal_init(&d->loop, &d->signals[i]);
		d->signals[i].data = d;
		uv_signal_start(&d->signals[i], on_signal, signal_numbers[i]);
	}
}

/* --- life --- */

static enum ec open_agents(struct daemon *d, struct why *why)
{
	const struct config_list *instances = &d->cfg->tlsa_sync.instances;
	struct controller_world *w = &d->world;
	w->agents = calloc(instances->num + 1, sizeof w->agents[0]);
	if (w->agents == NULL)
		return why_set(why, EC_NO_MEMORY, "out of memory");
	for (; w->num_agents < instances->num; w->num_agents++) {
		enum ec ec = agent_new(&d->loop, instances->items[w->num_agents], &w->agents[w->num_agents]);
		if (ec != EC_OK)
			return why_set(why, ec, "out of memory");
	}
	return EC_OK;
}

enum ec daemon_open_controllers(struct daemon *d, struct why *why)
{
	struct controller_world *w = &d->world;
	size_t num = d->cfg->num_identities;
	enum ec ec = open_agents(d, why);
	if (ec != EC_OK)
		return ec;
	w->controllers = calloc(num + 1, sizeof(struct controller *));
	if (w->controllers == NULL)
		return why_set(why, EC_NO_MEMORY, "out of memory");
	for (; w->num_controllers < num; w->num_controllers++) {
		ec = controller_new(w, w->num_controllers, &w->controllers[w->num_controllers], why);
		if (ec != EC_OK) {
			why_prefix(why, "%s", d->cfg->identities[w->num_controllers].name);
			return ec;
		}
	}
	return EC_OK;
}

enum ec daemon_make(const struct config *cfg, struct daemon **out, struct why *why)
{
	struct daemon *d = calloc(1, sizeof *d);
	*out = d;
	if (d == NULL)
		return why_set(why, EC_NO_MEMORY, "out of memory");
	if (uv_loop_init(&d->loop) < 0) {
		free(d);
		*out = NULL;
		return why_set(why, EC_NO_MEMORY, "no event loop");
	}
	d->cfg = cfg;
	d->started = clock_wall();
	d->world = (struct controller_world){ .loop = &d->loop, .cfg = cfg, .mishaps = &d->mishaps };
	enum ec ec = askers_new(&d->loop, cfg, &d->world.askers, why);
	if (ec != EC_OK) {
		(void)uv_loop_close(&d->loop);
		free(d);
		*out = NULL;
	}
	return ec;
}

enum ec daemon_open_journal(struct daemon *d, struct why *why)
{
	return journal_open(d->cfg->tlsa_sync.journal, &d->world.journal, why);
}

enum ec daemon_open_publisher(struct daemon *d, struct why *why)
{
	enum ec ec = events_new(&d->loop, &d->cfg->tlsa_sync.on_event, &d->mishaps, &d->world.events);
	return ec == EC_OK ? publisher_new(&d->loop, d->cfg, &d->world.publisher, why) : why_set(why, ec, "out of memory");
}

static void close_all(struct daemon *d)
{
	struct controller_world *w = &d->world;
	wire_listener_close(d->control);
	wire_listener_close(d->stats);
	for (struct client *c = d->clients; c != NULL; c = c->next)
		wire_close(c->wire);
	for (size_t i = 0; i < w->num_controllers; i++)
		controller_free(w->controllers[i]);
	askers_free(w->askers);
	for (size_t i = 0; i < w->num_agents; i++)
		agent_free(w->agents[i]);
	events_free(w->events);
	w->events = NULL;
	if (d->retry.data != NULL)
		uv_close((uv_handle_t *)&d->retry, NULL);
	for (size_t i = 0; i < DAEMON_SIGNALS; i++)
		if (d->signals[i].data != NULL)
			uv_close((uv_handle_t *)&d->signals[i], NULL);
}

void daemon_end(struct daemon *d)
{
	struct controller_world *w = &d->world;
	close_all(d);
	uv_run(&d->loop, UV_RUN_DEFAULT);
	free(w->controllers);
	free(w->agents);
	publisher_free(w->publisher);
	journal_close(w->journal);
	(void)uv_loop_close(&d->loop);
	free(d);
}

/* --- the journal: without it nothing is done ---
 *
 * One that can't be opened or read is waited for: the sockets say why, and as soon as it is
 * mended (room on the disk, rights, moved away) everything begins by itself. Only
 * one that another tlsa-sync holds ends this one. */

static enum ec check_journal(struct daemon *d, struct why *why)
{
	enum ec ec = daemon_open_journal(d, why);
	for (size_t i = 0; ec == EC_OK && i < d->cfg->num_identities; i++) {
		struct facts *f = facts_new(d->cfg->identities[i].name);
		ec = f == NULL ? why_set(why, EC_NO_MEMORY, "out of memory") : journal_load(d->world.journal, f, why);
		free(f);
	}
	if (ec != EC_OK) {
		journal_close(d->world.journal);
		d->world.journal = NULL;
	}
	return ec;
}

static enum ec start_controllers(struct daemon *d, struct why *why)
{
	enum ec ec = daemon_open_controllers(d, why);
	for (size_t i = 0; ec == EC_OK && i < d->world.num_controllers; i++)
		controller_start(d->world.controllers[i]);
	return ec;
}

static void on_retry(uv_timer_t *t)
{
	struct daemon *d = t->data;
	struct why why = { 0 };
	enum ec ec = check_journal(d, &why);
	if (ec != EC_OK && ec != EC_BUSY) {
		if (mishaps_add(&d->mishaps, clock_wall(), "journal", d->cfg->tlsa_sync.journal, why.text))
			log_why(LOG_ERROR, "journal", NULL, why.text);
		d->no_journal = why;
		d->no_journal_ec = ec;
		return;
	}
	uv_timer_stop(t);
	d->no_journal = (struct why){ 0 };
	d->no_journal_ec = EC_OK;
	if (ec == EC_OK) {
		log_why(LOG_NOTICE, "journal", NULL, "it can be used now");
		ec = start_controllers(d, &why);
	}
	if (ec != EC_OK) {
		d->ended = ec;
		d->ended_why = why;
		uv_stop(&d->loop);
	}
}

enum ec daemon_no_journal(const struct daemon *d, struct why *why)
{
	*why = d->no_journal;
	return d->no_journal_ec;
}

static void wait_for_journal(struct daemon *d)
{
	uv_timer_init(&d->loop, &d->retry);
	d->retry.data = d;
	uv_timer_start(&d->retry, on_retry, 0, JOURNAL_RETRY_MS);
}

static enum ec daemon_open(struct daemon *d, struct why *why)
{
	enum ec journal = check_journal(d, &d->no_journal);
	d->no_journal_ec = journal;
	if (journal == EC_BUSY)
		return why_set(why, journal, "%s", d->no_journal.text);
	enum ec ec = daemon_open_publisher(d, why);
	if (ec == EC_OK)
		ec = daemon_open_sockets(d, why);
	if (ec == EC_OK && journal == EC_OK)
		ec = start_controllers(d, why);
	if (ec == EC_OK && journal != EC_OK)
		wait_for_journal(d);
	return ec;
}

enum ec daemon_run(const char *path, const struct config *cfg, bool again, struct config **out_next, struct why *why)
{
	*out_next = NULL;
	struct daemon *d;
	enum ec ec = daemon_make(cfg, &d, why);
	if (ec != EC_OK)
		return ec;
	d->path = path;
	d->world.again = again;
	ec = daemon_open(d, why);
	if (ec == EC_OK) {
		daemon_open_signals(d);
		log_why(LOG_NOTICE, "start", NULL, "tlsa-sync " DANEGATE_VERSION " runs");
		uv_run(&d->loop, UV_RUN_DEFAULT);
		ec = d->ended;
		if (ec != EC_OK)
			*why = d->ended_why;
	}
	*out_next = d->next;
	daemon_end(d);
	return ec;
}
