#include "tlsa-sync/policy.h"

static int64_t seconds(int64_t ms)
{
	return (ms + 999) / 1000;
}

struct policy policy_of(const struct config *cfg, size_t index)
{
	static const enum policy_issuer issuers[] = {
		[CONFIG_SELF_SIGNED] = ISSUER_SELF_SIGNED,
		[CONFIG_FILES] = ISSUER_FILES,
		[CONFIG_COMMAND] = ISSUER_COMMAND,
	};
	const struct config_tlsa_sync *c = &cfg->tlsa_sync;
	const struct config_identity *id = &cfg->identities[index];
	return (struct policy){
		.ttl_s = (uint32_t)seconds(c->ttl_ms),
		.forms = c->digests,
		.wait = c->wait == CONFIG_WAIT_SIGNATURES ? WAIT_SIGNATURES : WAIT_TWO_TTL,
		.floor_s = seconds(c->floor_ms),
		.confirmations = (unsigned)c->confirmations,
		.poll_s = seconds(c->poll_ms),
		.watch_s = seconds(c->watch_ms),
		.cache_margin_s = seconds(c->cache_margin_ms),
		.hold_s = seconds(c->hold_ms),
		.rotate_every_s = seconds(c->rotate_every_ms),
		.own_rrset = c->own_rrset,
		.issuer = issuers[id->issuer],
		.renew_before_s = seconds(id->renew_before_ms),
		.retry_s = seconds(id->command_retry_ms),
		.default_identity = index == 0,
	};
}
