/* What an operator's publishing command prints: whatever it is, it is judged, with printable
 * words; and no dry run, and no command that exits with an error, is ever a change that
 * was made. The first octet chooses how it was run. */
#include <assert.h>
#include <string.h>

#include "tlsa-sync/exec_talk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len == 0)
		return 0;
	bool succeeded = (data[0] & 1) != 0, dry_run = (data[0] & 2) != 0;
	struct why why;
	memset(&why, 0, sizeof why);
	enum outcome outcome = exec_answer_read(slice_of(data + 1, len - 1), succeeded, dry_run, &why);
	assert(outcome == OUTCOME_OK || outcome == OUTCOME_FAILED || outcome == OUTCOME_UNKNOWN);
	assert(outcome != OUTCOME_OK || succeeded);
	assert(outcome == OUTCOME_OK || why.text[0] != '\0');
	size_t words = strlen(why.text);
	assert(words < WHY_SIZE);
	for (size_t i = 0; i < words; i++)
		assert(why.text[i] >= ' ' && why.text[i] < 0x7f);
	return 0;
}
