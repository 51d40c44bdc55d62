/* reload_run: read and check -> diff -> identities (old ones reused, new ones made)
 *   -> looks -> present -> commit -> the workers' answers -> done
 * Until commit the running daemon knows nothing of it; `finish` with an error
 * frees what was made. Only two things must be looked up before commit: a new
 * default identity, which every client would meet, and newer keys from files. Other
 * new identities wait for the pin guard as they do at start, in watch_uv, and so
 * does everything while nothing is served yet: a reload can mend what keeps
 * the start waiting. */
#include "proxy/super/reload_uv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log_fs.h"
#include "config/load_fs.h"
#include "proxy/super/present_uv.h"
#include "proxy/super/supervisor_uv.h"
#include "proxy/super/trust_files_fs.h"

struct look {
	struct reload *reload;
	struct identity *id;
	bool import; /* a newer key from files, which only goes out if nobody pins us */
	struct guard_verdict verdict;
	enum ec ec;
};

struct reload {
	struct supervisor *s;
	struct config *cfg;
	struct guard *guard; /* NULL: the one there is stays */
	size_t num;
	struct identity **ids;
	bool *fresh;
	struct names index; /* of ids */
	struct look *looks;
	size_t num_looks;
	size_t num_answers;
	json_t *details;
	json_t *files; /* for the workers */
	char restart[WHY_SIZE]; /* names of settings that need one */
	bool dns_changed;
	reload_done *done;
	void *arg;
};

static void rebind(struct supervisor *s, struct config *cfg)
{
	for (size_t i = 0; i < s->keeper.num; i++)
		s->keeper.items[i]->settings = &cfg->identities[i];
}

/* commit puts the new configuration in force in this process; nothing in it can fail. */
static void commit(struct reload *r)
{
	struct supervisor *s = r->s;
	for (size_t i = 0; i < s->keeper.num; i++) {
		struct identity *id = s->keeper.items[i];
		if (!id->kept)
			watch_drop(s, id);
		else if (r->guard != NULL)
			watch_forget(s, id);
	}
	names_fini(&s->keeper.index);
	for (size_t i = 0; i < s->keeper.num; i++)
		if (!s->keeper.items[i]->kept)
			identity_free(s->keeper.items[i]);
	free(s->keeper.items);
	s->keeper.items = r->ids;
	s->keeper.num = r->num;
	s->keeper.index = r->index;
	r->ids = NULL;
	r->index = (struct names){ 0 };
	for (size_t i = 0; i < s->keeper.num; i++)
		if (r->fresh[i])
			watch_add(s, s->keeper.items[i]);
	rebind(s, r->cfg);
	if (exits_state_set(&s->exits, r->cfg) != EC_OK)
		supervisor_mishap(s, "reload", "connectors", "no memory to watch them");
	if (r->guard != NULL) {
		guard_free(s->guard);
		s->guard = r->guard;
		r->guard = NULL;
	}
	config_free(s->cfg);
	s->cfg = r->cfg;
	r->cfg = NULL;
	s->reloaded = supervisor_now();
	log_setup((enum log_format)s->cfg->log.format, (enum log_level)s->cfg->log.level, "danegate");
}

static void release(struct reload *r)
{
	names_fini(&r->index);
	for (size_t i = 0; i < r->s->keeper.num; i++)
		r->s->keeper.items[i]->kept = false;
	for (size_t i = 0; r->ids != NULL && i < r->num; i++)
		if (r->fresh[i])
			identity_free(r->ids[i]);
	guard_free(r->guard);
	free(r->ids);
	free(r->fresh);
	free(r->looks);
	config_free(r->cfg);
	json_decref(r->details);
	json_decref(r->files);
	free(r);
}

static void answer(struct reload *r, enum ec ec, const struct why *why)
{
	struct supervisor *s = r->s;
	r->done(r->arg, ec, why, r->details);
	release(r);
	change_end(s);
}

/* on_configured: only now may whoever asked rely on it; a session that begins after
 * the answer goes by the new settings. */
static void on_configured(void *arg, enum ec ec, const struct why *why)
{
	struct reload *r = arg;
	struct why own;
	if (ec == EC_OK) {
		(void)why_set(&own, EC_OK, "%zu settings changed", json_array_size(r->details));
		log_why(LOG_NOTICE, "reload", r->s->config_path, own.text);
	} else {
		(void)why_set(&own, ec, "the new configuration is in force, but %s; reload again", why->text);
		supervisor_mishap(r->s, "reload", r->s->config_path, own.text);
	}
	answer(r, ec, &own);
}

static void finish(struct reload *r, enum ec ec, const struct why *why)
{
	struct supervisor *s = r->s;
	if (ec == EC_OK) {
		commit(r);
		if (supervisor_configure(s, json_incref(r->files), on_configured, r) != EC_OK) {
			struct why own;
			on_configured(r, why_set(&own, EC_NO_MEMORY, "there was no memory to tell the workers"), &own);
		}
		return;
	}
	for (size_t i = 0; i < s->keeper.num; i++)
		if (s->keeper.items[i]->presented != 0)
			s->keeper.items[i]->candidate = 0;
	supervisor_mishap(s, "reload", s->config_path, why->text);
	answer(r, ec, why);
}

static void on_presented(void *arg, enum ec ec, const struct why *why)
{
	finish(arg, ec, why);
}

/* present_what gathers how what the workers hold must differ: another default identity,
 * identities that are gone, and what was looked up for this. `*out_must` is false
 * when there is nothing. */
static enum ec present_what(struct reload *r, struct present_set *set, bool *out_must)
{
	const struct keeper *k = &r->s->keeper;
	size_t num_gone = 0;
	for (size_t i = 0; i < k->num; i++)
		num_gone += k->items[i]->presented != 0 && !k->items[i]->kept;
	enum ec ec = present_set_new(r->ids[0], r->num_looks, num_gone, set);
	if (ec != EC_OK)
		return ec;
	for (size_t i = 0; i < k->num; i++)
		if (k->items[i]->presented != 0 && !k->items[i]->kept)
			set->gone[set->num_gone++] = k->items[i]->name;
	for (size_t i = 0; i < r->num_looks; i++)
		if (r->looks[i].id->candidate != 0)
			present_put(set, r->looks[i].id, r->looks[i].id->candidate);
	*out_must = r->ids[0] != k->items[0] || set->num_gone > 0 || set->num > 0;
	return EC_OK;
}

static void present(struct reload *r)
{
	struct why why = { 0 };
	struct present_set set = { 0 };
	bool must = false;
	if (!crew_listening(r->s->crew)) {
		finish(r, EC_OK, &why);
		return;
	}
	enum ec ec = present_what(r, &set, &must);
	if (ec != EC_OK) {
		(void)why_set(&why, ec, "out of memory");
	} else if (must) {
		ec = present_run(r->s, &set, true, on_presented, r, &why);
	} else {
		present_fini(&set);
		finish(r, EC_OK, &why);
	}
	if (ec != EC_OK)
		finish(r, ec, &why);
}

static void judge(struct look *l, const struct guard_facts *facts)
{
	struct identity *id = l->id;
	if (l->import) {
		struct generation g;
		bool found = identity_find(id, identity_newest_import(id), &g);
		bool unpinned = facts->dns == PIN_DNS_ABSENT || facts->dns == PIN_DNS_INSECURE;
		if (found && unpinned && guard_judge(facts, &g, false, &l->verdict) == EC_OK)
			id->candidate = g.number;
		return;
	}
	struct generation *all = identity_generations(id);
	l->ec = guard_choose(facts, all, all == NULL ? 0 : id->num_generations, id->active, &l->verdict);
	free(all);
	id->verdict = l->verdict;
	id->verdict.at = supervisor_now();
	id->candidate = l->ec == EC_OK ? l->verdict.number : 0;
}

static void on_facts(void *arg, const struct guard_facts *facts)
{
	struct look *l = arg;
	struct reload *r = l->reload;
	judge(l, facts);
	if (++r->num_answers < r->num_looks)
		return;
	if (r->s->draining) {
		struct why why = { 0 };
		finish(r, why_set(&why, EC_CANCELLED, "danegate is stopping"), &why);
		return;
	}
	for (size_t i = 0; i < r->num_looks; i++) {
		struct why why = { 0 };
		if (r->looks[i].ec == EC_OK)
			continue;
		enum ec ec = why_set(&why, r->looks[i].ec, "identities: %s can't become the default: the pin guard: %s; the running "
		                     "configuration stays", r->looks[i].id->name, r->looks[i].verdict.why.text);
		finish(r, ec, &why);
		return;
	}
	present(r);
}

/* look_all asks the guard, with the new settings. */
static enum ec look_all(struct reload *r, struct why *why)
{
	struct supervisor *s = r->s;
	r->looks = calloc(r->num, sizeof *r->looks);
	if (r->looks == NULL)
		return why_set(why, EC_NO_MEMORY, "out of memory");
	for (size_t i = 0; i < r->num; i++) {
		bool import = !r->fresh[i] && identity_newest_import(r->ids[i]) != 0;
		if (crew_listening(s->crew) && (import || (i == 0 && r->ids[0]->presented == 0)))
			r->looks[r->num_looks++] = (struct look){ .reload = r, .id = r->ids[i], .import = import };
	}
	size_t asked = 0;
	for (size_t i = 0; i < r->num_looks; i++) {
		struct guard_call *call = NULL;
		enum ec ec = guard_ask(r->guard != NULL ? r->guard : s->guard, r->looks[i].id->name, on_facts, &r->looks[i], &call);
		if (ec == EC_OK) {
			asked++;
		} else {
			r->looks[i].ec = why_set(&r->looks[i].verdict.why, ec, "out of memory");
			r->num_answers++;
		}
	}
	if (asked == 0 && r->num_looks > 0)
		return why_set(why, EC_NO_MEMORY, "out of memory");
	if (r->num_looks == 0)
		present(r);
	return EC_OK;
}

static enum ec gather_identities(struct reload *r, struct why *why)
{
	struct supervisor *s = r->s;
	r->num = r->cfg->num_identities;
	r->ids = calloc(r->num, sizeof *r->ids);
	r->fresh = calloc(r->num, sizeof *r->fresh);
	if (r->ids == NULL || r->fresh == NULL)
		return why_set(why, EC_NO_MEMORY, "out of memory");
	unsigned num_read = 0;
	for (size_t i = 0; i < r->num; i++) {
		struct identity *old = keeper_find(&s->keeper, r->cfg->identities[i].name);
		if (old != NULL) {
			r->ids[i] = old;
			old->kept = true;
			continue;
		}
		enum ec ec = identity_new(&r->cfg->identities[i], &r->ids[i], why);
		r->fresh[i] = ec == EC_OK;
		if (ec == EC_OK && (i == 0 || num_read++ < KEEPER_READ_NOW))
			ec = identity_read(&s->keeper, r->ids[i], supervisor_now(), why);
		if (ec != EC_OK) {
			r->num = i + r->fresh[i];
			return ec;
		}
	}
	if (keeper_index(r->ids, r->num, &r->index) != EC_OK || watch_room(s, r->num) != EC_OK)
		return why_set(why, EC_NO_MEMORY, "out of memory");
	return EC_OK;
}

static void on_change(void *arg, const char *key, bool reloadable)
{
	struct reload *r = arg;
	json_array_append_new(r->details, json_string(key));
	if (strncmp(key, "dns.", 4) == 0)
		r->dns_changed = true;
	size_t len = strlen(r->restart);
	if (!reloadable)
		(void)snprintf(r->restart + len, sizeof r->restart - len, "%s%s", len > 0 ? ", " : "", key);
}

static enum ec read_config(struct reload *r, struct why *why)
{
	struct supervisor *s = r->s;
	struct config_errors *errs = calloc(1, sizeof *errs);
	if (errs == NULL)
		return why_set(why, EC_NO_MEMORY, "out of memory");
	enum ec ec = config_load(s->config_path, CONFIG_FOR_DANEGATE, &r->cfg, errs);
	for (size_t i = 0; i < errs->num; i++)
		json_array_append_new(r->details, json_string(errs->items[i]));
	if (ec != EC_OK) {
		(void)why_set(why, ec, "%s%s; the running configuration stays", errs->num > 0 ? errs->items[0] : ec_text(ec),
		              errs->num > 1 ? " (and more)" : "");
		free(errs);
		return ec;
	}
	free(errs);
	ec = trust_files_read(r->cfg, &r->files, why);
	if (ec != EC_OK)
		return ec;
	if (config_diff(s->cfg, r->cfg, on_change, r) > 0)
		return why_set(why, EC_UNSUPPORTED, "%s: a change of this needs a restart; the running configuration stays", r->restart);
	if (r->dns_changed)
		return guard_new(&s->loop, &r->cfg->dns, &r->guard, why);
	return EC_OK;
}

/* take_imports looks into the files of issuer `files` now: a reload is the moment
 * at which whoever renewed them says that they are ready. */
static void take_imports(struct reload *r)
{
	for (size_t i = 0; i < r->num; i++) {
		bool changed = false, presented = false;
		struct why why = { 0 };
		if (r->fresh[i] || r->ids[i]->settings->issuer != CONFIG_FILES)
			continue;
		if (identity_upkeep(&r->s->keeper, r->ids[i], supervisor_now(), &changed, &presented, &why) != EC_OK)
			supervisor_mishap(r->s, "upkeep", r->ids[i]->name, why.text);
		r->ids[i]->renewed = r->ids[i]->renewed || presented;
		if (presented)
			watch_offer(r->s, r->ids[i]);
	}
}

void reload_run(struct supervisor *s, reload_done *done, void *arg)
{
	struct why why = { 0 };
	enum ec ec = change_begin(s, &why, "reload");
	if (ec != EC_OK) {
		done(arg, ec, &why, NULL);
		return;
	}
	struct reload *r = calloc(1, sizeof *r);
	if (r == NULL) {
		done(arg, why_set(&why, EC_NO_MEMORY, "out of memory"), &why, NULL);
		change_end(s);
		return;
	}
	*r = (struct reload){ .s = s, .details = json_array(), .done = done, .arg = arg };
	ec = read_config(r, &why);
	if (ec == EC_OK)
		ec = gather_identities(r, &why);
	if (ec == EC_OK) {
		take_imports(r);
		ec = look_all(r, &why);
	}
	if (ec != EC_OK)
		finish(r, ec, &why);
}
