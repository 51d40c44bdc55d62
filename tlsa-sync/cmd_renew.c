/* tlsa-sync renew [--wait] [IDENTITY]: another certificate for the same key. */
#include "tlsa-sync/cmd_change.h"

int cmd_renew(struct cmd *cmd)
{
	return change_run(cmd, REQUEST_RENEW);
}
