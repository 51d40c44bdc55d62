/* What people and workers send to the stats socket: a command line is read as one
 * of the commands or refused with words; a worker's list of sessions, whatever is in
 * it, prints as clean lines. */
#include <assert.h>
#include <string.h>

#include "proxy/super/stats.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_command(struct slice line)
{
	enum stats_command command = STATS_NUM;
	bool json = false;
	struct why why = { 0 };
	if (stats_parse(line, &command, &json, &why) == EC_OK) {
		assert(command < STATS_NUM);
		return;
	}
	assert(why.text[0] != '\0');
	for (const char *p = why.text; *p != '\0'; p++)
		assert((unsigned char)*p >= 0x20 && *p != 0x7f);
}

static void check_sessions(struct slice text, uint64_t more, unsigned silent)
{
	json_t *list = json_loadb((const char *)text.p, text.len, JSON_ALLOW_NUL, NULL);
	struct bytes out = { 0 };
	if (list == NULL)
		return;
	assert(stats_sessions_text(list, more, silent, &out) == EC_OK);
	struct slice s = bytes_slice(&out);
	size_t lines = 0;
	for (size_t i = 0; i < s.len; i++) {
		lines += s.p[i] == '\n';
		assert(s.p[i] == '\n' || (s.p[i] >= 0x20 && s.p[i] != 0x7f));
	}
	assert(s.len == 0 || s.p[s.len - 1] == '\n');
	/* A head, a line each, and what was left out. */
	assert(lines <= json_array_size(list) + 4);
	bytes_fini(&out);
	json_decref(list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len < 1)
		return 0;
	check_command(slice_of(data + 1, len - 1));
	check_sessions(slice_of(data + 1, len - 1), data[0] & 1, data[0] >> 7);
	return 0;
}
