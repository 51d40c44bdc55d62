/* What tlsa-sync, or an operator, says to the control socket.
 *
 * Oracles: a line is a whole request, with all its command takes and nothing else, or
 * is refused with words that can stand in an answer; a request that is written out
 * again from what was read of it is read the same; nothing may stand behind a request. */
#include "proxy/super/control.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static bool same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void check_refusal(const struct control_request *r, enum ec ec, const struct why *why)
{
	assert(ec == EC_SYNTAX || ec == EC_MISSING || ec == EC_UNKNOWN_KEY || ec == EC_RANGE);
	assert(r->json == NULL && r->identity == NULL && r->chain == NULL && why->text[0] != '\0');
	for (const char *p = why->text; *p != '\0'; p++)
		assert(*p >= 0x20 && *p < 0x7f);
}

static void check_arguments(const struct control_request *r)
{
	bool key = r->command == CONTROL_CSR || r->command == CONTROL_INSTALL || r->command == CONTROL_RENEW;
	bool generation = key || r->command == CONTROL_SWAP || r->command == CONTROL_RETIRE;
	bool identity = generation || r->command == CONTROL_PREPARE;
	assert(r->command < CONTROL_NUM && r->json != NULL);
	assert((r->identity != NULL) == identity && (r->generation > 0) == generation);
	assert((r->chain != NULL) == (r->command == CONTROL_INSTALL));
	assert(r->algorithm < KEY_NUM_ALGORITHMS && (key || r->algorithm == 0));
	if (identity) {
		assert(r->identity[0] != '\0' && strlen(r->identity) <= 253);
		for (const char *p = r->identity; *p != '\0'; p++)
			assert(*p > 0x20 && *p < 0x7f);
	}
}

static void check_again(const struct control_request *r)
{
	json_t *json = json_pack("{s:s,s:s*,s:I,s:s,s:s*}", "do", control_word(r->command), "identity", r->identity, "generation",
	                         (json_int_t)r->generation, "algorithm", key_algorithm_name(r->algorithm), "chain", r->chain);
	char *text = json_dumps(json, JSON_COMPACT);
	struct control_request again;
	assert(text != NULL && control_parse(slice_str(text), &again, NULL) == EC_OK);
	assert(again.command == r->command && again.generation == r->generation && again.algorithm == r->algorithm);
	assert(same_text(again.identity, r->identity) && same_text(again.chain, r->chain));
	control_fini(&again);
	free(text);
	json_decref(json);
}

static void check_longer(struct slice line)
{
	struct bytes two = { 0 };
	struct control_request r;
	struct why why = { 0 };
	if (bytes_append(&two, line) != EC_OK || bytes_append(&two, SLICE_LIT("{}")) != EC_OK)
		abort();
	enum ec ec = control_parse(bytes_slice(&two), &r, &why);
	assert(ec != EC_OK);
	check_refusal(&r, ec, &why);
	bytes_fini(&two);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct control_request r;
	struct why why = { 0 };
	struct slice line = slice_of(data, len);
	enum ec ec = control_parse(line, &r, &why);
	if (ec != EC_OK) {
		check_refusal(&r, ec, &why);
		return 0;
	}
	check_arguments(&r);
	check_again(&r);
	control_fini(&r);
	check_longer(line);
	return 0;
}
