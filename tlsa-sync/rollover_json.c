/* A decision, and the facts behind it, as JSON for programs. */
#include "tlsa-sync/decide.h"

static json_t *text(const char *s)
{
	/* words may come from a peer: what is not UTF-8 is not passed on */
	json_t *j = json_string(s);
	return j != NULL ? j : json_string("(not text)");
}

static json_t *record(const struct tlsa *t)
{
	char out[TLSA_TEXT_SIZE];
	tlsa_print(out, t);
	return json_string(out);
}

static json_t *set_json(const struct tlsa_set *set)
{
	json_t *list = json_array();
	for (size_t i = 0; i < set->num; i++)
		(void)json_array_append_new(list, record(&set->items[i]));
	return list;
}

static json_t *moment(struct stamp t)
{
	return t.count_ms == 0 ? json_null() : json_integer(t.wall.s);
}

static json_t *key_json(const struct facts *f, const struct policy *p, const struct fact_key *k, struct stamp now)
{
	struct tlsa t = tlsa_311(k->spki_sha256);
	struct age age = age_of(f, p, k->spki_sha256, now);
	return json_pack("{s:I, s:s, s:o, s:b, s:b, s:I, s:I, s:b, s:I}", "generation", (json_int_t)k->generation, "algorithm",
	                 key_algorithm_name(k->algorithm), "record", record(&t), "certified", (int)k->certified, "self_signed",
	                 (int)k->self_signed, "not_before", (json_int_t)k->not_before.s, "not_after", (json_int_t)k->not_after.s, "aged", (int)(age.reason == AGE_OLD), "left_s",
	                 (json_int_t)((age.left_ms + 999) / 1000));
}

static json_t *instance_json(const struct facts *f, const struct policy *p, unsigned i, struct stamp now)
{
	const struct fact_instance *in = &f->instances[i];
	json_t *keys = json_array();
	for (size_t k = 0; k < f->num_keys; k++)
		if (f->keys[k].instance == i)
			(void)json_array_append_new(keys, key_json(f, p, &f->keys[k], now));
	return json_pack("{s:o, s:b, s:o, s:o, s:I, s:I, s:I, s:o}", "name", text(in->name), "answers",
	                 (int)(in->heard.count_ms != 0 && in->failed.count_ms == 0), "heard", moment(in->heard), "words",
	                 text(in->words), "active", (json_int_t)in->active, "presented", (json_int_t)in->presented, "standby",
	                 (json_int_t)facts_standby(f, i), "keys", keys);
}

static json_t *server_json(const struct fact_server *s)
{
	static const char *const validity[VALIDITY_NUM] = { "unknown", "secure", "insecure", "bogus" };
	return json_pack("{s:o, s:o, s:b, s:o, s:o, s:s, s:I, s:I, s:I, s:o, s:b}", "name", text(s->name), "address",
	                 text(s->address), "answers", (int)(s->answered.count_ms != 0 && s->silent.count_ms == 0), "answered",
	                 moment(s->answered), "words", text(s->words), "validity", validity[s->validity], "serial",
	                 (json_int_t)s->serial, "ttl", (json_int_t)s->ttl_s, "signature_expires",
	                 (json_int_t)s->signature_expires.s, "records", set_json(&s->set), "alias", (int)s->alias);
}

static json_t *roll_json(const struct fact_roll *r)
{
	static const char *const ends[ROLL_END_NUM] = { "running", "done", "rolled back", "aborted" };
	if (r->asked.count_ms == 0)
		return json_null();
	return json_pack("{s:o, s:b, s:b, s:b, s:o, s:o, s:o, s:o, s:o, s:s}", "asked", moment(r->asked), "by_timer",
	                 (int)r->by_timer, "emergency", (int)r->emergency, "forced", (int)r->forced,
	                 "begun", moment(r->begun), "held", moment(r->held), "rollback", moment(r->rollback), "retiring",
	                 moment(r->retiring), "ended", moment(r->ended), "end", ends[r->end]);
}

/* The last run of the issuer's command. */
static json_t *issue_json(const struct facts *f)
{
	static const char *const outcomes[OUTCOME_NUM] = { "none", "running", "installed", "failed", "unknown" };
	const struct fact_issue *i = &f->issue;
	if (i->asked.count_ms == 0)
		return json_null();
	return json_pack("{s:o, s:I, s:s, s:I, s:o, s:o, s:s, s:o}", "instance", text(f->instances[i->instance].name),
	                 "generation", (json_int_t)i->generation, "algorithm", key_algorithm_name(i->algorithm), "tries",
	                 (json_int_t)i->tries, "asked", moment(i->asked), "done", moment(i->done), "outcome",
	                 outcomes[i->outcome], "words", text(i->words));
}

static json_t *off_json(const struct fact_off *off)
{
	if (off->asked.count_ms == 0)
		return json_null();
	return json_pack("{s:o, s:o, s:o}", "asked", moment(off->asked), "gone", moment(off->gone), "done", moment(off->done));
}

json_t *rollover_json(const struct facts *f, const struct policy *p, const struct decision *d, struct stamp now)
{
	json_t *instances = json_array(), *servers = json_array(), *alarms = json_array();
	for (unsigned i = 0; i < f->num_instances; i++)
		(void)json_array_append_new(instances, instance_json(f, p, i, now));
	for (size_t i = 0; i < f->num_servers; i++)
		(void)json_array_append_new(servers, server_json(&f->servers[i]));
	for (size_t i = 0; i < d->num_alarms; i++)
		(void)json_array_append_new(alarms, text(d->alarms[i]));
	return json_pack("{s:o, s:s, s:I, s:I, s:s, s:o, s:o, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:o, s:s, s:o}", "identity",
	                 text(f->identity), "state", rollover_states[d->state].name, "since", (json_int_t)f->shown_since.s,
	                 "now", (json_int_t)now.wall.s, "next", rollover_action_name(d->action), "why", text(d->why),
	                 "waiting_for", text(d->waiting_for), "at", (json_int_t)d->at.s, "wake_ms", (json_int_t)d->wake_ms,
	                 "alarms", alarms, "wanted", set_json(&d->wanted), "instances", instances, "servers", servers, "roll",
	                 roll_json(&f->roll), "rotated", (json_int_t)f->rotated.s, "ttl_max",
	                 (json_int_t)facts_ttl_max(f), "issue", issue_json(f), "follows", d->next, "off", off_json(&f->off));
}
