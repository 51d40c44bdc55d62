/* tlsa-sync run: the daemon, in the foreground. */
#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/log_fs.h"
#include "config/config.h"
#include "tlsa-sync/cmd_ask_fs.h"
#include "tlsa-sync/daemon_uv.h"

/* The facts of an identity have room for far more than most have: pages of their own, which are not there before they are
 * touched. By itself the C library would soon take memory that was used before, and clear all of it. */
enum { OWN_PAGES_FROM = 128 * 1024 };

int cmd_run(struct cmd *cmd)
{
	(void)mallopt(M_MMAP_THRESHOLD, OWN_PAGES_FROM);
	struct config *cfg = cmd_load(cmd);
	if (cfg == NULL)
		return CMD_CONFIG;
	struct config *before = NULL; /* what ran before a reload */
	struct why why = { 0 };
	enum ec ec = EC_OK;
	for (bool stop = false; !stop;) {
		struct config *next = NULL;
		log_setup((enum log_format)cfg->log.format, (enum log_level)cfg->log.level, "tlsa-sync");
		ec = daemon_run(cmd->config_path, cfg, before != NULL, &next, &why);
		if (ec != EC_OK && before != NULL) {
			why_prefix(&why, "the new configuration can't be used, the old one is in force again");
			log_why(LOG_ERROR, "reload", cmd->config_path, why.text);
			next = before;
			before = NULL;
		}
		stop = next == NULL;
		if (!stop) {
			config_free(before);
			before = ec == EC_OK ? cfg : NULL;
			if (ec != EC_OK)
				config_free(cfg);
			cfg = next;
		}
	}
	if (ec != EC_OK)
		(void)fprintf(stderr, "tlsa-sync: %s\n", why.text[0] != '\0' ? why.text : ec_text(ec));
	config_free(before);
	config_free(cfg);
	return ec == EC_OK ? CMD_OK : CMD_REFUSED;
}
