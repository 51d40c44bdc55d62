#include "proxy/super/stats.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *words;
	const char *help;
} commands[STATS_NUM] = {
	[STATS_HELP] = { "help", "this list" },
	[STATS_INFO] = { "show info", "state of the daemon, its workers and its backend" },
	[STATS_IDENTITIES] = { "show identities", "pin guard, keys on disk and their TLSA records" },
	[STATS_SESSIONS] = { "show sessions", "client sessions open now" },
	[STATS_ERRORS] = { "show errors", "recent errors: when, what, why" },
	[STATS_CONNECTORS] = { "show connectors", "where mail goes on: next hops, what is demanded of them, up or down" },
	[STATS_REPORT] = { "show report", "transactions by connector and domain: with which trust, refused why; the weakest link first" },
	[STATS_METRICS] = { "show metrics", "OpenMetrics text" },
};

void stats_age(char out[STATS_AGE_SIZE], int64_t s)
{
	if (s < 0)
		s = 0;
	if (s < 60)
		(void)snprintf(out, STATS_AGE_SIZE, "%llds", (long long)s);
	else if (s < 3600)
		(void)snprintf(out, STATS_AGE_SIZE, "%lldm%02llds", (long long)(s / 60), (long long)(s % 60));
	else if (s < 86400)
		(void)snprintf(out, STATS_AGE_SIZE, "%lldh%02lldm", (long long)(s / 3600), (long long)(s % 3600 / 60));
	else
		(void)snprintf(out, STATS_AGE_SIZE, "%lldd%02lldh", (long long)(s / 86400), (long long)(s % 86400 / 3600));
}

/* --- the command line ---------------------------------------------------- */

static struct slice next_word(struct slice *rest)
{
	while (rest->len > 0 && (rest->p[0] == ' ' || rest->p[0] == '\t'))
		*rest = slice_from(*rest, 1);
	size_t n = 0;
	while (n < rest->len && rest->p[n] != ' ' && rest->p[n] != '\t')
		n++;
	struct slice word = slice_first(*rest, n);
	*rest = slice_from(*rest, n);
	return word;
}

static bool same_words(struct slice line, const char *words)
{
	struct slice want = slice_str(words);
	for (;;) {
		struct slice a = next_word(&line);
		struct slice b = next_word(&want);
		if (!slice_eq_nocase(a, b))
			return false;
		if (a.len == 0)
			return true;
	}
}

enum ec stats_parse(struct slice line, enum stats_command *out, bool *out_json, struct why *why)
{
	struct slice rest = line;
	*out_json = slice_eq_nocase(next_word(&rest), SLICE_LIT("json"));
	if (*out_json)
		line = rest;
	for (unsigned i = 0; i < STATS_NUM; i++) {
		if (same_words(line, commands[i].words)) {
			*out = (enum stats_command)i;
			return EC_OK;
		}
	}
	char list[256];
	struct writer w = writer_of(list, sizeof list);
	for (unsigned i = 0; i < STATS_NUM; i++)
		writer_format(&w, "%s%s", i == 0 ? "" : ", ", commands[i].words);
	return why_set(why, EC_UNKNOWN_KEY, "unknown command; there are: %s; each with `json` before it too", list);
}

const char *stats_help(void)
{
	static char text[1024];
	if (text[0] == '\0') {
		struct writer w = writer_of(text, sizeof text);
		for (unsigned i = 0; i < STATS_NUM; i++)
			writer_format(&w, "%-18s%s\n", commands[i].words, commands[i].help);
		writer_str(&w, "json COMMAND      the same as JSON\n");
	}
	return text;
}

/* --- info ---------------------------------------------------------------- */

static uint64_t page_value(const struct stats_worker *w, enum counter which)
{
	return w->page == NULL || w->pid == 0 || !w->begun ? 0 : counters_get(w->page, which);
}

static enum ec put_worker(const struct stats_worker *w, struct wall now, struct bytes *out)
{
	char age[STATS_AGE_SIZE];
	stats_age(age, now.s - w->since.s);
	if (w->pid == 0)
		return bytes_format(out, "worker %-8u  down for %s: %s\n", w->number, age, w->why);
	return bytes_format(out, "worker %-8u  pid %lld, up %s, %llu sessions (%llu under TLS), %s%s, restarted %llu times\n", w->number,
	                    (long long)w->pid, age, (unsigned long long)page_value(w, COUNT_SESSIONS_OPEN),
	                    (unsigned long long)page_value(w, COUNT_SESSIONS_TLS),
	                    page_value(w, COUNT_LISTENING) != 0 ? "listening" : "not listening",
	                    w->acknowledged ? "" : ", has not taken the newest keys yet", (unsigned long long)w->restarts);
}

static enum ec put_router(const struct stats_router *r, struct wall now, struct bytes *out)
{
	char age[STATS_AGE_SIZE];
	stats_age(age, now.s - r->since.s);
	if (!r->wanted)
		return EC_OK;
	if (r->pid == 0)
		return bytes_format(out, "router           down for %s\n", age);
	return bytes_format(out, "router           pid %lld, up %s, %u questions, restarted %llu times\n", (long long)r->pid, age, r->open,
	                    (unsigned long long)r->restarts);
}

enum ec stats_info_text(const struct stats_info *i, struct bytes *out)
{
	char since[WALL_TEXT_SIZE], reloaded[WALL_TEXT_SIZE], age[STATS_AGE_SIZE];
	wall_print(since, i->since);
	wall_print(reloaded, i->reloaded);
	stats_age(age, i->now.s - i->since.s);
	enum ec ec = bytes_format(out,
	                          "program          danegate %s\ninstance         %s\npid              %lld\nstarted          %s (%s ago)\n"
	                          "configuration    %s, reloaded %s\nstate            %s%s%s\nchange           %s\n",
	                          i->version, i->instance, (long long)i->pid, since, age, i->config_file,
	                          i->reloaded.s == 0 ? "never" : reloaded, i->state, i->state_why[0] != '\0' ? ": " : "", i->state_why,
	                          i->change[0] != '\0' ? i->change : "none under way");
	for (size_t k = 0; ec == EC_OK && k < i->num_listen; k++)
		ec = bytes_format(out, "listen           %s\n", i->listen[k]);
	if (ec == EC_OK)
		ec = bytes_format(out, "backend          %s, %s\nidentities       %zu, %zu allowed by the pin guard; epoch %llu\nerrors           %llu\n",
		                  i->backend, i->backend_state, i->num_identities, i->num_allowed, (unsigned long long)i->epoch,
		                  (unsigned long long)i->num_errors);
	for (size_t k = 0; ec == EC_OK && k < i->num_workers; k++)
		ec = put_worker(&i->workers[k], i->now, out);
	return ec == EC_OK ? put_router(&i->router, i->now, out) : ec;
}

json_t *stats_info_json(const struct stats_info *i)
{
	json_t *workers = json_array();
	for (size_t k = 0; k < i->num_workers; k++) {
		const struct stats_worker *w = &i->workers[k];
		json_array_append_new(workers,
		                      json_pack("{s:i,s:I,s:b,s:I,s:I,s:I,s:b,s:b,s:s}", "number", (int)w->number, "pid", (json_int_t)w->pid,
		                                "up", w->pid != 0, "restarts", (json_int_t)w->restarts, "since", (json_int_t)w->since.s,
		                                "sessions", (json_int_t)page_value(w, COUNT_SESSIONS_OPEN), "listening",
		                                page_value(w, COUNT_LISTENING) != 0, "acknowledged", w->acknowledged, "why", w->why));
	}
	json_t *listen = json_array();
	for (size_t k = 0; k < i->num_listen; k++)
		json_array_append_new(listen, json_string(i->listen[k]));
	const struct stats_router *r = &i->router;
	json_t *router = !r->wanted ? NULL : json_pack("{s:I,s:b,s:I,s:I,s:i}", "pid", (json_int_t)r->pid, "up", r->pid != 0, "restarts",
	                                               (json_int_t)r->restarts, "since", (json_int_t)r->since.s, "questions", (int)r->open);
	return json_pack("{s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:s,s:s,s:s,s:s,s:o,s:{s:s,s:s},s:I,s:I,s:I,s:I,s:o,s:o*}", "program", "danegate",
	                 "version", i->version, "instance", i->instance, "pid", (json_int_t)i->pid, "now", (json_int_t)i->now.s,
	                 "since", (json_int_t)i->since.s, "reloaded", (json_int_t)i->reloaded.s, "config_file", i->config_file,
	                 "state", i->state, "why", i->state_why, "change", i->change, "listen", listen, "backend", "address",
	                 i->backend, "state", i->backend_state, "epoch", (json_int_t)i->epoch, "identities",
	                 (json_int_t)i->num_identities, "allowed", (json_int_t)i->num_allowed, "errors",
	                 (json_int_t)i->num_errors, "workers", workers, "router", router);
}

/* --- identities ---------------------------------------------------------- */

static const char *issuer_name(const struct key_info *k)
{
	return !k->certified ? "none" : k->issuer == CERT_SELF_SIGNED ? "self-signed" : "ca";
}

static enum ec put_key(const struct key_info *k, struct wall now, struct bytes *out)
{
	char record[TLSA_TEXT_SIZE], until[WALL_TEXT_SIZE], left[STATS_AGE_SIZE];
	struct tlsa t = tlsa_311(k->chain[0].spki_sha256);
	tlsa_print(record, &t);
	enum ec ec = bytes_format(out, "    %-13s  TLSA %s\n", key_algorithm_name(k->algorithm), record);
	if (ec != EC_OK || !k->certified)
		return ec != EC_OK ? ec : bytes_format(out, "    %13s  no certificate\n", "");
	wall_print(until, k->not_after);
	stats_age(left, k->not_after.s - now.s);
	return bytes_format(out, "    %13s  certificate %s, until %s (%s%s)\n", "", issuer_name(k), until,
	                    k->not_after.s < now.s ? "EXPIRED" : left, k->not_after.s < now.s ? "" : " left");
}

static enum ec put_generation(const struct generation *g, struct wall now, struct bytes *out)
{
	char made[WALL_TEXT_SIZE];
	wall_print(made, g->created);
	enum ec ec = bytes_format(out, "  generation %-4llu  %s, made %s\n", (unsigned long long)g->number, generation_role_name(g->role), made);
	for (size_t k = 0; ec == EC_OK && k < g->num_keys; k++)
		ec = put_key(&g->keys[k], now, out);
	return ec;
}

enum ec stats_identity_text(const struct stats_identity *id, struct wall now, struct bytes *out)
{
	char age[STATS_AGE_SIZE], next[STATS_AGE_SIZE];
	stats_age(age, now.s - id->verdict->at.s);
	stats_age(next, id->next_look.s - now.s);
	enum ec ec = bytes_format(out, "%s%s\n  guard            %s: %s\n", id->name, id->is_default ? " (default)" : "",
	                          guard_state_name(id->verdict->state), id->verdict->why.text);
	if (ec == EC_OK && id->verdict->at.s != 0)
		ec = bytes_format(out, "  looked           %s ago, again in %s\n", age, next);
	if (ec == EC_OK)
		ec = id->presented == 0 ? bytes_format(out, "  presented        nothing yet\n")
		                        : bytes_format(out, "  presented        generation %llu\n", (unsigned long long)id->presented);
	for (size_t k = 0; ec == EC_OK && k < id->num_generations; k++)
		ec = put_generation(&id->generations[k], now, out);
	for (size_t k = 0; ec == EC_OK && k < id->num_damaged; k++)
		ec = bytes_format(out, "  damaged          %s\n", id->damaged[k].text);
	return ec;
}

static void digest_json(json_t *out, const char *key, const uint8_t *digest, size_t len)
{
	char hex[2 * 64 + 1];
	hex_encode(hex, slice_of(digest, len));
	json_object_set_new(out, key, json_string(hex));
}

json_t *stats_generation_json(const struct generation *g)
{
	json_t *keys = json_array();
	for (size_t i = 0; i < g->num_keys; i++) {
		const struct key_info *k = &g->keys[i];
		char hex[65], record[TLSA_TEXT_SIZE];
		hex_encode(hex, slice_of(k->chain[0].spki_sha256, 32));
		struct tlsa t = tlsa_311(k->chain[0].spki_sha256);
		tlsa_print(record, &t);
		json_t *one = json_pack("{s:s,s:s,s:s,s:I,s:I,s:s,s:b}", "algorithm", key_algorithm_name(k->algorithm),
		                        "spki_sha256", hex, "tlsa", record, "not_before", (json_int_t)k->not_before.s, "not_after",
		                        (json_int_t)k->not_after.s, "issuer", issuer_name(k), "certified", k->certified);
		digest_json(one, "spki_sha512", k->chain[0].spki_sha512, 64);
		if (k->certified) {
			digest_json(one, "cert_sha256", k->chain[0].cert_sha256, 32);
			digest_json(one, "cert_sha512", k->chain[0].cert_sha512, 64);
		}
		if (k->certified && k->num_chain > 1) {
			digest_json(one, "issuer_spki_sha256", k->chain[1].spki_sha256, 32);
			digest_json(one, "issuer_cert_sha256", k->chain[1].cert_sha256, 32);
		}
		json_array_append_new(keys, one);
	}
	return json_pack("{s:I,s:s,s:I,s:o}", "number", (json_int_t)g->number, "role", generation_role_name(g->role), "created",
	                 (json_int_t)g->created.s, "keys", keys);
}

json_t *stats_identity_json(const struct stats_identity *id)
{
	json_t *generations = json_array();
	for (size_t k = 0; k < id->num_generations; k++)
		json_array_append_new(generations, stats_generation_json(&id->generations[k]));
	json_t *damaged = json_array();
	for (size_t k = 0; k < id->num_damaged; k++)
		json_array_append_new(damaged, json_string(id->damaged[k].text));
	return json_pack("{s:s,s:b,s:I,s:I,s:s,s:s,s:b,s:b,s:I,s:I,s:o,s:o}", "name", id->name, "default", id->is_default,
	                 "active", (json_int_t)id->active, "presented", (json_int_t)id->presented, "guard",
	                 guard_state_name(id->verdict->state), "why", id->verdict->why.text, "warning", id->verdict->warning,
	                 "pinned", id->verdict->pinned, "looked", (json_int_t)id->verdict->at.s, "next_look",
	                 (json_int_t)id->next_look.s, "generations", generations, "damaged", damaged);
}

/* --- sessions ------------------------------------------------------------ */

/* A worker passes on what a client said (HELO, SNI): shown without anything that
 * a terminal could take for a command. */
static void cell(char out[64], const json_t *session, const char *key)
{
	const json_t *v = json_object_get(session, key);
	if (json_is_integer(v))
		(void)snprintf(out, 64, "%lld", (long long)json_integer_value(v));
	else
		(void)snprintf(out, 64, "%.63s", json_is_string(v) && json_string_length(v) > 0 ? json_string_value(v) : "-");
	for (char *c = out; *c != '\0'; c++)
		if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 0x7f)
			*c = '?';
}

enum ec stats_sessions_text(json_t *list, uint64_t more, unsigned silent, struct bytes *out)
{
	static const struct {
		const char *key;
		int width;
	} columns[] = { { "worker", 6 }, { "id", 16 },      { "client", 28 }, { "age_s", 6 },    { "state", 12 },
		            { "tls", 8 },    { "messages", 8 }, { "sni", 24 },    { "helo", 24 } };
	enum ec ec = EC_OK;
	for (size_t c = 0; ec == EC_OK && c < sizeof columns / sizeof columns[0]; c++)
		ec = bytes_format(out, "%-*s ", columns[c].width, columns[c].key);
	if (ec == EC_OK)
		ec = bytes_format(out, "\n");
	size_t i;
	json_t *s;
	json_array_foreach(list, i, s) {
		for (size_t c = 0; ec == EC_OK && c < sizeof columns / sizeof columns[0]; c++) {
			char text[64];
			cell(text, s, columns[c].key);
			ec = bytes_format(out, "%-*s ", columns[c].width, text);
		}
		if (ec == EC_OK)
			ec = bytes_format(out, "\n");
	}
	if (ec == EC_OK && more > 0)
		ec = bytes_format(out, "and %llu more\n", (unsigned long long)more);
	if (ec == EC_OK && silent > 0)
		ec = bytes_format(out, "%u workers did not answer in time\n", silent);
	return ec;
}

/* --- errors -------------------------------------------------------------- */

enum ec stats_errors_text(const struct mishaps *m, struct bytes *out)
{
	if (m->num == 0)
		return bytes_format(out, "no errors\n");
	enum ec ec = EC_OK;
	for (size_t i = 0; ec == EC_OK && i < m->num; i++) {
		const struct mishap *x = mishaps_at(m, i);
		char when[WALL_TEXT_SIZE];
		wall_print(when, x->last);
		ec = bytes_format(out, "%s  %s%s%s: %s", when, x->what, x->where[0] != '\0' ? " " : "", x->where, x->why.text);
		if (ec == EC_OK && x->times > 1) {
			wall_print(when, x->first);
			ec = bytes_format(out, " (%llu times since %s)", (unsigned long long)x->times, when);
		}
		if (ec == EC_OK)
			ec = bytes_format(out, "\n");
	}
	return ec;
}

json_t *stats_errors_json(const struct mishaps *m)
{
	json_t *list = json_array();
	for (size_t i = 0; i < m->num; i++) {
		const struct mishap *x = mishaps_at(m, i);
		json_array_append_new(list, json_pack("{s:I,s:I,s:I,s:s,s:s,s:s}", "first", (json_int_t)x->first.s, "last",
		                                      (json_int_t)x->last.s, "times", (json_int_t)x->times, "what", x->what, "where",
		                                      x->where, "why", x->why.text));
	}
	return list;
}
