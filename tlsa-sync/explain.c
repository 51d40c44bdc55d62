/* Every line is put together in a bounded buffer and cleaned before it is shown, for
 * names and reasons come from other machines. */
#include "tlsa-sync/explain.h"

#include <stdio.h>
#include <string.h>

#include "tlsa-sync/details.h"
#include "tlsa-sync/sender.h"
#include "tlsa-sync/words.h"

enum { LINE = 1280 };

static enum ec line(struct bytes *out, const char *format, ...) __attribute__((format(printf, 2, 3), warn_unused_result));
static enum ec line(struct bytes *out, const char *format, ...)
{
	char text[LINE];
	va_list ap;
	va_start(ap, format);
	(void)vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	for (char *p = text; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == 127)
			*p = '?';
	enum ec ec = bytes_append(out, slice_str(text));
	return ec == EC_OK ? bytes_append(out, SLICE_LIT("\n")) : ec;
}

static enum ec heading(struct bytes *out, bool colour, const char *text)
{
	enum ec ec = bytes_append(out, slice_str(colour ? "\n\033[1m" : "\n"));
	if (ec == EC_OK)
		ec = bytes_append(out, slice_str(text));
	return ec == EC_OK ? bytes_append(out, slice_str(colour ? "\033[0m\n" : "\n")) : ec;
}

/* "14:05:00Z (in 1h3m)", or "5s ago". */
static void ago(char out[WORDS_COUNTDOWN], struct stamp t, struct stamp now)
{
	char text[DURATION_TEXT_SIZE];
	duration_print(text, now.wall.s > t.wall.s ? now.wall.s - t.wall.s : 0);
	(void)snprintf(out, WORDS_COUNTDOWN, "%s ago", text);
}

/* ---- why, and when it goes on ---- */

/* Who ends the wait: the clock, somebody else, or this program with what it does next. */
static void end_words(const struct view *v, struct why *out)
{
	const struct decision *d = &v->decision;
	char until[WORDS_COUNTDOWN];
	if (v->trouble[0] != '\0')
		(void)why_set(out, EC_OK, "nothing happens before this is mended: %s", v->trouble);
	else if (d->at.s > v->now.wall.s) {
		words_until(until, v->now, (d->at.s - v->now.wall.s) * 1000);
		(void)why_set(out, EC_OK, "goes on by itself at %s", until);
	} else if (d->state == RO_STEADY || d->state == RO_DISABLED)
		(void)why_set(out, EC_OK, "nothing is under way");
	else if (d->waiting_for[0] != '\0')
		(void)why_set(out, EC_OK, "goes on by itself once %s is as it should be; it is looked at every few seconds",
		              d->waiting_for);
	else
		(void)why_set(out, EC_OK, "is being worked on");
}

static enum ec why_part(const struct view *v, struct bytes *out)
{
	const struct decision *d = &v->decision;
	char since[WALL_TEXT_SIZE];
	struct why end = { 0 };
	wall_print(since, v->facts->shown_since);
	end_words(v, &end);
	enum ec ec = line(out, "%s is %s since %s", v->facts->identity, rollover_states[d->state].name, since);
	if (ec == EC_OK)
		ec = line(out, "  because   %s", d->why);
	if (ec == EC_OK)
		ec = line(out, "  it        %s", end.text);
	for (size_t i = 0; ec == EC_OK && i < d->num_alarms; i++)
		ec = line(out, "  alarm     %s", d->alarms[i]);
	return ec;
}

/* ---- the servers ---- */

static const char *role_of(const struct facts *f, const struct fact_key *k)
{
	const struct fact_instance *in = &f->instances[k->instance];
	return k->generation == in->presented ? "presented" : generation_role_name(generation_role_of(k->generation, in->active));
}

/* "generation 7, presented", of the first key the record is of. */
static void whose(const struct facts *f, const struct tlsa *t, char *out, size_t size)
{
	(void)snprintf(out, size, "%s", facts_ours(f, t) ? "ours, its key is gone" : "not ours");
	for (size_t i = 0; i < f->num_keys; i++) {
		const struct fact_key *k = &f->keys[i];
		enum record_form form = FORM_311;
		int d = facts_digest_of(f, t, &form);
		if (d < 0 || memcmp(f->digests[d].spki_sha256, k->spki_sha256, 32) != 0)
			continue;
		(void)snprintf(out, size, "%s generation %llu, %s", key_algorithm_name(k->algorithm), (unsigned long long)k->generation,
		               role_of(f, k));
		return;
	}
}

static enum ec record_lines(const struct view *v, const struct tlsa_set *set, const struct tlsa_set *of, const char *label,
                            struct bytes *out)
{
	enum ec ec = EC_OK;
	for (size_t i = 0; ec == EC_OK && i < set->num; i++) {
		char record[WORDS_RECORD];
		char owner[128];
		if (of != NULL && tlsa_set_has(of, &set->items[i]))
			continue;
		words_record(record, &set->items[i]);
		whose(v->facts, &set->items[i], owner, sizeof owner);
		ec = line(out, "      %-8s %s  (%s)", label, record, owner);
	}
	return ec;
}

static bool holds_up(const struct view *v, unsigned server)
{
	const struct fact_server *s = &v->facts->servers[server];
	bool good = s->silent.count_ms == 0 && s->answered.count_ms != 0 && s->validity == VALIDITY_SECURE;
	return !good || (!s->alias && !tlsa_set_covers(&s->set, &v->decision.wanted));
}

static enum ec server_lines(const struct view *v, unsigned i, struct bytes *out)
{
	const struct fact_server *s = &v->facts->servers[i];
	char name[WORDS_SERVER];
	char when[WORDS_COUNTDOWN] = "never";
	struct why why = { 0 };
	words_server(name, s);
	details_server(v, i, &why);
	size_t len = strlen(name);
	const char *verdict = strncmp(why.text, name, len) == 0 && why.text[len] == ' ' ? why.text + len + 1 : why.text;
	if (s->answered.count_ms != 0)
		ago(when, s->answered, v->now);
	enum ec ec = line(out, "  %s %s  %s", holds_up(v, i) ? "!" : " ", name, verdict);
	if (ec == EC_OK)
		ec = line(out, "      answered %s", when);
	if (ec == EC_OK && !s->alias)
		ec = record_lines(v, &s->set, NULL, "has", out);
	return ec == EC_OK && !s->alias ? record_lines(v, &v->decision.wanted, &s->set, "lacks", out) : ec;
}

/* ---- the instances and their keys ---- */

static void age_words(const struct view *v, const struct fact_key *k, struct why *out)
{
	struct age age = age_of(v->facts, v->policy, k->spki_sha256, v->now);
	struct why why = { 0 };
	if (v->facts->off.asked.count_ms != 0) {
		(void)why_set(out, EC_OK, "its record is withdrawn: DANE is being switched off, or is off");
		return;
	}
	words_age(v->facts, v->policy, &age, v->now, &why);
	(void)why_set(out, EC_OK, "%s%s", age.reason == AGE_OLD ? "aged: " : "not aged: ", why.text);
}

static enum ec instance_lines(const struct view *v, unsigned i, struct bytes *out)
{
	const struct facts *f = v->facts;
	const struct fact_instance *in = &f->instances[i];
	char when[WORDS_COUNTDOWN] = "never";
	if (in->heard.count_ms != 0)
		ago(when, in->heard, v->now);
	bool down = in->failed.count_ms != 0 || in->heard.count_ms == 0;
	enum ec ec = line(out, "  %s %s  %s%s%s, last report %s", down ? "!" : " ", in->name, down ? "does not answer" : "answers",
	                  in->words[0] != '\0' ? ": " : "", in->words, when);
	for (size_t n = 0; ec == EC_OK && n < f->num_keys; n++) {
		const struct fact_key *k = &f->keys[n];
		struct tlsa t = tlsa_311(k->spki_sha256);
		char record[WORDS_RECORD];
		struct why age = { 0 };
		if (k->instance != i)
			continue;
		words_record(record, &t);
		age_words(v, k, &age);
		ec = line(out, "      generation %llu, %s: %s %s; %s", (unsigned long long)k->generation, role_of(f, k),
		          key_algorithm_name(k->algorithm), record, age.text);
	}
	return ec;
}

/* ---- what a sender sees ---- */

static bool is_presented(const struct facts *f, const struct fact_key *k)
{
	return k->generation != 0 && k->generation == f->instances[k->instance].presented;
}

static enum ec asking_lines(const struct view *v, const struct fact_key *k, struct bytes *out)
{
	const struct facts *f = v->facts;
	enum ec ec = EC_OK;
	for (unsigned i = 0; ec == EC_OK && i < f->num_servers; i++) {
		const struct fact_server *s = &f->servers[i];
		char name[WORDS_SERVER];
		if (s->alias)
			continue;
		words_server(name, s);
		if (s->silent.count_ms != 0 || s->answered.count_ms == 0)
			ec = line(out, "      asking %s: no answer; it asks another server", name);
		else
			ec = line(out, "      asking %s: %s", name, sender_words(sender_sees(&s->set, s->validity, k, NULL)));
	}
	return ec;
}

static enum ec cache_line(const struct view *v, const struct fact_key *k, struct bytes *out)
{
	const struct fact_off *off = &v->facts->off;
	if (off->asked.count_ms != 0)
		return line(out, off->done.count_ms != 0 ? "      from a cache: none holds a record of ours any more"
		                                         : "      from a cache: some may hold our records, so this key has to stay");
	struct age age = age_of(v->facts, v->policy, k->spki_sha256, v->now);
	char until[WORDS_COUNTDOWN];
	if (age.reason == AGE_OLD)
		return line(out, "      from a cache: every set in any cache has its record");
	if (age.reason == AGE_NO_PROOF)
		return line(out, "      from a cache: some may hold a set without its record, for not every server is known to serve it");
	words_until(until, v->now, age.left_ms);
	return line(out, "      from a cache: until %s one may hold a set from before its record; with none at all in it mail is"
	                 " sent without DANE, with records of other keys alone it is deferred", until);
}

static enum ec sender_part(const struct view *v, struct bytes *out)
{
	const struct facts *f = v->facts;
	enum ec ec = EC_OK;
	bool any = false;
	for (size_t i = 0; ec == EC_OK && i < f->num_keys; i++) {
		const struct fact_key *k = &f->keys[i];
		struct tlsa t = tlsa_311(k->spki_sha256);
		char record[WORDS_RECORD];
		if (!is_presented(f, k))
			continue;
		any = true;
		words_record(record, &t);
		ec = line(out, "    that meets generation %llu of %s (%s %s)", (unsigned long long)k->generation,
		          f->instances[k->instance].name, key_algorithm_name(k->algorithm), record);
		if (ec == EC_OK)
			ec = asking_lines(v, k, out);
		if (ec == EC_OK)
			ec = cache_line(v, k, out);
	}
	return ec == EC_OK && !any ? line(out, "    no instance is known to present a key") : ec;
}

enum ec explain_text(const struct view *v, bool colour, struct bytes *out)
{
	const struct facts *f = v->facts;
	enum ec ec = why_part(v, out);
	if (ec == EC_OK)
		ec = heading(out, colour, "the servers");
	if (ec == EC_OK && f->num_servers == 0)
		ec = line(out, "  ! could not be found%s%s", f->zone_words[0] != '\0' ? ": " : " yet", f->zone_words);
	for (unsigned i = 0; ec == EC_OK && i < f->num_servers; i++)
		ec = server_lines(v, i, out);
	if (ec == EC_OK)
		ec = heading(out, colour, "the instances");
	for (unsigned i = 0; ec == EC_OK && i < f->num_instances; i++)
		ec = instance_lines(v, i, out);
	if (ec == EC_OK)
		ec = heading(out, colour, "a sender now");
	return ec == EC_OK ? sender_part(v, out) : ec;
}

/* ---- for programs ---- */

static json_t *json_words(const char *s)
{
	json_t *j = json_string(s);
	return j != NULL ? j : json_string("(not text)");
}

static json_t *key_sees(const struct view *v, const struct fact_key *k)
{
	const struct facts *f = v->facts;
	json_t *servers = json_array();
	struct age age = age_of(f, v->policy, k->spki_sha256, v->now);
	char hex[65];
	hex_encode(hex, slice_of(k->spki_sha256, 32));
	for (unsigned i = 0; i < f->num_servers; i++) {
		const struct fact_server *s = &f->servers[i];
		bool silent = s->silent.count_ms != 0 || s->answered.count_ms == 0;
		char name[WORDS_SERVER];
		words_server(name, s);
		if (!s->alias)
			(void)json_array_append_new(servers, json_pack("{s:o, s:s}", "server", json_words(name), "sender", silent ? "silent"
			                            : sender_name(sender_sees(&s->set, s->validity, k, NULL))));
	}
	return json_pack("{s:o, s:I, s:s, s:s, s:b, s:I, s:o}", "instance", json_words(f->instances[k->instance].name), "generation",
	                 (json_int_t)k->generation, "algorithm", key_algorithm_name(k->algorithm), "spki_sha256", hex, "in_every_cache",
	                 (int)(age.reason == AGE_OLD), "left_s", (json_int_t)((age.left_ms + 999) / 1000), "servers", servers);
}

json_t *explain_json(const struct view *v)
{
	const struct facts *f = v->facts;
	struct why end = { 0 };
	json_t *presented = json_array();
	json_t *waiting = json_array();
	end_words(v, &end);
	for (size_t i = 0; i < f->num_keys; i++)
		if (is_presented(f, &f->keys[i]))
			(void)json_array_append_new(presented, key_sees(v, &f->keys[i]));
	for (unsigned i = 0; i < f->num_servers; i++) {
		char name[WORDS_SERVER];
		struct why why = { 0 };
		words_server(name, &f->servers[i]);
		details_server(v, i, &why);
		(void)json_array_append_new(waiting, json_pack("{s:o, s:b, s:o}", "server", json_words(name), "holds_up",
		                            (int)holds_up(v, i), "words", json_words(why.text)));
	}
	return json_pack("{s:o, s:s, s:o, s:o, s:o, s:I, s:o, s:o}", "identity", json_words(f->identity), "state",
	                 rollover_states[v->decision.state].name, "why", json_words(v->decision.why), "waiting_for",
	                 json_words(v->decision.waiting_for), "ends", json_words(end.text), "at", (json_int_t)v->decision.at.s,
	                 "servers", waiting, "presented", presented);
}
