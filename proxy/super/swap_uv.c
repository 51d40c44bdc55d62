/* change_begin -> guard_ask -> guard_judge -> present_run (read keys, all workers,
 * all acknowledgements, durable fact) -> change_end -> done. An error at any
 * arrow ends it with everything as it was. */
#include "proxy/super/swap_uv.h"

#include <stdlib.h>

#include "base/log_fs.h"
#include "proxy/super/present_uv.h"
#include "proxy/super/supervisor_uv.h"

struct swap {
	struct supervisor *s;
	struct identity *id;
	uint64_t number;
	struct guard_verdict verdict;
	swap_done *done;
	void *arg;
};

static void finish(struct swap *w, enum ec ec, const struct why *why)
{
	struct supervisor *s = w->s;
	if (ec != EC_OK) {
		w->id->candidate = 0;
		supervisor_mishap(s, "swap", w->id->name, why->text);
	} else {
		w->id->verdict = w->verdict;
		w->id->verdict.at = supervisor_now();
		watch_soon(s, w->id);
		if (!crew_listening(s->crew))
			crew_listen(s->crew);
	}
	swap_done *done = w->done;
	void *arg = w->arg;
	struct why own = *why;
	if (ec == EC_OK)
		(void)why_set(&own, ec, "every worker presents generation %llu: %s", (unsigned long long)w->number,
		              w->verdict.why.text);
	free(w);
	/* First the answer, then whatever has been waiting for the end of this. */
	done(arg, ec, &own);
	change_end(s);
}

static void on_presented(void *arg, enum ec ec, const struct why *why)
{
	finish(arg, ec, why);
}

static void on_facts(void *arg, const struct guard_facts *facts)
{
	struct swap *w = arg;
	struct supervisor *s = w->s;
	struct why why = { 0 };
	struct generation g;
	bool found = identity_find(w->id, w->number, &g);
	/* `presented_before` is false even for a generation that was: only an answer
	 * of now can prove that senders still find its pin. */
	enum ec ec = EC_NOT_FOUND;
	if (found)
		ec = guard_judge(facts, &g, false, &w->verdict);
	if (ec != EC_OK) {
		(void)why_set(&why, ec, "generation %llu is not presented: %s", (unsigned long long)w->number,
		              !found ? "its files are gone" : w->verdict.why.text);
		finish(w, ec, &why);
		return;
	}
	struct present_set set = { 0 };
	ec = present_set_new(s->keeper.items[0], 1, 0, &set);
	if (ec == EC_OK) {
		present_put(&set, w->id, w->number);
		ec = present_run(s, &set, true, on_presented, w, &why);
	}
	if (ec != EC_OK)
		finish(w, ec, &why);
}

static enum ec swap_check(struct supervisor *s, const char *identity, uint64_t number, struct identity **out,
                          struct why *why)
{
	struct identity *id = keeper_find(&s->keeper, identity);
	if (id == NULL)
		return why_set(why, EC_NOT_FOUND, "there is no identity \"%s\" in the configuration", identity);
	enum ec ec = identity_refresh(&s->keeper, id, why);
	struct generation g;
	if (ec == EC_OK && !identity_find(id, number, &g))
		ec = why_set(why, EC_NOT_FOUND, "%s has no generation %llu on disk", id->name, (unsigned long long)number);
	*out = id;
	return ec;
}

void swap_run(struct supervisor *s, const char *identity, uint64_t number, swap_done *done, void *arg)
{
	struct why why = { 0 };
	struct identity *id = NULL;
	enum ec ec = swap_check(s, identity, number, &id, &why);
	if (ec == EC_OK && id->presented == number && id->active == number) {
		(void)why_set(&why, EC_OK, "generation %llu is presented already", (unsigned long long)number);
		done(arg, EC_OK, &why);
		return;
	}
	if (ec == EC_OK)
		ec = change_begin(s, &why, "swap of %s to generation %llu", id->name, (unsigned long long)number);
	if (ec != EC_OK) {
		done(arg, ec, &why);
		return;
	}
	struct swap *w = calloc(1, sizeof *w);
	struct guard_call *call = NULL;
	if (w != NULL) {
		*w = (struct swap){ .s = s, .id = id, .number = number, .done = done, .arg = arg };
		id->candidate = number; /* so that it can't be retired meanwhile */
		if (guard_ask(s->guard, id->name, on_facts, w, &call) == EC_OK)
			return;
		id->candidate = 0;
	}
	free(w);
	done(arg, why_set(&why, EC_NO_MEMORY, "out of memory"), &why);
	change_end(s);
}
