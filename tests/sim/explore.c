/* explore [-g] [-m MILLIONS] [-l] [-v] [WORLD…]: visits every state that the real core can reach in a small world,
 * breadth first, and checks each. Ends when the frontier is empty: then there are no others. Prints
 * states and depth; on a violation the shortest way to it. -g: without the guard. -m: give up after so
 * many million states (exit status 3). -l: list the worlds. -v: tell how far it is. No WORLD: the small ones.
 * At the end random walks, in which nothing is made canonical, must come to no state that was not visited. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "canon.h"
#include "copy.h"
#include "worlds.h"

/* A state, once visited. Its bytes are kept only until its successors were found. */
struct node {
	uint64_t hash[2];
	uint32_t parent, calm; /* calm: where it goes when nothing goes wrong */
	uint16_t way;          /* the how manieth of the parent's */
	bool steady;
};

struct search {
	const struct small_rules *rules;
	bool guard;
	struct small_run base, run;
	struct node *nodes;
	uint8_t **bytes;
	uint32_t num, room, expanded;
	uint32_t *table; /* node number + 1 by hash */
	size_t table_size;
	uint64_t ways;
	unsigned depth, max_bytes;
	uint8_t encoded[ENCODED_MAX];
};

static void *must(void *p)
{
	if (p == NULL) {
		(void)fprintf(stderr, "out of memory\n");
		exit(2);
	}
	return p;
}

/* 128 bits: among 10^8 states the odds of two alike are 1 in 10^22. */
static void hash_bytes(const uint8_t *p, size_t len, uint64_t out[2])
{
	uint64_t a = UINT64_C(0x9e3779b97f4a7c15) ^ len, b = UINT64_C(0xc2b2ae3d27d4eb4f);
	for (size_t i = 0; i < len; i += 8) {
		uint64_t w = 0;
		memcpy(&w, p + i, len - i < 8 ? len - i : 8);
		a = (a ^ w) * UINT64_C(0xff51afd7ed558ccd);
		a ^= a >> 32;
		b = (b + w) * UINT64_C(0xc4ceb9fe1a85ec53);
		b ^= b >> 29;
		b += a;
	}
	out[0] = a ^ b >> 7;
	out[1] = b;
}

static size_t slot_of(const struct search *s, const uint64_t hash[2])
{
	size_t i = hash[0] & (s->table_size - 1);
	while (s->table[i] != 0 && memcmp(s->nodes[s->table[i] - 1].hash, hash, 16) != 0)
		i = (i + 1) & (s->table_size - 1);
	return i;
}

static void grow(struct search *s)
{
	s->room = s->room == 0 ? 1U << 16 : 2 * s->room;
	s->nodes = must(realloc(s->nodes, s->room * sizeof s->nodes[0]));
	s->bytes = must(realloc(s->bytes, s->room * sizeof s->bytes[0]));
	free(s->table);
	s->table_size = 4 * (size_t)s->room;
	s->table = must(calloc(s->table_size, sizeof s->table[0]));
	for (uint32_t i = 0; i < s->num; i++)
		s->table[slot_of(s, s->nodes[i].hash)] = i + 1;
}

/* The number of the state that the run has come to; a new one joins the frontier. */
static uint32_t visit(struct search *s, uint32_t parent, unsigned way)
{
	canonical(&s->run);
	size_t len = canonical_encode(&s->run, s->encoded);
	uint64_t hash[2];
	hash_bytes(s->encoded, len, hash);
	size_t slot = slot_of(s, hash);
	if (s->table[slot] != 0)
		return s->table[slot] - 1;
	if (s->num == s->room) {
		grow(s);
		slot = slot_of(s, hash);
	}
	uint32_t n = s->num++;
	s->nodes[n] = (struct node){ { hash[0], hash[1] }, parent, UINT32_MAX, (uint16_t)way, false };
	s->bytes[n] = must(malloc(len));
	memcpy(s->bytes[n], s->encoded, len);
	s->table[slot] = n + 1;
	s->max_bytes = len > s->max_bytes ? (unsigned)len : s->max_bytes;
	return n;
}

static void run_init(struct search *s, struct small_run *r)
{
	*r = (struct small_run){ .rules = s->rules, .guard = s->guard };
	r->facts = must(facts_new("mx1.example.org"));
}

/* One step from `base` by `c`; the outcome is in `run`. */
static void step(struct search *s, struct choices *c, const struct decision *d, bool trace)
{
	struct small_run *r = &s->run;
	facts_copy(r->facts, s->base.facts);
	r->w = s->base.w;
	r->reading = small_clock;
	r->choices = c;
	r->decision = d;
	r->trace = trace;
	r->same = false;
	r->broken[0] = r->log[0] = '\0';
	c->at = 0;
	small_step(r);
}

static struct decision decide(struct search *s)
{
	struct decision d;
	s->base.policy = s->run.policy = small_policy(s->rules, &s->base.w);
	rollover_decide(s->base.facts, &s->base.policy, facts_tick(s->base.facts, &small_clock), &d);
	return d;
}

/* The way to state `n`, retraced from the first one, and then the step that broke. */
static void tell(struct search *s, uint32_t n, unsigned last_way)
{
	uint32_t path[4096];
	unsigned len = 0;
	for (uint32_t i = n; i != 0 && len < 4096; i = s->nodes[i].parent)
		path[len++] = i;
	run_init(s, &s->base);
	s->base.choices = &(struct choices){ 0 };
	small_begin(&s->base);
	s->base.reading = small_clock;
	for (unsigned at = 0; at <= len; at++) {
		if (at > 0) {
			facts_copy(s->base.facts, s->run.facts);
			s->base.w = s->run.w;
		}
		struct small_run first = s->base;
		canonical(&first);
		s->base = first;
		struct decision d = decide(s);
		struct choices c = { 0 };
		unsigned way = 0, wanted = at < len ? s->nodes[path[len - 1 - at]].way : last_way;
		do {
			step(s, &c, &d, way == wanted);
		} while (way++ < wanted && choices_next(&c));
		(void)printf("%4u  %s\n", at, s->run.log);
		if (at < len)
			canonical(&s->run);
	}
	(void)printf("      %s\n", s->run.broken);
}

static bool expand(struct search *s, uint32_t n)
{
	canonical_decode(&s->base, s->bytes[n]);
	free(s->bytes[n]);
	struct decision d = decide(s);
	s->nodes[n].steady = (d.state == RO_STEADY && s->base.facts->settled.count_ms != 0) || d.state == RO_DISABLED;
	struct choices c = { 0 };
	unsigned way = 0;
	do {
		step(s, &c, &d, false);
		s->ways++;
		if (s->run.broken[0] != '\0') {
			(void)printf("%s: VIOLATION after %u states: %s\n", s->rules->name, s->num, s->run.broken);
			tell(s, n, way);
			return false;
		}
		uint32_t to = s->run.same ? n : visit(s, n, way);
		if (way == 0)
			s->nodes[n].calm = to;
		way++;
	} while (choices_next(&c));
	return true;
}

/* From every state calm weather leads to a steady one. */
static bool all_come_to_rest(struct search *s)
{
	uint8_t *good = must(calloc(s->num, 1)); /* 1: does; 2: on the way being looked at */
	bool ok = true;
	for (uint32_t i = 0; ok && i < s->num; i++) {
		uint32_t n = i;
		while (good[n] == 0 && !s->nodes[n].steady) {
			good[n] = 2;
			n = s->nodes[n].calm;
		}
		if (good[n] == 2) {
			(void)printf("%s: VIOLATION: calm weather leads to no steady state\n", s->rules->name);
			tell(s, n, 0);
			ok = false;
		}
		for (n = i; good[n] != 1; n = s->nodes[n].calm) {
			good[n] = 1;
			if (s->nodes[n].steady)
				break;
		}
	}
	free(good);
	return ok;
}

/* Was the canonical form too coarse? Then a world that is left alone, with its own growing clocks and
 * numbers, comes to states that were not visited. It walks at random, and each state it comes
 * to must be known. */
enum { WALKS = 100, WALK_STEPS = 200 };
static bool walks_stay_inside(struct search *s)
{
	struct rng rng = { s->num };
	for (unsigned walk = 0; walk < WALKS; walk++) {
		free(s->base.facts);
		run_init(s, &s->base);
		s->base.choices = &(struct choices){ 0 };
		small_begin(&s->base);
		for (unsigned i = 0; i < WALK_STEPS; i++) {
			struct small_run *r = &s->base;
			struct decision d;
			struct choices c = { .random = &rng };
			r->policy = s->run.policy = small_policy(s->rules, &r->w);
			rollover_decide(r->facts, &r->policy, facts_tick(r->facts, &r->reading), &d);
			r->choices = &c;
			r->decision = &d;
			small_step(r);
			facts_copy(s->run.facts, r->facts);
			s->run.w = r->w;
			canonical(&s->run);
			uint64_t hash[2];
			hash_bytes(s->encoded, canonical_encode(&s->run, s->encoded), hash);
			if (r->broken[0] == '\0' && s->table[slot_of(s, hash)] != 0)
				continue;
			(void)printf("%s: VIOLATION: a walk left the states visited %s\n", s->rules->name, r->broken);
			return false;
		}
	}
	return true;
}

static int explore(const struct small_rules *rules, bool guard, bool verbose, uint64_t limit)
{
	struct search s = { .rules = rules, .guard = guard };
	clock_t begun = clock();
	run_init(&s, &s.base);
	run_init(&s, &s.run);
	grow(&s);
	s.run.choices = &(struct choices){ 0 };
	small_begin(&s.run);
	small_check(&s.run);
	(void)visit(&s, 0, 0);
	bool ok = true, whole = true;
	for (uint32_t layer = s.num; ok && whole && s.expanded < s.num; s.expanded++) {
		if (s.expanded == layer) {
			layer = s.num;
			s.depth++;
			if (verbose)
				(void)fprintf(stderr, "depth %u: %u states, %u to expand\n", s.depth, s.num, s.num - s.expanded);
		}
		ok = expand(&s, s.expanded);
		whole = s.num <= limit;
	}
	ok = ok && (!whole || (all_come_to_rest(&s) && walks_stay_inside(&s)));
	(void)printf("%-12s %9u states, depth %3u, %10llu steps, %5.1f s, %s: %s\n", rules->name, s.num, s.depth,
	             (unsigned long long)s.ways, (double)(clock() - begun) / CLOCKS_PER_SEC,
	             !ok ? "stopped" : whole ? "frontier empty" : "GIVEN UP", ok ? "0 violations" : "FAILED");
	for (uint32_t i = s.expanded + (ok && whole ? 0 : 1); i < s.num; i++)
		free(s.bytes[i]);
	free(s.base.facts);
	free(s.run.facts);
	free(s.nodes);
	free(s.bytes);
	free(s.table);
	return !ok ? 1 : whole ? 0 : 3;
}

int main(int argc, char **argv)
{
	bool guard = true, verbose = false;
	uint64_t limit = UINT32_MAX - 1;
	for (int c; (c = getopt(argc, argv, "gm:lv")) != -1;) {
		switch (c) {
		case 'g': guard = false; break;
		case 'v': verbose = true; break;
		case 'm': limit = strtoull(optarg, NULL, 10) * 1000000; break;
		case 'l':
			for (unsigned i = 0; i < worlds_num; i++)
				(void)printf("%-12s %s\n", worlds[i].name, worlds[i].words);
			return 0;
		default: return 2;
		}
	}
	int status = 0;
	for (unsigned i = 0; status == 0 && i < worlds_num; i++) {
		bool chosen = optind == argc && i < worlds_small;
		for (int a = optind; a < argc; a++)
			chosen = chosen || strcmp(argv[a], worlds[i].name) == 0;
		if (chosen)
			status = explore(&worlds[i], guard, verbose, limit);
		(void)fflush(stdout);
	}
	return status;
}
