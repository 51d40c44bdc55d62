/* Settings: every worker gets the newest text, a running one now, another one when it starts;
 * each says which it goes by. Which hops are drained is part of them. */
#include "proxy/super/crew_parts_uv.h"

#include <strings.h>

void crew_config_end(struct crew *c, enum ec ec, const struct why *why)
{
	crew_configured *done = c->configured;
	c->configured = NULL;
	uv_timer_stop(&c->config_timer);
	if (done != NULL)
		done(c->configured_arg, ec, why);
}

/* config_behind counts running workers that do not yet go by the newest text. */
static unsigned config_behind(const struct crew *c)
{
	unsigned behind = 0;
	for (unsigned i = 0; i < c->num; i++)
		behind += child_is_up(&c->hands[i].child) && c->hands[i].configured != c->config_number;
	return behind;
}

void crew_config_check(struct crew *c)
{
	if (c->configured != NULL && config_behind(c) == 0)
		crew_config_end(c, EC_OK, &(struct why){ 0 });
}

static void config_on_timer(uv_timer_t *t)
{
	struct crew *c = t->data;
	struct why why;
	enum ec ec = why_set(&why, EC_TIMEOUT, "%u of %u workers did not take the new settings within %d s", config_behind(c),
	                     c->num, CREW_ACK_MS / 1000);
	crew_config_end(c, ec, &why);
}

enum ec crew_configure(struct crew *c, const char *text, size_t len, const char *file_name, json_t *files, crew_configured *done,
                       void *arg)
{
	json_t *message = json_pack("{s:s,s:I,s:s%,s:s,s:o,s:O}", "do", "config", "number", (json_int_t)(c->config_number + 1), "text",
	                            text, len, "name", file_name, "files", files, "drained", c->drained_hops);
	if (message == NULL)
		return EC_NO_MEMORY;
	if (c->configured != NULL) {
		struct why why;
		crew_config_end(c, why_set(&why, EC_BUSY, "a newer configuration came"), &why);
	}
	json_decref(c->config);
	c->config = message;
	c->config_number++;
	c->configured = done;
	c->configured_arg = arg;
	if (done != NULL)
		uv_timer_start(&c->config_timer, config_on_timer, CREW_ACK_MS, 0);
	for (unsigned i = 0; i < c->num; i++)
		child_send_json(&c->hands[i].child, json_incref(c->config));
	crew_config_check(c);
	return EC_OK;
}

void crew_config_heard(struct crew *c, struct hand *h, json_t *message)
{
	const char *words = json_string_value(json_object_get(message, "why"));
	uint64_t number = (uint64_t)json_integer_value(json_object_get(message, "configured"));
	if (words == NULL) {
		h->configured = number;
		crew_config_check(c);
		return;
	}
	crew_mishap(c, h, words);
	if (c->configured == NULL || number != c->config_number)
		return;
	struct why why;
	enum ec ec = why_set(&why, EC_IO, "worker %u could not take the settings: %s", h->number, words);
	crew_config_end(c, ec, &why);
}

/* --- drained hops --------------------------------------------------------------- */

static size_t drained_at(const struct crew *c, const char *name)
{
	size_t i = 0;
	while (i < json_array_size(c->drained_hops) && strcasecmp(json_string_value(json_array_get(c->drained_hops, i)), name) != 0)
		i++;
	return i;
}

/* The list is part of the settings that a worker starts with. */
enum ec crew_drain_hop(struct crew *c, const char *name, bool drained)
{
	size_t i = drained_at(c, name);
	bool there = i < json_array_size(c->drained_hops);
	if (there != drained) {
		if (drained && json_array_size(c->drained_hops) >= CREW_DRAINED_MAX)
			return EC_LIMIT;
		if ((drained ? json_array_append_new(c->drained_hops, json_string(name)) : json_array_remove(c->drained_hops, i)) != 0)
			return EC_NO_MEMORY;
	}
	for (unsigned k = 0; k < c->num; k++)
		crew_send(c, k, json_pack("{s:s, s:s, s:b}", "do", "hop", "name", name, "drained", drained));
	return EC_OK;
}

const json_t *crew_drained(const struct crew *c)
{
	return c->drained_hops;
}
