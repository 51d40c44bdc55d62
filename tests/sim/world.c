#include "world.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct wgen *world_gen(struct world *w, unsigned instance, uint64_t number)
{
	for (size_t i = 0; number != 0 && i < W_GENERATIONS; i++)
		if (w->instances[instance].gens[i].number == number)
			return &w->instances[instance].gens[i];
	return NULL;
}

struct wgen *world_new_gen(struct world *w, unsigned instance)
{
	struct winstance *in = &w->instances[instance];
	for (size_t i = 0; i < W_GENERATIONS; i++) {
		if (in->gens[i].number != 0)
			continue;
		in->gens[i].number = ++in->last;
		in->gens[i].algorithms = in->algorithms;
		for (size_t a = 0; a < KEY_NUM_ALGORITHMS; a++) {
			uint64_t r = rng_next(&w->rng);
			memset(in->gens[i].spki[a], 0x5a, 32);
			memcpy(in->gens[i].spki[a], &r, sizeof r);
			memset(in->gens[i].spki512[a], 0xa5, 64);
			memcpy(in->gens[i].spki512[a], &r, sizeof r);
			in->gens[i].certs[a] = (struct wcert){ 1, true, 1, INT64_C(99999999999) };
		}
		return &in->gens[i];
	}
	return NULL;
}

struct tlsa world_record(const struct wgen *g, enum key_algorithm algorithm, enum record_form form)
{
	struct tlsa t = { .usage = 3, .selector = 1, .matching = form == FORM_311 ? 1 : 2, .len = form == FORM_311 ? 32 : 64 };
	memcpy(t.data, form == FORM_311 ? g->spki[algorithm] : g->spki512[algorithm], t.len);
	return t;
}

static const struct wgen *gen_of(const struct world *w, unsigned instance, uint64_t number)
{
	for (size_t i = 0; number != 0 && i < W_GENERATIONS; i++)
		if (w->instances[instance].gens[i].number == number)
			return &w->instances[instance].gens[i];
	return NULL;
}

static bool first_certificates(const struct wgen *g)
{
	for (unsigned a = 0; a < KEY_NUM_ALGORITHMS; a++)
		if ((g->algorithms >> a & 1) && g->certs[a].serial != 1)
			return false;
	return true;
}

/* Does a client that holds `v` accept what the instance would present: for each kind of record
 * in it, whatever algorithm it asks for? Denial is no pin; but unless DANE is switched off, nobody
 * may be left who was told that there is none when the next key comes. */
static bool accepts(const struct world *w, const struct version *v, unsigned instance, uint64_t generation)
{
	const struct wgen *g = gen_of(w, instance, generation);
	bool kinds[FORM_NUM] = { false };
	if (v->set.num == 0)
		return w->off || v->told[instance] == generation || v->told_too[instance] == generation;
	for (size_t i = 0; i < v->set.num; i++) {
		const struct tlsa *t = &v->set.items[i];
		if (w->foreign.len != 0 && tlsa_eq(t, &w->foreign)) {
			if (generation != w->instances[instance].first || !first_certificates(g))
				return false;
		} else {
			kinds[t->matching == 1 ? FORM_311 : FORM_312] = true;
		}
	}
	for (enum record_form form = 0; form < FORM_NUM; form++) {
		for (unsigned a = 0; kinds[form] && a < KEY_NUM_ALGORITHMS; a++) {
			if (!(g->algorithms >> a & 1))
				continue;
			struct tlsa t = world_record(g, a, form);
			if (!tlsa_set_has(&v->set, &t))
				return false;
		}
	}
	return true;
}

static int64_t held_until(const struct world *w, const struct span *s)
{
	if (s->to == INT64_MAX)
		return INT64_MAX;
	const struct version *v = &w->versions[s->version];
	const struct version *chosen = &w->versions[v->ttl_from];
	bool known = (!chosen->by_hand || chosen->ttl_seen_at != 0) && !s->lost;
	int64_t ttl = v->set.num == 0 ? w->negative_ttl_s : known || v->ttl_s < w->our_ttl_s ? v->ttl_s : w->our_ttl_s;
	int64_t to = s->to;
	/* What a server gives when its signature has run out is bogus: no cache takes it up, nor keeps longer than that
	 * what it took up before (RFC 4035 5.3.3). */
	if (w->check_signatures && v->signed_until * 1000 < to)
		return v->signed_until * 1000;
	int64_t until = to + (s->unseen ? 1 : 2) * ttl * 1000 + w->margin_ms;
	if (s->unseen)
		return until;
	if (w->check_signatures && v->signed_until * 1000 > until)
		until = v->signed_until * 1000;
	return to + w->stale_ms > until ? to + w->stale_ms : until;
}

/* An edit by hand that nobody could see yet; or what our update made of one, which it left as broken as it was. */
static bool unseen_edit(const struct world *w, unsigned version, unsigned in)
{
	const struct version *v = &w->versions[version];
	if (v->seen_at != 0 || version == 0)
		return false;
	return v->by_hand || (!accepts(w, v - 1, in, w->instances[in].presented) && unseen_edit(w, version - 1, in));
}

/* A sender whose set does not match: whose doing is it? */
static void mismatch(struct world *w, const struct span *s, unsigned in)
{
	struct version *v = &w->versions[s->version];
	/* who was told that there is no record does not defer */
	if (v->forgiven && (v->set.num == 0 || s->to == INT64_MAX || w->stale_ms > 0 || w->check_signatures || w->t < s->to + w->exposure_ms))
		return;
	if (unseen_edit(w, s->version, in)) {
		v->excused = true;
		w->num_excused++;
		return;
	}
	(void)snprintf(w->broken, sizeof w->broken,
	               "at %lld s a cache may hold version %u (%u records, ttl %u) of server %u, served from "
	               "%lld s to %lld s, which does not match generation %llu of instance %u%s",
	               (long long)(w->t / 1000), s->version, v->set.num, v->ttl_s, s->server, (long long)(s->from / 1000),
	               s->to == INT64_MAX ? -1LL : (long long)(s->to / 1000),
	               (unsigned long long)w->instances[in].presented, in,
	               v->forgiven ? ", for longer than the operator was told" : "");
}

void world_check(struct world *w)
{
	if (w->broken[0] != '\0')
		return;
	size_t n = 0;
	for (size_t i = 0; i < w->num_spans; i++)
		if (w->t < held_until(w, &w->spans[i]))
			w->spans[n++] = w->spans[i];
	w->num_spans = n;
	for (size_t i = 0; i < n && w->broken[0] == '\0'; i++) {
		const struct version *v = &w->versions[w->spans[i].version];
		for (unsigned in = 0; in < w->num_instances && !v->excused; in++)
			if (!accepts(w, v, in, w->instances[in].presented))
				mismatch(w, &w->spans[i], in);
	}
}

bool world_safe_version(struct world *w, unsigned version)
{
	for (unsigned in = 0; in < w->num_instances; in++)
		if (!accepts(w, &w->versions[version], in, w->instances[in].presented))
			return false;
	return true;
}

void world_serve(struct world *w, unsigned server, unsigned version)
{
	struct server *s = &w->servers[server];
	for (size_t i = 0; i < w->num_spans; i++) {
		if (w->spans[i].server == server && w->spans[i].to == INT64_MAX) {
			w->spans[i].to = w->t;
			/* An old version that came and went unseen. */
			w->spans[i].unseen = (s->back_until != 0 || s->forgotten) && !s->asked_in_span;
			w->spans[i].lost = w->spans[i].lost && !s->asked_in_span;
		}
	}
	s->version = version;
	s->asked = s->asked_in_span = s->forgotten = false;
	if (s->there && !s->alias) {
		assert(w->num_spans < W_SPANS);
		w->spans[w->num_spans++] = (struct span){ server, version, w->t, INT64_MAX, false, false };
	}
	world_check(w);
}

static void tell(const struct world *w, struct version *v)
{
	for (unsigned i = 0; i < w->num_instances; i++) {
		v->told[i] = w->instances[i].presented;
		v->told_too[i] = 0;
	}
	for (size_t i = 0; i < W_LATE; i++)
		if (w->late[i].kind == LATE_SWAP)
			v->told_too[w->late[i].instance] = w->late[i].generation;
}

/* The primary makes a new version of its set; the others will follow. */
static void publish(struct world *w, struct version v, bool by_hand)
{
	v.made_at = w->t;
	v.by_hand = by_hand;
	v.seen_at = v.ttl_seen_at = 0;
	v.excused = v.forgiven = false;
	tell(w, &v);
	v.signed_until = w->t / 1000 + w->signature_life_s;
	if (w->num_versions == W_VERSIONS) {
		(void)fprintf(stderr, "the world has no room for more versions\n");
		abort();
	}
	w->versions[w->num_versions++] = v;
	world_serve(w, 0, (unsigned)w->num_versions - 1);
	for (unsigned i = 1; i < w->num_servers; i++) {
		struct server *s = &w->servers[i];
		int64_t at = w->t + 1000 + rng_upto(&w->rng, w->lag_ms);
		if (s->transfer_at == 0 || s->transfer_at < at)
			s->transfer_at = at;
	}
}

bool world_hand_edit(struct world *w)
{
	struct version v = w->versions[w->num_versions - 1];
	if (v.set.num == 0)
		return false;
	if (rng_chance(&w->rng, 300)) {
		v.ttl_s = rng_chance(&w->rng, 500) ? 86400 : 60;
		v.ttl_from = (unsigned)w->num_versions;
		publish(w, v, true);
		return true;
	}
	struct tlsa t = v.set.items[rng_upto(&w->rng, (int64_t)v.set.num)];
	(void)tlsa_set_remove(&v.set, &t);
	w->versions[w->num_versions] = v;
	if (w->num_versions + 1 == W_VERSIONS || v.set.num == 0 || !world_safe_version(w, (unsigned)w->num_versions))
		return false;
	publish(w, v, true);
	return true;
}

void world_hand_clean(struct world *w)
{
	struct version v = w->versions[w->num_versions - 1];
	if (w->foreign.len != 0 && tlsa_set_remove(&v.set, &w->foreign))
		publish(w, v, true);
}

void world_tell(struct world *w)
{
	for (size_t i = 0; i < w->num_spans; i++)
		tell(w, &w->versions[w->spans[i].version]);
}

void world_journalled(struct world *w)
{
	for (size_t i = 0; i < w->num_servers; i++) {
		struct server *s = &w->servers[i];
		struct version *v = &w->versions[s->version], *chosen = &w->versions[v->ttl_from];
		if (!s->asked)
			continue;
		s->asked_in_span = true;
		if (v->seen_at == 0)
			v->seen_at = w->t;
		if (v->set.num > 0 && chosen->ttl_seen_at == 0)
			chosen->ttl_seen_at = w->t;
	}
}

void world_forget(struct world *w, int64_t t)
{
	for (size_t i = 0; i < w->num_versions; i++) {
		struct version *v = &w->versions[i];
		v->seen_at = v->seen_at > t ? 0 : v->seen_at;
		v->ttl_seen_at = v->ttl_seen_at > t ? 0 : v->ttl_seen_at;
		v->by_hand = v->by_hand || v->made_at >= t;
	}
	for (size_t i = 0; i < w->num_servers; i++) {
		w->servers[i].asked = w->servers[i].asked_in_span = false;
		w->servers[i].forgotten = true;
	}
	for (size_t i = 0; i < w->num_spans; i++) {
		if (w->spans[i].to <= t)
			continue;
		w->spans[i].unseen = true;
		w->spans[i].lost = w->spans[i].from >= t;
	}
}

void world_update(struct world *w, const struct tlsa_set *adds, const struct tlsa_set *deletes, uint32_t ttl_s)
{
	struct version v = w->versions[w->num_versions - 1];
	struct tlsa_set before = v.set;
	if (tlsa_set_union(&v.set, adds) != EC_OK)
		return;
	tlsa_set_subtract(&v.set, deletes);
	bool same = tlsa_set_eq(&before, &v.set);
	/* Knot keeps the TTL of what is there already, others change it */
	if (adds->num > 0 && (!same || rng_chance(&w->rng, 500))) {
		v.ttl_s = ttl_s;
		v.ttl_from = (unsigned)w->num_versions;
	}
	if (same && v.ttl_s == w->versions[w->num_versions - 1].ttl_s)
		return;
	publish(w, v, false);
}

void world_present(struct world *w, unsigned instance, uint64_t generation)
{
	struct winstance *in = &w->instances[instance];
	if (world_gen(w, instance, generation) == NULL)
		return;
	in->active = in->presented = generation;
	for (size_t i = 0; w->forced && i < w->num_spans; i++) {
		struct version *v = &w->versions[w->spans[i].version];
		if (v->forgiven || accepts(w, v, instance, generation))
			continue;
		v->forgiven = true;
		w->num_forgiven++;
	}
	world_check(w);
}

void world_late(struct world *w, const struct late *late)
{
	for (size_t i = 0; i < W_LATE; i++) {
		if (w->late[i].kind == LATE_NONE) {
			w->late[i] = *late;
			return;
		}
	}
}

bool world_late_pending(const struct world *w, enum late_kind kind)
{
	for (size_t i = 0; i < W_LATE; i++)
		if (w->late[i].kind == kind)
			return true;
	return false;
}

/* When a server changes by itself next, or INT64_MAX. */
static int64_t server_next(const struct server *s)
{
	if (s->back_until != 0)
		return s->back_until;
	if (s->transfer_at == 0)
		return INT64_MAX;
	return s->transfer_at > s->stuck_until ? s->transfer_at : s->stuck_until;
}

static int64_t next_change(const struct world *w)
{
	int64_t next = INT64_MAX;
	for (unsigned i = 1; i < w->num_servers; i++)
		if (server_next(&w->servers[i]) < next)
			next = server_next(&w->servers[i]);
	for (size_t i = 0; i < W_LATE; i++)
		if (w->late[i].kind != LATE_NONE && w->late[i].at < next)
			next = w->late[i].at;
	return next;
}

static void arrive(struct world *w, struct late *late)
{
	struct late l = *late;
	bool forced = w->forced;
	late->kind = LATE_NONE;
	w->forced = forced || l.forced;
	if (l.kind == LATE_UPDATE)
		world_update(w, &l.adds, &l.deletes, l.ttl_s);
	else
		world_present(w, l.instance, l.generation);
	w->forced = forced;
}

void world_swaps_arrive(struct world *w, unsigned instance)
{
	for (size_t i = 0; i < W_LATE; i++)
		if (w->late[i].kind == LATE_SWAP && w->late[i].instance == instance)
			arrive(w, &w->late[i]);
}

void world_run(struct world *w, int64_t until)
{
	for (int64_t next = next_change(w); next <= until; next = next_change(w)) {
		if (next > w->t)
			w->t = next;
		for (unsigned i = 1; i < w->num_servers; i++) {
			struct server *s = &w->servers[i];
			if (server_next(s) > w->t)
				continue;
			world_serve(w, i, (unsigned)w->num_versions - 1);
			s->back_until = 0;
			s->transfer_at = 0;
		}
		for (size_t i = 0; i < W_LATE; i++) {
			if (w->late[i].kind != LATE_NONE && w->late[i].at <= w->t)
				arrive(w, &w->late[i]);
		}
	}
	w->t = until;
}
