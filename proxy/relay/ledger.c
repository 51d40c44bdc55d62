#include "proxy/relay/ledger.h"

#include <stdlib.h>
#include <string.h>

static void row_end(struct names_item *item)
{
	free(item);
}

static struct ledger_row *find(const struct ledger *l, const char *key)
{
	return (struct ledger_row *)names_find(&l->rows, slice_str(key));
}

static struct ledger_row *add(struct ledger *l, const char *key)
{
	struct ledger_row *row = calloc(1, sizeof *row);
	if (row == NULL)
		return NULL;
	memcpy(row->key, key, strlen(key) + 1);
	row->domain = strchr(row->key, ':') + 1;
	row->item = (struct names_item){ .refs = 1, .name = row->key, .end = row_end };
	enum ec ec = names_put(&l->rows, &row->item);
	names_item_unref(&row->item); /* the set has it, or nobody */
	return ec == EC_OK ? row : NULL;
}

/* domain_fold leaves nothing else in the name of a domain that was in a command. */
static bool visible(struct slice key)
{
	for (size_t i = 0; i < key.len; i++)
		if (key.p[i] <= 0x20 || key.p[i] >= 0x7f)
			return false;
	return true;
}

static enum ec row_of(struct ledger *l, const char *connector, struct slice domain, struct ledger_row **out)
{
	char key[ROUTE_CONNECTOR_SIZE + ROUTE_NAME_SIZE];
	struct writer w = writer_of(key, sizeof key);
	writer_str(&w, connector);
	writer_str(&w, ":");
	size_t head = w.len;
	writer_bytes(&w, domain);
	if (w.bad || head > ROUTE_CONNECTOR_SIZE || domain.len >= ROUTE_NAME_SIZE || !visible(writer_slice(&w)))
		return EC_SYNTAX;
	*out = find(l, key);
	if (*out == NULL && names_num(&l->rows) >= LEDGER_MAX) {
		key[head] = '*';
		key[head + 1] = '\0';
		*out = find(l, key);
	}
	if (*out == NULL && names_num(&l->rows) >= 2 * LEDGER_MAX)
		return EC_LIMIT;
	if (*out == NULL)
		*out = add(l, key);
	return *out == NULL ? EC_NO_MEMORY : EC_OK;
}

void ledger_note(struct ledger *l, const char *connector, struct slice domain, enum trust trust, enum smtp_reason refused)
{
	struct ledger_row *row;
	if (row_of(l, connector, domain, &row) != EC_OK)
		return;
	if (refused != SMTP_WHY_NONE)
		row->refusals[refused]++;
	else
		row->trusts[trust]++;
}

static json_t *counts(const uint64_t *values, size_t num, const char *(*name)(size_t i))
{
	json_t *object = json_object();
	for (size_t i = 0; i < num && object != NULL; i++) {
		if (values[i] == 0 || json_object_set_new(object, name(i), json_integer((json_int_t)values[i])) == 0)
			continue;
		json_decref(object);
		object = NULL;
	}
	return object;
}

static const char *trust_at(size_t i)
{
	return trust_name((enum trust)i);
}

static const char *reason_at(size_t i)
{
	return smtp_reason_name((enum smtp_reason)i);
}

json_t *ledger_row_json(const struct ledger_row *row)
{
	return json_pack("{s:s%, s:s, s:o, s:o}", "connector", row->key, (size_t)(row->domain - row->key) - 1, "domain",
	                 row->domain, "trust", counts(row->trusts, TRUST_NUM, trust_at), "refused",
	                 counts(row->refusals, SMTP_REASON_COUNT, reason_at));
}

json_t *ledger_json(const struct ledger *l)
{
	json_t *list = json_array();
	for (size_t i = 0; list != NULL && i < names_num(&l->rows); i++) {
		if (json_array_append_new(list, ledger_row_json((const struct ledger_row *)names_at(&l->rows, i))) == 0)
			continue;
		json_decref(list);
		list = NULL;
	}
	return list;
}

/* merge_counts adds the numbers behind the names that we know; another version may have more. */
static enum ec merge_counts(uint64_t *values, size_t num, const char *(*name)(size_t i), const json_t *object)
{
	if (!json_is_object(object))
		return EC_SYNTAX;
	for (size_t i = 0; i < num; i++) {
		const json_t *n = json_object_get(object, name(i));
		if (n != NULL && (!json_is_integer(n) || json_integer_value(n) < 0))
			return EC_SYNTAX;
		values[i] += n == NULL ? 0 : (uint64_t)json_integer_value(n);
	}
	return EC_OK;
}

static enum ec merge_row(struct ledger *l, const json_t *from)
{
	const char *connector = json_string_value(json_object_get(from, "connector"));
	const json_t *domain = json_object_get(from, "domain");
	if (connector == NULL || strchr(connector, ':') != NULL || !json_is_string(domain))
		return EC_SYNTAX;
	struct ledger_row *row;
	enum ec ec = row_of(l, connector, slice_of(json_string_value(domain), json_string_length(domain)), &row);
	if (ec == EC_OK)
		ec = merge_counts(row->trusts, TRUST_NUM, trust_at, json_object_get(from, "trust"));
	return ec == EC_OK ? merge_counts(row->refusals, SMTP_REASON_COUNT, reason_at, json_object_get(from, "refused")) : ec;
}

enum ec ledger_merge(struct ledger *l, const json_t *rows)
{
	if (!json_is_array(rows))
		return EC_SYNTAX;
	enum ec ec = EC_OK;
	for (size_t i = 0; i < json_array_size(rows) && ec == EC_OK; i++)
		ec = merge_row(l, json_array_get(rows, i));
	return ec;
}

bool ledger_empty(const struct ledger *l)
{
	return names_num(&l->rows) == 0;
}

void ledger_fini(struct ledger *l)
{
	names_fini(&l->rows);
	*l = (struct ledger){ 0 };
}
