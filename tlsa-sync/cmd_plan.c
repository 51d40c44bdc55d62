/* tlsa-sync plan [--rotate] [--json] [IDENTITY]: what would happen, and when. */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>

#include "tlsa-sync/cmd_ask_fs.h"

int cmd_plan(struct cmd *cmd)
{
	static const struct option options[] = { { "rotate", no_argument, NULL, 'r' }, { "json", no_argument, NULL, 'j' }, { 0 } };
	bool rotate = false;
	bool json = false;
	for (int o; (o = getopt_long(cmd->argc, cmd->argv, "", options, NULL)) != -1;) {
		if (o == '?')
			return CMD_USAGE;
		rotate = rotate || o == 'r';
		json = json || o == 'j';
	}
	const char *identity;
	if (!cmd_identity(cmd, optind, &identity))
		return CMD_USAGE;
	json_t *request = cmd_request("plan", identity);
	(void)json_object_set_new(request, "rotate", json_boolean(rotate));
	json_t *answer = NULL;
	enum cmd_exit status = cmd_ask(cmd, request, false, &answer);
	if (status == CMD_OK && json)
		cmd_print_json(json_object_get(answer, "plan"));
	else if (status == CMD_OK)
		cmd_print_text(answer);
	if (status == CMD_OK && !json && !rotate && json_array_size(json_object_get(answer, "plan")) <= 1)
		(void)printf("nothing is under way; `tlsa-sync plan --rotate` shows what a rotation asked for now would do\n");
	json_decref(answer);
	return (int)status;
}
