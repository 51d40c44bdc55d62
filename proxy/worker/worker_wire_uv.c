/* The supervisor's messages; worker_uv.h lists them. A message we can't use is
 * answered where it has an answer, logged where not, and changes nothing. */
#include <stdlib.h>
#include <string.h>

#include "base/log_fs.h"
#include "proxy/config_message.h"
#include "proxy/listen_fs.h"
#include "proxy/tls/channel_ssl.h"
#include "proxy/worker/conn_uv.h"
#include "proxy/worker/worker_parts_uv.h"

enum { LIST_MAX = 1000 };

static void complain(const char *what, const char *why)
{
	log_why(LOG_ERROR, "worker-message", what, why);
}

/* ---- config ---- */

static void apply_log(const struct config *cfg)
{
	log_setup((enum log_format)cfg->log.format, (enum log_level)cfg->log.level, "danegate");
}

static enum ec read_settings(json_t *message, struct settings **out, struct why *why)
{
	struct config *cfg = NULL;
	enum ec ec = config_message_parse(message, &cfg, why);
	return ec == EC_OK ? settings_new(cfg, json_object_get(message, "files"), out, why) : ec;
}

static void on_config(struct worker *w, json_t *message)
{
	struct settings *settings = NULL;
	struct why why = { 0 };
	json_int_t number = json_integer_value(json_object_get(message, "number"));
	if (read_settings(message, &settings, &why) != EC_OK) {
		complain("config", why.text);
		wire_send_json(w->wire, json_pack("{s:I, s:s}", "configured", number, "why", why.text));
		return;
	}
	bool first = w->work.settings == NULL;
	settings_unref(w->work.settings);
	w->work.settings = settings;
	apply_log(settings->config);
	wire_send_json(w->wire, json_pack("{s:I}", "configured", number));
	routes_forget(w->work.routes);
	worker_set_drained(w, json_object_get(message, "drained"));
	if (!first) {
		probe_again(w->probe);
		return;
	}
	if (privilege_drop(settings->config->user, &why) != EC_OK) {
		worker_fail(w, "privileges", why.text);
		return;
	}
	w->probe = probe_start(&w->work);
	if (w->probe == NULL)
		worker_fail(w, "probe", "out of memory");
}

/* ---- identities ---- */

static struct slice json_slice(json_t *object, const char *key)
{
	json_t *v = json_object_get(object, key);
	return json_is_string(v) ? slice_of(json_string_value(v), json_string_length(v)) : (struct slice){ 0 };
}

static enum ec read_source(const char *name, json_int_t generation, json_t *key, struct snapshot_source *out, struct why *why)
{
	*out = (struct snapshot_source){
		.identity = name,
		.generation = (uint64_t)generation,
		.key_pem = json_slice(key, "key_pem"),
		.chain_pem = json_slice(key, "chain_pem"),
	};
	if (!key_algorithm_parse(json_slice(key, "algorithm"), &out->algorithm))
		return why_set(why, EC_SYNTAX, "%s: unknown algorithm", name);
	if (out->key_pem.p == NULL || out->chain_pem.p == NULL)
		return why_set(why, EC_MISSING, "%s: no key or no chain", name);
	return EC_OK;
}

static enum ec take_identity(struct snapshot *draft, json_t *identity, struct why *why)
{
	struct snapshot_source sources[KEY_NUM_ALGORITHMS];
	const char *name = json_string_value(json_object_get(identity, "name"));
	json_t *keys = json_object_get(identity, "keys");
	json_int_t generation = json_integer_value(json_object_get(identity, "generation"));
	size_t num = json_array_size(keys);
	if (name == NULL || generation <= 0 || num == 0 || num > KEY_NUM_ALGORITHMS)
		return why_set(why, EC_SYNTAX, "malformed identity");
	enum ec ec = EC_OK;
	for (size_t i = 0; ec == EC_OK && i < num; i++)
		ec = read_source(name, generation, json_array_get(keys, i), &sources[i], why);
	return ec == EC_OK ? snapshot_put(draft, sources, num, why) : ec;
}

static enum ec read_seed(json_t *message, uint8_t seed[SNAPSHOT_SEED_SIZE], struct why *why)
{
	struct slice text = json_slice(message, "seed");
	if (!hex_decode(seed, SNAPSHOT_SEED_SIZE, text))
		return why_set(why, EC_SYNTAX, "seed: %d hex digits are needed", 2 * SNAPSHOT_SEED_SIZE);
	return EC_OK;
}

/* find_base finds what the message changes: NULL for all of it anew. */
static enum ec find_base(struct worker *w, json_t *message, struct snapshot **out, struct why *why)
{
	json_t *epochs = json_object_get(message, "base"), *epoch;
	size_t i;
	*out = NULL;
	if (epochs == NULL)
		return EC_OK;
	json_array_foreach(epochs, i, epoch) {
		if (w->work.snapshot != NULL && snapshot_epoch(w->work.snapshot) == (uint64_t)json_integer_value(epoch)) {
			*out = w->work.snapshot;
			return EC_OK;
		}
	}
	return why_set(why, EC_MISSING, "a change of identities that are not those served");
}

static enum ec begin_draft(struct worker *w, json_t *message, uint64_t epoch, struct why *why)
{
	uint8_t seed[SNAPSHOT_SEED_SIZE];
	struct snapshot *base = NULL;
	snapshot_unref(w->draft);
	w->draft = NULL;
	w->draft_parts = 0;
	enum ec ec = read_seed(message, seed, why);
	if (ec == EC_OK)
		ec = find_base(w, message, &base, why);
	if (ec == EC_OK)
		ec = snapshot_begin(base, seed, epoch, &w->draft);
	wipe(seed, sizeof seed);
	return ec;
}

static enum ec take_part(struct worker *w, json_t *message, struct why *why)
{
	json_t *gone = json_object_get(message, "gone"), *name;
	json_t *identities = json_object_get(message, "identities"), *identity;
	enum ec ec = EC_OK;
	size_t i;
	json_array_foreach(gone, i, name) {
		if (ec == EC_OK)
			ec = json_is_string(name) ? snapshot_drop(w->draft, json_string_value(name)) : EC_SYNTAX;
	}
	json_array_foreach(identities, i, identity) {
		if (ec == EC_OK)
			ec = take_identity(w->draft, identity, why);
	}
	w->draft_parts++;
	return ec;
}

/* serve puts the draft in force. */
static enum ec serve(struct worker *w, json_t *message, struct why *why)
{
	const char *standard = json_string_value(json_object_get(message, "default"));
	enum ec ec = standard == NULL ? why_set(why, EC_MISSING, "no default identity") : EC_OK;
	if (ec == EC_OK)
		ec = snapshot_finish(w->draft, standard, why);
	if (ec == EC_OK)
		ec = channel_prepare(w->draft, why);
	if (ec != EC_OK)
		return ec;
	/* From here on every new handshake presents these. */
	snapshot_unref(w->work.snapshot);
	w->work.snapshot = w->draft;
	w->draft = NULL;
	counters_set(w->work.counters, COUNT_EPOCH, snapshot_epoch(w->work.snapshot));
	return EC_OK;
}

static void on_identities(struct worker *w, json_t *message)
{
	struct why why = { 0 };
	json_int_t epoch = json_integer_value(json_object_get(message, "epoch"));
	json_int_t part = json_integer_value(json_object_get(message, "part"));
	bool more = json_is_true(json_object_get(message, "more"));
	if (part != 0 && (w->draft == NULL || snapshot_epoch(w->draft) != (uint64_t)epoch))
		return; /* the rest of what was refused */
	enum ec ec = EC_OK;
	if (part == 0)
		ec = begin_draft(w, message, (uint64_t)epoch, &why);
	else if ((uint64_t)part != w->draft_parts)
		ec = why_set(&why, EC_MISSING, "part %lld is not the next one", (long long)part);
	if (ec == EC_OK)
		ec = take_part(w, message, &why);
	if (ec == EC_OK && more)
		return;
	if (ec == EC_OK)
		ec = serve(w, message, &why);
	if (ec == EC_OK) {
		wire_send_json(w->wire, json_pack("{s:I}", "ack", epoch));
		return;
	}
	snapshot_unref(w->draft);
	w->draft = NULL;
	const char *words = why.text[0] != '\0' ? why.text : ec_text(ec);
	complain("identities", words);
	wire_send_json(w->wire, json_pack("{s:I, s:s}", "nack", epoch, "why", words));
}

/* ---- the small ones ---- */

static void on_listen(struct worker *w, json_t *message)
{
	struct why why = { 0 };
	(void)message;
	if (w->door == NULL)
		return; /* draining */
	if (w->work.settings == NULL || w->work.snapshot == NULL)
		complain("listen", "before configuration and identities");
	else if (door_open(w->door, &why) != EC_OK)
		worker_fail(w, "listen", why.text);
}

static void on_pause(struct worker *w, json_t *message)
{
	(void)message;
	if (w->door != NULL)
		door_shut(w->door);
}

static void on_sessions(struct worker *w, json_t *message)
{
	json_int_t id = json_integer_value(json_object_get(message, "id"));
	json_int_t more = w->work.num_conns > LIST_MAX ? (json_int_t)(w->work.num_conns - LIST_MAX) : 0;
	wire_send_json(w->wire, json_pack("{s:I, s:o, s:I}", "sessions", id, "list", conn_list(&w->work, LIST_MAX),
	                                  "more", more));
}

static void on_drain(struct worker *w, json_t *message)
{
	(void)message;
	worker_drain(w);
}

static const struct {
	const char *name;
	void (*act)(struct worker *w, json_t *message);
} messages[] = {
	{ "config", on_config },     { "identities", on_identities }, { "listen", on_listen },
	{ "pause", on_pause },       { "sessions", on_sessions },     { "drain", on_drain },
	{ "route", worker_on_route }, { "hop", worker_on_hop },
};

void worker_on_line(void *arg, struct wire *wire, char *line, size_t len)
{
	struct worker *w = arg;
	(void)wire;
	json_t *message = json_loadb(line, len, 0, NULL);
	const char *name = json_string_value(json_object_get(message, "do"));
	size_t i = 0;
	while (name != NULL && i < sizeof messages / sizeof *messages && strcmp(messages[i].name, name) != 0)
		i++;
	if (name == NULL || i == sizeof messages / sizeof *messages)
		complain("supervisor", "message not understood");
	else
		messages[i].act(w, message);
	json_decref(message);
}
