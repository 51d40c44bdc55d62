#include "proxy/smtp/connectors.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/domain.h"
#include "config/config.h"

enum { LABELS_MAX = (DOMAIN_MAX + 1) / 2 };

struct connector {
	char *name;
	bool per_domain;
	bool lmtp;
	uint64_t max_recipients;
};

/* One pattern but "*": a folded domain, for "*.example.org" with the dot in front. An
 * empty slot has no text. */
struct slot {
	char *text;
	uint32_t hash;
	uint8_t len;
	size_t connector;
};

struct connectors {
	struct connector *items;
	size_t num;
	size_t other; /* the connector with "*", or CONNECTOR_NONE */
	struct slot *slots;
	size_t mask; /* number of slots - 1; at least half of them are empty */
};

/* FNV-1a, fed from the last octet to the first, so that one pass over a domain gives
 * the hash of each of its suffixes. Patterns are the operator's: nobody else can
 * lengthen a chain, so the hash needs no secret. */
static const uint32_t hash_start = 2166136261u;

static uint32_t hash_more(uint32_t hash, char c)
{
	return (hash ^ (uint8_t)c) * 16777619u;
}

static struct slot *slot_of(const struct connectors *t, const char *text, size_t len, uint32_t hash)
{
	size_t i = hash & t->mask;
	while (t->slots[i].text != NULL &&
	       (t->slots[i].hash != hash || t->slots[i].len != len || memcmp(t->slots[i].text, text, len) != 0))
		i = (i + 1) & t->mask;
	return &t->slots[i];
}

static enum ec add_pattern(struct connectors *t, const char *pattern, size_t connector)
{
	if (strcmp(pattern, "*") == 0) {
		t->other = connector;
		return EC_OK;
	}
	/* "*.example.org" is kept with its dot in front, which no domain begins with. */
	char text[DOMAIN_MAX + 2] = ".";
	size_t len = 0, dot = pattern[0] == '*';
	enum ec ec = domain_fold(slice_str(pattern + 2 * dot), text + dot, &len);
	assert(ec == EC_OK); /* the configuration's own check */
	len += dot;
	uint32_t hash = hash_start;
	for (size_t i = len; i-- > 0;)
		hash = hash_more(hash, text[i]);
	struct slot *slot = slot_of(t, text, len, hash);
	assert(slot->text == NULL);
	*slot = (struct slot){ .text = strdup(text), .hash = hash, .len = (uint8_t)len, .connector = connector };
	return slot->text == NULL ? EC_NO_MEMORY : EC_OK;
}

static enum ec add_connector(struct connectors *t, const struct config_connector *from)
{
	size_t i = t->num++;
	t->items[i] = (struct connector){ .name = strdup(from->name),
		                          .lmtp = from->protocol == CONFIG_LMTP,
		                          .max_recipients = from->max_recipients };
	for (size_t j = 0; j < from->num_next_hops; j++)
		t->items[i].per_domain = t->items[i].per_domain || strcmp(from->next_hops[j].to, "mx") == 0;
	enum ec ec = t->items[i].name == NULL ? EC_NO_MEMORY : EC_OK;
	for (size_t j = 0; ec == EC_OK && j < from->domains.num; j++)
		ec = add_pattern(t, from->domains.items[j], i);
	return ec;
}

static enum ec add_backend(struct connectors *t)
{
	t->other = t->num++;
	t->items[t->other] = (struct connector){ .name = strdup("backend") };
	return t->items[t->other].name == NULL ? EC_NO_MEMORY : EC_OK;
}

enum ec connectors_new(const struct config *cfg, struct connectors **out)
{
	size_t patterns = 0, slots = 2;
	for (size_t i = 0; i < cfg->num_connectors; i++)
		patterns += cfg->connectors[i].domains.num;
	while (slots < 2 * patterns)
		slots *= 2;
	struct connectors *t = calloc(1, sizeof *t);
	*out = NULL;
	if (t == NULL)
		return EC_NO_MEMORY;
	t->other = CONNECTOR_NONE;
	t->mask = slots - 1;
	t->items = calloc(cfg->num_connectors + 1, sizeof *t->items);
	t->slots = calloc(slots, sizeof *t->slots);
	enum ec ec = t->items == NULL || t->slots == NULL ? EC_NO_MEMORY : EC_OK;
	for (size_t i = 0; ec == EC_OK && i < cfg->num_connectors; i++)
		ec = add_connector(t, &cfg->connectors[i]);
	if (ec == EC_OK && *cfg->backend.address != '\0')
		ec = add_backend(t);
	if (ec == EC_OK)
		*out = t;
	else
		connectors_free(t);
	return ec;
}

void connectors_free(struct connectors *t)
{
	if (t == NULL)
		return;
	for (size_t i = 0; i < t->num; i++)
		free(t->items[i].name);
	for (size_t i = 0; t->slots != NULL && i <= t->mask; i++)
		free(t->slots[i].text);
	free(t->items);
	free(t->slots);
	free(t);
}

size_t connectors_find(const struct connectors *t, struct slice domain)
{
	char text[DOMAIN_MAX + 1];
	uint32_t hashes[LABELS_MAX];
	uint8_t starts[LABELS_MAX]; /* of the suffixes, each with its dot, the shortest first */
	size_t len = 0, num = 0;
	/* The empty domain is none; an address literal is one that no pattern can name. */
	if (domain_fold(domain, text, &len) != EC_OK)
		return t->other;
	uint32_t hash = hash_start;
	for (size_t i = len; i-- > 0;) {
		hash = hash_more(hash, text[i]);
		if (text[i] != '.')
			continue;
		hashes[num] = hash;
		starts[num++] = (uint8_t)i;
	}
	const struct slot *slot = slot_of(t, text, len, hash);
	while (slot->text == NULL && num-- > 0)
		slot = slot_of(t, text + starts[num], len - starts[num], hashes[num]);
	return slot->text == NULL ? t->other : slot->connector;
}

size_t connectors_num(const struct connectors *t)
{
	return t->num;
}

const char *connectors_name(const struct connectors *t, size_t i)
{
	assert(i < t->num);
	return t->items[i].name;
}

bool connectors_per_domain(const struct connectors *t, size_t i)
{
	assert(i < t->num);
	return t->items[i].per_domain;
}

bool connectors_lmtp(const struct connectors *t, size_t i)
{
	assert(i < t->num);
	return t->items[i].lmtp;
}

uint64_t connectors_max_recipients(const struct connectors *t, size_t i)
{
	assert(i < t->num);
	return t->items[i].max_recipients;
}
