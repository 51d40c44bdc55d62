#include "proxy/super/stats.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* Pages are added up here. A page outlives its worker, so totals go on; but the
 * gauges of a worker that is down, or just starting, are of the past. */
static uint64_t sum(const struct stats_info *i, enum counter which)
{
	bool gauge = counters_row(which)->kind == COUNTER_GAUGE;
	const struct counters *pages[256];
	size_t num = 0;
	for (size_t k = 0; k < i->num_workers && num < sizeof pages / sizeof pages[0]; k++)
		if (!gauge || (i->workers[k].pid != 0 && i->workers[k].begun))
			pages[num++] = i->workers[k].page;
	return counters_sum(pages, num, which);
}

static enum ec put_family(struct bytes *out, const char *family, const char *type, const char *help)
{
	return bytes_format(out, "# TYPE danegate_%s %s\n# HELP danegate_%s %s\n", family, type, family, help);
}

static enum ec put_counters(const struct stats_info *i, struct bytes *out)
{
	const char *family = "";
	enum ec ec = EC_OK;
	for (unsigned c = 0; ec == EC_OK && c < COUNT_NUM; c++) {
		const struct counter_row *row = counters_row((enum counter)c);
		bool gauge = row->kind == COUNTER_GAUGE;
		if (strcmp(row->family, family) != 0)
			ec = put_family(out, row->family, gauge ? "gauge" : "counter", row->help);
		family = row->family;
		if (ec == EC_OK)
			ec = bytes_format(out, "danegate_%s%s%s%s%s %llu\n", row->family, gauge ? "" : "_total", row->labels[0] != '\0' ? "{" : "",
			                  row->labels, row->labels[0] != '\0' ? "}" : "", (unsigned long long)sum(i, (enum counter)c));
	}
	return ec;
}

static enum ec put_daemon(const struct stats_info *i, struct bytes *out)
{
	uint64_t up = 0, restarts = 0;
	for (size_t k = 0; k < i->num_workers; k++) {
		up += i->workers[k].pid != 0;
		restarts += i->workers[k].restarts;
	}
	return bytes_format(out,
	                    "# TYPE danegate_build info\n# HELP danegate_build what runs\ndanegate_build_info{version=\"%s\"} 1\n"
	                    "# TYPE danegate_start_time_seconds gauge\n# UNIT danegate_start_time_seconds seconds\n"
	                    "# HELP danegate_start_time_seconds when the supervisor started, seconds since 1970\n"
	                    "danegate_start_time_seconds %lld\n"
	                    "# TYPE danegate_workers gauge\n# HELP danegate_workers worker processes, configured and running\n"
	                    "danegate_workers{state=\"configured\"} %zu\ndanegate_workers{state=\"up\"} %llu\n"
	                    "# TYPE danegate_worker_restarts counter\n# HELP danegate_worker_restarts workers started anew after they ended\n"
	                    "danegate_worker_restarts_total %llu\n"
	                    "# TYPE danegate_errors counter\n# HELP danegate_errors errors that show errors has listed\n"
	                    "danegate_errors_total %llu\n",
	                    i->version, (long long)i->since.s, i->num_workers, (unsigned long long)up, (unsigned long long)restarts,
	                    (unsigned long long)i->num_errors);
}

/* --- families with a line for each identity ------------------------------------- */

/* Identities are host names, so their label needs no escape. */
static enum ec put_guard(const struct stats_identity *id, struct bytes *out)
{
	enum ec ec = EC_OK;
	for (unsigned s = GUARD_WAITING; ec == EC_OK && s <= GUARD_REFUSED; s++)
		ec = bytes_format(out, "danegate_guard{identity=\"%s\",danegate_guard=\"%s\"} %d\n", id->name,
		                  guard_state_name((enum guard_state)s), id->verdict->state == s);
	return ec;
}

static enum ec put_pinned(const struct stats_identity *id, struct bytes *out)
{
	return bytes_format(out, "danegate_pinned{identity=\"%s\"} %d\n", id->name, id->verdict->pinned);
}

static enum ec put_presented(const struct stats_identity *id, struct bytes *out)
{
	return bytes_format(out, "danegate_presented_generation{identity=\"%s\"} %llu\n", id->name, (unsigned long long)id->presented);
}

static enum ec put_certificates(const struct stats_identity *id, struct bytes *out)
{
	enum ec ec = EC_OK;
	for (size_t g = 0; g < id->num_generations; g++)
		for (size_t k = 0; ec == EC_OK && k < id->generations[g].num_keys; k++) {
			const struct generation *x = &id->generations[g];
			ec = bytes_format(out, "danegate_certificate_not_after_seconds{identity=\"%s\",generation=\"%llu\",algorithm=\"%s\"} %lld\n",
			                  id->name, (unsigned long long)x->number, key_algorithm_name(x->keys[k].algorithm),
			                  (long long)x->keys[k].not_after.s);
		}
	return ec;
}

static const struct {
	const char *name, *type, *unit, *help;
	enum ec (*put)(const struct stats_identity *id, struct bytes *out);
} families[] = {
	{ "guard", "stateset", NULL, "the pin guard's verdict on what is presented", put_guard },
	{ "pinned", "gauge", NULL, "1 while DNS pins every key presented", put_pinned },
	{ "presented_generation", "gauge", NULL, "the generation that every worker presents; 0 = none", put_presented },
	{ "certificate_not_after_seconds", "gauge", "seconds", "end of the certificate's life, seconds since 1970", put_certificates },
};
static_assert(sizeof families / sizeof families[0] == STATS_FAMILIES, "stats.h counts them");

enum ec stats_metrics_head(const struct stats_info *i, struct bytes *out)
{
	enum ec ec = put_counters(i, out);
	return ec == EC_OK ? put_daemon(i, out) : ec;
}

enum ec stats_metrics_family(unsigned family, struct bytes *out)
{
	const char *name = families[family].name, *unit = families[family].unit;
	enum ec ec = bytes_format(out, "# TYPE danegate_%s %s\n", name, families[family].type);
	if (ec == EC_OK && unit != NULL)
		ec = bytes_format(out, "# UNIT danegate_%s %s\n", name, unit);
	return ec == EC_OK ? bytes_format(out, "# HELP danegate_%s %s\n", name, families[family].help) : ec;
}

enum ec stats_metrics_identity(unsigned family, const struct stats_identity *id, struct bytes *out)
{
	return families[family].put(id, out);
}

enum ec stats_metrics_end(struct bytes *out)
{
	return bytes_format(out, "# EOF\n");
}

json_t *stats_metrics_json(const struct stats_info *i)
{
	json_t *list = json_array();
	for (unsigned c = 0; c < COUNT_NUM; c++) {
		const struct counter_row *row = counters_row((enum counter)c);
		json_array_append_new(list, json_pack("{s:s,s:s,s:s,s:I}", "family", row->family, "labels", row->labels, "type",
		                                      row->kind == COUNTER_GAUGE ? "gauge" : "counter", "value",
		                                      (json_int_t)sum(i, (enum counter)c)));
	}
	return list;
}
