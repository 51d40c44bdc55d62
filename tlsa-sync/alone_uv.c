#include "tlsa-sync/alone_uv.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log_fs.h"
#include "config/load_fs.h"

/* The files that settings name are not looked at: the sockets' directory, for one, goes
 * with the daemon under systemd. What is really needed says so when it is opened. */
static struct config *load(const struct cmd *cmd)
{
	struct config *cfg = NULL;
	struct config_errors *errs = calloc(1, sizeof *errs);
	if (errs == NULL)
		return NULL;
	enum ec ec = config_read(cmd->config_path, CONFIG_FOR_TLSA_SYNC, &cfg, errs);
	for (size_t i = 0; ec != EC_OK && i < errs->num; i++)
		(void)fprintf(stderr, "%s\n", errs->items[i]);
	free(errs);
	if (cfg != NULL) /* what goes wrong is told by the answers */
		log_setup((enum log_format)cfg->log.format, LOG_ERROR, "tlsa-sync");
	return cfg;
}

static enum cmd_exit failed(const struct cmd *cmd, enum ec ec, const struct why *why)
{
	const char *words = why->text[0] != '\0' ? why->text : ec_text(ec);
	if (ec == EC_BUSY)
		(void)fprintf(stderr, "tlsa-sync: %s, but does not answer: %s\n", words, cmd->unreachable.text);
	else
		(void)fprintf(stderr, "tlsa-sync: no daemon answers (%s), and without it: %s\n", cmd->unreachable.text, words);
	return CMD_UNREACHABLE;
}

enum cmd_exit alone_look(struct cmd *cmd, const struct request *r, json_t **out)
{
	struct why why = { 0 };
	struct config *cfg = load(cmd);
	if (cfg == NULL)
		return CMD_CONFIG;
	enum ec ec = daemon_look(cfg, r, out, &why);
	config_free(cfg);
	if (ec != EC_OK)
		return failed(cmd, ec, &why);
	(void)fprintf(stderr, "tlsa-sync: no daemon runs; this is what the journal knows%s\n",
	              r->verb == REQUEST_HISTORY ? "" : ", and one look at every server and instance");
	return CMD_OK;
}

enum cmd_exit alone_drive(struct cmd *cmd, const struct daemon_job *job, bool *out_interrupted)
{
	struct why why = { 0 };
	struct config *cfg = load(cmd);
	if (cfg == NULL)
		return CMD_CONFIG;
	(void)fprintf(stderr, "tlsa-sync: no daemon runs; doing it here, which may be interrupted at any time\n");
	enum ec ec = daemon_drive(cfg, job, out_interrupted, &why);
	config_free(cfg);
	return ec == EC_OK ? CMD_OK : failed(cmd, ec, &why);
}
