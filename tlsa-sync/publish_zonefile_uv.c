/* A file that the zone includes, one for each identity, and a command that makes the
 * primary read the zone again.
 *
 * The file gets what was in it, without what is to go, with what is wanted: so nothing
 * is taken away that was not asked to be, and a file that was lost comes back whole. The
 * command runs even if nothing in the file had to be changed: the last one may have failed. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "tlsa-sync/publish_in_uv.h"
#include "tlsa-sync/zone_include.h"
#include "tlsa-sync/zone_include_fs.h"

enum { FILE_NAME = FACT_NAME + 8, PATH_SIZE = 1026 + FILE_NAME, ENV_SIZE = PATH_SIZE + 32, NUM_ENV = 3 };

struct plan {
	char name[FILE_NAME];
	char path[PATH_SIZE];
	struct tlsa_set before;
	struct tlsa_set after;
};

static const struct config_zonefile *settings(const struct publisher_call *c)
{
	return &c->publisher->cfg->tlsa_sync.zonefile;
}

static void name_file(const struct publisher_call *c, struct plan *plan)
{
	int n = snprintf(plan->name, sizeof plan->name, "%s.tlsa", c->identity);
	for (int i = 0; i < n && i < FILE_NAME - 1; i++)
		plan->name[i] = (char)tolower((unsigned char)plan->name[i]);
	(void)snprintf(plan->path, sizeof plan->path, "%.1024s/%s", settings(c)->directory, plan->name);
}

/* Reads the file and works out what is to be in it. */
static enum ec make_plan(const struct publisher_call *c, struct plan *plan, struct bytes *text, struct why *why)
{
	name_file(c, plan);
	enum ec ec = zone_include_load(settings(c)->directory, plan->name, text, why);
	if (ec == EC_OK)
		ec = zone_include_read(bytes_slice(text), &plan->before, why);
	if (ec == EC_OK) {
		plan->after = plan->before;
		tlsa_set_subtract(&plan->after, &c->deletes);
		ec = tlsa_set_union(&plan->after, &c->adds);
		struct tlsa_set wanted = c->wanted;
		tlsa_set_subtract(&wanted, &c->deletes);
		if (ec == EC_OK)
			ec = tlsa_set_union(&plan->after, &wanted);
		if (ec != EC_OK)
			(void)why_set(why, ec, "more than %d records", TLSA_SET_MAX);
	}
	if (ec != EC_OK)
		why_prefix(why, "%.300s", plan->path);
	return ec;
}

static enum ec write_file(const struct publisher_call *c, const struct plan *plan, struct slice old, struct why *why)
{
	struct bytes text = { 0 };
	enum ec ec = zone_include_print(c->identity, &c->owner, c->ttl_s, &plan->after, &text);
	if (ec != EC_OK)
		(void)why_set(why, ec, "out of memory");
	else if (!slice_eq(bytes_slice(&text), old))
		ec = zone_include_store(settings(c)->directory, plan->name, bytes_slice(&text), why);
	if (ec != EC_OK)
		why_prefix(why, "%.300s", plan->path);
	bytes_fini(&text);
	return ec;
}

static void on_reloaded(void *arg, const struct command_result *r, const struct why *why)
{
	struct publisher_call *c = arg;
	c->command = NULL;
	struct why words = *why;
	if (r->ec != EC_OK)
		why_prefix(&words, "the file is written, but the zone may not have been read again");
	publisher_end(c, r->ec == EC_OK ? OUTCOME_OK : OUTCOME_UNKNOWN, words.text);
}

static enum ec start_reload(struct publisher_call *c, const struct plan *plan, struct why *why)
{
	const struct config_list *reload = &settings(c)->reload;
	char env_text[NUM_ENV][ENV_SIZE], zone[DNS_NAME_TEXT_SIZE], owner[DNS_NAME_TEXT_SIZE];
	const char *const env[NUM_ENV + 1] = { env_text[0], env_text[1], env_text[2], NULL };
	const char **argv = calloc(reload->num + 1, sizeof *argv);
	if (argv == NULL)
		return why_set(why, EC_NO_MEMORY, "out of memory");
	for (size_t i = 0; i < reload->num; i++)
		argv[i] = reload->items[i];
	dns_name_print(zone, &c->zone.apex);
	dns_name_print(owner, &c->owner);
	(void)snprintf(env_text[0], ENV_SIZE, "TLSA_SYNC_ZONE=%s", zone);
	(void)snprintf(env_text[1], ENV_SIZE, "TLSA_SYNC_OWNER=%s", owner);
	(void)snprintf(env_text[2], ENV_SIZE, "TLSA_SYNC_FILE=%s", plan->path);
	struct command_plan command = { .argv = argv, .env = env, .timeout_ms = (int)settings(c)->timeout_ms };
	enum ec ec = command_start(c->publisher->loop, &command, on_reloaded, c, &c->command, why);
	free(argv);
	return ec;
}

static enum ec write_and_reload(struct publisher_call *c, const struct plan *plan, struct slice old, struct why *why)
{
	enum ec ec = write_file(c, plan, old, why);
	if (ec != EC_OK)
		return ec;
	/* From here on it is written, and somebody else may reload: no error but an outcome. */
	if (settings(c)->reload.num == 0) {
		publisher_end_later(c, OUTCOME_OK, "");
		return EC_OK;
	}
	struct why words = { 0 };
	if (start_reload(c, plan, &words) != EC_OK) {
		why_prefix(&words, "the file is written, but the zone was not read again");
		publisher_end_later(c, OUTCOME_UNKNOWN, words.text);
	}
	return EC_OK;
}

/* What would be changed, in the lines after the words. */
static void rehearse(struct publisher_call *c, const struct plan *plan)
{
	struct why words = { 0 };
	enum ec ec = zone_include_diff(&c->owner, c->ttl_s, &plan->before, &plan->after, &c->more);
	if (ec != EC_OK)
		(void)why_set(&words, ec, "out of memory");
	else if (tlsa_set_eq(&plan->before, &plan->after))
		(void)why_set(&words, ec, "%.300s has all records it should have", plan->path);
	else
		(void)why_set(&words, ec, "%.300s: the next change makes it hold %u records, %u now", plan->path,
		              plan->after.num, plan->before.num);
	publisher_end_later(c, ec == EC_OK ? OUTCOME_OK : OUTCOME_FAILED, words.text);
}

static enum ec zonefile_start(struct publisher_call *c, struct why *why)
{
	struct plan *plan = calloc(1, sizeof *plan);
	struct bytes text = { 0 };
	if (plan == NULL)
		return why_set(why, EC_NO_MEMORY, "out of memory");
	enum ec ec = publisher_will_end_later(c, why);
	if (ec == EC_OK)
		ec = make_plan(c, plan, &text, why);
	if (ec == EC_OK && c->rehearsal)
		rehearse(c, plan);
	else if (ec == EC_OK)
		ec = write_and_reload(c, plan, bytes_slice(&text), why);
	bytes_fini(&text);
	free(plan);
	return ec;
}

const struct publisher_kind publisher_zonefile = { .start = zonefile_start };
