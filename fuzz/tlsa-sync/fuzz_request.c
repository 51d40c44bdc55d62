/* What a command, or an operator, says to the daemon's control socket.
 *
 * Oracles: a line is a whole request with only the options of its verb, or is refused
 * with words that can stand in an answer and in a terminal, and leaves nothing; a
 * request written out again reads the same; nothing may stand behind it. */
#include "tlsa-sync/request.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static bool same(const struct request *a, const struct request *b)
{
	return a->verb == b->verb && strcmp(a->identity, b->identity) == 0 && a->colour == b->colour && a->rotate == b->rotate &&
	       a->emergency == b->emergency && a->force == b->force && a->num == b->num;
}

static void check_refusal(const struct request *r, enum ec ec, const struct why *why)
{
	static const struct request empty;
	assert(ec != EC_OK && ec < EC_COUNT && same(r, &empty) && why->text[0] != '\0');
	for (const char *p = why->text; *p != '\0'; p++)
		assert(*p >= 0x20 && *p < 0x7f);
}

static void check_options(const struct request *r)
{
	assert(r->verb < REQUEST_NUM_VERBS);
	assert(!r->emergency || r->verb == REQUEST_ROTATE || r->verb == REQUEST_PLAN);
	assert(!r->force || (r->emergency && r->verb == REQUEST_ROTATE));
	assert(!r->rotate || r->verb == REQUEST_PLAN);
	assert(!r->colour || r->verb == REQUEST_STATUS || r->verb == REQUEST_EXPLAIN);
	assert(r->num <= REQUEST_LINES_MAX && (r->num > 0) == (r->verb == REQUEST_HISTORY));
	assert(r->identity[0] == '\0' || r->verb != REQUEST_HELLO);
	/* It is printed: nothing of it may be a command to a terminal. */
	for (const char *p = r->identity; *p != '\0'; p++)
		assert(*p > 0x20 && *p < 0x7f);
}

static void check_again(const struct request *r)
{
	json_t *json = request_json(r);
	char *text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);
	struct request again;
	assert(text != NULL && request_parse(slice_str(text), &again, NULL) == EC_OK && same(r, &again));
	free(text);
	json_decref(json);
}

static void check_longer(struct slice line)
{
	struct bytes two = { 0 };
	struct request r;
	struct why why = { 0 };
	if (bytes_append(&two, line) != EC_OK || bytes_append(&two, SLICE_LIT("{}")) != EC_OK)
		abort();
	enum ec ec = request_parse(bytes_slice(&two), &r, &why);
	check_refusal(&r, ec, &why);
	bytes_fini(&two);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct request r;
	struct why why = { 0 };
	enum ec ec = request_parse(slice_of(data, len), &r, &why);
	if (ec != EC_OK) {
		check_refusal(&r, ec, &why);
		return 0;
	}
	check_options(&r);
	check_again(&r);
	check_longer(slice_of(data, len));
	return 0;
}
