#include "config/config.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/schema.h"
#include "config/scope.h"

void config_errors_add(struct config_errors *errs, enum ec ec, const char *file_name, struct config_mark mark,
                       const char *key, const char *format, ...)
{
	assert(ec != EC_OK);
	if (errs->num == 0)
		errs->ec = ec;
	if (errs->num == CONFIG_ERRORS_MAX) {
		errs->more++;
		return;
	}
	char *item = errs->items[errs->num++];
	struct writer w = writer_of(item, CONFIG_ERROR_SIZE);
	writer_format(&w, "%.300s:%u:%u: %s%s", file_name, mark.line == 0 ? 1 : mark.line, mark.col == 0 ? 1 : mark.col,
	              key, *key == '\0' ? "" : ": ");
	va_list ap;
	va_start(ap, format);
	(void)vsnprintf(item + w.len, CONFIG_ERROR_SIZE - w.len, format, ap);
	va_end(ap);
}

enum ec config_errors_text(const struct config_errors *errs, struct bytes *out)
{
	enum ec ec = EC_OK;
	for (size_t i = 0; ec == EC_OK && i < errs->num; i++) {
		ec = bytes_append(out, slice_str(errs->items[i]));
		if (ec == EC_OK)
			ec = bytes_append(out, SLICE_LIT("\n"));
	}
	if (ec == EC_OK && errs->more > 0) {
		char text[64];
		struct writer w = writer_of(text, sizeof text);
		writer_format(&w, "and %zu more\n", errs->more);
		ec = bytes_append(out, writer_slice(&w));
	}
	return ec;
}

enum ec config_defaults(struct config **out)
{
	*out = NULL;
	struct config *cfg = calloc(1, sizeof *cfg);
	if (cfg == NULL)
		return EC_NO_MEMORY;
	cfg->programs = 1u << CONFIG_FOR_DANEGATE | 1u << CONFIG_FOR_TLSA_SYNC;
	cfg->file_name = strdup("");
	enum ec ec = scope_init(SCHEMA_IN_CONFIG, cfg);
	if (ec != EC_OK || cfg->file_name == NULL) {
		config_free(cfg);
		/* Any other failure would be a default that its own row refuses,
		 * which the unit test of the table rules out. */
		assert(ec == EC_OK || ec == EC_NO_MEMORY);
		return EC_NO_MEMORY;
	}
	*out = cfg;
	return EC_OK;
}

void config_free(struct config *cfg)
{
	if (cfg == NULL)
		return;
	scope_fini(SCHEMA_IN_CONFIG, cfg);
	free(cfg->file_name);
	free(cfg);
}

struct config_mark config_mark_of(const struct config *cfg, const char *key)
{
	const struct schema_row *row = schema_find(slice_str(key));
	assert(row != NULL && row->scope == SCHEMA_IN_CONFIG);
	return cfg->marks[row - schema_rows];
}

size_t config_diff(const struct config *before, const struct config *after,
                   void (*on_change)(void *arg, const char *key, bool reloadable), void *arg)
{
	size_t num = 0;
	for (size_t i = 0; i < schema_num_rows; i++) {
		const struct schema_row *row = &schema_rows[i];
		if (row->scope != SCHEMA_IN_CONFIG || row->type == SCHEMA_SECTION ||
		    (schema_used_by(row) & after->programs) == 0 || scope_row_eq(row, before, after))
			continue;
		num += row->needs_restart;
		if (on_change != NULL)
			on_change(arg, row->key, !row->needs_restart);
	}
	return num;
}

static const char *word_of(const char *key, unsigned i)
{
	const struct schema_row *row = schema_find(slice_str(key));
	for (unsigned j = 0; j <= i; j++)
		assert(row->words[j] != NULL);
	return row->words[i];
}

const char *config_algorithm_name(enum config_algorithm algorithm)
{
	return word_of("identities.algorithms", algorithm);
}

const char *config_issuer_name(enum config_issuer issuer)
{
	return word_of("identities.issuer", issuer);
}

const char *config_client_info_name(enum config_client_info info)
{
	return word_of("backend.client_info", info);
}

const char *config_hop_tls_name(enum config_hop_tls tls)
{
	return word_of("connectors.tls", tls);
}

const char *config_dane_name(enum config_dane dane)
{
	return word_of("connectors.dane", dane);
}

const char *config_mta_sts_name(enum config_mta_sts mta_sts)
{
	return word_of("connectors.mta_sts", mta_sts);
}

const char *config_tsig_algorithm_name(enum config_tsig_algorithm algorithm)
{
	return word_of("tlsa_sync.rfc2136.tsig_algorithm", algorithm);
}
