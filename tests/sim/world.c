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
		for (size_t a = 0; a < KEY_NUM_ALGORITHMS; a++)
			for (size_t b = 0; b < 32; b++)
				in->gens[i].spki[a][b] = (uint8_t)rng_next(&w->rng);
		return &in->gens[i];
	}
	return NULL;
}

struct tlsa world_record(const struct wgen *g, enum key_algorithm algorithm)
{
	return tlsa_311(g->spki[algorithm]);
}

/* Does a client that holds `set` accept what `in` presents? Denial is no pin; but once a
 * swap was made, nobody may be left who was told that there is none. */
static bool accepts(const struct world *w, const struct tlsa_set *set, unsigned instance, uint64_t generation)
{
	const struct winstance *in = &w->instances[instance];
	bool first = generation == in->first && !in->ever_swapped;
	if (set->num == 0)
		return first;
	bool any_311 = false;
	for (size_t i = 0; i < set->num; i++) {
		if (w->foreign.len != 0 && tlsa_eq(&set->items[i], &w->foreign)) {
			if (generation != in->first)
				return false;
			continue;
		}
		any_311 = true;
	}
	const struct wgen *g = world_gen((struct world *)(uintptr_t)w, instance, generation);
	for (unsigned a = 0; any_311 && a < (in->rsa ? 2U : 1U); a++) {
		struct tlsa t = world_record(g, a);
		if (!tlsa_set_has(set, &t))
			return false;
	}
	return true;
}

static bool held(const struct world *w, const struct span *s)
{
	if (s->to == INT64_MAX)
		return true;
	const struct version *v = &w->versions[s->version];
	int64_t ttl = v->set.num == 0 ? w->negative_ttl_s : v->by_hand && !v->seen ? w->our_ttl_s : v->ttl_s;
	if (w->check_signatures && !s->unseen && w->t < v->signed_until * 1000)
		return true;
	return w->t < s->to + (s->unseen ? 1 : 2) * ttl * 1000 + w->margin_ms;
}

void world_check(struct world *w)
{
	if (w->broken[0] != '\0')
		return;
	size_t n = 0;
	for (size_t i = 0; i < w->num_spans; i++)
		if (held(w, &w->spans[i]))
			w->spans[n++] = w->spans[i];
	w->num_spans = n;
	for (size_t i = 0; i < n; i++) {
		const struct span *s = &w->spans[i];
		for (unsigned in = 0; in < w->num_instances; in++) {
			struct version *v = &w->versions[s->version];
			if (v->excused || accepts(w, &v->set, in, w->instances[in].presented))
				continue;
			if (v->by_hand && !v->seen) {
				v->excused = true;
				w->num_excused++;
				continue;
			}
			(void)snprintf(w->broken, sizeof w->broken,
			               "at %lld s a cache may hold version %u (%u records, ttl %u) of server %u, served from "
			               "%lld s to %lld s, which does not match generation %llu of instance %u",
			               (long long)(w->t / 1000), s->version, w->versions[s->version].set.num,
			               w->versions[s->version].ttl_s, s->server, (long long)(s->from / 1000),
			               s->to == INT64_MAX ? -1LL : (long long)(s->to / 1000),
			               (unsigned long long)w->instances[in].presented, in);
			return;
		}
	}
}

bool world_safe_version(struct world *w, unsigned version)
{
	for (unsigned in = 0; in < w->num_instances; in++)
		if (!accepts(w, &w->versions[version].set, in, w->instances[in].presented))
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
			w->spans[i].unseen = s->back_until != 0 && !s->asked_in_span;
		}
	}
	s->version = version;
	s->asked = s->asked_in_span = false;
	if (s->there && !s->alias) {
		assert(w->num_spans < W_SPANS);
		w->spans[w->num_spans++] = (struct span){ server, version, w->t, INT64_MAX, false };
	}
	world_check(w);
}

/* The primary makes a new version of its set; the others will follow. */
static void publish(struct world *w, struct version v, bool by_hand)
{
	v.by_hand = by_hand;
	v.seen = v.excused = false;
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

void world_update(struct world *w, const struct tlsa_set *adds, const struct tlsa_set *deletes, uint32_t ttl_s)
{
	struct version v = w->versions[w->num_versions - 1];
	struct tlsa_set before = v.set;
	if (tlsa_set_union(&v.set, adds) != EC_OK)
		return;
	tlsa_set_subtract(&v.set, deletes);
	bool same = tlsa_set_eq(&before, &v.set);
	if (adds->num > 0 && (!same || rng_chance(&w->rng, 500)))
		v.ttl_s = ttl_s; /* Knot keeps the TTL of what is there already, others change it */
	if (same && v.ttl_s == w->versions[w->num_versions - 1].ttl_s)
		return;
	publish(w, v, false);
}

void world_present(struct world *w, unsigned instance, uint64_t generation)
{
	struct winstance *in = &w->instances[instance];
	if (world_gen(w, instance, generation) == NULL)
		return;
	if (generation != in->presented)
		in->ever_swapped = true;
	in->active = in->presented = generation;
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
			struct late l = w->late[i];
			if (l.kind == LATE_NONE || l.at > w->t)
				continue;
			w->late[i].kind = LATE_NONE;
			if (l.kind == LATE_UPDATE)
				world_update(w, &l.adds, &l.deletes, l.ttl_s);
			else
				world_present(w, l.instance, l.generation);
		}
	}
	w->t = until;
}
