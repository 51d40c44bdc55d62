#include "tlsa-sync/metrics.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

/* The exposition under way; `ec` is the first error, after which nothing is added. */
struct text {
	struct bytes *out;
	enum ec ec;
};

static void add(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct text *t, const char *format, ...)
{
	char line[1024];
	va_list ap;
	va_start(ap, format);
	int n = vsnprintf(line, sizeof line, format, ap);
	va_end(ap);
	if (t->ec == EC_OK && n > 0)
		t->ec = bytes_append(t->out, slice_of(line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1));
}

/* Label values: backslash, quote and newline are escaped (OpenMetrics 4.1). */
static const char *label(char out[600], const char *value)
{
	size_t n = 0;
	for (; *value != '\0' && n < 590; value++) {
		if (*value == '\\' || *value == '"' || *value == '\n')
			out[n++] = '\\';
		out[n++] = *value == '\n' ? 'n' : *value;
	}
	out[n] = '\0';
	return out;
}

static void head(struct text *t, const char *name, const char *type, const char *help)
{
	add(t, "# TYPE tlsa_sync_%s %s\n# HELP tlsa_sync_%s %s\n", name, type, name, help);
}

static void states(struct text *t, const struct view *views, size_t num)
{
	head(t, "state", "stateset", "The state of the rollover of each identity.");
	char id[600];
	for (size_t i = 0; i < num; i++)
		for (unsigned s = 0; s < RO_NUM_STATES; s++)
			add(t, "tlsa_sync_state{identity=\"%s\",tlsa_sync_state=\"%s\"} %d\n", label(id, views[i].facts->identity),
			    rollover_states[s].name, views[i].decision.state == s);
	head(t, "state_age_seconds", "gauge", "How long the state has lasted.");
	for (size_t i = 0; i < num; i++) {
		const struct facts *f = views[i].facts;
		int64_t age = f->shown_since.s == 0 ? 0 : views[i].now.wall.s - f->shown_since.s;
		add(t, "tlsa_sync_state_age_seconds{identity=\"%s\"} %" PRId64 "\n", label(id, f->identity), age > 0 ? age : 0);
	}
	head(t, "alarms", "gauge", "Things a person should look at: see status.");
	for (size_t i = 0; i < num; i++)
		add(t, "tlsa_sync_alarms{identity=\"%s\"} %zu\n", label(id, views[i].facts->identity),
		    views[i].decision.num_alarms + (views[i].trouble[0] != '\0'));
}

static void servers(struct text *t, const struct view *views, size_t num)
{
	char id[600];
	head(t, "servers", "gauge", "Addresses of authoritative servers, by what they were last seen to serve.");
	for (size_t i = 0; i < num; i++) {
		const struct facts *f = views[i].facts;
		size_t agree = 0;
		size_t silent = 0;
		for (size_t s = 0; s < f->num_servers; s++) {
			const struct fact_server *row = &f->servers[s];
			if (row->silent.count_ms != 0 || row->answered.count_ms == 0)
				silent++;
			else if (row->validity == VALIDITY_SECURE &&
			         (row->alias || tlsa_set_covers(&row->set, &views[i].decision.wanted)))
				agree++;
		}
		(void)label(id, f->identity);
		add(t, "tlsa_sync_servers{identity=\"%s\",verdict=\"agree\"} %zu\n", id, agree);
		add(t, "tlsa_sync_servers{identity=\"%s\",verdict=\"silent\"} %zu\n", id, silent);
		add(t, "tlsa_sync_servers{identity=\"%s\",verdict=\"differ\"} %zu\n", id, f->num_servers - agree - silent);
	}
	head(t, "instances", "gauge", "danegate instances, by whether they answer.");
	for (size_t i = 0; i < num; i++) {
		const struct facts *f = views[i].facts;
		size_t up = 0;
		for (size_t k = 0; k < f->num_instances; k++)
			up += f->instances[k].heard.count_ms != 0 && f->instances[k].failed.count_ms == 0;
		(void)label(id, f->identity);
		add(t, "tlsa_sync_instances{identity=\"%s\",answers=\"yes\"} %zu\n", id, up);
		add(t, "tlsa_sync_instances{identity=\"%s\",answers=\"no\"} %zu\n", id, f->num_instances - up);
	}
}

/* Counters, one row per sample; rows of one family stand together, for each
 * family is printed in one piece. */
#define COUNT(member) offsetof(struct view_counts, member)
static const struct counter {
	const char *name;
	const char *help; /* NULL: the family of the row above goes on */
	const char *outcome;
	size_t offset;
} counters[] = {
	{ "updates", "DNS updates sent, by outcome.", "accepted", COUNT(updates[OUTCOME_OK]) },
	{ "updates", NULL, "refused", COUNT(updates[OUTCOME_FAILED]) },
	{ "updates", NULL, "unknown", COUNT(updates[OUTCOME_UNKNOWN]) },
	{ "certificates", "Runs of the issuer's command, by outcome.", "installed", COUNT(issues[OUTCOME_OK]) },
	{ "certificates", NULL, "failed", COUNT(issues[OUTCOME_FAILED]) },
	{ "certificates", NULL, "unknown", COUNT(issues[OUTCOME_UNKNOWN]) },
	{ "probes", "STARTTLS probes, by outcome.", "seen", COUNT(probes_seen) },
	{ "probes", NULL, "failed", COUNT(probes_failed) },
	{ "answers", "Questions to authoritative servers, by outcome.", "answered", COUNT(answers) },
	{ "answers", NULL, "silent", COUNT(silences) },
	{ "reports", "Reports of danegate instances, by outcome.", "heard", COUNT(reports) },
	{ "reports", NULL, "failed", COUNT(reports_failed) },
	{ "refusals", "What the guard or the journal stood in the way of.", "guard", COUNT(guard_refusals) },
	{ "refusals", NULL, "journal", COUNT(journal_failures) },
	{ "state_changes", "Changes of the shown state.", "any", COUNT(state_changes) },
};

static void counts(struct text *t, const struct view *views, size_t num)
{
	char id[600];
	for (size_t r = 0; r < sizeof counters / sizeof counters[0]; r++) {
		const struct counter *row = &counters[r];
		if (row->help != NULL)
			head(t, row->name, "counter", row->help);
		for (size_t i = 0; i < num; i++) {
			const uint64_t *value = (const uint64_t *)(const void *)((const char *)&views[i].counts + row->offset);
			add(t, "tlsa_sync_%s_total{identity=\"%s\",outcome=\"%s\"} %" PRIu64 "\n", row->name,
			    label(id, views[i].facts->identity), row->outcome, *value);
		}
	}
}

/* How far DNSSEC still carries: the chain of trust, and the signatures. */
static void trust(struct text *t, const struct view *views, size_t num)
{
	char id[600], apex[600];
	head(t, "zone_secure", "gauge", "Whether the zone of the records is securely delegated; absent while that is not known.");
	for (size_t i = 0; i < num; i++)
		for (size_t z = 0; z < views[i].facts->num_zones; z++) {
			const struct fact_zone *zone = &views[i].facts->zones[z];
			if (zone->ds != DS_UNKNOWN)
				add(t, "tlsa_sync_zone_secure{identity=\"%s\",zone=\"%s\"} %d\n", label(id, views[i].facts->identity),
				    label(apex, zone->apex), zone->ds == DS_THERE);
		}
	head(t, "signature_seconds", "gauge", "Time until the first server serves an expired signature over the records.");
	for (size_t i = 0; i < num; i++) {
		const struct facts *f = views[i].facts;
		int64_t least = 0;
		for (size_t s = 0; s < f->num_servers; s++)
			if (f->servers[s].signature_expires.s != 0 && (least == 0 || f->servers[s].signature_expires.s < least))
				least = f->servers[s].signature_expires.s;
		if (least != 0)
			add(t, "tlsa_sync_signature_seconds{identity=\"%s\"} %" PRId64 "\n", label(id, f->identity),
			    least - views[i].now.wall.s);
	}
}

static void events_of(struct text *t, const struct events_counts *e)
{
	head(t, "events", "counter", "Events for the on_event command, by what became of them.");
	add(t, "tlsa_sync_events_total{outcome=\"told\"} %" PRIu64 "\n", e->told);
	add(t, "tlsa_sync_events_total{outcome=\"failed\"} %" PRIu64 "\n", e->failed);
	add(t, "tlsa_sync_events_total{outcome=\"dropped\"} %" PRIu64 "\n", e->dropped);
}

enum ec metrics_text(const struct view *views, size_t num, struct wall started, const struct events_counts *events,
                     struct bytes *out)
{
	struct text t = { .out = out };
	head(&t, "start_time_seconds", "gauge", "When the daemon started.");
	add(&t, "tlsa_sync_start_time_seconds %" PRId64 "\n", started.s);
	states(&t, views, num);
	servers(&t, views, num);
	trust(&t, views, num);
	events_of(&t, events);
	counts(&t, views, num);
	add(&t, "# EOF\n");
	return t.ec;
}
