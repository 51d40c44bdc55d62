#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "config/check.h"
#include "config/config.h"
#include "config/schema.h"
#include "config/scope.h"
#include "config/text.h"
#include "config/value.h"

enum { DEPTH_MAX = 8, KEY_TEXT_SIZE = 160 };

struct parse {
	yaml_document_t doc;
	const char *file_name;
	struct config *cfg;
	struct config_errors *errs;
};

static struct config_mark mark_from(yaml_mark_t m)
{
	return (struct config_mark){ (uint32_t)m.line + 1, (uint32_t)m.column + 1 };
}

static bool parser_init(yaml_parser_t *parser, struct slice text)
{
	if (yaml_parser_initialize(parser) == 0)
		return false;
	yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(parser, text.p, text.len);
	return true;
}

static enum ec yaml_failed(const yaml_parser_t *parser, const char *file_name, struct config_errors *errs)
{
	if (parser->error == YAML_MEMORY_ERROR) {
		config_errors_add(errs, EC_NO_MEMORY, file_name, (struct config_mark){ 0 }, "", "out of memory");
		return EC_NO_MEMORY;
	}
	const char *problem = parser->problem == NULL ? "not YAML" : parser->problem;
	const char *context = parser->context == NULL ? "" : parser->context;
	/* The usual reason: a pattern such as *.example.org without quotes. */
	bool star = strstr(context, "an alias") != NULL;
	config_errors_add(errs, EC_SYNTAX, file_name, mark_from(parser->problem_mark), "", "not valid YAML: %s%s%s; %s",
	                  context, *context == '\0' ? "" : ", ", problem,
	                  star ? "quote what begins with a *, as in \"*.example.org\"" :
	                         "check indentation, quotes and brackets here and just above");
	return EC_SYNTAX;
}

/* What YAML offers and a configuration does not need. libyaml's documents have
 * lost all trace of aliases and tags, so this looks at events. */
static enum ec refuse(const yaml_event_t *event, unsigned documents, unsigned depth, const char *file_name,
                      struct config_errors *errs)
{
	const yaml_char_t *anchor = NULL, *tag = NULL;
	if (event->type == YAML_SCALAR_EVENT) {
		anchor = event->data.scalar.anchor;
		tag = event->data.scalar.tag;
	} else if (event->type == YAML_MAPPING_START_EVENT) {
		anchor = event->data.mapping_start.anchor;
		tag = event->data.mapping_start.tag;
	} else if (event->type == YAML_SEQUENCE_START_EVENT) {
		anchor = event->data.sequence_start.anchor;
		tag = event->data.sequence_start.tag;
	}
	enum ec ec = EC_UNSUPPORTED;
	const char *fault = NULL;
	if (event->type == YAML_ALIAS_EVENT || anchor != NULL)
		fault = "anchors (&) and aliases (*) are not used here; write the value out, or quote it";
	else if (tag != NULL)
		fault = "tags (!) are not used here; leave the tag away, or quote the value";
	else if (documents > 1)
		fault = "a second document begins here; keep everything in one";
	else if (depth > DEPTH_MAX) {
		fault = "nested too deeply; no setting is more than a few levels deep";
		ec = EC_LIMIT;
	}
	if (fault == NULL)
		return EC_OK;
	config_errors_add(errs, ec, file_name, mark_from(event->start_mark), "", "%s", fault);
	return ec;
}

static enum ec check_events(struct slice text, const char *file_name, struct config_errors *errs)
{
	yaml_parser_t parser;
	yaml_event_t event;
	enum ec ec = EC_OK;
	unsigned depth = 0, documents = 0;
	bool done = false;
	if (!parser_init(&parser, text))
		return EC_NO_MEMORY;
	while (ec == EC_OK && !done) {
		if (yaml_parser_parse(&parser, &event) == 0) {
			ec = yaml_failed(&parser, file_name, errs);
			break;
		}
		depth += event.type == YAML_MAPPING_START_EVENT || event.type == YAML_SEQUENCE_START_EVENT;
		depth -= event.type == YAML_MAPPING_END_EVENT || event.type == YAML_SEQUENCE_END_EVENT;
		documents += event.type == YAML_DOCUMENT_START_EVENT;
		ec = refuse(&event, documents, depth, file_name, errs);
		done = event.type == YAML_STREAM_END_EVENT;
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	if (ec == EC_OK && documents == 0) {
		config_errors_add(errs, EC_SYNTAX, file_name, (struct config_mark){ 1, 1 }, "",
		                  "the file holds no settings; start from the sample danegate.yaml");
		ec = EC_SYNTAX;
	}
	return ec;
}

static struct slice scalar_of(const yaml_node_t *node)
{
	return slice_of(node->data.scalar.value, node->data.scalar.length);
}

static void complain(struct parse *p, enum ec ec, const yaml_node_t *at, const char *key, const char *words)
{
	config_errors_add(p->errs, ec, p->file_name, mark_from(at->start_mark), key, "%s", words);
}

/* YAML's "nothing": an empty place, ~ or null without quotes. */
static bool is_nothing(const yaml_node_t *node)
{
	static const char *const words[] = { "", "~", "null", "Null", "NULL" };
	if (node->type != YAML_SCALAR_NODE || node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		return false;
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (slice_eq(slice_str(words[i]), scalar_of(node)))
			return true;
	return false;
}

static void wrong_kind(struct parse *p, const struct schema_row *row, const yaml_node_t *node)
{
	const char *what = is_nothing(node) ? "has no value" :
	                   node->type == YAML_SCALAR_NODE ? "is a single value" :
	                   node->type == YAML_SEQUENCE_NODE ? "is a list" :
	                                                      "is a mapping";
	config_errors_add(p->errs, EC_SYNTAX, p->file_name, mark_from(node->start_mark), row->key, "%s; write %s%s", what,
	                  row->empty ? "\"\" for empty, or " : "", value_kind(row->type));
}

static void set_scalar(struct parse *p, const struct schema_row *row, void *base, const yaml_node_t *node)
{
	if (node->type != YAML_SCALAR_NODE || is_nothing(node)) {
		wrong_kind(p, row, node);
		return;
	}
	struct why why = { 0 };
	enum ec ec = value_set(row, base, scalar_of(node), mark_from(node->start_mark), &why);
	if (ec != EC_OK)
		complain(p, ec, node, row->key, ec == EC_NO_MEMORY ? "out of memory" : why.text);
}

static bool too_few_or_many(struct parse *p, const struct schema_row *row, const yaml_node_t *node)
{
	int64_t num = node->data.sequence.items.top - node->data.sequence.items.start;
	int64_t most = row->type == SCHEMA_SET ? CONFIG_NUM_ALGORITHMS : row->max;
	if (num >= row->min && num <= most)
		return false;
	config_errors_add(p->errs, EC_RANGE, p->file_name, mark_from(node->start_mark), row->key,
	                  "the list has %lld items; write %lld to %lld of them", (long long)num, (long long)row->min,
	                  (long long)most);
	return true;
}

static void walk_mapping(struct parse *p, const yaml_node_t *node, const char *prefix, enum schema_scope scope,
                         void *base);

static void set_list(struct parse *p, const struct schema_row *row, void *base, const yaml_node_t *node)
{
	if (node->type != YAML_SEQUENCE_NODE) {
		wrong_kind(p, row, node);
		return;
	}
	if (too_few_or_many(p, row, node))
		return;
	if (row->type != SCHEMA_MAPPINGS)
		value_clear(row, base); /* the default goes as a whole */
	size_t before = p->errs->num;
	for (yaml_node_item_t *i = node->data.sequence.items.start; i < node->data.sequence.items.top; i++) {
		const yaml_node_t *item = yaml_document_get_node(&p->doc, *i);
		if (row->type == SCHEMA_COMMAND && p->errs->num > before)
			return; /* without its program, an argument would be taken for it */
		if (row->type != SCHEMA_MAPPINGS) {
			set_scalar(p, row, base, item);
			continue;
		}
		if (item->type != YAML_MAPPING_NODE) {
			complain(p, EC_SYNTAX, item, row->key, "an item is no mapping; write \"- key: value\" pairs");
			continue;
		}
		void *to = scope_items_add(row, base);
		if (to == NULL) {
			complain(p, EC_NO_MEMORY, item, row->key, "out of memory");
			return;
		}
		walk_mapping(p, item, row->key, scope_of_items(row), to);
	}
}

static void set_value(struct parse *p, const struct schema_row *row, void *base, const yaml_node_t *node)
{
	switch (row->type) {
	case SCHEMA_SECTION:
		if (node->type == YAML_MAPPING_NODE)
			walk_mapping(p, node, row->key, row->scope, base);
		else
			wrong_kind(p, row, node);
		break;
	case SCHEMA_MAPPINGS:
	case SCHEMA_SET:
	case SCHEMA_ADDRESSES:
	case SCHEMA_SOCKETS:
	case SCHEMA_NETWORKS:
	case SCHEMA_PATTERNS:
	case SCHEMA_PINS:
	case SCHEMA_COMMAND:
		set_list(p, row, base, node);
		break;
	default:
		set_scalar(p, row, base, node);
		break;
	}
}

static void keep_mark(struct parse *p, const struct schema_row *row, void *base, struct config_mark mark)
{
	if (row->scope == SCHEMA_IN_CONFIG)
		p->cfg->marks[row - schema_rows] = mark;
	else if (row->mark_offset != 0)
		memcpy((char *)base + row->mark_offset, &mark, sizeof mark);
}

static void unknown_key(struct parse *p, const char *prefix, const yaml_node_t *key)
{
	struct slice name = scalar_of(key);
	char dotted[KEY_TEXT_SIZE];
	struct writer w = writer_of(dotted, sizeof dotted);
	writer_format(&w, "%s%s%.*s", prefix, *prefix == '\0' ? "" : ".", (int)(name.len < 80 ? name.len : 80),
	              (const char *)name.p);
	/* Past the cap nothing is printed, so nothing is worth searching for. */
	const struct schema_row *near =
		p->errs->num < CONFIG_ERRORS_MAX ? schema_nearest(prefix, name) : NULL;
	config_errors_add(p->errs, EC_UNKNOWN_KEY, p->file_name, mark_from(key->start_mark), dotted,
	                  "unknown key; %s%s", near == NULL ? "see danegate.yaml(5) for those there are" : "did you mean ",
	                  near == NULL ? "" : near->key);
}

static const struct schema_row *row_of(struct parse *p, const char *prefix, const yaml_node_t *key)
{
	if (key->type != YAML_SCALAR_NODE) {
		complain(p, EC_SYNTAX, key, prefix, "a key is no plain word; write \"key: value\"");
		return NULL;
	}
	struct slice name = scalar_of(key);
	char dotted[KEY_TEXT_SIZE];
	struct writer w = writer_of(dotted, sizeof dotted);
	writer_str(&w, prefix);
	writer_str(&w, *prefix == '\0' ? "" : ".");
	writer_bytes(&w, name);
	/* "proxy.listen" written as one key is not the setting of that name. */
	bool plain = name.len > 0 && memchr(name.p, '.', name.len) == NULL;
	const struct schema_row *row = w.bad || !plain ? NULL : schema_find(writer_slice(&w));
	if (row == NULL)
		unknown_key(p, prefix, key);
	return row;
}

/* A setting that each item of a list must have. */
static void check_missing(struct parse *p, const yaml_node_t *node, const char *prefix, enum schema_scope scope,
                          const uint32_t *seen)
{
	if (scope == SCHEMA_IN_CONFIG)
		return;
	for (size_t i = 0; i < schema_num_rows; i++) {
		const struct schema_row *row = &schema_rows[i];
		if (row->scope == scope && row->needed_by != 0 && seen[i] == 0 && schema_parent_is(row, prefix))
			config_errors_add(p->errs, EC_MISSING, p->file_name, mark_from(node->start_mark), row->key,
			                  "is missing in this item; write %s", value_kind(row->type));
	}
}

static void walk_mapping(struct parse *p, const yaml_node_t *node, const char *prefix, enum schema_scope scope,
                         void *base)
{
	uint32_t seen[CONFIG_MARKS] = { 0 }; /* the line of each key found */
	for (yaml_node_pair_t *i = node->data.mapping.pairs.start; i < node->data.mapping.pairs.top; i++) {
		const yaml_node_t *key = yaml_document_get_node(&p->doc, i->key);
		const yaml_node_t *value = yaml_document_get_node(&p->doc, i->value);
		const struct schema_row *row = row_of(p, prefix, key);
		if (row == NULL)
			continue;
		size_t r = (size_t)(row - schema_rows);
		if (seen[r] != 0) {
			config_errors_add(p->errs, EC_DUPLICATE, p->file_name, mark_from(key->start_mark), row->key,
			                  "given twice, first at line %u; keep one", seen[r]);
			continue;
		}
		seen[r] = mark_from(key->start_mark).line;
		keep_mark(p, row, base, mark_from((row->type == SCHEMA_SECTION ? key : value)->start_mark));
		set_value(p, row, base, value);
	}
	check_missing(p, node, prefix, scope, seen);
}

static enum ec walk_document(struct parse *p, struct slice text)
{
	yaml_parser_t parser;
	if (!parser_init(&parser, text))
		return EC_NO_MEMORY;
	if (yaml_parser_load(&parser, &p->doc) == 0) {
		enum ec ec = yaml_failed(&parser, p->file_name, p->errs);
		yaml_parser_delete(&parser);
		return ec;
	}
	const yaml_node_t *root = yaml_document_get_root_node(&p->doc);
	/* check_events has seen a document, and a document has a root. */
	assert(root != NULL);
	if (root->type == YAML_MAPPING_NODE)
		walk_mapping(p, root, "", SCHEMA_IN_CONFIG, p->cfg);
	else
		complain(p, EC_SYNTAX, root, "", "the file is no mapping; write \"key: value\" lines, see danegate.yaml(5)");
	yaml_document_delete(&p->doc);
	yaml_parser_delete(&parser);
	return EC_OK;
}

static enum ec fill(struct config *cfg, struct slice text, const char *file_name, struct config_errors *errs)
{
	free(cfg->file_name);
	cfg->file_name = strdup(file_name);
	if (cfg->file_name == NULL)
		return EC_NO_MEMORY;
	struct parse p = { .file_name = file_name, .cfg = cfg, .errs = errs };
	enum ec ec = walk_document(&p, text);
	if (ec == EC_OK)
		check_relations(cfg, errs);
	return ec;
}

enum ec config_parse(struct slice text, const char *file_name, struct config **out, struct config_errors *errs)
{
	*out = NULL;
	size_t before = errs->num;
	enum ec ec = text_check(text, file_name, errs);
	if (ec == EC_OK)
		ec = check_events(text, file_name, errs);
	if (ec != EC_OK)
		goto out;
	struct config *cfg = NULL;
	ec = config_defaults(&cfg);
	if (ec != EC_OK)
		goto out;
	ec = fill(cfg, text, file_name, errs);
	if (ec == EC_OK && errs->num == before)
		*out = cfg;
	else
		config_free(cfg);
out:
	if (*out == NULL && errs->num == before)
		config_errors_add(errs, ec, file_name, (struct config_mark){ 0 }, "", "%s", ec_text(ec));
	return *out != NULL ? EC_OK : errs->ec;
}
