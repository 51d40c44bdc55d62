/* tlsa-sync abort [IDENTITY]: give the rotation up, before the swap. */
#include "tlsa-sync/cmd_change.h"

int cmd_abort(struct cmd *cmd)
{
	return change_run(cmd, REQUEST_ABORT);
}
