/* Owns:  the world the controller lives in, in true time: a primary and its
 *        secondaries, what every cache may still hold, danegate instances, late
 *        and lost messages; and the one checker.
 * Never: helps the controller: it answers what it is asked.
 * Spec:  RFC 7671 8: each (usage, selector, matching type) in a cached set must
 *        have a record of the key presented.
 * Start at: struct world, world_check. */
#ifndef TESTS_SIM_WORLD_H
#define TESTS_SIM_WORLD_H

#include "rng.h"
#include "tlsa-sync/facts.h"

enum { W_SERVERS = 6, W_INSTANCES = 3, W_GENERATIONS = 8, W_VERSIONS = 4096, W_SPANS = 4096, W_LATE = 32 };

/* One version of the TLSA set, as the primary made it. */
struct version {
	struct tlsa_set set;
	uint32_t ttl_s;
	int64_t signed_until; /* true time, seconds */
	unsigned ttl_from;    /* the version that first had this TTL: whoever made that chose it */
	int64_t made_at;
	bool by_hand;         /* somebody else's edit */
	int64_t seen_at;      /* true time: when the controller first journalled that it is served; 0: never */
	int64_t ttl_seen_at;  /* of the one that first had a TTL: the same of any version that has it */
	bool excused;         /* it broke the promise by hand, before anybody could see it */
	bool forgiven;        /* it does not match what the operator forced in an emergency */
	uint64_t told[W_INSTANCES]; /* of a denial: who trusts it met these; the next key is not for them… */
	uint64_t told_too[W_INSTANCES]; /* …but for what was on its way to be presented then; 0: nothing */
};

/* One server served one version from `from` to `to` (INT64_MAX: still does). A cache may have
 * fetched it at the last moment. */
struct span {
	unsigned server, version;
	int64_t from, to;
	bool unseen; /* the controller was never answered in this time: then only one TTL is promised */
	bool lost;   /* and nothing is left of it in the journal: then it is the TTL that is configured */
};

struct server {
	bool there;    /* among the zone's servers */
	bool alias;    /* holds only the CNAME */
	unsigned version;
	int64_t transfer_at; /* catches up then */
	int64_t stuck_until; /* no transfer before */
	int64_t silent_until;
	int64_t back_until;  /* serves an old version until then */
	bool asked;         /* since it began to serve this version, … */
	bool asked_in_span; /* … and the answer was journalled */
	bool forgotten;     /* an older journal was restored since */
};

/* A certificate; true time as the wall clock would show it. */
enum { SIM_EPOCH_S = 1800000000 };
struct wcert {
	unsigned serial; /* 1: the first the key had */
	bool self_signed;
	int64_t not_before_s, not_after_s;
};

struct wgen {
	uint64_t number; /* 0: none */
	unsigned algorithms; /* 1u << enum key_algorithm */
	uint8_t spki[KEY_NUM_ALGORITHMS][32];
	uint8_t spki512[KEY_NUM_ALGORITHMS][64];
	struct wcert certs[KEY_NUM_ALGORITHMS];
};

struct winstance {
	struct wgen gens[W_GENERATIONS];
	uint64_t active, presented, last, first; /* first: presented when the world began */
	int64_t down_until;
	int64_t guarded_until; /* its pin guard refuses to swap: its resolver has the old set */
	unsigned algorithms;   /* of the keys it makes */
};

/* Something that takes effect later than its sender believes. */
enum late_kind { LATE_NONE, LATE_UPDATE, LATE_SWAP };
struct late {
	enum late_kind kind;
	int64_t at;
	struct tlsa_set adds, deletes;
	uint32_t ttl_s;
	unsigned instance;
	uint64_t generation;
	bool forced; /* by the operator, who knew: it stays so when the roll has ended */
};

struct world {
	struct rng rng;
	int64_t t; /* true time, ms */
	int64_t boot_t, wall_offset;
	unsigned boot;
	uint32_t negative_ttl_s, zone_ttl_s, our_ttl_s;
	int64_t signature_life_s;
	bool check_signatures; /* replays of old signatures count as caches */
	int64_t lag_ms;        /* the most a transfer takes */
	int64_t margin_ms;     /* senders cache for so much longer */
	int64_t stale_ms;      /* a resolver serves what it once had for so long, whatever its TTL */
	bool off;              /* the operator switched DANE off: a denial is what senders should get */
	bool forced;           /* an emergency that the operator forced is under way… */
	int64_t exposure_ms;   /* …and this is how long the words said that senders may notice */
	size_t num_versions, num_spans;
	size_t num_servers;
	struct server servers[W_SERVERS];
	size_t num_instances;
	struct winstance instances[W_INSTANCES];
	struct late late[W_LATE];
	struct tlsa foreign; /* somebody's record that fits only the first key's first certificate; len 0: none */
	unsigned num_excused, num_forgiven;
	char broken[512];    /* the first broken promise */
	/* last, so that what is not used need not be cleared */
	struct span spans[W_SPANS];
	struct version versions[W_VERSIONS];
};

/* world_check asks, now: does each set that any cache may hold match what each
 * instance presents, for each kind of record in it and each algorithm? The first
 * failure is kept in w->broken. A set that somebody edited by hand, and that no server
 * has yet told the controller of, is excused and counted; so is what an update of ours leaves as broken as such an edit
 * had made it. Held: what a server serves or served until less
 * than two TTLs ago (a resolver, and a sender that keeps it for as long again).
 *
 * A TTL that somebody set by hand counts as soon as one answer that had it is in the journal: an answer with that
 * set, or with what an update of ours made of it. Until then it counts as the TTL that is configured, unless it is
 * shorter. No controller could do better: had it been that, every answer and every outcome would have been the
 * same. An old journal that is restored takes back what was learned since it was copied; what was served only
 * then and gone before the next answer is as unknown as that. */
void world_check(struct world *w);

/* world_run moves the world to true time `until`, checking at each change. */
void world_run(struct world *w, int64_t until);

/* The primary's side of an update; true when something changed. */
void world_update(struct world *w, const struct tlsa_set *adds, const struct tlsa_set *deletes, uint32_t ttl_s);
/* Somebody edits the zone by hand: a record goes, or the TTL changes. False, and nothing
 * happens, when that alone would break the promise. */
bool world_hand_edit(struct world *w);
/* They take out the record of another kind, if it is there. */
void world_hand_clean(struct world *w);
/* Senders who were told that there is no record are left with the keys presented now. */
void world_tell(struct world *w);
/* The controller has journalled what it was last answered. */
void world_journalled(struct world *w);
/* Nobody remembers what was learned since `t`: a journal was restored. */
void world_forget(struct world *w, int64_t t);
void world_late(struct world *w, const struct late *late);
/* world_swaps_arrive lets the swaps on their way to an instance take effect now. */
void world_swaps_arrive(struct world *w, unsigned instance);
bool world_late_pending(const struct world *w, enum late_kind kind);

void world_serve(struct world *w, unsigned server, unsigned version);
void world_present(struct world *w, unsigned instance, uint64_t generation);
struct wgen *world_gen(struct world *w, unsigned instance, uint64_t number);
struct wgen *world_new_gen(struct world *w, unsigned instance);
struct tlsa world_record(const struct wgen *g, enum key_algorithm algorithm, enum record_form form);
/* world_safe_version: would serving it now keep the promise? */
bool world_safe_version(struct world *w, unsigned version);

#endif
