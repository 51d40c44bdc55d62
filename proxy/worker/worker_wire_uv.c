/* The supervisor's messages; worker_uv.h lists them. A message we can't use is
 * answered where it has an answer, logged where not, and changes nothing. */
#include <stdlib.h>
#include <string.h>

#include "base/log_fs.h"
#include "proxy/worker/conn_uv.h"
#include "proxy/listen_fs.h"
#include "proxy/tls/channel_ssl.h"
#include "proxy/worker/worker_parts_uv.h"

enum { SOURCES_MAX = 1 << 20, LIST_MAX = 1000 };

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
	const char *text = NULL, *name = "danegate.yaml";
	size_t len = 0;
	struct config *cfg = NULL;
	if (json_unpack(message, "{s:s%, s?s}", "text", &text, &len, "name", &name) != 0)
		return why_set(why, EC_SYNTAX, "malformed");
	struct config_errors *errs = calloc(1, sizeof *errs);
	if (errs == NULL)
		return why_set(why, EC_NO_MEMORY, "out of memory");
	/* The supervisor has parsed the same text. */
	enum ec ec = config_parse(slice_of(text, len), name, &cfg, errs);
	if (ec != EC_OK)
		(void)why_set(why, ec, "%s", errs->items[0]);
	free(errs);
	return ec == EC_OK ? settings_new(cfg, out, why) : ec;
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

struct gathered {
	struct snapshot_source *sources;
	size_t num;
};

static enum ec gather_key(struct gathered *g, const char *name, json_int_t generation, json_t *key, struct why *why)
{
	struct snapshot_source s = {
		.identity = name,
		.generation = (uint64_t)generation,
		.key_pem = json_slice(key, "key_pem"),
		.chain_pem = json_slice(key, "chain_pem"),
	};
	if (!key_algorithm_parse(json_slice(key, "algorithm"), &s.algorithm))
		return why_set(why, EC_SYNTAX, "%s: unknown algorithm", name);
	if (s.key_pem.p == NULL || s.chain_pem.p == NULL)
		return why_set(why, EC_MISSING, "%s: no key or no chain", name);
	struct snapshot_source *more = realloc(g->sources, (g->num + 1) * sizeof *more);
	if (more == NULL)
		return why_set(why, EC_NO_MEMORY, "out of memory");
	g->sources = more;
	g->sources[g->num++] = s;
	return EC_OK;
}

static enum ec gather(struct gathered *g, json_t *identities, struct why *why)
{
	size_t i, j;
	json_t *identity, *key;
	json_array_foreach(identities, i, identity) {
		const char *name = json_string_value(json_object_get(identity, "name"));
		json_t *keys = json_object_get(identity, "keys");
		json_int_t generation = json_integer_value(json_object_get(identity, "generation"));
		if (name == NULL || generation <= 0 || !json_is_array(keys) || g->num >= SOURCES_MAX)
			return why_set(why, EC_SYNTAX, "malformed identity");
		json_array_foreach(keys, j, key) {
			enum ec ec = gather_key(g, name, generation, key, why);
			if (ec != EC_OK)
				return ec;
		}
	}
	return EC_OK;
}

static enum ec read_seed(json_t *message, uint8_t seed[SNAPSHOT_SEED_SIZE], struct why *why)
{
	struct slice text = json_slice(message, "seed");
	if (!hex_decode(seed, SNAPSHOT_SEED_SIZE, text))
		return why_set(why, EC_SYNTAX, "seed: %d hex digits are needed", 2 * SNAPSHOT_SEED_SIZE);
	return EC_OK;
}

static enum ec take_identities(struct worker *w, json_t *message, uint64_t epoch, struct why *why)
{
	uint8_t seed[SNAPSHOT_SEED_SIZE];
	struct gathered g = { 0 };
	struct snapshot *fresh = NULL;
	const char *standard = json_string_value(json_object_get(message, "default"));
	enum ec ec = standard == NULL ? why_set(why, EC_MISSING, "no default identity") : EC_OK;
	if (ec == EC_OK)
		ec = read_seed(message, seed, why);
	if (ec == EC_OK)
		ec = gather(&g, json_object_get(message, "identities"), why);
	if (ec == EC_OK)
		ec = snapshot_new(g.sources, g.num, standard, seed, epoch, &fresh, why);
	if (ec == EC_OK)
		ec = channel_prepare(fresh, why);
	if (ec == EC_OK) {
		/* From here on every new handshake presents these. */
		snapshot_unref(w->work.snapshot);
		w->work.snapshot = fresh;
		fresh = NULL;
		counters_set(w->work.counters, COUNT_EPOCH, epoch);
	}
	snapshot_unref(fresh);
	free(g.sources);
	wipe(seed, sizeof seed);
	return ec;
}

static void on_identities(struct worker *w, json_t *message)
{
	struct why why = { 0 };
	json_int_t epoch = json_integer_value(json_object_get(message, "epoch"));
	if (take_identities(w, message, (uint64_t)epoch, &why) == EC_OK) {
		wire_send_json(w->wire, json_pack("{s:I}", "ack", epoch));
		return;
	}
	complain("identities", why.text);
	wire_send_json(w->wire, json_pack("{s:I, s:s}", "nack", epoch, "why", why.text));
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

static json_t *names_of(uint32_t flags)
{
	static const struct {
		uint32_t flag;
		const char *name;
	} caps[] = {
		{ SMTP_CAP_PIPELINING, "PIPELINING" }, { SMTP_CAP_SIZE, "SIZE" },         { SMTP_CAP_STARTTLS, "STARTTLS" },
		{ SMTP_CAP_8BITMIME, "8BITMIME" },     { SMTP_CAP_ENHANCED, "ENHANCEDSTATUSCODES" },
		{ SMTP_CAP_DSN, "DSN" },               { SMTP_CAP_SMTPUTF8, "SMTPUTF8" }, { SMTP_CAP_CHUNKING, "CHUNKING" },
		{ SMTP_CAP_BINARYMIME, "BINARYMIME" }, { SMTP_CAP_REQUIRETLS, "REQUIRETLS" },
		{ SMTP_CAP_XCLIENT, "XCLIENT" },       { SMTP_CAP_XFORWARD, "XFORWARD" },   { SMTP_CAP_LIMITS, "LIMITS" },
	};
	json_t *list = json_array();
	for (size_t i = 0; i < sizeof caps / sizeof *caps; i++)
		if (flags & caps[i].flag)
			json_array_append_new(list, json_string(caps[i].name));
	return list;
}

void worker_tell_backend(struct work *work, bool up, const char *why)
{
	struct worker *w = (struct worker *)work;
	if (w->wire == NULL || (w->backend_said && w->backend_up == up && (!up || w->backend_flags == work->caps.flags)))
		return;
	w->backend_said = true;
	w->backend_up = up;
	w->backend_flags = work->caps.flags;
	json_t *state = up ? json_pack("{s:b, s:o}", "up", 1, "offers", names_of(work->caps.flags))
	                   : json_pack("{s:b, s:s}", "up", 0, "why", why);
	wire_send_json(w->wire, json_pack("{s:o}", "backend", state));
}
