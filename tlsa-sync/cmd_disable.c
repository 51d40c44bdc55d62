/* tlsa-sync disable [--wait] [IDENTITY]: withdraw all records, in time order. */
#include "tlsa-sync/cmd_change.h"

int cmd_disable(struct cmd *cmd)
{
	return change_run(cmd, REQUEST_DISABLE);
}
