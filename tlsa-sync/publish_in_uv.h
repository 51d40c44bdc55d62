/* Owns:  what the publishers share: their object, a call, and the table row that
 *        each of them fills in.
 * Never: is included by anything but publish_*_uv.c.
 * Spec:  –
 * Start at: struct publisher_kind. */
#ifndef TLSA_SYNC_PUBLISH_IN_UV_H
#define TLSA_SYNC_PUBLISH_IN_UV_H

#include "base/command_uv.h"
#include "dns/update_uv.h"
#include "tlsa-sync/publish_uv.h"

/* One way to change records. */
struct publisher_kind {
	/* open gets ready what every call needs; may be NULL. */
	enum ec (*open)(struct publisher *p, struct why *why);
	/* start begins a call; errors as publisher_send. It ends with publisher_end. */
	enum ec (*start)(struct publisher_call *c, struct why *why);
};
extern const struct publisher_kind publisher_rfc2136, publisher_exec, publisher_zonefile;

struct publisher {
	uv_loop_t *loop;
	const struct config *cfg;
	const struct publisher_kind *kind;
	bool has_key;
	struct tsig_key key;
};

struct publisher_call {
	struct publisher *publisher;
	bool rehearsal;
	char identity[FACT_NAME];
	struct dns_name owner;
	struct zone_info zone; /* of the owner */
	uint32_t ttl_s;
	struct tlsa_set adds;
	struct tlsa_set deletes;
	struct tlsa_set wanted;
	publisher_done *done;
	void *arg;

	/* rfc2136 */
	struct sockaddr_storage servers[ZONE_PRIMARY_MAX];
	unsigned num_servers;
	unsigned next;
	struct update_call *sending;
	/* exec, zonefile */
	struct command_run *command;
	uv_timer_t *later; /* a result that was there at once is told on the next turn of the loop */
	struct publish_result result;
	struct why words;
	struct bytes more;
};

/* publisher_end reports and frees; publisher_end_later does so on the loop's next turn,
 * for what ends before start has returned. It may fail (EC_NO_MEMORY) before anything is done
 * only: call publisher_will_end_later first. `words` is copied; c->more is what it is. */
void publisher_end(struct publisher_call *c, enum outcome outcome, const char *words);
enum ec publisher_will_end_later(struct publisher_call *c, struct why *why) MUST_CHECK;
void publisher_end_later(struct publisher_call *c, enum outcome outcome, const char *words);

#endif
