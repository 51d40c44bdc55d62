/* tlsa-sync check-publisher [IDENTITY]: could DNS be changed, if it had to be? */
#include <stdio.h>
#include <strings.h>

#include "base/log_fs.h"
#include "config/config.h"
#include "tlsa-sync/check_publisher_uv.h"
#include "tlsa-sync/cmd_ask_fs.h"

int cmd_check_publisher(struct cmd *cmd)
{
	const char *identity = cmd->options.identity;
	struct config *cfg = cmd_load(cmd);
	if (cfg == NULL)
		return CMD_CONFIG;
	log_setup((enum log_format)cfg->log.format, LOG_ERROR, "tlsa-sync"); /* what goes wrong is in the lines printed */
	int status = CMD_OK;
	bool found = false;
	for (size_t i = 0; i < cfg->num_identities; i++) {
		struct bytes text = { 0 };
		if (identity != NULL && strcasecmp(identity, cfg->identities[i].name) != 0)
			continue;
		found = true;
		if (check_publisher(cfg, i, &text) != EC_OK)
			status = CMD_REFUSED;
		(void)fwrite(bytes_slice(&text).p, 1, bytes_len(&text), stdout);
		bytes_fini(&text);
	}
	if (!found) {
		(void)fprintf(stderr, "tlsa-sync: there is no identity %.100s\n", identity == NULL ? "at all" : identity);
		status = CMD_REFUSED;
	}
	config_free(cfg);
	return status;
}
