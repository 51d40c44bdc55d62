/* One thing after the other: for each connector and domain, for each way in which it could be configured
 * (variants), the route is found as the router finds it, and each hop of it opened alone as a worker opens it.
 * Hops of which two variants demand the same are opened once. */
#include "proxy/dry_run_uv.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proxy/listen_fs.h"
#include "proxy/relay/opening_uv.h"
#include "proxy/relay/tries.h"
#include "proxy/router/find_uv.h"
#include "proxy/super/trust_files_fs.h"
#include "proxy/worker/work_uv.h"

enum { CELL_SIZE = 16, CONNECT_MS = 10000, VARIANTS = 9, ROWS_MAX = 4096 };

#define NO_HOP "-" /* in the place of a hop: what holds for all */

/* What DANE leaves alone is MTA-STS's: so that its columns say something, DANE is off in them. */
static const struct variant {
	const char *title;
	int tls, dane, mta_sts; /* -1: as configured */
} variants[VARIANTS] = {
	{ "as configured", -1, -1, -1 },
	{ "tls none", CONFIG_TLS_NONE, CONFIG_DANE_NONE, CONFIG_MTA_STS_NONE },
	{ "tls opp.", CONFIG_TLS_OPPORTUNISTIC, CONFIG_DANE_NONE, CONFIG_MTA_STS_NONE },
	{ "tls require", CONFIG_TLS_REQUIRE, CONFIG_DANE_NONE, CONFIG_MTA_STS_NONE },
	{ "dane none", CONFIG_TLS_OPPORTUNISTIC, CONFIG_DANE_NONE, -1 },
	{ "dane opp.", CONFIG_TLS_OPPORTUNISTIC, CONFIG_DANE_OPPORTUNISTIC, -1 },
	{ "dane mandatory", CONFIG_TLS_OPPORTUNISTIC, CONFIG_DANE_MANDATORY, -1 },
	{ "sts none", CONFIG_TLS_OPPORTUNISTIC, CONFIG_DANE_NONE, CONFIG_MTA_STS_NONE },
	{ "sts opp.", CONFIG_TLS_OPPORTUNISTIC, CONFIG_DANE_NONE, CONFIG_MTA_STS_OPPORTUNISTIC },
};

struct row {
	const char *connector, *domain;
	char hop[HEALTH_NAME_SIZE];
	char cells[VARIANTS][CELL_SIZE];
	char why[WHY_SIZE]; /* of the first column, when it can't be used */
};

/* struct tried is what came of a demand on a hop of this connector and domain. */
struct tried {
	json_t *demand;
	char cell[CELL_SIZE];
	char why[WHY_SIZE];
	bool good;
};

struct dry {
	uv_loop_t loop;
	const struct config *cfg;
	struct config strict;               /* as cfg, but that each connector requires TLS: it names all the CAs needed */
	struct config_connector *strictest; /* its connectors */
	struct exits exits;
	struct secure *secure;
	struct sts *sts;
	const char **own_names;
	uint8_t scratch[LINK_SCRATCH];
	uv_timer_t timer;
	struct route *found; /* by find_start */
	bool found_any;
	size_t num_rows, num_tried;
	struct row *rows;
	struct tried tried[ROUTE_HOPS_MAX * VARIANTS];
	bool all_good;
};

/* --- one hop ------------------------------------------------------------------------ */

static void on_nothing(void *arg)
{
	(void)arg; /* uv_run comes back, and whoever waits looks */
}

static void on_timer(uv_timer_t *t)
{
	(void)t;
}

/* A route of one hop, so that no other is tried instead. */
static enum ec alone(const struct route *r, unsigned i, struct route **out)
{
	size_t len = 0;
	for (unsigned k = 0; k < r->hops[i].num_records; k++)
		len += r->hops[i].records[k].len;
	enum ec ec = route_make(1, len, out);
	if (ec != EC_OK)
		return ec;
	struct route_hop *hop = &(*out)->hops[0];
	*hop = r->hops[i];
	len = 0;
	for (unsigned k = 0; k < hop->num_records; k++) {
		memcpy((*out)->rdata + len, hop->records[k].p, hop->records[k].len);
		hop->records[k].p = (*out)->rdata + len;
		len += hop->records[k].len;
	}
	(*out)->ttl_ms = r->ttl_ms;
	(*out)->sts_mode = r->sts_mode;
	return EC_OK;
}

static void write_refusal(struct tried *t, enum smtp_reply_id id, const char *why)
{
	const struct smtp_reply_row *row = smtp_reply_row(id);
	(void)snprintf(t->cell, sizeof t->cell, "%u %s", row->code, row->enhanced);
	(void)snprintf(t->why, sizeof t->why, "%s", why);
}

static void wait_for(struct dry *d, struct opening *o)
{
	while (opening_state(o) == OPENING_BUSY) {
		int64_t now = (int64_t)uv_now(&d->loop), due = opening_deadline(o);
		if (due != 0 && due <= now) {
			opening_late(o);
			continue;
		}
		uv_timer_start(&d->timer, on_timer, due == 0 ? CONNECT_MS : (uint64_t)(due - now), 0);
		(void)uv_run(&d->loop, UV_RUN_ONCE);
	}
	uv_timer_stop(&d->timer);
}

static void open_hop(struct dry *d, const struct exit_way *way, struct route *r, struct tried *t)
{
	char header[PROXY_V2_MAX];
	struct writer w = writer_of(header, sizeof header);
	struct health health = { 0 };
	if (way->config->client_info == CONFIG_CLIENT_PROXY_V2 && proxy_v2_encode_own(&w) != EC_OK) {
		write_refusal(t, SMTP_R_BACKEND_CONFIG, "no PROXY header");
		return;
	}
	struct opening_setup setup = exit_opening(&d->exits, way, d->cfg, r);
	setup.loop = &d->loop;
	setup.scratch = d->scratch;
	setup.health = &health;
	setup.header = writer_slice(&w);
	setup.connect_timeout_ms = setup.reply_timeout_ms = CONNECT_MS;
	setup.on_event = on_nothing;
	setup.arg = d;
	const struct route_hop *hop = &r->hops[0];
	if (hop->verify == ROUTE_VERIFY_NAMES && (hop->sts ? setup.system : setup.ca) == NULL) {
		write_refusal(t, SMTP_R_HOP_TRUST, "there are no CA certificates to check with");
		return;
	}
	struct opening *o = opening_start(&setup);
	if (o == NULL) {
		write_refusal(t, SMTP_R_HOP_BUSY, "out of memory");
		return;
	}
	wait_for(d, o);
	if (opening_state(o) == OPENING_READY) {
		struct opened got;
		opening_take(o, on_nothing, d, &got);
		(void)snprintf(t->cell, sizeof t->cell, "%s", trust_name(got.trust));
		t->good = true;
		opened_quit(&got);
	} else {
		const char *words = "";
		enum smtp_reply_id id = opening_refusal(o, &words);
		write_refusal(t, id, words);
	}
	opening_free(o);
	health_fini(&health);
}

/* try_hop opens hop `i`, unless the same was demanded of it before. */
static const struct tried *try_hop(struct dry *d, const struct exit_way *way, const struct route *r, unsigned i)
{
	static const struct tried no_memory = { .cell = "no memory", .why = "out of memory" };
	struct route *one = NULL;
	json_t *json = alone(r, i, &one) == EC_OK ? route_json(one, 0) : NULL;
	json_t *demand = json_incref(json_array_get(json_object_get(json, "hops"), 0));
	json_decref(json);
	const struct tried *result = NULL;
	for (size_t k = 0; demand != NULL && k < d->num_tried; k++)
		if (json_equal(d->tried[k].demand, demand))
			result = &d->tried[k];
	if (result == NULL && demand != NULL) {
		struct tried *t = &d->tried[d->num_tried++];
		*t = (struct tried){ .demand = json_incref(demand) };
		if (one->hops[0].refused != SMTP_R_NONE)
			write_refusal(t, one->hops[0].refused, one->hops[0].why);
		else
			open_hop(d, way, one, t);
		result = t;
	}
	json_decref(demand);
	route_free(one);
	return result == NULL ? &no_memory : result;
}

static void forget_tried(struct dry *d)
{
	while (d->num_tried > 0)
		json_decref(d->tried[--d->num_tried].demand);
}

/* --- one connector and domain ---------------------------------------------------------- */

static void on_found(void *arg, struct route *route, bool failed)
{
	struct dry *d = arg;
	(void)failed;
	d->found = route;
	d->found_any = true;
}

/* The route for a connector like `c`, or NULL with words. The caller's share. */
static struct route *find(struct dry *d, const struct config_connector *c, const char *domain, struct why *why)
{
	const struct find_with with = { .loop = &d->loop, .secure = d->secure, .sts = d->sts };
	const struct plan_for who = {
		.connector = c, .domain = domain, .own_names = d->own_names, .num_own_names = d->cfg->num_identities + 1,
		.now = { (int64_t)time(NULL) },
	};
	struct find *f = NULL;
	d->found_any = false;
	d->found = NULL;
	if (find_start(&with, &who, on_found, d, &f, why) != EC_OK)
		return NULL;
	while (!d->found_any)
		(void)uv_run(&d->loop, UV_RUN_ONCE);
	if (d->found == NULL)
		(void)why_set(why, EC_NO_MEMORY, "out of memory");
	return d->found;
}

static struct row *row_of(struct dry *d, size_t first, const struct exit_way *way, const char *domain, const char *hop)
{
	for (size_t i = first; i < d->num_rows; i++)
		if (strcmp(d->rows[i].hop, hop) == 0)
			return &d->rows[i];
	if (d->num_rows == ROWS_MAX)
		return &d->rows[ROWS_MAX - 1];
	struct row *row = &d->rows[d->num_rows++];
	*row = (struct row){ .connector = way->name, .domain = domain };
	(void)snprintf(row->hop, sizeof row->hop, "%s", hop);
	return row;
}

/* Fills one column; returns whether a hop can be used. */
static bool column(struct dry *d, const struct exit_way *way, const char *domain, size_t first, unsigned v)
{
	size_t number = (size_t)(way - d->exits.ways);
	struct config_connector c = number < d->cfg->num_connectors ? d->cfg->connectors[number] : *way->config;
	struct why why = { 0 };
	struct route_modes now = route_modes_at(&c, (struct wall){ (int64_t)time(NULL) });
	c.tls = variants[v].tls < 0 ? now.tls : (enum config_hop_tls)variants[v].tls;
	c.dane = variants[v].dane < 0 ? now.dane : (enum config_dane)variants[v].dane;
	c.mta_sts = variants[v].mta_sts < 0 ? now.mta_sts : (enum config_mta_sts)variants[v].mta_sts;
	c.until = (char *)"";
	struct route *r = find(d, &c, domain, &why);
	struct tried whole = { .cell = "no memory" };
	bool good = false;
	if (r == NULL)
		(void)snprintf(whole.why, sizeof whole.why, "%s", why.text);
	else if (r->refused != SMTP_R_NONE)
		write_refusal(&whole, r->refused, r->why);
	for (unsigned i = 0; r != NULL && i < r->num_hops; i++) {
		char name[HEALTH_NAME_SIZE];
		tries_host(name, &r->hops[i]);
		const struct tried *t = try_hop(d, way, r, i);
		struct row *row = row_of(d, first, way, domain, name);
		memcpy(row->cells[v], t->cell, CELL_SIZE);
		if (v == 0)
			memcpy(row->why, t->why, sizeof row->why);
		good = good || t->good;
	}
	if (r == NULL || r->num_hops == 0) {
		struct row *row = row_of(d, first, way, domain, NO_HOP);
		memcpy(row->cells[v], whole.cell, CELL_SIZE);
		if (v == 0)
			memcpy(row->why, whole.why, sizeof row->why);
	}
	route_free(r);
	return good;
}

/* fold puts what is refused as a whole, which has a line of its own, into every line of a hop, if another variant
 * has brought one up. */
static void fold(struct dry *d, size_t first)
{
	size_t at = first;
	while (at < d->num_rows && strcmp(d->rows[at].hop, NO_HOP) != 0)
		at++;
	if (at == d->num_rows || d->num_rows - first == 1)
		return;
	const struct row whole = d->rows[at];
	memmove(&d->rows[at], &d->rows[at + 1], (d->num_rows - at - 1) * sizeof *d->rows);
	d->num_rows--;
	for (size_t i = first; i < d->num_rows; i++) {
		for (unsigned v = 0; v < VARIANTS; v++)
			if (whole.cells[v][0] != '\0')
				memcpy(d->rows[i].cells[v], whole.cells[v], CELL_SIZE);
		if (whole.cells[0][0] != '\0')
			memcpy(d->rows[i].why, whole.why, sizeof whole.why);
	}
}

static void look_at(struct dry *d, const struct exit_way *way, const char *domain)
{
	size_t first = d->num_rows;
	bool good = column(d, way, domain, first, 0);
	for (unsigned v = 1; v < VARIANTS; v++)
		(void)column(d, way, domain, first, v);
	fold(d, first);
	forget_tried(d);
	d->all_good = d->all_good && good;
}

static void look_at_all(struct dry *d)
{
	for (size_t i = 0; i < d->exits.num; i++) {
		const struct exit_way *way = &d->exits.ways[i];
		if (!way->per_domain)
			look_at(d, way, "");
		for (size_t k = 0; way->per_domain && k < way->config->domains.num; k++)
			if (way->config->domains.items[k][0] != '*')
				look_at(d, way, way->config->domains.items[k]);
	}
}

/* --- the table --------------------------------------------------------------------------- */

static size_t widest(size_t so_far, const char *text)
{
	size_t len = strlen(text);
	return len > so_far ? len : so_far;
}

static void print_table(const struct dry *d, FILE *out)
{
	size_t connector = widest(0, "connector"), domain = widest(0, "domain"), hop = widest(0, "hop");
	for (size_t i = 0; i < d->num_rows; i++) {
		connector = widest(connector, d->rows[i].connector);
		domain = widest(domain, d->rows[i].domain);
		hop = widest(hop, d->rows[i].hop);
	}
	(void)fprintf(out, "%-*s  %-*s  %-*s", (int)connector, "connector", (int)domain, "domain", (int)hop, "hop");
	for (unsigned v = 0; v < VARIANTS; v++)
		(void)fprintf(out, "  %-*s", (int)widest(11, variants[v].title), variants[v].title);
	(void)fputc('\n', out);
	for (size_t i = 0; i < d->num_rows; i++) {
		const struct row *row = &d->rows[i];
		(void)fprintf(out, "%-*s  %-*s  %-*s", (int)connector, row->connector, (int)domain, row->domain[0] != '\0' ? row->domain : "-",
		              (int)hop, row->hop);
		for (unsigned v = 0; v < VARIANTS; v++)
			(void)fprintf(out, "  %-*s", (int)widest(11, variants[v].title), row->cells[v][0] != '\0' ? row->cells[v] : "-");
		(void)fputc('\n', out);
	}
	for (size_t i = 0; i < d->num_rows; i++)
		if (d->rows[i].why[0] != '\0')
			(void)fprintf(out, "%s %s %s: %s: %s\n", d->rows[i].connector, d->rows[i].domain[0] != '\0' ? d->rows[i].domain : "-",
			              d->rows[i].hop, d->rows[i].cells[0], d->rows[i].why);
}

/* --- birth and death ----------------------------------------------------------------------- */

static enum ec begin(struct dry *d, struct why *why)
{
	const struct config *cfg = d->cfg;
	json_t *files = NULL;
	const struct secure_options options = secure_options_of(&cfg->dns);
	d->rows = calloc(ROWS_MAX, sizeof *d->rows);
	d->own_names = calloc(cfg->num_identities + 1, sizeof *d->own_names);
	d->strictest = calloc(cfg->num_connectors + 1, sizeof *d->strictest);
	if (d->rows == NULL || d->own_names == NULL || d->strictest == NULL)
		return why_set(why, EC_NO_MEMORY, "out of memory");
	d->own_names[0] = cfg->proxy.hostname;
	for (size_t i = 0; i < cfg->num_identities; i++)
		d->own_names[i + 1] = cfg->identities[i].name;
	d->strict = *cfg;
	d->strict.connectors = d->strictest;
	for (size_t i = 0; i < cfg->num_connectors; i++) {
		d->strictest[i] = cfg->connectors[i];
		d->strictest[i].tls = CONFIG_TLS_REQUIRE;
	}
	const struct config *with = &d->strict;
	enum ec ec = trust_files_read(with, &files, why);
	if (ec != EC_OK) {
		/* The system's store may be missing where nobody needs it. */
		with = cfg;
		ec = trust_files_read(with, &files, why);
	}
	/* As the daemon, so that the files of the cache are its own. */
	if (ec == EC_OK)
		ec = privilege_drop(cfg->user, why);
	if (ec == EC_OK)
		ec = exits_new(with, files, &d->exits, why);
	json_decref(files);
	if (ec == EC_OK)
		ec = secure_new(&d->loop, &options, &d->secure, why);
	if (ec != EC_OK)
		return ec;
	secure_hold(d->secure);
	return sts_new(&d->loop, d->secure, cfg, &d->sts, why);
}

static void end(struct dry *d)
{
	sts_free(d->sts);
	secure_free(d->secure);
	uv_close((uv_handle_t *)&d->timer, NULL);
	while (uv_run(&d->loop, UV_RUN_DEFAULT) != 0)
		;
	(void)uv_loop_close(&d->loop);
	exits_fini(&d->exits);
	free(d->strictest);
	free(d->own_names);
	free(d->rows);
	free(d);
}

int dry_run(const struct config *cfg, FILE *out)
{
	struct why why = { 0 };
	struct dry *d = calloc(1, sizeof *d);
	if (d == NULL || uv_loop_init(&d->loop) != 0) {
		free(d);
		(void)fputs("danegate: out of memory\n", stderr);
		return 1;
	}
	d->cfg = cfg;
	d->all_good = true;
	uv_timer_init(&d->loop, &d->timer);
	if (begin(d, &why) == EC_OK) {
		look_at_all(d);
		print_table(d, out);
	} else {
		(void)fprintf(stderr, "danegate: %s\n", why.text);
		d->all_good = false;
	}
	int status = d->all_good && fflush(out) == 0 ? 0 : 1;
	end(d);
	return status;
}
