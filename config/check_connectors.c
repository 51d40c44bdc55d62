#include <stdlib.h>
#include <string.h>

#include "base/domain.h"
#include "config/check.h"
#include "config/connector.h"

/* A word that may stand once in the file, and where it stands. */
struct once {
	char *text; /* owned, in the spelling by which it is compared */
	const char *written;
	struct config_mark mark;
	const struct config_connector *in;
};

static int by_text_and_place(const void *a, const void *b)
{
	const struct once *x = a, *y = b;
	int order = strcmp(x->text, y->text);
	if (order == 0)
		order = (x->mark.line > y->mark.line) - (x->mark.line < y->mark.line);
	return order != 0 ? order : (x->mark.col > y->mark.col) - (x->mark.col < y->mark.col);
}

static void out_of_memory(const struct config *cfg, struct config_errors *errs)
{
	config_errors_add(errs, EC_NO_MEMORY, cfg->file_name, (struct config_mark){ 0 }, "connectors", "out of memory");
}

static char *folded(const char *pattern)
{
	char text[DOMAIN_MAX + 3] = "*.";
	size_t len = 0, star = strncmp(pattern, "*.", 2) == 0 ? 2 : 0;
	/* What can't be folded, "*" too, is compared as it is. */
	if (domain_fold(slice_str(pattern + star), text + star, &len) != EC_OK)
		return strdup(pattern);
	return strdup(text);
}

static void complain_twice(const struct config *cfg, const struct once *first, const struct once *again,
                           struct config_errors *errs)
{
	if (first->written == first->in->name)
		config_errors_add(errs, EC_DUPLICATE, cfg->file_name, again->mark, "connectors.name",
		                  "%s is already the name of the connector at line %u; give each connector its own name",
		                  again->written, first->mark.line);
	else
		config_errors_add(errs, EC_DUPLICATE, cfg->file_name, again->mark, "connectors.domains",
		                  "%.80s is already a pattern of connector %s, at line %u; keep one of them", again->written,
		                  first->in->name, first->mark.line);
}

/* Takes the texts of `items`. */
static void check_once(const struct config *cfg, struct once *items, size_t num, struct config_errors *errs)
{
	bool whole = true;
	for (size_t i = 0; i < num; i++)
		whole = whole && items[i].text != NULL;
	if (!whole)
		out_of_memory(cfg, errs);
	else
		qsort(items, num, sizeof *items, by_text_and_place);
	size_t first = 0;
	for (size_t i = 1; whole && i < num; i++) {
		if (strcmp(items[first].text, items[i].text) != 0)
			first = i;
		else if (*items[i].text != '\0')
			complain_twice(cfg, &items[first], &items[i], errs);
	}
	for (size_t i = 0; i < num; i++)
		free(items[i].text);
}

static void check_all_once(const struct config *cfg, struct config_errors *errs)
{
	size_t most = cfg->num_connectors, num = 0;
	for (size_t i = 0; i < cfg->num_connectors; i++)
		most += cfg->connectors[i].domains.num;
	struct once *items = calloc(most == 0 ? 1 : most, sizeof *items);
	if (items == NULL) {
		out_of_memory(cfg, errs);
		return;
	}
	for (size_t i = 0; i < cfg->num_connectors; i++) {
		const struct config_connector *c = &cfg->connectors[i];
		items[num++] = (struct once){ strdup(c->name), c->name, c->mark, c };
	}
	check_once(cfg, items, num, errs);
	num = 0;
	for (size_t i = 0; i < cfg->num_connectors; i++) {
		const struct config_connector *c = &cfg->connectors[i];
		for (size_t j = 0; j < c->domains.num; j++)
			items[num++] = (struct once){ folded(c->domains.items[j]), c->domains.items[j], c->domains.marks[j], c };
	}
	check_once(cfg, items, num, errs);
	free(items);
}

/* One connector, and what its hops have in common. */
struct look {
	const struct config *cfg;
	const struct config_connector *c;
	struct config_errors *errs;
	bool mx; /* some hop is mx */
	bool named; /* some hop has a name */
	bool local; /* none leaves the machine */
};

/* The mark of a setting, or, when it is not in the file, of the connector's name. */
static struct config_mark place(const struct look *l, struct config_mark mark)
{
	return mark.line != 0 ? mark : l->c->mark;
}

static void check_hop(struct look *l, size_t i)
{
	const struct config_connector *c = l->c;
	const struct config_next_hop *at = &c->next_hops[i];
	static const char key[] = "connectors.next_hops.to";
	struct config_hop hop;
	if (config_hop_parse(slice_str(at->to), &hop, NULL) != EC_OK)
		return; /* said where it was read */
	bool named = config_hop_is_named(&hop);
	l->mx = l->mx || hop.kind == CONFIG_HOP_MX;
	l->named = l->named || named;
	l->local = l->local && config_hop_is_local(&hop);
	for (size_t j = 0; j < i; j++)
		if (strcmp(c->next_hops[j].to, at->to) == 0)
			config_errors_add(l->errs, EC_DUPLICATE, l->cfg->file_name, at->mark, key,
			                  "%s is already the hop at line %u; keep one, and give it the weight of both", at->to,
			                  c->next_hops[j].mark.line);
	if (hop.kind == CONFIG_HOP_MX && c->protocol == CONFIG_LMTP)
		config_errors_add(l->errs, EC_SYNTAX, l->cfg->file_name, at->mark, key,
		                  "mail hosts in DNS speak SMTP, and %s has protocol: lmtp; name the mail store, such as "
		                  "unix:/run/dovecot/lmtp, or write protocol: smtp",
		                  c->name);
	if (!named && c->dane == CONFIG_DANE_MANDATORY)
		config_errors_add(l->errs, EC_SYNTAX, l->cfg->file_name, at->mark, key,
		                  "%s has no name that TLSA records could speak for, so with dane: mandatory it would never get "
		                  "mail; write its host name with the port, or dane: opportunistic",
		                  at->to);
	if (!named && c->tls == CONFIG_TLS_REQUIRE && *c->tls_name == '\0' && c->tls_pins.num == 0)
		config_errors_add(l->errs, EC_MISSING, l->cfg->file_name, at->mark, key,
		                  "%s has no name that its certificate could be held against, as tls: require wants; give "
		                  "tls_name or tls_pins, or write its host name with the port",
		                  at->to);
}

static void check_trust(const struct look *l)
{
	const struct config_connector *c = l->c;
	const struct {
		const char *key;
		bool there;
		struct config_mark mark;
	} settings[] = { { "connectors.tls_ca", *c->tls_ca != '\0', c->tls_ca_mark },
		         { "connectors.tls_name", *c->tls_name != '\0', c->tls_name_mark },
		         { "connectors.tls_pins", c->tls_pins.num > 0, c->tls_pins_mark } };
	for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
		if (!settings[i].there)
			continue;
		if (c->tls != CONFIG_TLS_REQUIRE)
			config_errors_add(l->errs, EC_SYNTAX, l->cfg->file_name, settings[i].mark, settings[i].key,
			                  "is only looked at with tls: require, and %s has tls: %s; write tls: require, or leave "
			                  "this away",
			                  c->name, config_hop_tls_name(c->tls));
		else if (c->tls_pins.num > 0 && i < 2)
			config_errors_add(l->errs, EC_SYNTAX, l->cfg->file_name, settings[i].mark, settings[i].key,
			                  "is not looked at where there are tls_pins, which say all; leave one of the two away");
	}
}

static void check_clear(const struct look *l)
{
	const struct config_connector *c = l->c;
	if (c->tls != CONFIG_TLS_NONE)
		return;
	if (c->dane == CONFIG_DANE_MANDATORY || (c->dane == CONFIG_DANE_OPPORTUNISTIC && l->named))
		config_errors_add(l->errs, EC_SYNTAX, l->cfg->file_name, c->tls_mark, "connectors.tls",
		                  "%s would send in clear what dane: %s may only send by TLS; write dane: none too, or tls: "
		                  "opportunistic",
		                  c->name, config_dane_name(c->dane));
	if (c->mta_sts == CONFIG_MTA_STS_OPPORTUNISTIC && l->mx)
		config_errors_add(l->errs, EC_SYNTAX, l->cfg->file_name, c->tls_mark, "connectors.tls",
		                  "%s would send in clear what mta_sts: opportunistic may only send by TLS; write mta_sts: none "
		                  "too, or tls: opportunistic",
		                  c->name);
}

static void check_exception(const struct look *l)
{
	const struct config_connector *c = l->c;
	const char *none = c->tls == CONFIG_TLS_NONE         ? "tls" :
	                   c->dane == CONFIG_DANE_NONE       ? "dane" :
	                   c->mta_sts == CONFIG_MTA_STS_NONE ? "mta_sts" :
	                                                       NULL;
	struct config_mark mark = c->tls == CONFIG_TLS_NONE ? c->tls_mark : c->dane == CONFIG_DANE_NONE ? c->dane_mark : c->mta_sts_mark;
	bool until = *c->until != '\0', reason = *c->reason != '\0';
	if (none == NULL && (until || reason))
		config_errors_add(l->errs, EC_SYNTAX, l->cfg->file_name, until ? c->until_mark : c->reason_mark,
		                  until ? "connectors.until" : "connectors.reason",
		                  "is for an exception, and nothing in %s is none; leave until and reason away", c->name);
	if (none == NULL)
		return;
	if (!until && !l->local)
		config_errors_add(l->errs, EC_MISSING, l->cfg->file_name, place(l, mark), "connectors.until",
		                  "%s: none is an exception and must end; write until: with its last day, such as 2027-01-31, and "
		                  "reason:",
		                  none);
	if (until && !reason)
		config_errors_add(l->errs, EC_MISSING, l->cfg->file_name, c->until_mark, "connectors.reason",
		                  "is missing; write why %s has %s: none, for whoever finds it when the day has come", c->name,
		                  none);
}

static void check_backend(const struct look *l)
{
	const struct config_connector *c = l->c;
	if (strcmp(c->name, "backend") == 0)
		config_errors_add(l->errs, EC_DUPLICATE, l->cfg->file_name, c->mark, "connectors.name",
		                  "backend is the connector that the section backend makes; give this one another name");
	for (size_t i = 0; *l->cfg->backend.address != '\0' && i < c->domains.num; i++)
		if (strcmp(c->domains.items[i], "*") == 0)
			config_errors_add(l->errs, EC_DUPLICATE, l->cfg->file_name, c->domains.marks[i], "connectors.domains",
			                  "backend.address, at line %u, already takes all other domains; leave it or this * away",
			                  config_mark_of(l->cfg, "backend.address").line);
}

void check_connectors(const struct config *cfg, struct config_errors *errs)
{
	check_all_once(cfg, errs);
	for (size_t i = 0; i < cfg->num_connectors; i++) {
		struct look l = { .cfg = cfg, .c = &cfg->connectors[i], .errs = errs, .local = true };
		for (size_t j = 0; j < l.c->num_next_hops; j++)
			check_hop(&l, j);
		check_backend(&l);
		check_trust(&l);
		check_clear(&l);
		check_exception(&l);
	}
}
