#include "config/check.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config/schema.h"
#include "config/scope.h"
#include "config/value.h"

static int by_name(const void *a, const void *b)
{
	const struct config_identity *x = *(const struct config_identity *const *)a;
	const struct config_identity *y = *(const struct config_identity *const *)b;
	int order = strcasecmp(x->name, y->name);
	/* Equal names stay in the order of the file: the later one is wrong. */
	return order != 0 ? order : (x > y) - (x < y);
}

static void check_names(const struct config *cfg, struct config_errors *errs)
{
	if (cfg->num_identities < 2)
		return;
	const struct config_identity **sorted = calloc(cfg->num_identities, sizeof *sorted);
	if (sorted == NULL) {
		config_errors_add(errs, EC_NO_MEMORY, cfg->file_name, (struct config_mark){ 0 }, "identities",
		                  "out of memory");
		return;
	}
	for (size_t i = 0; i < cfg->num_identities; i++)
		sorted[i] = &cfg->identities[i];
	qsort(sorted, cfg->num_identities, sizeof *sorted, by_name);
	for (size_t i = 1; i < cfg->num_identities; i++)
		if (*sorted[i]->name != '\0' && strcasecmp(sorted[i - 1]->name, sorted[i]->name) == 0)
			config_errors_add(errs, EC_DUPLICATE, cfg->file_name, sorted[i]->mark, "identities.name",
			                  "%s is already the name of the identity at line %u; give each identity its own "
			                  "name",
			                  sorted[i]->name, sorted[i - 1]->mark.line);
	free(sorted);
}

static void check_identity(const struct config *cfg, const struct config_identity *id, struct config_errors *errs)
{
	size_t algorithms = 0;
	for (unsigned i = 0; i < CONFIG_NUM_ALGORITHMS; i++)
		algorithms += (id->algorithms >> i & 1) != 0;
	if (id->issuer != CONFIG_FILES && id->num_files > 0)
		config_errors_add(errs, EC_SYNTAX, cfg->file_name, id->files[0].chain_mark, "identities.files",
		                  "%s has files, but its issuer is %s and does not use them; write issuer: files, or "
		                  "leave files away",
		                  id->name, config_issuer_name(id->issuer));
	if (id->issuer != CONFIG_COMMAND && id->command.num > 0)
		config_errors_add(errs, EC_SYNTAX, cfg->file_name, id->command_mark, "identities.command",
		                  "%s has a command, but its issuer is %s and does not run it; write issuer: command, or "
		                  "leave the command away",
		                  id->name, config_issuer_name(id->issuer));
	if (id->issuer == CONFIG_COMMAND && id->command.num == 0)
		config_errors_add(errs, EC_MISSING, cfg->file_name, id->mark, "identities.command",
		                  "%s has issuer command and no command; write one, such as [/etc/danegate/issuer-lego]",
		                  id->name);
	if (id->issuer == CONFIG_FILES && id->num_files != algorithms)
		config_errors_add(errs, EC_MISSING, cfg->file_name, id->mark, "identities.files",
		                  "%s has %zu algorithms and %zu pairs of files; list one {chain: ..., key: ...} for each "
		                  "algorithm",
		                  id->name, algorithms, id->num_files);
}

/* The sockets that one of our programs makes. */
static void check_sockets(const struct config *cfg, struct config_errors *errs)
{
	static const char *const keys[] = { "proxy.control_socket", "proxy.stats_socket", "tlsa_sync.control_socket",
		                            "tlsa_sync.stats_socket" };
	const char *const paths[] = { cfg->proxy.control_socket, cfg->proxy.stats_socket,
		                      cfg->tlsa_sync.control_socket, cfg->tlsa_sync.stats_socket };
	for (size_t i = 1; i < sizeof keys / sizeof keys[0]; i++) {
		for (size_t j = 0; j < i; j++) {
			if (strcmp(paths[i], paths[j]) != 0)
				continue;
			struct config_mark mark = config_mark_of(cfg, keys[i]);
			bool later = mark.line != 0;
			config_errors_add(errs, EC_DUPLICATE, cfg->file_name,
			                  later ? mark : config_mark_of(cfg, keys[j]), keys[later ? i : j],
			                  "%s is also %s; give each socket its own path", paths[i], keys[later ? j : i]);
		}
	}
}

static void check_bounds(const struct config *cfg, struct config_errors *errs)
{
	char least[VALUE_TEXT_SIZE];
	const struct config_tlsa_sync *t = &cfg->tlsa_sync;
	if (t->rotate_every_ms != 0 && t->rotate_every_ms <= t->hold_ms + t->ttl_ms) {
		value_print_duration(least, t->hold_ms + t->ttl_ms);
		struct config_mark mark = config_mark_of(cfg, "tlsa_sync.rotate_every");
		config_errors_add(errs, EC_RANGE, cfg->file_name,
		                  mark.line != 0 ? mark : config_mark_of(cfg, "tlsa_sync.hold"), "tlsa_sync.rotate_every",
		                  "a roll would be due before the last one is over; write more than hold + ttl = %s, or 0",
		                  least);
	}
	if (cfg->smtp.session_timeout_ms < cfg->smtp.greeting_delay_ms)
		config_errors_add(errs, EC_RANGE, cfg->file_name, config_mark_of(cfg, "smtp.greeting_delay"),
		                  "smtp.greeting_delay",
		                  "the session would end before its greeting; write less than smtp.session_timeout");
}

void check_relations(const struct config *cfg, struct config_errors *errs)
{
	check_names(cfg, errs);
	for (size_t i = 0; i < cfg->num_identities; i++)
		check_identity(cfg, &cfg->identities[i], errs);
	check_connectors(cfg, errs);
	check_sockets(cfg, errs);
	check_bounds(cfg, errs);
}

/* The place to complain about a setting that is not there: its section. */
static struct config_mark section_mark(const struct config *cfg, const struct schema_row *row)
{
	for (size_t i = 0; i < schema_num_rows; i++) {
		size_t len = strlen(schema_rows[i].key);
		if (schema_rows[i].type == SCHEMA_SECTION && schema_parent_is(row, schema_rows[i].key) && len > 0)
			return cfg->marks[i];
	}
	return (struct config_mark){ 0 };
}

enum ec config_check_for(const struct config *cfg, enum config_program program, struct config_errors *errs)
{
	const char *who = program == CONFIG_FOR_DANEGATE ? "danegate" : "tlsa-sync";
	enum ec result = EC_OK;
	for (size_t i = 0; i < schema_num_rows; i++) {
		const struct schema_row *row = &schema_rows[i];
		if (row->scope != SCHEMA_IN_CONFIG || (row->needed_by & 1u << program) == 0)
			continue;
		if (!schema_section_chosen(row, cfg))
			continue;
		const void *at = (const char *)cfg + row->offset;
		bool there = row->type == SCHEMA_MAPPINGS    ? scope_items_num(row, cfg) > 0 :
		             schema_is_list(row->type) ? ((const struct config_list *)at)->num > 0 :
		                                         **(char *const *)at != '\0';
		if (there)
			continue;
		config_errors_add(errs, EC_MISSING, cfg->file_name, section_mark(cfg, row), row->key,
		                  "is missing, and %s needs it; write %s", who,
		                  row->type == SCHEMA_MAPPINGS ? "a list with at least one \"- name: mx1.example.org\"" :
		                                                 value_kind(row->type));
		result = EC_MISSING;
	}
	return result;
}
