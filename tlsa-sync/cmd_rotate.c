/* tlsa-sync rotate [--wait] [--emergency [--force]] [IDENTITY]: roll to the next key. */
#include "tlsa-sync/cmd_change.h"

int cmd_rotate(struct cmd *cmd)
{
	return change_run(cmd, REQUEST_ROTATE);
}
