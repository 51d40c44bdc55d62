/* tlsa-sync enable [--wait] [IDENTITY]: publish again after disable. */
#include "tlsa-sync/cmd_change.h"

int cmd_enable(struct cmd *cmd)
{
	return change_run(cmd, REQUEST_ENABLE);
}
