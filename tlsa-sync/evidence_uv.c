/* Each of the two waits for its turn first. evidence_find: zone_find -> A and AAAA of the identity (unless
 * configured) -> DS of each zone -> zones, found. evidence_look: for each hop of the alias chain and each address of each
 * server of its zone one task, with four questions under way at once: TLSA raw,
 * SOA raw, DNSKEY raw, TLSA validated through that server. A task that has its four outcomes
 * is judged; a server whose tasks are all judged is reported; after the last
 * one, looked.
 * `kick` lets go of the tasks from the loop, so nothing is reported from
 * inside evidence_look. */
#include "tlsa-sync/evidence_uv.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "dns/ask_ares.h"
#include "dns/packet_ldns.h"
#include "tlsa-sync/addresses_uv.h"
#include "tlsa-sync/askers_uv.h"
#include "tlsa-sync/clock_uv.h"
#include "tlsa-sync/evidence_answer.h"
#include "tlsa-sync/parents_uv.h"

enum { DNS_PORT = 53, TASKS_MAX = 2 * FACT_SERVERS };

struct task {
	struct evidence *e;
	unsigned row;
	struct dns_name apex;
	struct sockaddr_storage address;
	struct evidence_hop hop;
	struct asker *at; /* kept from one look to the next */
	struct ask_call *tlsa_call;
	struct ask_call *soa_call;
	struct ask_call *keys_call;
	struct secure_call *secure_call;
	unsigned pending;
	struct evidence_seen *seen; /* during a look */
};

struct row {
	struct server_id id;
	unsigned pending; /* tasks */
	bool answered;
	struct answer answer;
	struct why answer_words; /* answer.words points here */
	struct why silence;
};

struct evidence {
	uv_loop_t *loop;
	const struct config *cfg;
	struct dns_name host;
	struct dns_name owner;
	struct ask *ask;
	struct askers *askers;
	struct turn turn;
	struct evidence_events events;
	void *arg;
	uv_timer_t kick;
	bool freed;

	struct zone_call *zone_call;
	struct addresses addresses;
	enum ec found; /* how the search ended */
	struct why found_why;
	struct parents parents;

	struct zone_map *map;
	struct task *tasks[TASKS_MAX];
	size_t num_tasks;
	struct row *rows; /* one for each server */
	size_t num_rows;
	size_t rows_pending;
};

/* --- who serves it --- */

static void task_free(struct task *t)
{
	if (t == NULL)
		return;
	ask_cancel(t->tlsa_call);
	ask_cancel(t->soa_call);
	ask_cancel(t->keys_call);
	secure_cancel(t->secure_call);
	asker_back(t->at);
	free(t->seen);
	free(t);
}

static void tasks_free(struct task **tasks, size_t num)
{
	for (size_t i = 0; i < num; i++)
		task_free(tasks[i]);
}

/* row_of finds or adds the row of a server; -1 when there is no room. */
static int row_of(struct evidence *e, const struct zone_server *s)
{
	struct server_id id = { 0 };
	char text[DNS_NAME_TEXT_SIZE];
	dns_name_print(text, &s->name);
	struct writer w = writer_of(id.name, sizeof id.name);
	writer_str(&w, text);
	if (address_port(&s->address) == DNS_PORT)
		address_print_ip(id.address, &s->address);
	else
		address_print(id.address, &s->address);
	for (int i = 0; i < (int)e->num_rows; i++)
		if (strcmp(e->rows[i].id.name, id.name) == 0 && strcmp(e->rows[i].id.address, id.address) == 0)
			return i;
	if (e->num_rows == FACT_SERVERS)
		return -1;
	e->rows[e->num_rows] = (struct row){ .id = id };
	return (int)e->num_rows++;
}

static struct evidence_hop hop_of(const struct zone_map *map, unsigned index)
{
	const struct zone_hop *h = &map->hops[index];
	struct evidence_hop hop = { .owner = h->owner, .alias = h->alias };
	if (h->alias && index + 1 < map->num_hops)
		hop.target = map->hops[index + 1].owner;
	for (unsigned i = 0; i < map->num_hops; i++)
		if (map->hops[i].alias && map->hops[i].ttl_s > hop.chain_ttl_s)
			hop.chain_ttl_s = map->hops[i].ttl_s;
	return hop;
}

static enum ec task_make(struct evidence *e, const struct zone_info *zone, struct evidence_hop hop, const struct zone_server *s,
                         struct why *why)
{
	int row = row_of(e, s);
	if (row < 0 || e->num_tasks == TASKS_MAX)
		return why_set(why, EC_LIMIT, "more than %d addresses of name servers", FACT_SERVERS);
	struct task *t = calloc(1, sizeof *t);
	if (t == NULL)
		return why_set(why, EC_NO_MEMORY, "out of memory");
	*t = (struct task){ .e = e, .row = (unsigned)row, .apex = zone->apex, .address = s->address, .hop = hop };
	enum ec ec = askers_at(e->askers, &t->apex, &t->address, &t->at, why);
	if (ec != EC_OK) {
		free(t);
		return ec;
	}
	e->tasks[e->num_tasks++] = t;
	return EC_OK;
}

static enum ec zone_usable(const struct zone_info *zone, struct why *why)
{
	char apex[DNS_NAME_TEXT_SIZE];
	char lame[DNS_NAME_TEXT_SIZE];
	dns_name_print(apex, &zone->apex);
	dns_name_print(lame, &zone->lame);
	if (zone->lame.len > 0)
		return why_set(why, EC_NOT_FOUND,
		               "%s: its name server %s has no address, so nobody can prove what it serves; give it one or take "
		               "it out of the NS records", apex, lame);
	return zone->cut ? why_set(why, EC_LIMIT, "%s: more addresses of name servers than can be asked", apex) : EC_OK;
}

/* rows_make turns the zone map into tasks, one for each hop and server of its
 * zone, and rows, one for each server. */
static enum ec rows_make(struct evidence *e, const struct zone_map *map, struct why *why)
{
	struct task *old[TASKS_MAX];
	size_t num_old = e->num_tasks;
	memcpy(old, e->tasks, sizeof old);
	e->num_tasks = e->num_rows = 0;
	size_t most = 1;
	for (unsigned h = 0; h < map->num_hops; h++)
		most += map->zones[map->hops[h].zone].num_servers;
	free(e->rows);
	e->rows = calloc(most < FACT_SERVERS ? most : FACT_SERVERS, sizeof e->rows[0]);
	enum ec ec = e->rows == NULL ? why_set(why, EC_NO_MEMORY, "out of memory") : EC_OK;
	for (unsigned h = 0; ec == EC_OK && h < map->num_hops; h++) {
		const struct zone_info *zone = &map->zones[map->hops[h].zone];
		struct evidence_hop hop = hop_of(map, h);
		ec = zone_usable(zone, why);
		for (unsigned s = 0; ec == EC_OK && s < zone->num_servers; s++)
			ec = task_make(e, zone, hop, &zone->servers[s], why);
	}
	tasks_free(old, num_old); /* not before: what both ask stays */
	if (ec != EC_OK) {
		tasks_free(e->tasks, e->num_tasks);
		e->num_tasks = e->num_rows = 0;
	}
	return ec;
}

static int by_name(const void *a, const void *b)
{
	const struct server_id *x = a;
	const struct server_id *y = b;
	int order = strcmp(x->name, y->name);
	return order != 0 ? order : strcmp(x->address, y->address);
}

static void report_servers(struct evidence *e)
{
	struct server_id servers[FACT_SERVERS];
	char texts[FACT_ADDRESSES][ADDRESS_TEXT_SIZE];
	const char *addresses[FACT_ADDRESSES];
	for (size_t i = 0; i < e->num_rows; i++)
		servers[i] = e->rows[i].id;
	qsort(servers, e->num_rows, sizeof servers[0], by_name); /* the order of an NS set changes */
	for (unsigned i = 0; i < e->addresses.num; i++) {
		address_print(texts[i], &e->addresses.items[i]);
		addresses[i] = texts[i];
	}
	struct why none = { 0 };
	e->events.found(e->arg, EC_OK, servers, e->num_rows, addresses, e->addresses.num, &e->addresses.why, &none);
}

static void report_found(void *arg)
{
	struct evidence *e = arg;
	struct why none = { 0 };
	turn_end(&e->turn);
	if (e->map != NULL)
		e->events.zones(e->arg, e->parents.zones, e->parents.num);
	if (e->found == EC_OK)
		report_servers(e);
	else
		e->events.found(e->arg, e->found, NULL, 0, NULL, 0, &none, &e->found_why);
}

/* Also when the search failed: that a DS is gone may be why. */
static void on_addresses(void *arg)
{
	struct evidence *e = arg;
	parents_find(&e->parents, e->turn.root, e->map, report_found, e);
}

/* Of the map only what it uses: one zone in place of ten. */
static enum ec map_keep(struct evidence *e, const struct zone_map *map, struct why *why)
{
	size_t size = offsetof(struct zone_map, zones) + map->num_zones * sizeof map->zones[0];
	free(e->map);
	e->map = malloc(size);
	if (e->map == NULL)
		return why_set(why, EC_NO_MEMORY, "out of memory");
	memcpy(e->map, map, size);
	return EC_OK;
}

static void on_zone(void *arg, enum ec ec, const struct zone_map *map, const struct why *why)
{
	struct evidence *e = arg;
	e->zone_call = NULL;
	e->found_why = *why;
	if (ec == EC_OK)
		ec = rows_make(e, map, &e->found_why);
	if (ec == EC_OK)
		ec = map_keep(e, map, &e->found_why);
	e->found = ec;
	if (ec != EC_OK) {
		on_addresses(e);
		return;
	}
	addresses_find(&e->addresses, e->turn.root, e->cfg, &e->host, on_addresses, e);
}

static void find_go(void *arg)
{
	struct evidence *e = arg;
	struct zone_options options = { 0 };
	secure_forget(e->turn.root);
	e->found = zone_find(e->turn.root, e->loop, &e->owner, options, on_zone, e, &e->zone_call, &e->found_why);
	if (e->found != EC_OK)
		on_addresses(e);
}

void evidence_find(struct evidence *e, struct evidence_events events, void *arg)
{
	e->events = events;
	e->arg = arg;
	turn_ask(e->askers, &e->turn, find_go, e);
}

/* --- what each server answers --- */

static void row_done(struct evidence *e, struct row *r)
{
	struct why none = { 0 };
	if (r->silence.text[0] != '\0')
		e->events.server(e->arg, &r->id, NULL, &r->silence);
	else if (r->answered)
		e->events.server(e->arg, &r->id, &r->answer, &none);
	if (--e->rows_pending > 0)
		return;
	turn_end(&e->turn);
	e->events.looked(e->arg);
}

/* task_step is called for each outcome, and once from `kick`. */
static void task_step(struct task *t)
{
	if (--t->pending > 0)
		return;
	struct evidence *e = t->e;
	struct row *r = &e->rows[t->row];
	struct answer answer;
	struct why why = { 0 };
	enum ec ec = t->seen == NULL ? why_set(&why, EC_NO_MEMORY, "out of memory")
	                             : evidence_judge(t->seen, &t->hop, clock_wall().s, &answer, &why);
	if (ec != EC_OK) {
		r->silence = why;
	} else {
		if (!r->answered)
			r->answer = answer;
		else
			evidence_merge(&r->answer, &answer);
		r->answered = true;
		if (r->answer.words != NULL && r->answer.words != r->answer_words.text) {
			(void)why_set(&r->answer_words, EC_OK, "%s", r->answer.words);
			r->answer.words = r->answer_words.text;
		}
	}
	free(t->seen);
	t->seen = NULL;
	if (--r->pending == 0)
		row_done(e, r);
}

static void on_tlsa(void *arg, enum ec ec, struct slice packet, const struct why *why)
{
	struct task *t = arg;
	t->tlsa_call = NULL;
	t->seen->raw_ec = ec;
	t->seen->raw_why = *why;
	if (ec == EC_OK)
		t->seen->raw_ec = packet_parse(packet, &t->seen->raw, &t->seen->raw_why);
	if (ec == EC_OK)
		t->seen->denial_until = evidence_denial_until(packet, clock_wall().s);
	task_step(t);
}

/* What SOA and DNSKEY say is for people; without an answer it is not known. */
static void take_upkeep(struct task *t, enum ec ec, struct slice packet)
{
	struct dns_answer *a = ec == EC_OK ? calloc(1, sizeof *a) : NULL;
	struct why ignored = { 0 };
	if (a != NULL && packet_parse(packet, a, &ignored) == EC_OK) {
		evidence_upkeep(&t->seen->upkeep, a, clock_wall().s);
		if (a->type == DNS_SOA && a->has_soa) {
			t->seen->has_serial = true;
			t->seen->serial = a->soa.serial;
		}
	}
	free(a);
	task_step(t);
}

static void on_soa(void *arg, enum ec ec, struct slice packet, const struct why *why)
{
	struct task *t = arg;
	(void)why;
	t->soa_call = NULL;
	take_upkeep(t, ec, packet);
}

static void on_keys(void *arg, enum ec ec, struct slice packet, const struct why *why)
{
	struct task *t = arg;
	(void)why;
	t->keys_call = NULL;
	take_upkeep(t, ec, packet);
}

static void on_secure(void *arg, const struct secure_answer *answer)
{
	struct task *t = arg;
	t->secure_call = NULL;
	t->seen->status = answer->status;
	t->seen->secure_why = answer->why;
	if (secure_tlsa(answer, &t->seen->secure_set) != EC_OK) {
		t->seen->status = SECURE_FAILED;
		(void)why_set(&t->seen->secure_why, EC_SYNTAX, "a TLSA record that can't be read, or too many");
	}
	task_step(t);
}

static void task_start(struct task *t)
{
	struct evidence *e = t->e;
	int timeout_ms = (int)e->cfg->dns.timeout_ms;
	t->pending = 1; /* `kick` takes it off */
	t->seen = calloc(1, sizeof *t->seen);
	if (t->seen == NULL)
		return;
	struct ask_flags flags = { .dnssec = true };
	enum ec ec = ask_server(e->ask, &t->address, &t->hop.owner, DNS_TLSA, flags, timeout_ms, on_tlsa, t, &t->tlsa_call,
	                        &t->seen->raw_why);
	t->seen->raw_ec = ec;
	t->pending += ec == EC_OK;
	struct why ignored = { 0 };
	ec = ask_server(e->ask, &t->address, &t->apex, DNS_SOA, (struct ask_flags){ 0 }, timeout_ms, on_soa, t, &t->soa_call,
	                &ignored);
	t->pending += ec == EC_OK;
	ec = ask_server(e->ask, &t->address, &t->apex, DNS_DNSKEY, flags, timeout_ms, on_keys, t, &t->keys_call, &ignored);
	t->pending += ec == EC_OK;
	ec = asker_ask(t->at, &t->hop.owner, DNS_TLSA, timeout_ms, on_secure, t, &t->secure_call, &t->seen->secure_why);
	t->pending += ec == EC_OK;
}

static void on_kick(uv_timer_t *timer)
{
	struct evidence *e = timer->data;
	size_t num = e->num_tasks;
	if (num == 0) {
		turn_end(&e->turn);
		e->events.looked(e->arg);
	}
	for (size_t i = 0; i < num; i++)
		task_step(e->tasks[i]);
}

static void look_go(void *arg)
{
	struct evidence *e = arg;
	for (size_t i = 0; i < e->num_rows; i++)
		e->rows[i] = (struct row){ .id = e->rows[i].id };
	for (size_t i = 0; i < e->num_tasks; i++)
		e->rows[e->tasks[i]->row].pending++;
	e->rows_pending = e->num_rows;
	for (size_t i = 0; i < e->num_tasks; i++)
		task_start(e->tasks[i]);
	uv_timer_start(&e->kick, on_kick, 0, 0);
}

enum ec evidence_look(struct evidence *e, struct evidence_events events, void *arg, struct why *why)
{
	if (evidence_map(e) == NULL)
		return why_set(why, EC_MISSING, "the zone's servers are not known yet");
	e->events = events;
	e->arg = arg;
	turn_ask(e->askers, &e->turn, look_go, e);
	return EC_OK;
}

const struct zone_map *evidence_map(const struct evidence *e)
{
	return e->num_rows == 0 ? NULL : e->map;
}

/* --- life --- */

static void on_kick_closed(uv_handle_t *h)
{
	free(h->data);
}

enum ec evidence_new(uv_loop_t *loop, const struct config *cfg, struct askers *askers, const char *identity,
                     struct evidence **out, struct why *why)
{
	struct evidence *e = calloc(1, sizeof *e);
	if (e == NULL)
		return why_set(why, EC_NO_MEMORY, "out of memory");
	e->loop = loop;
	e->cfg = cfg;
	e->askers = askers;
	uv_timer_init(loop, &e->kick);
	e->kick.data = e;
	enum ec ec = dns_name_parse(slice_str(identity), &e->host, why);
	if (ec == EC_OK)
		ec = dns_name_prepend("_25._tcp", &e->host, &e->owner, why);
	if (ec == EC_OK)
		ec = ask_new(loop, &e->ask, why);
	if (ec != EC_OK) {
		evidence_free(e);
		e = NULL;
	}
	*out = e;
	return ec;
}

void evidence_free(struct evidence *e)
{
	if (e == NULL || e->freed)
		return;
	e->freed = true;
	zone_cancel(e->zone_call);
	addresses_cancel(&e->addresses);
	parents_cancel(&e->parents);
	turn_end(&e->turn);
	tasks_free(e->tasks, e->num_tasks);
	e->num_tasks = 0;
	ask_free(e->ask);
	free(e->map);
	e->map = NULL;
	free(e->rows);
	e->rows = NULL;
	e->num_rows = 0;
	uv_close((uv_handle_t *)&e->kick, on_kick_closed);
}
