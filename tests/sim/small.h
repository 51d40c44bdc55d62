/* Owns:  a world small enough that each of its states can be visited: one or two
 *        servers, one or two instances, time in ticks; the controller's shell in
 *        it, with a choice wherever things can go one way or another; the check.
 * Never: draws a random number; leaves out a way because it is unlikely.
 * Spec:  RFC 7671 8, 8.1, 8.4.
 * Start at: small_step.
 *
 * Caches are not played one by one. What any cache can hold is followed all at once: each
 * set a server served, until two TTLs after it was last served (a resolver that
 * fetched it at the last moment, and a sender that fetched it there at the last
 * moment). That is every cache filled at every moment. */
#ifndef TESTS_SIM_SMALL_H
#define TESTS_SIM_SMALL_H

#include "rng.h"
#include "tlsa-sync/rollover.h"

enum { S_SERVERS = 2, S_INSTANCES = 2, S_GENERATIONS = 6, S_RECORDS = 16, S_HELD = 12, S_CHOICES = 48 };

/* Beside a tick the other times of the policy are such that there are few of them: an
 * answer is fresh for one tick, a pause of two is a gap, a message can be three ticks late: longer
 * than two of the shortest TTLs. */
enum { TICK_S = 200, SMALL_POLL_S = 45, SMALL_WATCH_S = 130 };
#define TICK_MS (TICK_S * INT64_C(1000))

/* A record as a number: its form, algorithm, instance and generation. The forms beyond FORM_NUM are
 * ones that only a person makes: 3 0 1 and 2 1 1 of the first certificate. */
enum { HAND_301 = 2, HAND_211 = 3, HAND_NUM };
typedef uint16_t record;
record record_make(unsigned form, unsigned algorithm, unsigned instance, unsigned generation);
unsigned record_form_of(record r);
unsigned record_generation(record r);
unsigned record_instance(record r);
record record_with_generation(record r, unsigned generation);
struct tlsa record_tlsa(record r);
/* record_read is the way back; false for what record_tlsa did not make. record_spki
 * reads a bare SHA2-256 of a key; record_rename puts another generation into a
 * digest of any kind. */
bool record_read(const struct tlsa *t, record *out);
record record_spki(const uint8_t spki_sha256[32]);
void record_rename(uint8_t *digest, unsigned generation);

/* A set, rising. `ttl` in ticks; of an empty one the negative TTL. An empty set tells senders that
 * there is no pin; `told` is the generation of each instance that was presented then: unless DANE is
 * switched off, nobody is to be left with it when the next one is presented. excused: it does not
 * match what an operator forced in an emergency; that is known, and it is never served again. */
struct small_set {
	uint8_t num;
	uint8_t ttl;
	uint8_t excused, spare;
	uint8_t told[S_INSTANCES];
	record records[S_RECORDS];
};

/* left: ticks until no cache holds it. */
struct small_held {
	struct small_set set;
	uint8_t left, spare;
};

struct small_instance {
	uint8_t active; /* and presented */
	uint8_t last;   /* generation numbers never repeat */
	uint8_t num;
	uint8_t generations[S_GENERATIONS];
};

/* A message on its way: it takes effect within `left` ticks, or never. */
enum { ON_ITS_WAY_NONE, ON_ITS_WAY_UPDATE, ON_ITS_WAY_SWAP };
struct small_late {
	uint8_t kind, left, instance, generation;
	struct small_set adds, deletes;
};

struct small {
	struct small_set at[S_SERVERS]; /* [0]: the primary */
	struct small_set former;        /* what the secondary had before: it may turn back to it */
	uint8_t turned;                 /* 1: it did, and the controller was not told; 2: it was */
	uint8_t edits;                  /* made by hand so far */
	uint8_t other_forms;            /* forms_next is what is configured */
	uint8_t num_held;
	struct small_held held[S_HELD];
	struct small_instance instances[S_INSTANCES];
	struct small_late late;
};

/* What there is in a world, and what may happen. Times in ticks. */
struct small_rules {
	const char *name, *words;
	uint8_t servers, instances, algorithms;
	uint8_t ttl, zone_ttl, negative_ttl; /* that we write; of the set there already, or 0: none; of denial */
	uint8_t hold, margin, confirmations;
	uint8_t late;      /* ticks until a message is too late to count; 0: none is late */
	uint8_t edits;     /* times somebody edits the zone by hand */
	unsigned stranger; /* a form of hand-made record that is there at first; 0: none */
	unsigned forms;    /* of the records: 1u << enum record_form; 0: 3 1 1 alone */
	unsigned forms_next; /* what the operator changes that to, at any moment, and back; 0: never */
	bool own_rrset;
	bool hands;        /* while DANE is off, somebody changes the keys by hand */
	bool silence;      /* servers, instances and look-ups fail to answer */
	bool crashes, boots, jumps, turns, second_thoughts;
	unsigned requests; /* 1u << enum rollover_request that the operator makes, at any moment */
};

/* The way taken where there were several; filled in as far as it went. random: not the first
 * of all further ones, but any. */
struct choices {
	struct rng *random;
	unsigned num, at;
	uint8_t taken[S_CHOICES], of[S_CHOICES];
};
/* choices_next goes to the next way; false when all were taken. */
bool choices_next(struct choices *c);

struct small_run {
	const struct small_rules *rules;
	struct policy policy;
	struct facts *facts;
	struct small w;
	struct choices *choices;
	const struct decision *decision; /* what the facts, as given, decide */
	struct reading reading;
	bool guard;
	bool trace;
	bool same; /* nothing happened: this way leads nowhere new */
	char broken[640];
	char log[512]; /* what happened, in words; with `trace` */
};

/* small_begin makes the first state. small_step takes one step from a state whose
 * clocks stand at small_clock, by `choices`; the first way of all is the one where
 * nothing goes wrong. small_check sets `broken`. */
void small_begin(struct small_run *r);
void small_step(struct small_run *r);
void small_check(struct small_run *r);
struct policy small_policy(const struct small_rules *rules, const struct small *w);

/* The state's clocks, after small_canonical: every state is looked at from the same moment. */
extern const struct reading small_clock;

#endif
