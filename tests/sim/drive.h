/* Owns:  the controller's shell in the simulator: carries out each action in the
 *        world, journals, crashes between any two steps and comes back with
 *        what was journalled.
 * Never: corrects the controller.
 * Spec:  –
 * Start at: drive_step. */
#ifndef TESTS_SIM_DRIVE_H
#define TESTS_SIM_DRIVE_H

#include "tlsa-sync/journal_db.h"
#include "tlsa-sync/rollover.h"
#include "world.h"

/* The issuer's command; it runs until `ends`, and then it has gone so. */
enum issue_fate { ISSUE_FINE, ISSUE_FAILS, ISSUE_WRONG_KEY, ISSUE_UNHEARD };
struct issuing {
	bool runs;
	unsigned instance;
	uint64_t generation;
	enum key_algorithm algorithm;
	enum issue_fate fate;
	int64_t ends;
};

struct drive {
	struct world *w;
	struct policy policy;
	struct facts *facts;
	struct facts *saved; /* the journal: what a crash leaves */
	struct journal *journal; /* the real one, when asked for; then `saved` is not used */
	struct facts *backup; /* of the journal, as it was at backup_t; 0: none was made */
	int64_t backup_t;
	int64_t full_until;   /* the disk is full: nothing can be journalled */
	bool unsaved;         /* and something should have been */
	unsigned forms_other; /* what the operator changes policy.forms to, now and then; 0: never */
	uint32_t ttl_other;   /* the same of policy.ttl_s */
	struct issuing issuing;
	int64_t cert_life_s;
	int64_t ca_down_until;
	const char *without;  /* letters of what does not happen here: see main.c */
	bool guard;
	bool faults;
	bool trace;
	int crash_per_mille;
	unsigned num_steps, num_crashes, num_updates, num_lost, num_backs, num_edits,
		num_restored, num_full, num_hands, num_issues, num_certificates;
	char broken[1024]; /* a guard refusal, a state that may not follow, … */
};

/* drive_init makes facts for the world's instances; drive_fini frees. */
bool drive_init(struct drive *d);
void drive_fini(struct drive *d);

/* drive_step: one decision, carried out. Returns false when something is broken. */
bool drive_step(struct drive *d);

/* drive_now reads the controller's clocks. drive_crash loses what was not
 * journalled, and some time. drive_save journals; false: the disk is full. */
struct stamp drive_now(struct drive *d);
bool drive_save(struct drive *d, const char *event, const char *words);
void drive_crash(struct drive *d);
/* drive_expose: an emergency is forced. What the words say then, and would say at the swap (the TTL may have
 * been raised since): senders may notice for two TTLs after the servers have the record. */
void drive_expose(struct drive *d);

#endif
