/* Which connector a domain goes by, held against the rule read out line by line: the
 * exact pattern, else the longest suffix with a label in front, else "*". Each line but
 * the last is a pattern, the last one the domain. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/domain.h"
#include "config/config.h"
#include "config/schema.h"
#include "config/value.h"
#include "proxy/smtp/connectors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { PATTERNS_MAX = 64 };

struct pattern {
	char text[DOMAIN_MAX + 1]; /* folded, without "*." */
	size_t len;
	bool suffix;
	bool other; /* "*" */
};

static bool read_pattern(struct slice line, struct pattern *out)
{
	const struct schema_row *row = schema_find(SLICE_LIT("connectors.domains"));
	struct why why = { 0 };
	*out = (struct pattern){ .other = slice_eq(line, SLICE_LIT("*")) };
	if (value_check(row, line, &why) != EC_OK) {
		assert(strstr(why.text, "; ") != NULL || memchr(line.p, '\0', line.len) != NULL);
		return false;
	}
	out->suffix = !out->other && line.p[0] == '*';
	struct slice domain = slice_from(line, out->suffix ? 2 : 0);
	if (!out->other && domain_fold(domain, out->text, &out->len) != EC_OK)
		abort(); /* what the configuration takes can be compared */
	return true;
}

static bool fits(const struct pattern *p, const char *domain, size_t len)
{
	if (!p->suffix)
		return p->len == len && memcmp(p->text, domain, len) == 0;
	return len > p->len + 1 && domain[len - p->len - 1] == '.' && memcmp(domain + len - p->len, p->text, p->len) == 0;
}

static size_t find(const struct pattern *patterns, size_t num, struct slice domain)
{
	char text[DOMAIN_MAX + 1];
	size_t len = 0, other = CONNECTOR_NONE, best = CONNECTOR_NONE, best_len = 0;
	bool literal = domain.len > 0 && domain.p[domain.len - 1] == ']';
	bool any = !literal && domain_fold(domain, text, &len) == EC_OK;
	for (size_t i = 0; i < num; i++) {
		if (patterns[i].other)
			other = i;
		else if (any && fits(&patterns[i], text, len) && patterns[i].len + !patterns[i].suffix > best_len) {
			best = i;
			best_len = patterns[i].len + !patterns[i].suffix;
		}
	}
	return best != CONNECTOR_NONE ? best : other;
}

/* Folding twice is folding once: what DNS has is already what is compared. */
static void check_fold(struct slice domain)
{
	char once[DOMAIN_MAX + 1], twice[DOMAIN_MAX + 1];
	size_t len = 0, again = 0;
	if (domain_fold(domain, once, &len) != EC_OK)
		return;
	assert(len == strlen(once) || memchr(domain.p, '\0', domain.len) != NULL);
	for (size_t i = 0; i < len; i++)
		assert((uint8_t)once[i] < 0x80 && !(once[i] >= 'A' && once[i] <= 'Z'));
	assert(domain_fold(slice_of(once, len), twice, &again) == EC_OK && again == len && memcmp(once, twice, len) == 0);
}

static void add(struct config *cfg, const struct pattern *p)
{
	struct config_connector *c = &cfg->connectors[cfg->num_connectors++];
	char text[DOMAIN_MAX + 3];
	struct writer w = writer_of(text, sizeof text);
	writer_str(&w, p->other ? "*" : p->suffix ? "*." : "");
	writer_bytes(&w, slice_of(p->text, p->len));
	c->name = strdup("x");
	c->domains.items = calloc(1, sizeof *c->domains.items);
	assert(c->name != NULL && c->domains.items != NULL);
	c->domains.items[c->domains.num++] = strdup(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct pattern patterns[PATTERNS_MAX];
	struct config *cfg = NULL;
	struct connectors *t = NULL;
	struct slice rest = slice_of(data, len);
	size_t num = 0;
	if (config_defaults(&cfg) != EC_OK)
		return 0;
	cfg->connectors = calloc(PATTERNS_MAX, sizeof *cfg->connectors);
	assert(cfg->connectors != NULL);
	const uint8_t *end = NULL;
	while (rest.len > 0 && (end = memchr(rest.p, '\n', rest.len)) != NULL) {
		struct pattern p;
		struct slice line = slice_first(rest, (size_t)(end - rest.p));
		rest = slice_from(rest, line.len + 1);
		if (num == PATTERNS_MAX || line.len == 0 || !read_pattern(line, &p))
			continue;
		bool again = false;
		for (size_t i = 0; i < num; i++)
			again = again || (patterns[i].suffix == p.suffix && patterns[i].other == p.other && patterns[i].len == p.len &&
			                  memcmp(patterns[i].text, p.text, p.len) == 0);
		if (again)
			continue; /* the configuration refuses that */
		patterns[num++] = p;
		add(cfg, &p);
	}
	if (connectors_new(cfg, &t) == EC_OK) {
		check_fold(rest);
		if (connectors_find(t, rest) != find(patterns, num, rest))
			abort();
	}
	connectors_free(t);
	config_free(cfg);
	return 0;
}
