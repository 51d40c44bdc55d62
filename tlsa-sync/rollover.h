/* Owns:  the rollover: facts + policy + now -> state, exactly one action, when to
 *        look again, and why in words. And, apart from it, the guard that is asked
 *        before every DNS write and every swap.
 * Never: acts, reads a clock, or stores a state; rollover_record sets dated marks.
 * Spec:  RFC 7671 8.1 and 8.4, RFC 7672 4: the record of the next key is published
 *        two TTLs before the key is used, and the old one removed afterwards.
 * Start at: rollover_decide. The shell's loop is
 *           tick, decide, journal, act, note the outcome, journal, again. */
#ifndef TLSA_SYNC_ROLLOVER_H
#define TLSA_SYNC_ROLLOVER_H

#include <jansson.h>

#include "base/steps.h"
#include "tlsa-sync/facts.h"

enum wait_rule { WAIT_TWO_TTL, WAIT_SIGNATURES };
/* Who gives certificates. */
enum policy_issuer { ISSUER_SELF_SIGNED, ISSUER_FILES, ISSUER_COMMAND };

/* struct policy is the part of the configuration the rollover looks at. */
struct policy {
	uint32_t ttl_s; /* of the records we write */
	enum wait_rule wait;
	int64_t floor_s;        /* the least wait */
	unsigned confirmations; /* k: answers in a row */
	int64_t poll_s;         /* look again while something is in flight */
	int64_t watch_s;        /* look again when nothing is */
	int64_t cache_margin_s; /* senders cache on top of resolvers */
	int64_t hold_s;
	int64_t rotate_every_s; /* 0: only when asked */
	unsigned forms;         /* the records made of each key: 1u << enum record_form; 0: 3 1 1 alone */
	bool own_rrset;
	enum policy_issuer issuer;
	int64_t renew_before_s; /* issuer `command`; 0: a third of the certificate's life */
	int64_t retry_s;        /* its first pause after a failure */
	bool default_identity; /* shown to clients that ask for another name, or none */
	const char *blocked;   /* why no roll may begin now ("mx2.example.org is rolling"), or NULL */
};

enum rollover_state {
	RO_PREPARING,
	RO_PUBLISHING,
	RO_SPREADING,
	RO_AGEING,
	RO_CERTIFYING,
	RO_SWAPPING,
	RO_HOLDING,
	RO_RETIRING,
	RO_STEADY,
	RO_WITHDRAWING, /* DANE is being switched off */
	RO_DISABLED,    /* it is off: no cache holds a record of ours */
	RO_NUM_STATES
};
/* The table of states: names, and which may follow which as the servers, the
 * instances and the operator behave. */
extern const struct step_row rollover_states[RO_NUM_STATES];

/* The one thing to do next. All but RECORD are idempotent. */
enum rollover_action {
	RA_NONE,    /* wait until `wake_ms` has passed, or something is reported */
	RA_RECORD,  /* rollover_record(), journal, decide again */
	RA_FIND,    /* find the zone: facts_set_servers, facts_set_addresses */
	RA_LOOK,    /* ask every server and every instance: facts_answer…, facts_looked */
	RA_PREPARE, /* ask `instance` to prepare its next key */
	RA_UPDATE,  /* send `adds` and `deletes` with policy's TTL, after rollover_check_write */
	RA_CERTIFY, /* run the issuer's command for `generation` of `instance`, `algorithm`, noting `tries`: it goes on
	             * beside everything else */
	RA_SWAP,    /* ask `instance` to present `generation`, after rollover_check_swap */
	RA_PROBE,   /* probe every address x algorithm x SNI: facts_probe…, facts_probed */
	RA_RETIRE,  /* ask `instance` to delete `generation` */
	RA_NUM_ACTIONS
};
const char *rollover_action_name(enum rollover_action action);


enum rollover_mark {
	RM_NONE,
	RM_START,   /* a rotation is due */
	RM_BEGIN,   /* the moves are chosen */
	RM_HELD,
	RM_RETIRING,
	RM_ENDED,
	RM_SETTLED,
	RM_UNSETTLED,
	RM_FORGET,   /* a withdrawn generation is gone */
	RM_WITHDRAW, /* a standby that lacks an algorithm, or has one too many, is given up */
	RM_FORMS,    /* every server was seen with the forms of record that are wanted */
	RM_GONE,     /* switched off: no server has a record of ours any more */
	RM_BACK,     /* switched off: a server has one again */
	RM_WATCHED,  /* switched off: looking again, after a pause */
	RM_OFF,      /* switched off: no cache has one any more */
	RM_NUM
};

enum {
	ROLLOVER_ALARMS = 8,
	ROLLOVER_NEXT = 48,
	/* An update may take effect so much later than it was sent: a server refuses it when its
	 * TSIG is older than the fudge, 300 s as a rule (RFC 8945 5.2.3), and clocks differ. */
	ROLLOVER_LATE_MS = 600 * 1000
};

struct decision {
	enum rollover_state state;
	enum rollover_action action;
	enum rollover_mark mark; /* RA_RECORD: what */
	unsigned instance;       /* RA_PREPARE, RA_CERTIFY, RA_SWAP, RA_RETIRE */
	uint64_t generation;
	enum key_algorithm algorithm; /* RA_CERTIFY */
	unsigned tries;          /* RA_CERTIFY: for facts_issue_sent */
	struct tlsa_set wanted;  /* what DNS should hold of ours */
	struct tlsa_set adds;    /* RA_UPDATE */
	struct tlsa_set deletes;
	int64_t wake_ms;         /* decide again at the latest after this; counted from now */
	struct wall at;          /* when the state is expected to end; 0: not known */
	char why[WHY_SIZE];
	char next[ROLLOVER_NEXT]; /* what follows the state, in words: "rotate", "remove the old record" */
	char waiting_for[FACT_NAME + FACT_ADDRESS + 4]; /* "ns2.example.org (192.0.2.7)"; empty: nothing */
	size_t num_alarms;
	char alarms[ROLLOVER_ALARMS][FACT_WORDS + FACT_NAME]; /* what a person should look at */
};

/* rollover_decide fills `*out`. It never fails: what can't go on is a wait with
 * a reason. */
void rollover_decide(const struct facts *f, const struct policy *p, struct stamp now, struct decision *out);

/* rollover_record carries out RA_RECORD: it sets the mark that `d` asks for.
 * `event` receives a line for the history. */
void rollover_record(struct facts *f, const struct policy *p, const struct decision *d, struct stamp now,
                     struct why *event);

/* rollover_show notes the state shown and since when, for `status`. Returns true
 * when it changed (a line for the history). */
bool rollover_show(struct facts *f, const struct decision *d, struct stamp now);

/* What an operator may ask.
 * rotate:   roll to the standby as soon as it has aged. EC_BUSY while a roll runs.
 * abort:    before the first swap. Ends a rotation that was asked for; a standby
 *           that has not aged is withdrawn and a fresh one made, an aged one stays.
 *           EC_BUSY once a swap was asked (roll back instead), EC_NOT_FOUND when
 *           there is nothing to abort.
 * rollback: from the first swap to the end of HOLDING: the former keys are
 *           presented again, the new ones stay published as the standby.
 *           It waits only when somebody else took one of the old records out of the
 *           zone. EC_NOT_FOUND when no roll runs, EC_EXPIRED when the old records
 *           are already being removed.
 * emergency: the key presented may be known to others. The aged standby is presented at
 *           once and the former record withdrawn without HOLDING; of a roll under way the
 *           window is cut off. `why` says what remains exposed, and until when.
 *           EC_PIN_UNPROVEN when not every instance has an aged standby: `why` says what
 *           senders would see, and for how long; RQ_EMERGENCY_FORCED goes ahead all
 *           the same, as soon as every server that answers has the record. EC_BUSY while
 *           a roll goes back, or gives up its old records already.
 * disable:  all records of ours are removed, whatever goes on; a roll ends. What may be there
 *           is known when all servers have just answered, or one and all instances: until
 *           then it waits. The keys go on being presented until the state is DISABLED:
 *           EC_EXISTS when it is asked for already.
 * enable:   the first publication again. EC_NOT_FOUND unless disabled.
 * renew:    the certificates in use are replaced now, by others of the same keys: certify_renew.
 * All but disable, enable, renew and emergencies give EC_BUSY while DANE is switched off. */
enum rollover_request {
	RQ_ROTATE,
	RQ_ABORT,
	RQ_ROLLBACK,
	RQ_EMERGENCY,
	RQ_EMERGENCY_FORCED,
	RQ_DISABLE,
	RQ_ENABLE,
	RQ_RENEW,
	RQ_NUM
};
const char *rollover_request_name(enum rollover_request request); /* "rotate", "emergency" */
enum ec rollover_request(struct facts *f, const struct policy *p, enum rollover_request request, struct stamp now,
                         struct why *why) MUST_CHECK;

/* rollover_exposure says, changing nothing, what an emergency asked for now would do:
 * what remains exposed, or what senders would see. Returns what rollover_request
 * would to RQ_EMERGENCY. */
enum ec rollover_exposure(const struct facts *f, const struct policy *p, struct stamp now, struct why *why) MUST_CHECK;

/* rollover_rolling tells whether a roll has begun and not ended: no other MX host of
 * the domain may begin one. */
bool rollover_rolling(const struct facts *f);

/* The guard: asked by the shell right before acting, whatever decide said. It
 * shares no code with it.
 * rollover_check_write refuses (EC_INVARIANT, with words) an update that removes a
 * record of a key that any instance presents or may present, that any probe saw,
 * or that is not ours (unless own_rrset); that removes anything without fresh
 * reports; that adds anything but 3 1 1 of a reported key; that adds records of
 * ours without those of every key in use; that deletes while it introduces.
 * RFC 7671 8, 8.1, 8.4; RFC 7672 3.1.
 * rollover_check_swap refuses a swap to a key without proof of age on every
 * server, or one whose record any server was last seen without. */
enum ec rollover_check_write(const struct facts *f, const struct policy *p, const struct tlsa_set *adds,
                             const struct tlsa_set *deletes, struct stamp now, struct why *why) MUST_CHECK;
enum ec rollover_check_swap(const struct facts *f, const struct policy *p, unsigned instance, uint64_t generation,
                            struct stamp now, struct why *why) MUST_CHECK;

/* rollover_gap_ms is the longest pause between two good answers of a server that
 * still counts as having watched it. rollover_fresh_ms is how old an answer or a
 * report may be when something is decided by it. */
int64_t rollover_gap_ms(const struct policy *p);
int64_t rollover_fresh_ms(const struct policy *p);

/* rollover_wanted is what DNS should hold of ours: the union over all instances, each
 * key in each form; nothing while DANE is switched off. EC_NO_SPACE when it is larger
 * than TLSA_SET_MAX, EC_MISSING when an instance does not report the digest a form needs. */
enum ec rollover_wanted(const struct facts *f, const struct policy *p, struct tlsa_set *out) MUST_CHECK;

/* rollover_json returns state, why, waiting_for, at, wake, alarms and the facts
 * behind them as a new reference, or NULL when out of memory. */
json_t *rollover_json(const struct facts *f, const struct policy *p, const struct decision *d, struct stamp now);

#endif
