/* Owns:  everything tlsa-sync knows about one identity: facts, each with its
 *        time. What instances reported, what each server answered, what was
 *        sent, what probes saw, what the operator asked for.
 * Never: holds a state ("SPREADING"): rollover.h derives it. Never reads a clock.
 * Spec:  –
 * Start at: struct facts; then facts_answer, which does the counting. */
#ifndef TLSA_SYNC_FACTS_H
#define TLSA_SYNC_FACTS_H

#include "base/ec.h"
#include "base/instant.h"
#include "certs/generation.h"
#include "dns/tlsa.h"

enum {
	FACT_NAME = 256,
	FACT_ADDRESS = 64,
	FACT_WORDS = 160,
	FACT_BOOT = 40,
	FACT_HIDDEN_MS = 30 * 1000,
	FACT_INSTANCES = 8,
	FACT_KEYS = 48,
	FACT_RENEWALS = 16,
	FACT_SERVERS = 32,
	FACT_ZONES = 10,
	FACT_DIGESTS = 24,
	FACT_AGREES = FACT_SERVERS * FACT_DIGESTS,
	FACT_TTLS = 16,
	FACT_ADDRESSES = 16,
	FACT_PROBES = FACT_ADDRESSES * KEY_NUM_ALGORITHMS * 3
};

/* The kinds of record that can be made of a key: 3 1 1 and 3 1 2. In sets a bit each. */
enum record_form { FORM_311, FORM_312, FORM_NUM };

/* Two clocks. `wall` is for people, and for what is dated by others (signatures,
 * certificates). `count_ms` is the journal's own: milliseconds counted since the
 * journal was made. It grows by the lesser of what the wall clock and the
 * monotonic clock say, never falls, and does not move over a boot (nothing
 * vouches for the wall clock then). So a clock that jumps only lengthens a wait. But what
 * did not count makes news look younger than it is: so after a boot, or when one of the clocks
 * says that much more time has passed, all of it is old.
 * Every wait is measured in it. count_ms 0 means "never": clocks start at 1. */
struct stamp {
	struct wall wall;
	int64_t count_ms;
};

/* struct reading is what the shell read off its clocks; `boot` is the boot id
 * (/proc/sys/kernel/random/boot_id), `mono` CLOCK_MONOTONIC. */
struct reading {
	int64_t wall_ms;
	struct mono mono;
	char boot[FACT_BOOT];
};

struct fact_clock {
	struct reading last;
	int64_t count_ms;
	/* count_ms at the last boot, or when the clocks last disagreed by more than FACT_HIDDEN_MS: what was before it
	 * was seen before a pause of unknown length. */
	int64_t booted_ms;
};

/* What was last asked of somebody, and what came of it. ASK_SENT is also what a
 * crash between act and observe leaves behind: the outcome is not known. */
enum ask_kind { ASK_NONE, ASK_PREPARE, ASK_SWAP = 3, ASK_RETIRE, ASK_NUM }; /* the numbers are in journals */
enum outcome { OUTCOME_NONE, OUTCOME_SENT, OUTCOME_OK, OUTCOME_FAILED, OUTCOME_UNKNOWN, OUTCOME_NUM };

/* One danegate: a control socket of the configuration. */
struct fact_instance {
	char name[FACT_NAME]; /* as the configuration has it; the identity of this row */
	struct stamp heard;   /* its last report; count_ms 0: none yet */
	struct stamp failed;  /* the last time it did not answer; cleared by a report */
	char words[FACT_WORDS]; /* why it did not, or what its pin guard says */
	uint64_t active;
	uint64_t presented; /* 0: none */
	unsigned algorithms; /* its next generation is to have these (1u << enum key_algorithm); 0: it does not say */
	enum ask_kind asked;
	uint64_t asked_generation;
	struct stamp asked_at;
	enum outcome asked_outcome;
	char asked_words[FACT_WORDS];
};

/* One key of one generation of one instance, from its last report. */
struct fact_key {
	unsigned instance; /* index */
	uint64_t generation;
	enum key_algorithm algorithm;
	uint8_t spki_sha256[32];
	uint8_t spki_sha512[64]; /* zero: not reported */
	bool certified;
	bool self_signed; /* by danegate itself: of no use to those who ask for a CA */
	struct wall not_before;
	struct wall not_after;
	/* Of its certificate and of what is sent above it, to recognise records that
	 * others made of them; zero: not reported, or not there. */
	uint8_t cert_sha256[32];
	uint8_t cert_sha512[64];
	uint8_t issuer_spki_sha256[32];
	uint8_t issuer_cert_sha256[32];
};

/* Whether an answer was validly signed, up to the root. */
enum fact_validity { VALIDITY_UNKNOWN, VALIDITY_SECURE, VALIDITY_INSECURE, VALIDITY_BOGUS, VALIDITY_NUM };

/* What one zone at one server shows of how it is kept; alarms come from it and nothing is
 * decided by it. Seen anew with each look, so not in the journal. Zero: not known. */
struct fact_upkeep {
	uint32_t refresh_s; /* SOA: a secondary that missed a NOTIFY asks again after this */
	uint32_t expire_s;  /* SOA: one that is cut off serves what it has for this long */
	uint32_t signed_s;  /* how long signatures over the set are made to last */
	bool keys_asked;    /* DNSKEY was answered for */
	bool keys_there;
	struct wall keys_signed_until; /* the last expiry of a signature over the DNSKEY set */
};

/* One zone of the alias chain and its DS at the parent; the same goes for it. */
enum fact_ds { DS_UNKNOWN, DS_THERE, DS_MISSING, DS_ABOVE /* a zone above is not signed */, DS_BOGUS, DS_NUM };
struct fact_zone {
	char apex[FACT_NAME];
	enum fact_ds ds;
};

/* One address of one authoritative server of one zone of the alias chain. */
struct fact_server {
	char name[FACT_NAME];
	char address[FACT_ADDRESS]; /* "192.0.2.7", with ":port" unless 53 */
	struct stamp answered;      /* its last answer about the owner name */
	struct stamp silent;        /* the last failure to answer; cleared by an answer */
	char words[FACT_WORDS];     /* why: "no answer in 5s", "answers REFUSED", what is bogus */
	struct tlsa_set set;        /* of the last answer; empty: denial */
	unsigned same;              /* answers in a row with exactly this set, validly signed */
	struct stamp same_since;
	uint32_t ttl_s;             /* original TTL, the largest over the alias chain; of a denial the negative TTL */
	enum fact_validity validity;
	struct wall signature_expires;
	uint32_t serial;
	bool alias;                 /* its zone holds only a CNAME of the chain: `set` is not its own */
	struct fact_upkeep upkeep;  /* not in the journal */
};

/* One digest that is, or was, ours. The row stays a while after the key is gone,
 * so that a late update can't turn it into somebody else's record. */
struct fact_digest {
	uint8_t spki_sha256[32];
	uint8_t spki_sha512[64];
	enum key_algorithm algorithm;
	struct stamp known;          /* when the key was first reported */
	struct stamp spoiled;        /* the last time a set without it may have been served by
	                              * a server that then left the zone; never: 0 */
	struct stamp added[FORM_NUM];   /* when its record was last ordered into the zone; never: 0 */
	struct stamp deleted[FORM_NUM]; /* when it was last ordered away; never: 0 */
	struct stamp cleared[FORM_NUM]; /* when an order like that was last sent that the primary accepted */
	struct wall old_signature;   /* the last expiry of any signature over a set that does not serve it, and of the
	                              * first seen over one that does: the former one may have been made until then */
	int64_t old_signature_count_ms; /* the same on the counted clock */
	struct wall signed_until;    /* the last expiry of any signature over a set with a record of it */
	int64_t signed_count_ms;     /* the same on the counted clock */
};

/* One server's answers about one digest: the proof of age. Pairs never answered
 * well have no row. */
struct fact_agree {
	unsigned server;
	unsigned digest;
	unsigned count;   /* good answers in a row: validly signed, the record in it, nothing else in the set in the way */
	int64_t proof_ms; /* counted time of the k-th; 0: not yet. A bad answer makes it 0 again; silence does not */
	int64_t run_ms;   /* since when it has been watched without a gap */
	int64_t last_ms;  /* the last good answer; 0: none since the record was put back */
};

/* A TTL some version of the set (or its absence) was served with. */
struct fact_ttl {
	uint32_t ttl_s;
	bool negative;
	struct stamp last;
};

struct fact_update {
	struct tlsa_set adds;
	struct tlsa_set deletes;
	struct stamp sent; /* count_ms 0: none yet */
	struct stamp done;
	enum outcome outcome;
	char words[FACT_WORDS];
};

/* The names a client may ask for: ours, another's, none. */
enum sni_kind { SNI_RIGHT, SNI_OTHER, SNI_NONE, SNI_NUM };

struct fact_probe {
	char address[FACT_ADDRESS];
	enum key_algorithm algorithm;
	enum sni_kind sni;
	struct stamp at;
	bool saw; /* a key was seen: `spki_sha256` */
	uint8_t spki_sha256[32];
	char words[FACT_WORDS]; /* else why not */
};

/* One instance's part in a roll. */
struct fact_move {
	unsigned instance;
	uint64_t from;
	uint64_t to;
	struct stamp swap_asked; /* the first time `to` was asked for: from then on it may be presented */
};

/* A roll from the request to the end. All marks are facts set once, by
 * rollover_record; one roll at a time. */
enum roll_end { ROLL_RUNNING, ROLL_DONE, ROLL_BACK, ROLL_ABORTED, ROLL_END_NUM };
struct fact_roll {
	struct stamp asked; /* count_ms 0: no roll was ever asked for */
	bool by_timer;
	bool emergency; /* the former key may be known to others: no window to roll back */
	bool forced;    /* though no cache is known to have the next key: the operator knows what senders will see */
	struct stamp begun;      /* the moves were chosen */
	struct stamp held;       /* every instance and probe shows the new key: HOLDING starts */
	struct stamp rollback;   /* the operator asked to go back */
	struct stamp retiring;   /* the old records are on their way out: no way back */
	struct stamp ended;
	enum roll_end end;
	size_t num_moves;
	struct fact_move moves[FACT_INSTANCES];
};

/* The last run of the issuer's command; an identity has one at a time. While it runs, and
 * after a crash in the middle of it, the outcome is OUTCOME_SENT. */
struct fact_issue {
	unsigned instance;
	uint64_t generation;
	enum key_algorithm algorithm;
	unsigned tries; /* in a row that did not help: certify.h counts them */
	struct stamp asked; /* count_ms 0: never */
	struct stamp done;
	enum outcome outcome;
	char words[2 * FACT_WORDS];
};

/* A certificate that is to be replaced by another of the same key, as the operator asked. The
 * row goes when that is done, or no instance reports the certificate any more. */
struct fact_renewal {
	uint8_t cert_sha256[32];
	struct stamp asked;
};

/* DANE is switched off, or on its way there: no record of ours is wanted. */
struct fact_off {
	struct stamp asked;   /* count_ms 0: it is not */
	struct stamp gone;    /* since when every server was seen without a record of ours; 0: not yet */
	struct stamp watched; /* since when that has been watched without a gap */
	struct stamp done;    /* no cache can hold one any more */
};

/* Which forms of record every server was seen with, of every key wanted. */
struct fact_forms {
	unsigned forms; /* 1u << enum record_form; 0: none yet */
	struct stamp since;
};

/* A standby generation the operator does not want any more. */
struct fact_withdrawn {
	unsigned instance;
	uint64_t generation;
	struct stamp at;
};

struct facts {
	char identity[FACT_NAME];
	struct fact_clock clock;
	size_t num_instances;
	struct fact_instance instances[FACT_INSTANCES];
	size_t num_keys;
	struct fact_key keys[FACT_KEYS];
	struct stamp zone_found; /* when the list of servers was last found; 0: never */
	struct stamp zone_failed; /* the last failure to find it; cleared by success */
	char zone_words[FACT_WORDS];
	size_t num_zones; /* not in the journal */
	struct fact_zone zones[FACT_ZONES];
	size_t num_servers;
	struct fact_server servers[FACT_SERVERS];
	size_t num_digests;
	struct fact_digest digests[FACT_DIGESTS];
	size_t num_agrees;
	struct fact_agree agrees[FACT_AGREES];
	size_t num_ttls;
	struct fact_ttl ttls[FACT_TTLS];
	struct fact_update update;
	struct stamp looked;  /* the last round of questions to servers and instances */
	struct stamp probed;  /* the last round of probes */
	size_t num_addresses; /* where the identity accepts mail */
	char addresses[FACT_ADDRESSES][FACT_ADDRESS];
	size_t num_probes;
	struct fact_probe probes[FACT_PROBES];
	struct fact_roll roll;
	struct wall rotated; /* when the last roll ended, or the first set was complete */
	size_t num_withdrawn;
	struct fact_withdrawn withdrawn[FACT_INSTANCES];
	struct fact_off off;
	struct fact_forms forms;
	struct stamp settled; /* since when the steady state holds; 0: it does not */
	struct fact_issue issue;
	size_t num_renewals;
	struct fact_renewal renewals[FACT_RENEWALS];
	struct stamp cert_pinned; /* until when a server may have served a record of a certificate, not of a key (3 0 1, 2 1 1) */
	/* For display only; nothing is decided by it. */
	unsigned shown_state;
	struct wall shown_since;
};

/* facts_new returns empty facts about `identity` on the heap, or NULL when out
 * of memory; free() them. */
struct facts *facts_new(const char *identity);

/* facts_tick advances the clock to what was read and returns now. It is to be
 * called before anything is added or decided. */
struct stamp facts_tick(struct facts *f, const struct reading *r);

/* facts_set_instances takes the configured list of control sockets. Rows of
 * instances that stay are kept; a removed one is forgotten with its keys.
 * Returns EC_NO_SPACE for more than FACT_INSTANCES, EC_DUPLICATE. */
enum ec facts_set_instances(struct facts *f, const char *const *names, size_t num) MUST_CHECK;

/* struct report is what one danegate said about this identity. */
struct report {
	uint64_t active;
	uint64_t presented;
	unsigned algorithms; /* see struct fact_instance */
	size_t num_generations;
	const struct generation *generations;
	const char *words; /* what its pin guard says, or NULL */
};

/* facts_report replaces what is known of instance number `instance`. Returns
 * EC_NO_SPACE when there are too many keys, EC_INVARIANT (with words) for a
 * digest of the empty string; then nothing has changed. */
enum ec facts_report(struct facts *f, unsigned instance, const struct report *report, struct stamp now,
                     struct why *why) MUST_CHECK;
/* facts_instance_failed notes that it did not answer, and why. */
void facts_instance_failed(struct facts *f, unsigned instance, const char *words, struct stamp now);

/* facts_asked notes, before acting, that something is about to be asked of an
 * instance; facts_ask_done what came of it (OK, FAILED or UNKNOWN). */
void facts_asked(struct facts *f, unsigned instance, enum ask_kind kind, uint64_t generation, struct stamp now);
void facts_ask_done(struct facts *f, unsigned instance, enum outcome outcome, const char *words);

struct server_id {
	char name[FACT_NAME];
	char address[FACT_ADDRESS];
};

/* facts_set_servers takes the list of every address of every authoritative
 * server of every zone in the alias chain. New ones start with no proof; of one
 * that left it is kept until when it may have served sets without a digest.
 * Returns EC_NO_SPACE (nothing changed). */
enum ec facts_set_servers(struct facts *f, const struct server_id *servers, size_t num, struct stamp now) MUST_CHECK;
void facts_zone_failed(struct facts *f, const char *words, struct stamp now);
/* facts_set_zones takes the zones of the alias chain as they were last seen; more than
 * FACT_ZONES are cut. */
void facts_set_zones(struct facts *f, const struct fact_zone *zones, size_t num);
/* facts_server finds the row of an address, or -1. */
int facts_server(const struct facts *f, const char *name, const char *address);

/* struct answer is what one server answered about the owner name's TLSA. */
struct answer {
	struct tlsa_set set; /* empty: denial */
	uint32_t ttl_s;      /* see struct fact_server */
	enum fact_validity validity;
	struct wall signature_expires; /* the latest expiry of a signature over the set, or over its denial */
	uint32_t serial;
	bool alias;          /* a server of a zone in the chain that answered with the expected CNAME: `set` is empty,
	                      * `ttl_s` is the CNAME's, and it agrees with everything */
	struct fact_upkeep upkeep;
	const char *words; /* why it is bogus or insecure, or NULL */
};

/* facts_answer adds it: counts agreement for each digest of ours, keeps TTLs and
 * signature lifetimes of sets without it. `confirmations` is policy's k, `gap_ms` the
 * longest pause that still counts as watching (rollover_gap_ms).
 * facts_silence notes that there was no usable answer. */
void facts_answer(struct facts *f, unsigned server, const struct answer *a, unsigned confirmations, int64_t gap_ms,
                  struct stamp now);
void facts_silence(struct facts *f, unsigned server, const char *words, struct stamp now);

/* facts_looked ends one round of questions to all servers and instances;
 * facts_probed one round of probes. */
void facts_looked(struct facts *f, struct stamp now);
void facts_probed(struct facts *f, struct stamp now);

/* facts_gone notes that no server has a record of ours any more. Nobody may have seen the last
 * set that had one: it was signed before its denial, so that is what its signature is taken
 * to last. */
void facts_gone(struct facts *f, struct stamp now);

/* facts_update_sent notes, before sending, what is about to be sent and with
 * which TTL; facts_update_done what came of it: OK (the primary accepted), FAILED
 * (it refused: `words`), UNKNOWN (no answer: the servers will be asked). */
void facts_update_sent(struct facts *f, const struct tlsa_set *adds, const struct tlsa_set *deletes, uint32_t ttl_s,
                       struct stamp now);
void facts_update_done(struct facts *f, enum outcome outcome, const char *words, struct stamp now);

/* facts_issue_sent notes, before the issuer's command is run, for which key and the
 * how manieth try it is; facts_issue_done what came of it: OK (installed), FAILED,
 * UNKNOWN (the instance's next report tells). */
void facts_issue_sent(struct facts *f, unsigned instance, uint64_t generation, enum key_algorithm algorithm,
                      unsigned tries, struct stamp now);
void facts_issue_done(struct facts *f, enum outcome outcome, const char *words, struct stamp now);

/* facts_set_addresses takes where to probe; results of others are forgotten.
 * Returns EC_NO_SPACE. facts_probe adds one result: `spki_sha256` NULL when no
 * key was seen, with `words`. */
enum ec facts_set_addresses(struct facts *f, const char *const *addresses, size_t num) MUST_CHECK;
void facts_probe(struct facts *f, const char *address, enum key_algorithm algorithm, enum sni_kind sni,
                 const uint8_t *spki_sha256, const char *words, struct stamp now);

/* Look-ups. facts_digest finds the row of a digest, or -1; facts_digest_of the row
 * whose key a record of one of our forms is of, or -1, and that form; facts_agree one
 * of a pair, or NULL; facts_ours tells whether a record is, or was, of a key of ours
 * (a 3 1 2 only when we ordered it); facts_probe_find the last result, or NULL. */
int facts_digest(const struct facts *f, const uint8_t spki_sha256[32]);
int facts_digest_of(const struct facts *f, const struct tlsa *t, enum record_form *out);
/* facts_record makes the record of a key in one form; false when its digest is
 * not known. */
bool facts_record(const uint8_t spki_sha256[32], const uint8_t spki_sha512[64], enum record_form form, struct tlsa *out);
/* facts_digest_served: is this set, in a cache, good for a client that meets the key?
 * For each (usage, selector, matching type) it has a usable record of, it must have the key's:
 * a client may look at any of them, and may prefer the strongest digest (RFC 7671 8, 9). What
 * is not of our forms can't be told to match, so it must not be there. A denial is not good:
 * it says nothing. */
bool facts_digest_served(const struct fact_digest *d, const struct tlsa_set *set);
const struct fact_agree *facts_agree(const struct facts *f, unsigned server, unsigned digest);
bool facts_ours(const struct facts *f, const struct tlsa *t);
const struct fact_probe *facts_probe_find(const struct facts *f, const char *address, enum key_algorithm algorithm,
                                          enum sni_kind sni);
/* facts_standby is the generation an instance would swap to: the lowest above the
 * active one that was not withdrawn; 0 when there is none. */
uint64_t facts_standby(const struct facts *f, unsigned instance);
bool facts_withdrawn(const struct facts *f, unsigned instance, uint64_t generation);
bool facts_has_generation(const struct facts *f, unsigned instance, uint64_t generation);
/* facts_ttl_max is the largest TTL in seconds of any version since the last
 * steady state, negative ones included; 0 when nothing was served yet. */
uint32_t facts_ttl_max(const struct facts *f);

/* facts_ttls_prune forgets TTLs whose versions no cache can hold any more: used
 * on reaching the steady state. `margin_ms` is added to twice the TTL. */
void facts_ttls_prune(struct facts *f, int64_t margin_ms, struct stamp now);

#endif
