/* tlsa-sync rollback [IDENTITY]: from the first swap to the end of HOLDING. */
#include "tlsa-sync/cmd_ask_fs.h"

int cmd_rollback(struct cmd *cmd)
{
	return cmd_simple(cmd, "rollback");
}
