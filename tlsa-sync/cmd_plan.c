/* tlsa-sync plan [--rotate | --emergency] [--json] [IDENTITY]: what would happen, and when. */
#include <stdio.h>

#include "tlsa-sync/cmd_ask_fs.h"

int cmd_plan(struct cmd *cmd)
{
	struct request r = cmd_request(cmd, REQUEST_PLAN);
	bool json = cmd->options.json;
	r.rotate = cmd->options.rotate;
	r.emergency = cmd->options.emergency;
	json_t *answer = NULL;
	enum cmd_exit status = cmd_look(cmd, &r, &answer);
	if (status == CMD_OK && json)
		cmd_print_json(json_object_get(answer, "plan"));
	else if (status == CMD_OK)
		cmd_print_text(answer);
	if (status == CMD_OK && !json && !r.rotate && !r.emergency && json_array_size(json_object_get(answer, "plan")) <= 1)
		(void)printf("nothing is under way; `tlsa-sync plan --rotate` shows what a rotation asked for now would do\n");
	json_decref(answer);
	return (int)status;
}
