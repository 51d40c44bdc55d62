/* Owns:  struct crew, for the files crew_*.c only.
 * Never: included from anywhere else.
 * Spec:  –
 * Start at: struct crew. */
#ifndef PROXY_CREW_PARTS_UV_H
#define PROXY_CREW_PARTS_UV_H

#include "certs/snapshot_ssl.h"
#include "proxy/census.h"
#include "proxy/super/crew_uv.h"
#include "proxy/super/hand_uv.h"

/* A worker that does not take what it must within this has failed. */
enum { CREW_ACK_MS = 10000 };

enum crew_phase { CREW_STEADY, CREW_FORWARD, CREW_BACK };

struct crew {
	uv_loop_t *loop;
	struct listeners listeners;
	struct crew_events events;
	void *arg;
	unsigned num;
	struct hand *hands;
	struct census *census;
	int census_fd;
	bool listening;
	unsigned num_handles;

	/* crew_config_uv.c: the settings. */
	json_t *config; /* the message */
	json_t *drained_hops; /* their names; in the message too */
	uint64_t config_number;
	crew_configured *configured;
	void *configured_arg;
	uv_timer_t config_timer;

	/* crew_present_uv.c: the keys. */
	uint64_t epoch;
	struct holding now;
	struct holding previous;
	char seed[2 * SNAPSHOT_SEED_SIZE + 1];
	char **changed; /* names, of the presentation under way */
	size_t num_changed;
	enum crew_phase phase;
	uv_timer_t ack_timer;
	crew_commit *commit;
	crew_presented *presented;
	void *presented_arg;
	enum ec failed;
	struct why failed_why;

	/* crew_sessions. */
	uint64_t list_id;
	json_t *list;
	uint64_t list_more;
	crew_listed *listed;
	void *listed_arg;
	uv_timer_t list_timer;

	/* crew_drain. */
	bool draining;
	uv_timer_t drain_timer;
	void (*drained)(void *arg);
	void *drained_arg;
};

/* crew_mishap: something about a worker that people should know. */
void crew_mishap(struct crew *c, const struct hand *h, const char *why);

/* crew_config_uv.c. _check looks whether all running workers go by the newest settings, and
 * ends crew_configure then. _heard takes what a worker says about them. _end ends
 * crew_configure, if it is under way. */
void crew_config_check(struct crew *c);
void crew_config_heard(struct crew *c, struct hand *h, json_t *message);
void crew_config_end(struct crew *c, enum ec ec, const struct why *why);

/* crew_present_uv.c. crew_feed begins to bring a worker to what it must hold; _more sends
 * the next part, if one is due. _check looks whether all running workers have acknowledged,
 * and goes on then. _nack: a worker could not take the epoch. _end ends the presentation with
 * `failed`. _fini forgets all keys. */
void crew_feed(struct crew *c, struct hand *h);
void crew_feed_more(struct crew *c, struct hand *h);
void crew_present_check(struct crew *c);
void crew_present_nack(struct crew *c, struct hand *h, const char *why);
void crew_present_end(struct crew *c);
void crew_present_fini(struct crew *c);

#endif
