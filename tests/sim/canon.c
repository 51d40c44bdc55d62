#include "canon.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "copy.h"

/* The moment at which every state is looked at, on the counted clock. */
static const int64_t noon_ms = INT64_C(1000) * TICK_MS;

/* ---- moments ---- */

/* Which moments are compared with which, beside with now. */
enum kind { BOOTED, HEARD, ASKED, ANSWERED, PROVEN, RUN, COUNTED, TTL_SEEN, PROBE_AT, PROBED, LOOKED, FOUND, NOT_FOUND, SENT,
	    BEGUN, HELD, ADDED,
	    DELETED, CLEARED, OFF_ASKED, GONE, WATCHED, KINDS };
#define WITH(kind) (1U << (kind))
static const unsigned compared[KINDS] = {
	[BOOTED] = WITH(HEARD) | WITH(ASKED) | WITH(ANSWERED) | WITH(COUNTED) | WITH(PROBE_AT) | WITH(PROBED) | WITH(LOOKED) |
	           WITH(FOUND) | WITH(NOT_FOUND) | WITH(SENT),
	[HEARD] = WITH(BOOTED) | WITH(ASKED),
	[ASKED] = WITH(BOOTED) | WITH(HEARD) | WITH(PROBE_AT) | WITH(PROBED),
	[ANSWERED] = WITH(BOOTED) | WITH(OFF_ASKED),
	[PROVEN] = WITH(PROVEN) | WITH(FOUND),
	[COUNTED] = WITH(BOOTED),
	[PROBE_AT] = WITH(BOOTED) | WITH(ASKED),
	[PROBED] = WITH(BOOTED) | WITH(ASKED),
	[LOOKED] = WITH(BOOTED) | WITH(SENT) | WITH(BEGUN) | WITH(FOUND) | WITH(WATCHED),
	[FOUND] = WITH(BOOTED) | WITH(PROVEN) | WITH(NOT_FOUND) | WITH(LOOKED) | WITH(GONE) | WITH(BEGUN),
	[NOT_FOUND] = WITH(BOOTED) | WITH(FOUND),
	[SENT] = WITH(BOOTED) | WITH(LOOKED),
	[BEGUN] = WITH(LOOKED) | WITH(FOUND),
	[ADDED] = WITH(DELETED),
	[DELETED] = WITH(ADDED),
	[CLEARED] = WITH(OFF_ASKED),
	[OFF_ASKED] = WITH(ANSWERED) | WITH(CLEARED),
	[GONE] = WITH(FOUND),
	[WATCHED] = WITH(LOOKED),
};

/* A moment, and the longest time it is measured against: what is older is just old. */
struct moment {
	int64_t *at;
	enum kind kind;
	int64_t limit, own, given; /* ages in ticks */
};

enum { MOMENTS = FACT_AGREES * 3 + 1024 };

struct moments {
	int64_t late, aged, watched; /* in ticks: what is added to a moment before it is compared */
	size_t num;
	struct moment rows[MOMENTS];
};

static void moment(struct moments *m, enum kind kind, int64_t *ms, int64_t limit_ms)
{
	if (*ms == 0)
		return;
	assert(m->num < MOMENTS);
	m->rows[m->num++] = (struct moment){ .at = ms, .kind = kind, .limit = limit_ms / TICK_MS + 1 };
}

static void moment_of(struct moments *m, enum kind kind, struct stamp *s, int64_t limit_ms)
{
	s->wall.s = 0;
	moment(m, kind, &s->count_ms, limit_ms);
}

/* Of these only whether they are set is ever asked. */
static void flag(struct stamp *s)
{
	s->wall.s = 0;
	s->count_ms = s->count_ms != 0;
}

/* The longest times of the policy. The guard allows a minute more than the decision. */
struct limits {
	int64_t poll, fresh, gap, ttl, margin, hold;
};

static struct limits limits_of(const struct small_run *r)
{
	const struct policy *p = &r->policy;
	return (struct limits){
		.poll = p->poll_s * 1000,
		.fresh = rollover_fresh_ms(p) + 60000,
		.gap = rollover_gap_ms(p),
		.ttl = (int64_t)(facts_ttl_max(r->facts) > p->ttl_s ? facts_ttl_max(r->facts) : p->ttl_s) * 1000,
		.margin = p->cache_margin_s * 1000,
		.hold = p->hold_s * 1000,
	};
}

static void moments_of_rows(struct moments *m, struct facts *f, const struct limits *l)
{
	for (size_t i = 0; i < f->num_instances; i++) {
		moment_of(m, HEARD, &f->instances[i].heard, l->fresh);
		flag(&f->instances[i].failed);
		moment_of(m, ASKED, &f->instances[i].asked_at, 2 * l->poll);
	}
	for (size_t i = 0; i < f->num_servers; i++) {
		moment_of(m, ANSWERED, &f->servers[i].answered, l->fresh);
		flag(&f->servers[i].silent);
		f->servers[i].same_since = (struct stamp){ 0 }; /* for people */
	}
	int64_t aged = 2 * l->ttl + l->margin;
	for (size_t i = 0; i < f->num_digests; i++) {
		f->digests[i].known = (struct stamp){ 0 }; /* for people */
		moment_of(m, PROVEN, &f->digests[i].spoiled, aged);
		for (unsigned form = 0; form < FORM_NUM; form++) {
			moment_of(m, ADDED, &f->digests[i].added[form], ROLLOVER_LATE_MS);
			moment_of(m, DELETED, &f->digests[i].deleted[form], ROLLOVER_LATE_MS);
			moment_of(m, CLEARED, &f->digests[i].cleared[form], 0);
		}
	}
	for (size_t i = 0; i < f->num_agrees; i++) {
		moment(m, PROVEN, &f->agrees[i].proof_ms, aged);
		moment(m, RUN, &f->agrees[i].run_ms, l->ttl + l->margin);
		moment(m, COUNTED, &f->agrees[i].last_ms, l->fresh > l->gap ? l->fresh : l->gap);
	}
	for (size_t i = 0; i < f->num_ttls; i++)
		moment_of(m, TTL_SEEN, &f->ttls[i].last, 2000 * (int64_t)f->ttls[i].ttl_s + l->margin);
	for (size_t i = 0; i < f->num_probes; i++)
		moment_of(m, PROBE_AT, &f->probes[i].at, l->fresh);
	for (size_t i = 0; i < f->num_withdrawn; i++)
		flag(&f->withdrawn[i].at);
}

static void moments_of(struct moments *m, struct facts *f, const struct limits *l)
{
	moments_of_rows(m, f, l);
	moment(m, BOOTED, &f->clock.booted_ms, 0);
	moment_of(m, FOUND, &f->zone_found, l->gap);
	moment_of(m, NOT_FOUND, &f->zone_failed, l->poll);
	/* how soon it may be sent again depends on what came of it */
	int64_t polls = f->update.outcome == OUTCOME_OK ? 12 : f->update.outcome == OUTCOME_FAILED ? 6 : 2;
	moment_of(m, SENT, &f->update.sent, polls * l->poll);
	f->update.done = (struct stamp){ 0 }; /* for people */
	moment_of(m, LOOKED, &f->looked, 2 * l->poll);
	moment_of(m, PROBED, &f->probed, l->poll);
	flag(&f->roll.asked);
	moment_of(m, BEGUN, &f->roll.begun, 0);
	moment_of(m, HELD, &f->roll.held, l->hold);
	flag(&f->roll.rollback);
	flag(&f->roll.retiring);
	for (size_t i = 0; i < f->roll.num_moves; i++)
		flag(&f->roll.moves[i].swap_asked);
	flag(&f->settled);
	moment_of(m, OFF_ASKED, &f->off.asked, 0);
	moment_of(m, GONE, &f->off.gone, 2 * l->ttl + l->margin);
	moment_of(m, WATCHED, &f->off.watched, l->ttl + l->margin);
	flag(&f->off.done);
	moment_of(m, TTL_SEEN, &f->forms.since, 2 * l->ttl + l->margin);
}

/* Some are compared with another one and a time: has an answer come after an addition can't be late
 * any more; was the last look made when the key was old already? -1: not those two. */
static int64_t offset(const struct moments *m, enum kind x, enum kind y)
{
	switch (y) {
	case ADDED: return x == ANSWERED || x == CLEARED || x == LOOKED ? m->late : -1;
	case DELETED: return x == LOOKED ? m->late : -1;
	case PROVEN: return x == LOOKED ? m->aged : -1;
	case RUN: return x == LOOKED ? m->watched : -1;
	default: return -1;
	}
}

/* As young as `x` may be, given another. */
static int64_t least(const struct moments *m, const struct moment *x, const struct moment *y)
{
	int64_t given = 0, after = offset(m, x->kind, y->kind), before = offset(m, y->kind, x->kind);
	if ((compared[x->kind] >> y->kind & 1) && x->own >= y->own)
		given = y->given + (x->own > y->own);
	if (after >= 0 && x->own >= y->own - after && y->given - after > given)
		given = y->given - after;
	if (before >= 0 && y->own < x->own - before && y->given + before + 1 > given)
		given = y->given + before + 1;
	return given;
}

/* Each moment becomes as young as it may: on the same side of its limit, and in the same order
 * with all that it is compared with. Raises ages from the least until all fits; the true ones fit. */
static void age(struct moments *m, int64_t now_ms)
{
	for (size_t i = 0; i < m->num; i++) {
		struct moment *x = &m->rows[i];
		x->own = (now_ms - *x->at) / TICK_MS;
		x->given = x->own > x->limit ? x->limit : x->own;
	}
	for (bool again = true; again;) {
		again = false;
		for (size_t i = 0; i < m->num; i++) {
			struct moment *x = &m->rows[i];
			for (size_t k = 0; k < m->num; k++) {
				int64_t given = least(m, x, &m->rows[k]);
				again = again || given > x->given;
				x->given = given > x->given ? given : x->given;
			}
		}
	}
	for (size_t i = 0; i < m->num; i++)
		*m->rows[i].at = noon_ms - m->rows[i].given * TICK_MS;
}

/* ---- generations ---- */

struct names {
	bool used[S_INSTANCES][256];
	uint8_t new[S_INSTANCES][256];
};

static void names_of_set(struct names *n, const struct small_set *s)
{
	for (unsigned i = 0; i < s->num; i++)
		n->used[record_instance(s->records[i])][record_generation(s->records[i])] = true;
	for (unsigned i = 0; i < S_INSTANCES; i++)
		n->used[i][s->told[i]] = true;
}

static void names_of_tlsa(struct names *n, const struct tlsa_set *s)
{
	for (unsigned i = 0; i < s->num; i++)
		n->used[record_instance(record_spki(s->items[i].data))][record_generation(record_spki(s->items[i].data))] = true;
}

static void names_of_world(struct names *n, const struct small *w)
{
	for (unsigned i = 0; i < S_SERVERS; i++)
		names_of_set(n, &w->at[i]);
	names_of_set(n, &w->former);
	for (unsigned i = 0; i < w->num_held; i++)
		names_of_set(n, &w->held[i].set);
	names_of_set(n, &w->late.adds);
	names_of_set(n, &w->late.deletes);
	n->used[w->late.instance][w->late.generation] = true;
	for (unsigned i = 0; i < S_INSTANCES; i++)
		for (unsigned g = 0; g < w->instances[i].num; g++)
			n->used[i][w->instances[i].generations[g]] = true;
}

static void names_of_facts(struct names *n, const struct facts *f)
{
	for (unsigned i = 0; i < f->num_instances; i++) {
		const struct fact_instance *in = &f->instances[i];
		n->used[i][in->active] = n->used[i][in->presented] = n->used[i][in->asked_generation] = true;
	}
	for (size_t i = 0; i < f->num_keys; i++)
		n->used[f->keys[i].instance][f->keys[i].generation] = true;
	for (size_t i = 0; i < f->num_servers; i++)
		names_of_tlsa(n, &f->servers[i].set);
	names_of_tlsa(n, &f->update.adds);
	names_of_tlsa(n, &f->update.deletes);
	for (size_t i = 0; i < f->num_probes; i++)
		if (f->probes[i].saw)
			n->used[record_instance(record_spki(f->probes[i].spki_sha256))]
			       [record_generation(record_spki(f->probes[i].spki_sha256))] = true;
	for (size_t i = 0; i < f->roll.num_moves; i++)
		n->used[f->roll.moves[i].instance][f->roll.moves[i].from] =
			n->used[f->roll.moves[i].instance][f->roll.moves[i].to] = true;
	for (size_t i = 0; i < f->num_withdrawn; i++)
		n->used[f->withdrawn[i].instance][f->withdrawn[i].generation] = true;
}

static unsigned renamed(const struct names *n, unsigned instance, uint64_t generation)
{
	assert(generation < 256 && n->used[instance][generation]);
	return n->new[instance][generation];
}

static void rename_digest(const struct names *n, uint8_t *digest)
{
	record r = record_spki(digest);
	record_rename(digest, renamed(n, record_instance(r), record_generation(r)));
}

static void rename_tlsa(const struct names *n, struct tlsa_set *s)
{
	for (unsigned i = 0; i < s->num; i++)
		rename_digest(n, s->items[i].data);
}

static void rename_set(const struct names *n, struct small_set *s)
{
	for (unsigned i = 0; i < s->num; i++)
		s->records[i] = record_with_generation(
			s->records[i], renamed(n, record_instance(s->records[i]), record_generation(s->records[i])));
	for (unsigned i = 0; i < S_INSTANCES; i++)
		s->told[i] = n->new[i][s->told[i]];
}

static void rename_world(const struct names *n, struct small *w)
{
	for (unsigned i = 0; i < S_SERVERS; i++)
		rename_set(n, &w->at[i]);
	rename_set(n, &w->former);
	for (unsigned i = 0; i < w->num_held; i++)
		rename_set(n, &w->held[i].set);
	rename_set(n, &w->late.adds);
	rename_set(n, &w->late.deletes);
	w->late.generation = n->new[w->late.instance][w->late.generation];
	for (unsigned i = 0; i < S_INSTANCES; i++) {
		struct small_instance *in = &w->instances[i];
		in->last = 0;
		for (unsigned g = 1; g < 256; g++)
			in->last += n->used[i][g];
		in->active = n->new[i][in->active];
		for (unsigned g = 0; g < in->num; g++)
			in->generations[g] = n->new[i][in->generations[g]];
	}
}

static void rename_facts(const struct names *n, struct facts *f)
{
	for (unsigned i = 0; i < f->num_instances; i++) {
		struct fact_instance *in = &f->instances[i];
		in->active = renamed(n, i, in->active);
		in->presented = renamed(n, i, in->presented);
		in->asked_generation = renamed(n, i, in->asked_generation);
	}
	for (size_t i = 0; i < f->num_keys; i++) {
		f->keys[i].generation = renamed(n, f->keys[i].instance, f->keys[i].generation);
		rename_digest(n, f->keys[i].spki_sha256);
		rename_digest(n, f->keys[i].spki_sha512);
		rename_digest(n, f->keys[i].cert_sha256);
	}
	for (size_t i = 0; i < f->num_servers; i++)
		rename_tlsa(n, &f->servers[i].set);
	rename_tlsa(n, &f->update.adds);
	rename_tlsa(n, &f->update.deletes);
	for (size_t i = 0; i < f->num_digests; i++) {
		rename_digest(n, f->digests[i].spki_sha256);
		rename_digest(n, f->digests[i].spki_sha512);
	}
	for (size_t i = 0; i < f->num_probes; i++)
		if (f->probes[i].saw)
			rename_digest(n, f->probes[i].spki_sha256);
	for (size_t i = 0; i < f->roll.num_moves; i++) {
		struct fact_move *m = &f->roll.moves[i];
		m->from = renamed(n, m->instance, m->from);
		m->to = renamed(n, m->instance, m->to);
	}
	for (size_t i = 0; i < f->num_withdrawn; i++)
		f->withdrawn[i].generation = renamed(n, f->withdrawn[i].instance, f->withdrawn[i].generation);
}

/* A digest that no instance, server, cache, message or probe has can't be met again. */
static void drop_digests(const struct names *n, struct facts *f)
{
	unsigned to[FACT_DIGESTS];
	size_t num = 0;
	for (size_t i = 0; i < f->num_digests; i++) {
		record r = record_spki(f->digests[i].spki_sha256);
		bool met = n->used[record_instance(r)][record_generation(r)];
		to[i] = met ? (unsigned)num : UINT32_MAX;
		if (met)
			f->digests[num++] = f->digests[i];
	}
	f->num_digests = num;
	num = 0;
	for (size_t i = 0; i < f->num_agrees; i++) {
		unsigned d = to[f->agrees[i].digest];
		if (d == UINT32_MAX)
			continue;
		f->agrees[num] = f->agrees[i];
		f->agrees[num++].digest = d;
	}
	f->num_agrees = num;
}

static void generations(struct small_run *r)
{
	static struct names n;
	memset(&n, 0, sizeof n);
	names_of_world(&n, &r->w);
	names_of_facts(&n, r->facts);
	for (unsigned i = 0; i < S_INSTANCES; i++) {
		unsigned next = 0;
		n.used[i][0] = true; /* "none" */
		for (unsigned g = 0; g < 256; g++)
			if (n.used[i][g])
				n.new[i][g] = (uint8_t)next++;
	}
	drop_digests(&n, r->facts);
	rename_facts(&n, r->facts);
	rename_world(&n, &r->w);
}

/* ---- the rest ---- */

/* What nobody reads, for programs: words, serials, rows not in use, counts beyond enough. */
static void leave_out(struct small_run *r)
{
	struct facts *f = r->facts;
	for (size_t i = 0; i < f->num_instances; i++) {
		memset(f->instances[i].words, 0, sizeof f->instances[i].words);
		memset(f->instances[i].asked_words, 0, sizeof f->instances[i].asked_words);
	}
	unsigned enough = r->policy.confirmations;
	for (size_t i = 0; i < f->num_servers; i++) {
		memset(f->servers[i].words, 0, sizeof f->servers[i].words);
		f->servers[i].serial = 0;
		f->servers[i].same = f->servers[i].same > enough ? enough : f->servers[i].same;
	}
	for (size_t i = 0; i < f->num_agrees; i++)
		f->agrees[i].count = f->agrees[i].count > enough ? enough : f->agrees[i].count;
	for (size_t i = 0; i < f->num_probes; i++)
		memset(f->probes[i].words, 0, sizeof f->probes[i].words);
	memset(&f->withdrawn[f->num_withdrawn], 0, (FACT_INSTANCES - f->num_withdrawn) * sizeof f->withdrawn[0]);
	memset(&f->roll.moves[f->roll.num_moves], 0, (FACT_INSTANCES - f->roll.num_moves) * sizeof f->roll.moves[0]);
	f->cert_pinned = (struct stamp){ 0 }; /* of interest to issuers only */
	memset(f->zone_words, 0, sizeof f->zone_words);
	memset(f->update.words, 0, sizeof f->update.words);
	f->shown_since.s = f->shown_since.s != 0;
	f->rotated.s = f->rotated.s != 0;
}

static int by_pair(const void *a, const void *b)
{
	const struct fact_agree *x = a, *y = b;
	return x->server != y->server ? (x->server > y->server ? 1 : -1) : (x->digest > y->digest) - (x->digest < y->digest);
}

static int by_ttl(const void *a, const void *b)
{
	const struct fact_ttl *x = a, *y = b;
	return x->ttl_s != y->ttl_s ? (x->ttl_s > y->ttl_s ? 1 : -1) : (int)x->negative - (int)y->negative;
}

static int by_record(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct tlsa));
}

static int by_held(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct small_held));
}

static void tidy(struct tlsa_set *s)
{
	qsort(s->items, s->num, sizeof s->items[0], by_record);
	memset(&s->items[s->num], 0, (TLSA_SET_MAX - s->num) * sizeof s->items[0]);
}

static void sort(struct small_run *r)
{
	struct facts *f = r->facts;
	qsort(f->agrees, f->num_agrees, sizeof f->agrees[0], by_pair);
	qsort(f->ttls, f->num_ttls, sizeof f->ttls[0], by_ttl);
	tidy(&f->update.adds);
	tidy(&f->update.deletes);
	for (size_t i = 0; i < f->num_servers; i++)
		tidy(&f->servers[i].set);
	qsort(r->w.held, r->w.num_held, sizeof r->w.held[0], by_held);
}

void canonical(struct small_run *r)
{
	struct facts *f = r->facts;
	static struct moments m;
	m.num = 0;
	if (f->roll.ended.count_ms != 0)
		f->roll = (struct fact_roll){ 0 };
	generations(r);
	leave_out(r);
	sort(r);
	struct limits l = limits_of(r);
	m.late = ROLLOVER_LATE_MS / TICK_MS;
	m.aged = (2 * l.ttl + l.margin) / TICK_MS;
	m.watched = (l.ttl + l.margin) / TICK_MS;
	moments_of(&m, f, &l);
	age(&m, f->clock.count_ms);
	f->clock.last = r->reading = small_clock;
	f->clock.count_ms = noon_ms;
	bool after_boot = false; /* is there anything from before it? */
	for (size_t i = 0; i < m.num; i++)
		after_boot = after_boot || ((compared[BOOTED] >> m.rows[i].kind & 1) && *m.rows[i].at <= f->clock.booted_ms);
	if (!after_boot)
		f->clock.booted_ms = 0;
}

/* ---- bytes ---- */

/* Most of it is zero: runs of zero words are counted. */
struct packer {
	uint8_t *out;
	size_t len;
};

static void pack(struct packer *p, const void *data, size_t size)
{
	const uint8_t *in = data;
	for (size_t at = 0; at < size;) {
		size_t zero = at, some;
		uint64_t word = 0;
		while (zero + 8 <= size && (memcpy(&word, in + zero, 8), word == 0))
			zero += 8;
		some = zero;
		while (some + 8 <= size && (memcpy(&word, in + some, 8), word != 0))
			some += 8;
		if (size - some < 8 && (some == zero || word != 0))
			some = size; /* the odd bytes at the end are never left out */
		uint16_t head[2] = { (uint16_t)((zero - at) / 8), (uint16_t)(some - zero) };
		assert((zero - at) / 8 <= UINT16_MAX && some - zero <= UINT16_MAX && p->len + 4 + some - zero <= ENCODED_MAX);
		memcpy(p->out + p->len, head, sizeof head);
		memcpy(p->out + p->len + sizeof head, in + zero, some - zero);
		p->len += sizeof head + some - zero;
		at = some;
	}
}

static void unpack(struct packer *p, void *data, size_t size)
{
	uint8_t *out = data;
	for (size_t at = 0; at < size;) {
		uint16_t head[2];
		memcpy(head, p->out + p->len, sizeof head);
		memset(out + at, 0, head[0] * 8U);
		at += head[0] * 8U;
		memcpy(out + at, p->out + p->len + sizeof head, head[1]);
		at += head[1];
		p->len += sizeof head + head[1];
	}
}

/* The numbers of rows come before the rows, so that the way back knows what there is. */
size_t canonical_encode(const struct small_run *r, uint8_t out[ENCODED_MAX])
{
	struct stretch s[STRETCHES_MAX];
	size_t n = facts_stretches(r->facts, s);
	struct packer p = { out, 0 };
	pack(&p, &n, sizeof n);
	pack(&p, s, n * sizeof s[0]);
	for (size_t i = 0; i < n; i++)
		pack(&p, (const char *)r->facts + s[i].at, s[i].size);
	pack(&p, &r->w, sizeof r->w);
	return p.len;
}

void canonical_decode(struct small_run *r, const uint8_t *in)
{
	struct stretch s[STRETCHES_MAX];
	size_t n;
	struct packer p = { (uint8_t *)(uintptr_t)in, 0 };
	unpack(&p, &n, sizeof n);
	unpack(&p, s, n * sizeof s[0]);
	for (size_t i = 0; i < n; i++)
		unpack(&p, (char *)r->facts + s[i].at, s[i].size);
	unpack(&p, &r->w, sizeof r->w);
	r->reading = small_clock;
}
