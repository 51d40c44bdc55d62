/* tlsa-sync abort [IDENTITY]: before the first swap. */
#include "tlsa-sync/cmd_ask_fs.h"

int cmd_abort(struct cmd *cmd)
{
	return cmd_simple(cmd, "abort");
}
