#include "proxy/config_message.h"

#include <stdlib.h>

enum ec config_message_parse(const json_t *message, struct config **out, struct why *why)
{
	const json_t *text = json_object_get(message, "text");
	const char *name = json_string_value(json_object_get(message, "name"));
	*out = NULL;
	if (!json_is_string(text))
		return why_set(why, EC_SYNTAX, "malformed");
	struct config_errors *errs = calloc(1, sizeof *errs);
	if (errs == NULL)
		return why_set(why, EC_NO_MEMORY, "out of memory");
	/* The supervisor has parsed the same text. */
	enum ec ec = config_parse(slice_of(json_string_value(text), json_string_length(text)),
	                          name == NULL ? "danegate.yaml" : name, out, errs);
	if (ec != EC_OK)
		(void)why_set(why, ec, "%s", errs->items[0]);
	free(errs);
	return ec;
}
