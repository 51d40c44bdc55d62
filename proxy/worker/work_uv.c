#include "proxy/worker/work_uv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/siphash.h>

#include "base/network.h"
#include "proxy/worker/conn_uv.h"

static enum ec read_networks(const struct config_list *list, struct network **out, size_t *out_num, struct why *why)
{
	if (list->num == 0)
		return EC_OK;
	*out = calloc(list->num, sizeof **out);
	if (*out == NULL)
		return why_set(why, EC_NO_MEMORY, "out of memory");
	enum ec ec = EC_OK;
	for (; ec == EC_OK && *out_num < list->num; ++*out_num)
		ec = network_parse(slice_str(list->items[*out_num]), &(*out)[*out_num], why);
	return ec;
}

enum ec settings_new(struct config *config, const json_t *files, struct settings **out, struct why *why)
{
	struct settings *s = calloc(1, sizeof *s);
	if (s == NULL) {
		config_free(config);
		return why_set(why, EC_NO_MEMORY, "out of memory");
	}
	*s = (struct settings){ .config = config, .owned = config, .refs = 1 };
	const struct config_smtp *smtp = &config->smtp;
	s->limits = (struct smtp_limits){
		.hostname = config->proxy.hostname,
		.max_message_size = smtp->max_message_size,
		.max_recipients = (uint32_t)smtp->max_recipients,
		.max_commands = (uint32_t)smtp->max_commands,
		.max_errors = (uint32_t)smtp->max_errors,
		.max_transactions = (uint32_t)smtp->max_transactions,
		.bare_newline = smtp->bare_newline == CONFIG_BARE_NORMALIZE ? SMTP_BARE_NORMALIZE : SMTP_BARE_REJECT,
	};
	s->clients = (struct clients_limits){ config->limits.sessions, config->limits.sessions_per_address,
		                              config->limits.sessions_per_prefix };
	enum ec ec = exits_new(config, files, &s->exits, why);
	s->limits.connectors = s->exits.table;
	if (ec == EC_OK)
		ec = read_networks(&config->proxy.proxy_protocol_from, &s->balancers, &s->num_balancers, why);
	if (ec == EC_OK)
		ec = read_networks(&smtp->bare_newline_exempt, &s->exempt, &s->num_exempt, why);
	if (ec != EC_OK) {
		settings_unref(s);
		return ec;
	}
	*out = s;
	return EC_OK;
}

struct settings *settings_ref(struct settings *s)
{
	s->refs++;
	return s;
}

void settings_unref(struct settings *s)
{
	if (s == NULL || --s->refs > 0)
		return;
	exits_fini(&s->exits);
	config_free(s->owned);
	free(s->balancers);
	free(s->exempt);
	free(s);
}

bool settings_balancer(const struct settings *s, const struct sockaddr_storage *peer)
{
	return networks_have(s->balancers, s->num_balancers, peer);
}

bool settings_exempt(const struct settings *s, const struct sockaddr_storage *client)
{
	return networks_have(s->exempt, s->num_exempt, client);
}

/* The tick runs only while something is watched: an idle worker sleeps. */
static void on_tick(uv_timer_t *t)
{
	struct work *w = t->data;
	struct deadline *d;
	while ((d = deadlines_next(&w->deadlines, work_now(w))) != NULL)
		conn_on_deadline(d);
	if (w->deadlines.num == 0)
		uv_timer_stop(t);
}

enum ec work_init(struct work *w, struct counters *counters, struct census *census, unsigned slot, struct why *why)
{
	memset(w, 0, sizeof *w);
	w->counters = counters;
	w->census = census;
	int r = uv_loop_init(&w->loop);
	if (r < 0)
		return why_set(why, EC_IO, "%s", uv_strerror(r));
	w->clients = clients_new(census, slot, SIPHASH_24);
	if (w->clients == NULL)
		return why_set(why, EC_NO_MEMORY, "out of memory");
	r = uv_random(NULL, NULL, &w->next_id, sizeof w->next_id, 0, NULL);
	if (r < 0)
		return why_set(why, EC_IO, "no random bytes: %s", uv_strerror(r));
	uv_timer_init(&w->loop, &w->tick);
	w->tick.data = w;
	deadlines_init(&w->deadlines, work_now(w));
	return EC_OK;
}

struct mono work_now(const struct work *w)
{
	/* Never zero, which means "unset" to a deadline. */
	return (struct mono){ (int64_t)uv_now(&w->loop) + 1 };
}

void work_count(struct work *w, enum counter which)
{
	counters_add(w->counters, which, 1);
}

void work_count_by(struct work *w, enum counter which, int64_t by)
{
	counters_add(w->counters, which, by);
}

void work_count_refused(struct work *w, enum clients_verdict verdict)
{
	static const enum counter refused[] = {
		[CLIENTS_OVER_SESSIONS] = COUNT_REFUSED_SESSIONS,
		[CLIENTS_OVER_ADDRESS] = COUNT_REFUSED_ADDRESS,
		[CLIENTS_OVER_PREFIX] = COUNT_REFUSED_PREFIX,
	};
	work_count(w, refused[verdict]);
}

/* splitmix64: a permutation of 64 bits, so ids differ as long as the numbers do. */
void work_new_id(struct work *w, char out[WORK_ID_SIZE])
{
	uint64_t z = w->next_id += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	z ^= z >> 31;
	hex_encode(out, slice_of(&z, sizeof z));
}

enum ec work_route(struct work *w, struct exit_way *way, const char *domain, struct route **out, routes_found *found,
                   void *arg, struct routes_wait **out_wait, struct why *why)
{
	struct mono now = work_now(w);
	if (way->fixed_way)
		return exit_fixed_route(way, now, (struct wall){ (int64_t)time(NULL) }, out, why);
	*out = routes_get(w->routes, way->name, domain, now);
	if (*out != NULL)
		return EC_OK;
	enum ec ec = routes_want(w->routes, way->name, domain, found, arg, out_wait);
	return ec == EC_OK ? EC_AGAIN : why_set(why, ec, "nobody can be asked for the route");
}

struct opening_setup exit_opening(const struct exits *exits, const struct exit_way *way, const struct config *cfg,
                                  struct route *route)
{
	return (struct opening_setup){
		.route = route,
		.hostname = slice_str(cfg->proxy.hostname),
		.lmtp = way->config->protocol == CONFIG_LMTP,
		.ca = way->ca,
		.system = exits->system,
		.pins = way->pins,
		.num_pins = way->num_pins,
	};
}

struct opening_setup work_opening(struct work *w, const struct settings *s, size_t i, struct route *route)
{
	struct opening_setup setup = exit_opening(&s->exits, &s->exits.ways[i], s->config, route);
	setup.loop = &w->loop;
	setup.scratch = w->from_backend;
	setup.health = &w->health;
	setup.chance = ++w->next_chance;
	return setup;
}

void work_saw_exit(struct work *w, struct settings *s, size_t i, const struct smtp_caps *caps)
{
	exits_saw(&s->exits, i, caps, work_now(w));
	if (w->on_exit != NULL)
		w->on_exit(w, &s->exits.ways[i], true, "");
}

void work_missed_exit(struct work *w, struct settings *s, size_t i, const char *why)
{
	if (w->on_exit != NULL)
		w->on_exit(w, &s->exits.ways[i], false, why);
}

void work_trust(struct work *w, const struct exit_way *way, struct slice domain, enum trust trust,
                enum smtp_reply_id refused)
{
	if (w->on_trust != NULL)
		w->on_trust(w, way, domain, trust, refused);
}

void work_watch(struct work *w, struct deadline *d, struct mono at)
{
	if (w->deadlines.num == 0) {
		/* The wheel stood still: start it from here. */
		deadlines_skip(&w->deadlines, work_now(w));
		uv_timer_start(&w->tick, on_tick, DEADLINES_TICK_MS, DEADLINES_TICK_MS);
	}
	deadline_set(&w->deadlines, d, at);
}

void work_unwatch(struct work *w, struct deadline *d)
{
	deadline_clear(&w->deadlines, d);
}
