/* tlsa-sync rollback [--wait] [IDENTITY]: present the former key again. */
#include "tlsa-sync/cmd_change.h"

int cmd_rollback(struct cmd *cmd)
{
	return change_run(cmd, REQUEST_ROLLBACK);
}
