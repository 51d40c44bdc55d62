/* daemon_open makes everything, lowest first; uv_run; daemon_close ends it in
 * reverse and lets the loop run until every handle has closed. */
#include "tlsa-sync/daemon_uv.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/log_fs.h"
#include "base/wire_uv.h"
#include "config/load_fs.h"
#include "tlsa-sync/clock_uv.h"
#include "tlsa-sync/serve_uv.h"
#include "tlsa-sync/stats_uv.h"

enum { SOCKET_MODE = 0660, LINE_MAX_BYTES = 65536 };

static const int signal_numbers[] = { SIGTERM, SIGINT, SIGHUP };
enum { NUM_SIGNALS = sizeof signal_numbers / sizeof signal_numbers[0] };

/* One connection of a command; kept in a list so that the end can close them. */
struct client {
	struct daemon *d;
	struct wire *wire;
	struct client *next;
	struct client **link;
};

struct daemon {
	uv_loop_t loop;
	const char *path;
	const struct config *cfg;
	struct controller_world world;
	struct mishaps mishaps;
	struct wire_listener *control;
	struct wire_listener *stats;
	uv_signal_t signals[NUM_SIGNALS];
	struct client *clients;
	struct wall started;
	struct config *next; /* the configuration to go on with */
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

static enum ec open_sockets(struct daemon *d, struct why *why)
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
	if (d->next != NULL)
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
	uv_stop(&d->loop);
}

static void open_signals(struct daemon *d)
{
	for (size_t i = 0; i < NUM_SIGNALS; i++) {
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

static enum ec open_controllers(struct daemon *d, struct why *why)
{
	struct controller_world *w = &d->world;
	size_t num = d->cfg->num_identities;
	w->controllers = calloc(num + 1, sizeof(struct controller *));
	if (w->controllers == NULL)
		return why_set(why, EC_NO_MEMORY, "out of memory");
	for (; w->num_controllers < num; w->num_controllers++) {
		enum ec ec = controller_new(w, w->num_controllers, &w->controllers[w->num_controllers], why);
		if (ec != EC_OK) {
			why_prefix(why, "%s", d->cfg->identities[w->num_controllers].name);
			return ec;
		}
	}
	return EC_OK;
}

static enum ec daemon_open(struct daemon *d, struct why *why)
{
	const struct config *cfg = d->cfg;
	d->started = clock_wall();
	d->world = (struct controller_world){ .loop = &d->loop, .cfg = cfg, .mishaps = &d->mishaps };
	enum ec ec = journal_open(cfg->tlsa_sync.journal, &d->world.journal, why);
	if (ec == EC_OK)
		ec = publisher_new(&d->loop, cfg, &d->world.publisher, why);
	if (ec == EC_OK)
		ec = open_agents(d, why);
	if (ec == EC_OK)
		ec = open_controllers(d, why);
	if (ec == EC_OK)
		ec = open_sockets(d, why);
	return ec;
}

static void daemon_close(struct daemon *d)
{
	struct controller_world *w = &d->world;
	wire_listener_close(d->control);
	wire_listener_close(d->stats);
	for (struct client *c = d->clients; c != NULL; c = c->next)
		wire_close(c->wire);
	for (size_t i = 0; i < w->num_controllers; i++)
		controller_free(w->controllers[i]);
	for (size_t i = 0; i < w->num_agents; i++)
		agent_free(w->agents[i]);
	for (size_t i = 0; i < NUM_SIGNALS; i++)
		if (d->signals[i].data != NULL)
			uv_close((uv_handle_t *)&d->signals[i], NULL);
}

static void daemon_fini(struct daemon *d)
{
	struct controller_world *w = &d->world;
	uv_run(&d->loop, UV_RUN_DEFAULT);
	free(w->controllers);
	free(w->agents);
	publisher_free(w->publisher);
	journal_close(w->journal);
	(void)uv_loop_close(&d->loop);
}

enum ec daemon_run(const char *path, const struct config *cfg, struct config **out_next, struct why *why)
{
	*out_next = NULL;
	struct daemon *d = calloc(1, sizeof *d);
	if (d == NULL)
		return why_set(why, EC_NO_MEMORY, "out of memory");
	d->path = path;
	d->cfg = cfg;
	if (uv_loop_init(&d->loop) < 0) {
		free(d);
		return why_set(why, EC_NO_MEMORY, "no event loop");
	}
	enum ec ec = daemon_open(d, why);
	if (ec == EC_OK) {
		open_signals(d);
		log_why(LOG_NOTICE, "start", NULL, "tlsa-sync " DANEGATE_VERSION " runs");
		for (size_t i = 0; i < d->world.num_controllers; i++)
			controller_start(d->world.controllers[i]);
		uv_run(&d->loop, UV_RUN_DEFAULT);
	}
	daemon_close(d);
	daemon_fini(d);
	*out_next = d->next;
	free(d);
	return ec;
}
