#include "proxy/super/guard.h"

#include <stdio.h>
#include <string.h>

const char *guard_state_name(enum guard_state state)
{
	static const char *const names[] = { [GUARD_WAITING] = "waiting", [GUARD_ALLOWED] = "allowed", [GUARD_REFUSED] = "refused" };
	return names[state];
}

enum ec guard_judge(const struct guard_facts *facts, const struct generation *g, bool presented_before,
                    struct guard_verdict *out)
{
	struct pin_question q = {
		.dns = facts->dns,
		.records = &facts->records,
		.dns_why = facts->why.text,
		.keys = g->keys,
		.num_keys = g->num_keys,
		.presented_before = presented_before,
	};
	struct pin_answer a = { 0 };
	*out = (struct guard_verdict){ .number = g->number };
	enum ec ec = pin_decide(&q, &a, &out->why);
	out->warning = a.warning;
	out->pinned = a.pinned;
	out->state = ec == EC_OK ? GUARD_ALLOWED : ec == EC_PIN_MISMATCH ? GUARD_REFUSED : GUARD_WAITING;
	return ec;
}

static void put_records(struct writer *w, const struct tlsa_set *records)
{
	for (unsigned i = 0; i < records->num; i++) {
		char text[TLSA_TEXT_SIZE];
		tlsa_print(text, &records->items[i]);
		writer_format(w, "%s%s", i > 0 ? ", " : "", text);
	}
}

/* refusal writes which digests DNS pins, which are ours, and the ways out.
 * Digests of ours come last: a long text is cut at its end. */
static void refusal(const struct guard_facts *facts, const struct generation *generations, size_t num, struct why *why)
{
	char text[4096];
	struct writer w = writer_of(text, sizeof text);
	writer_str(&w, "DNS pins ");
	put_records(&w, &facts->records);
	writer_format(&w, "; no key on disk matches. Put the pinned key back, or publish one of these beside them and wait two "
	                  "TTLs:");
	for (size_t i = num; i-- > 0;) {
		writer_format(&w, " generation %llu:", (unsigned long long)generations[i].number);
		for (size_t k = 0; k < generations[i].num_keys; k++) {
			char record[TLSA_TEXT_SIZE];
			struct tlsa t = tlsa_311(generations[i].keys[k].chain[0].spki_sha256);
			tlsa_print(record, &t);
			writer_format(&w, " %s", record);
		}
		writer_str(&w, i > 0 ? "," : "");
	}
	(void)why_set(why, EC_PIN_MISMATCH, "%s", text);
}

static const struct generation *find(const struct generation *generations, size_t num, uint64_t number)
{
	for (size_t i = 0; i < num; i++)
		if (generations[i].number == number)
			return &generations[i];
	return NULL;
}

enum ec guard_choose(const struct guard_facts *facts, const struct generation *generations, size_t num,
                     uint64_t active, struct guard_verdict *out)
{
	*out = (struct guard_verdict){ .state = GUARD_WAITING };
	if (num == 0)
		return why_set(&out->why, EC_MISSING, "there is no key on disk");

	/* The last good state first: only a proof against it moves us away. */
	const struct generation *last_good = active == 0 ? NULL : find(generations, num, active);
	if (last_good != NULL && guard_judge(facts, last_good, true, out) == EC_OK)
		return EC_OK;

	/* Then the newest that may be presented although it never was: one that DNS
	 * pins, or, when nobody can match any record, simply the newest. */
	enum ec ec = EC_PIN_UNPROVEN;
	for (size_t i = num; i-- > 0;) {
		ec = guard_judge(facts, &generations[i], false, out);
		if (ec == EC_OK)
			return EC_OK;
	}
	out->number = 0;
	if (ec == EC_PIN_MISMATCH)
		refusal(facts, generations, num, &out->why);
	return ec;
}
