#include "proxy/super/exits_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/printable.h"
#include "config/connector.h"

enum { BACKEND_ROW = 1 };

/* --- what is known ----------------------------------------------------------------- */

static const char *name_at(const struct config *cfg, size_t i)
{
	return i < cfg->num_connectors ? cfg->connectors[i].name : "backend";
}

static size_t num_of(const struct config *cfg)
{
	return cfg->num_connectors + (cfg->backend.address[0] != '\0' ? BACKEND_ROW : 0);
}

static struct exit_said *find(const struct exits_state *s, const char *name)
{
	for (size_t i = 0; i < s->num; i++)
		if (strcmp(s->items[i].name, name) == 0)
			return &s->items[i];
	return NULL;
}

enum ec exits_state_set(struct exits_state *s, const struct config *cfg)
{
	size_t num = num_of(cfg);
	struct exit_said *items = calloc(num > 0 ? num : 1, sizeof *items);
	if (items == NULL)
		return EC_NO_MEMORY;
	for (size_t i = 0; i < num; i++) {
		const struct exit_said *old = find(s, name_at(cfg, i));
		if (old != NULL)
			items[i] = *old;
		(void)snprintf(items[i].name, sizeof items[i].name, "%s", name_at(cfg, i));
	}
	free(s->items);
	s->items = items;
	s->num = num;
	return EC_OK;
}

void exits_state_fini(struct exits_state *s)
{
	free(s->items);
	ledger_fini(&s->ledger);
	*s = (struct exits_state){ 0 };
}

const struct exit_said *exits_state_note(struct exits_state *s, const json_t *backend)
{
	const char *name = json_string_value(json_object_get(backend, "connector"));
	const char *why = json_string_value(json_object_get(backend, "why"));
	struct exit_said *said = name == NULL ? NULL : find(s, name);
	if (said == NULL)
		return NULL;
	said->known = true;
	said->up = json_is_true(json_object_get(backend, "up"));
	(void)why_set(&said->why, EC_OK, "%s", said->up || why == NULL ? "" : why);
	printable(said->why.text, strlen(said->why.text));
	const json_t *offers = json_object_get(backend, "offers"), *offer;
	struct writer w = writer_of(said->offers, sizeof said->offers - 1);
	size_t i;
	json_array_foreach(offers, i, offer)
		if (json_is_string(offer))
			writer_format(&w, "%s%s", w.len > 0 ? " " : "", json_string_value(offer));
	said->offers[w.len] = '\0';
	printable(said->offers, w.len);
	return said;
}

void exits_summary(const struct exits_state *s, struct writer *w)
{
	size_t up = 0, unknown = 0;
	const struct exit_said *down = NULL;
	for (size_t i = 0; i < s->num; i++) {
		up += s->items[i].known && s->items[i].up;
		unknown += !s->items[i].known;
		if (s->items[i].known && !s->items[i].up && down == NULL)
			down = &s->items[i];
	}
	if (s->num > 1)
		writer_format(w, "%zu up", up);
	else
		writer_str(w, up > 0 ? "up" : unknown > 0 ? "not asked yet" : "");
	if (s->num > 1 && unknown > 0)
		writer_format(w, ", %zu not asked yet", unknown);
	if (down != NULL)
		writer_format(w, "%s%s%sdown: %.200s", s->num > 1 ? ", " : "", s->num > 1 ? down->name : "", s->num > 1 ? " " : "",
		              down->why.text);
}

void exits_expired(const struct config *cfg, struct wall now, exits_tell *tell, void *arg)
{
	for (size_t i = 0; i < cfg->num_connectors; i++) {
		const struct config_connector *c = &cfg->connectors[i];
		char words[320];
		if (!config_connector_expired(c, now))
			continue;
		(void)snprintf(words, sizeof words, "its exception (%.160s) ended with %s: what is \"none\" has become \"opportunistic\"",
		               c->reason, c->until);
		tell(arg, c, words);
	}
}

/* --- show connectors ------------------------------------------------------------------- */

/* struct shown is one row, of a connector or of the section backend. */
struct shown {
	const char *name, *state, *tls, *dane, *mta_sts, *until;
	bool expired;
};

static struct shown shown_at(const struct exits_state *s, const struct config *cfg, size_t i, struct wall now)
{
	const struct exit_said *said = &s->items[i];
	struct shown row = { .name = said->name, .state = !said->known ? "unknown" : said->up ? "up" : "down" };
	if (i >= cfg->num_connectors) {
		row.tls = row.dane = row.mta_sts = "none";
		row.until = "";
		return row;
	}
	struct route_modes modes = route_modes_at(&cfg->connectors[i], now);
	row.tls = config_hop_tls_name(modes.tls);
	row.dane = config_dane_name(modes.dane);
	row.mta_sts = config_mta_sts_name(modes.mta_sts);
	row.until = cfg->connectors[i].until;
	row.expired = config_connector_expired(&cfg->connectors[i], now);
	return row;
}

static enum ec hops_text(const struct config *cfg, size_t i, struct bytes *out)
{
	if (i >= cfg->num_connectors)
		return bytes_format(out, " %s", cfg->backend.address);
	enum ec ec = EC_OK;
	for (size_t k = 0; k < cfg->connectors[i].num_next_hops && ec == EC_OK; k++)
		ec = bytes_format(out, " %s", cfg->connectors[i].next_hops[k].to);
	return ec;
}

static enum ec row_text(const struct exits_state *s, const struct config *cfg, size_t i, struct wall now, struct bytes *out)
{
	struct shown row = shown_at(s, cfg, i, now);
	enum ec ec = bytes_format(out, "%-16s %-7s %-13s %-13s %-13s", row.name, row.state, row.tls, row.dane, row.mta_sts);
	if (ec == EC_OK)
		ec = hops_text(cfg, i, out);
	if (ec == EC_OK && row.until[0] != '\0')
		ec = bytes_format(out, row.expired ? "; the exception ended with %s" : "; an exception until %s", row.until);
	if (ec == EC_OK && s->items[i].why.text[0] != '\0')
		ec = bytes_format(out, "; %s", s->items[i].why.text);
	return ec == EC_OK ? bytes_format(out, "\n") : ec;
}

enum ec exits_text(const struct exits_state *s, const struct config *cfg, const json_t *drained, struct wall now,
                   struct bytes *out)
{
	enum ec ec = bytes_format(out, "%-16s %-7s %-13s %-13s %-13s %s\n", "CONNECTOR", "STATE", "TLS", "DANE", "MTA-STS", "NEXT HOPS");
	for (size_t i = 0; i < s->num && i < num_of(cfg) && ec == EC_OK; i++)
		ec = row_text(s, cfg, i, now, out);
	for (size_t i = 0; i < json_array_size(drained) && ec == EC_OK; i++)
		ec = bytes_format(out, "drained: %s\n", json_string_value(json_array_get(drained, i)));
	return ec;
}

static json_t *hops_json(const struct config *cfg, size_t i)
{
	json_t *list = json_array();
	if (i >= cfg->num_connectors)
		json_array_append_new(list, json_string(cfg->backend.address));
	for (size_t k = 0; i < cfg->num_connectors && k < cfg->connectors[i].num_next_hops; k++)
		json_array_append_new(list, json_string(cfg->connectors[i].next_hops[k].to));
	return list;
}

json_t *exits_json(const struct exits_state *s, const struct config *cfg, const json_t *drained, struct wall now)
{
	json_t *list = json_array();
	for (size_t i = 0; i < s->num && i < num_of(cfg); i++) {
		struct shown row = shown_at(s, cfg, i, now);
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:o, s:s, s:s}", "name", row.name, "state",
		                                      row.state, "tls", row.tls, "dane", row.dane, "mta_sts", row.mta_sts, "until",
		                                      row.until, "expired", row.expired, "next_hops", hops_json(cfg, i), "why",
		                                      s->items[i].why.text, "offers", s->items[i].offers));
	}
	return json_pack("{s:o, s:O}", "connectors", list, "drained", drained);
}

/* --- the report ---------------------------------------------------------------------------- */

static uint64_t sum(const uint64_t *values, size_t num)
{
	uint64_t n = 0;
	for (size_t i = 0; i < num; i++)
		n += values[i];
	return n;
}

/* weakest is the least trust that a transaction went with; -1: none went at all. */
static int weakest(const struct ledger_row *row)
{
	for (int t = 0; t < TRUST_NUM; t++)
		if (row->trusts[t] > 0)
			return t;
	return -1;
}

static int compare_rows(const void *a, const void *b)
{
	const struct ledger_row *x = *(const struct ledger_row *const *)a, *y = *(const struct ledger_row *const *)b;
	int wx = weakest(x), wy = weakest(y);
	if (wx != wy)
		return wx < wy ? -1 : 1;
	uint64_t rx = sum(x->refusals, SMTP_REASON_COUNT), ry = sum(y->refusals, SMTP_REASON_COUNT);
	if (rx != ry)
		return rx > ry ? -1 : 1;
	return strcmp(x->key, y->key);
}

/* The caller frees the array. */
static const struct ledger_row **sorted(const struct ledger *l, size_t *num)
{
	*num = names_num(&l->rows);
	const struct ledger_row **rows = calloc(*num > 0 ? *num : 1, sizeof *rows);
	for (size_t i = 0; rows != NULL && i < *num; i++)
		rows[i] = (const struct ledger_row *)names_at(&l->rows, i);
	if (rows != NULL)
		qsort(rows, *num, sizeof *rows, compare_rows);
	return rows;
}

static enum ec report_row(const struct ledger_row *row, struct bytes *out)
{
	int least = weakest(row);
	enum ec ec = bytes_format(out, "%-16.*s %-30s %-10s", (int)(row->domain - row->key) - 1, row->key,
	                          row->domain[0] != '\0' ? row->domain : "-", least < 0 ? "nothing" : trust_name((enum trust)least));
	for (int t = TRUST_NUM - 1; t >= 0 && ec == EC_OK; t--)
		if (row->trusts[t] > 0)
			ec = bytes_format(out, " %s %llu", trust_name((enum trust)t), (unsigned long long)row->trusts[t]);
	for (size_t r = 0; r < SMTP_REASON_COUNT && ec == EC_OK; r++)
		if (row->refusals[r] > 0)
			ec = bytes_format(out, " refused:%s %llu", smtp_reason_name((enum smtp_reason)r), (unsigned long long)row->refusals[r]);
	return ec == EC_OK ? bytes_format(out, "\n") : ec;
}

enum ec exits_report_text(const struct exits_state *s, struct wall since, struct bytes *out)
{
	size_t num = 0;
	const struct ledger_row **rows = sorted(&s->ledger, &num);
	char when[WALL_TEXT_SIZE];
	if (rows == NULL)
		return EC_NO_MEMORY;
	wall_print(when, since);
	enum ec ec = bytes_format(out, "transactions since %s, the weakest link first\n%-16s %-30s %-10s %s\n", when, "CONNECTOR", "DOMAIN",
	                          "WEAKEST", "TRANSACTIONS");
	for (size_t i = 0; i < num && ec == EC_OK; i++)
		ec = report_row(rows[i], out);
	free(rows);
	return ec;
}

json_t *exits_report_json(const struct exits_state *s, struct wall since)
{
	size_t num = 0;
	const struct ledger_row **rows = sorted(&s->ledger, &num);
	json_t *list = rows == NULL ? NULL : json_array();
	for (size_t i = 0; i < num && list != NULL; i++) {
		json_t *row = ledger_row_json(rows[i]);
		int least = weakest(rows[i]);
		json_object_set_new(row, "weakest", json_string(least < 0 ? "nothing" : trust_name((enum trust)least)));
		json_array_append_new(list, row);
	}
	free(rows);
	return list == NULL ? NULL : json_pack("{s:I, s:o}", "since", (json_int_t)since.s, "rows", list);
}

/* --- metrics ------------------------------------------------------------------------------- */

struct totals {
	uint64_t trusts[TRUST_NUM];
	uint64_t refusals[SMTP_REASON_COUNT];
};

static struct totals totals_of(const struct exits_state *s, const char *name)
{
	struct totals all = { 0 };
	size_t len = strlen(name);
	for (size_t i = 0; i < names_num(&s->ledger.rows); i++) {
		const struct ledger_row *row = (const struct ledger_row *)names_at(&s->ledger.rows, i);
		if ((size_t)(row->domain - row->key) - 1 != len || memcmp(row->key, name, len) != 0)
			continue;
		for (size_t t = 0; t < TRUST_NUM; t++)
			all.trusts[t] += row->trusts[t];
		for (size_t r = 0; r < SMTP_REASON_COUNT; r++)
			all.refusals[r] += row->refusals[r];
	}
	return all;
}

enum ec exits_metrics(const struct exits_state *s, struct bytes *out)
{
	enum ec ec = bytes_format(out, "# TYPE danegate_connector_transactions counter\n"
	                          "# HELP danegate_connector_transactions transactions that went out, by what was known of the hop\n");
	for (size_t i = 0; i < s->num && ec == EC_OK; i++) {
		struct totals all = totals_of(s, s->items[i].name);
		for (size_t t = 0; t < TRUST_NUM && ec == EC_OK; t++)
			ec = bytes_format(out, "danegate_connector_transactions_total{connector=\"%s\",trust=\"%s\"} %llu\n", s->items[i].name,
			                  trust_name((enum trust)t), (unsigned long long)all.trusts[t]);
	}
	if (ec == EC_OK)
		ec = bytes_format(out, "# TYPE danegate_connector_refusals counter\n"
		                  "# HELP danegate_connector_refusals transactions for which there was no way out, by reason\n");
	for (size_t i = 0; i < s->num && ec == EC_OK; i++) {
		struct totals all = totals_of(s, s->items[i].name);
		for (size_t r = 0; r < SMTP_REASON_COUNT && ec == EC_OK; r++)
			if (all.refusals[r] > 0)
				ec = bytes_format(out, "danegate_connector_refusals_total{connector=\"%s\",reason=\"%s\"} %llu\n", s->items[i].name,
				                  smtp_reason_name((enum smtp_reason)r), (unsigned long long)all.refusals[r]);
	}
	return ec;
}
