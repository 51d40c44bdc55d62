#include "tlsa-sync/details.h"

#include <stdio.h>
#include <string.h>

#include "tlsa-sync/certify.h"
#include "tlsa-sync/words.h"

/* A line is put together in a bounded buffer and cleaned before it is shown: names
 * and reasons come from other machines. */
static enum ec add_line(struct bytes *out, const char *label, char *text)
{
	for (char *p = text; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == 127)
			*p = '?';
	char head[32];
	int n = snprintf(head, sizeof head, "  %-11s ", label);
	enum ec ec = bytes_append(out, slice_of(head, (size_t)n));
	if (ec == EC_OK)
		ec = bytes_append(out, slice_str(text));
	return ec == EC_OK ? bytes_append(out, SLICE_LIT("\n")) : ec;
}

/* Whose key a record is of: "generation 7 of instance 1, presented". */
static void owner_of(const struct facts *f, const struct tlsa *t, char *out, size_t size)
{
	struct writer w = writer_of(out, size);
	for (size_t i = 0; i < f->num_keys; i++) {
		const struct fact_key *k = &f->keys[i];
		const struct fact_instance *in = &f->instances[k->instance];
		struct tlsa of = tlsa_311(k->spki_sha256);
		if (!tlsa_eq(&of, t))
			continue;
		const char *role = k->generation == in->presented ? "presented" : generation_role_name(
			generation_role_of(k->generation, in->active));
		writer_format(&w, "%s%s generation %llu, %s", w.len > 0 ? "; " : "", key_algorithm_name(k->algorithm),
		              (unsigned long long)k->generation, role);
	}
	if (w.len == 0)
		writer_str(&w, facts_ours(f, t) ? "ours once, its key is gone" : "not ours");
}

static enum ec published(const struct view *v, struct bytes *out)
{
	const struct facts *f = v->facts;
	struct tlsa_set seen = { 0 };
	for (size_t i = 0; i < f->num_servers; i++)
		(void)!tlsa_set_union(&seen, &f->servers[i].set);
	struct tlsa_set all = v->decision.wanted;
	(void)!tlsa_set_union(&all, &seen);
	enum ec ec = EC_OK;
	for (unsigned i = 0; ec == EC_OK && i < all.num; i++) {
		unsigned have = 0;
		unsigned of = 0;
		for (size_t s = 0; s < f->num_servers; s++) {
			of += !f->servers[s].alias;
			have += tlsa_set_has(&f->servers[s].set, &all.items[i]);
		}
		char record[TLSA_TEXT_SIZE];
		char owner[256];
		char line[640];
		tlsa_print(record, &all.items[i]);
		owner_of(f, &all.items[i], owner, sizeof owner);
		(void)snprintf(line, sizeof line, "%.28s  on %u of %u servers  (%s)", record, have, of, owner);
		ec = add_line(out, tlsa_set_has(&v->decision.wanted, &all.items[i]) ? "record" : "unwanted", line);
	}
	return ec;
}

static enum ec instances(const struct view *v, struct bytes *out)
{
	const struct facts *f = v->facts;
	enum ec ec = EC_OK;
	for (unsigned i = 0; ec == EC_OK && i < f->num_instances; i++) {
		const struct fact_instance *in = &f->instances[i];
		char line[FACT_NAME + 3 * FACT_WORDS];
		if (in->failed.count_ms != 0 || in->heard.count_ms == 0)
			(void)snprintf(line, sizeof line, "%s  does not answer: %s", in->name,
			               in->words[0] != '\0' ? in->words : "not asked yet");
		else
			(void)snprintf(line, sizeof line, "%s  presents generation %llu, next is %llu%s%s", in->name,
			               (unsigned long long)in->presented, (unsigned long long)facts_standby(f, i),
			               in->words[0] != '\0' ? "; " : "", in->words);
		ec = add_line(out, "instance", line);
	}
	return ec;
}

/* The certificates presented: who gave them, until when, and when they are renewed. */
static enum ec certificates(const struct view *v, struct bytes *out)
{
	const struct facts *f = v->facts;
	enum ec ec = EC_OK;
	for (size_t i = 0; ec == EC_OK && i < f->num_keys; i++) {
		const struct fact_key *k = &f->keys[i];
		const struct fact_instance *in = &f->instances[k->instance];
		if (k->generation != in->presented || !k->certified)
			continue;
		char line[FACT_NAME + 256], until[WALL_TEXT_SIZE], due[WALL_TEXT_SIZE] = "";
		int64_t due_s = certify_due_s(v->policy, k);
		wall_print(until, k->not_after);
		if (due_s > v->now.wall.s && due_s != INT64_MAX)
			wall_print(due, (struct wall){ due_s });
		(void)snprintf(line, sizeof line, "%s  %s generation %llu, %s, until %s%s%s", in->name,
		               key_algorithm_name(k->algorithm), (unsigned long long)k->generation,
		               k->self_signed ? "self-signed" : "from a CA", until, due[0] != '\0' ? "; to be renewed from " : "", due);
		ec = add_line(out, "certificate", line);
	}
	if (ec == EC_OK && f->issue.asked.count_ms != 0 && f->issue.outcome == OUTCOME_SENT) {
		char line[160], since[WALL_TEXT_SIZE];
		wall_print(since, f->issue.asked.wall);
		(void)snprintf(line, sizeof line, "the command runs for generation %llu, %s, since %s",
		               (unsigned long long)f->issue.generation, key_algorithm_name(f->issue.algorithm), since);
		ec = add_line(out, "issuer", line);
	}
	return ec;
}

void details_server(const struct view *v, unsigned server, struct why *out)
{
	const struct fact_server *s = &v->facts->servers[server];
	bool good = s->silent.count_ms == 0 && s->answered.count_ms != 0 && s->validity == VALIDITY_SECURE;
	if (!good || (!s->alias && !tlsa_set_covers(&s->set, &v->decision.wanted))) {
		words_lacking(v->facts, v->policy, server, &v->decision.wanted, v->now, out);
		return;
	}
	char until[WALL_TEXT_SIZE];
	wall_print(until, s->signature_expires);
	if (s->alias) {
		(void)why_set(out, EC_OK, "has the alias, TTL %u s, signed until %s", s->ttl_s, until);
		return;
	}
	if (v->decision.wanted.num == 0) {
		(void)why_set(out, EC_OK, "serves %u records, and none is wanted, serial %u, TTL %u s, signed until %s", s->set.num, s->serial,
		              s->ttl_s, until);
		return;
	}
	(void)why_set(out, EC_OK, "serves all %u records, serial %u, TTL %u s, signed until %s", v->decision.wanted.num, s->serial,
	              s->ttl_s, until);
}

static enum ec servers(const struct view *v, struct bytes *out)
{
	const struct facts *f = v->facts;
	enum ec ec = EC_OK;
	if (f->num_servers == 0 || f->zone_failed.count_ms != 0) {
		char line[FACT_WORDS + 64];
		(void)snprintf(line, sizeof line, "its servers could not be found%s%s", f->zone_words[0] != '\0' ? ": " : " yet",
		               f->zone_words);
		ec = add_line(out, "zone", line);
	}
	for (unsigned i = 0; ec == EC_OK && i < f->num_servers; i++) {
		char name[WORDS_SERVER];
		char line[WORDS_SERVER + WHY_SIZE + 32];
		struct why why = { 0 };
		words_server(name, &f->servers[i]);
		details_server(v, i, &why);
		/* The words may begin with the name, which stands there already. */
		size_t len = strlen(name);
		const char *verdict = strncmp(why.text, name, len) == 0 && why.text[len] == ' ' ? why.text + len + 1 : why.text;
		(void)snprintf(line, sizeof line, "%s  %s", name, verdict);
		ec = add_line(out, "server", line);
	}
	return ec;
}

static const char *activity_words(enum rollover_action activity)
{
	static const char *const words[RA_NUM_ACTIONS] = {
		[RA_NONE] = "waiting",
		[RA_RECORD] = "deciding",
		[RA_FIND] = "finding the zone's servers",
		[RA_LOOK] = "asking every server and instance",
		[RA_PREPARE] = "having the next key prepared",
		[RA_UPDATE] = "sending an update",
		[RA_CERTIFY] = "getting a certificate",
		[RA_SWAP] = "having the key swapped",
		[RA_PROBE] = "probing every address",
		[RA_RETIRE] = "having the old key deleted",
	};
	return words[activity];
}

static enum ec countdown(const struct view *v, struct bytes *out)
{
	char line[160];
	struct writer w = writer_of(line, sizeof line);
	writer_str(&w, activity_words(v->activity));
	int64_t left_s = v->decision.at.s == 0 ? 0 : v->decision.at.s - v->now.wall.s;
	if (left_s > 0) {
		char left[DURATION_TEXT_SIZE];
		duration_print(left, left_s);
		writer_format(&w, "; %s to go", left);
	}
	if (v->next_update_s > 0) {
		char left[DURATION_TEXT_SIZE];
		duration_print(left, v->next_update_s);
		writer_format(&w, "; the update is tried again in %s", left);
	}
	return add_line(out, "now", line);
}

enum ec details_text(const struct view *v, struct bytes *out)
{
	enum ec ec = bytes_append(out, slice_str(v->facts->identity));
	if (ec == EC_OK)
		ec = bytes_append(out, SLICE_LIT("\n"));
	if (ec == EC_OK)
		ec = published(v, out);
	if (ec == EC_OK)
		ec = instances(v, out);
	if (ec == EC_OK)
		ec = certificates(v, out);
	if (ec == EC_OK)
		ec = servers(v, out);
	if (ec == EC_OK)
		ec = countdown(v, out);
	if (ec == EC_OK && v->trouble[0] != '\0') {
		char line[WHY_SIZE];
		(void)snprintf(line, sizeof line, "%s", v->trouble);
		ec = add_line(out, "trouble", line);
	}
	return ec;
}
