#include "tlsa-sync/journal_tables.h"

#define I64(type, field) { #field, COL_I64, offsetof(struct type, field), 0, 0 }
#define NAMED(type, label, field) { label, COL_I64, offsetof(struct type, field), 0, 0 }
#define STAMP(type, field) \
	NAMED(type, #field "_wall", field.wall.s), NAMED(type, #field "_count_ms", field.count_ms)
#define U32(type, field, max) { #field, COL_U32, offsetof(struct type, field), 0, max }
#define BOOL(type, field) { #field, COL_BOOL, offsetof(struct type, field), 0, 0 }
#define TEXT(type, field) { #field, COL_TEXT, offsetof(struct type, field), sizeof(((struct type *)0)->field), 0 }
#define DIGEST(type, field) { #field, COL_DIGEST, offsetof(struct type, field), sizeof(((struct type *)0)->field), 0 }
#define NAMED_STAMP(type, label, field) \
	NAMED(type, label "_wall", field.wall.s), NAMED(type, label "_count_ms", field.count_ms)
#define SET(type, field) { #field, COL_SET, offsetof(struct type, field), 0, 0 }

static const struct column identity_columns[] = {
	NAMED(facts, "last_wall_ms", clock.last.wall_ms),
	NAMED(facts, "last_mono_ms", clock.last.mono.ms),
	{ "boot", COL_TEXT, offsetof(struct facts, clock.last.boot), FACT_BOOT, 0 },
	NAMED(facts, "count_ms", clock.count_ms),
	NAMED(facts, "booted_ms", clock.booted_ms),
	STAMP(facts, zone_found),
	STAMP(facts, zone_failed),
	TEXT(facts, zone_words),
	STAMP(facts, looked),
	STAMP(facts, probed),
	NAMED(facts, "rotated", rotated.s),
	STAMP(facts, settled),
	U32(facts, shown_state, 64),
	NAMED(facts, "shown_since", shown_since.s),
	STAMP(facts, cert_pinned),
	NAMED_STAMP(facts, "off_asked", off.asked),
	NAMED_STAMP(facts, "off_gone", off.gone),
	NAMED_STAMP(facts, "off_watched", off.watched),
	NAMED_STAMP(facts, "off_done", off.done),
	{ "forms", COL_U32, offsetof(struct facts, forms.forms), 0, (1u << FORM_NUM) - 1 },
	NAMED_STAMP(facts, "forms", forms.since),
};
static const struct column instance_columns[] = {
	TEXT(fact_instance, name), STAMP(fact_instance, heard), STAMP(fact_instance, failed),
	TEXT(fact_instance, words), I64(fact_instance, active), I64(fact_instance, presented),
	U32(fact_instance, asked, ASK_NUM - 1), I64(fact_instance, asked_generation), STAMP(fact_instance, asked_at),
	U32(fact_instance, asked_outcome, OUTCOME_NUM - 1), TEXT(fact_instance, asked_words),
	U32(fact_instance, algorithms, (1u << KEY_NUM_ALGORITHMS) - 1),
};
static const struct column key_columns[] = {
	U32(fact_key, instance, FACT_INSTANCES - 1), I64(fact_key, generation),
	U32(fact_key, algorithm, KEY_NUM_ALGORITHMS - 1), DIGEST(fact_key, spki_sha256), BOOL(fact_key, certified),
	BOOL(fact_key, self_signed),
	NAMED(fact_key, "not_before", not_before.s), NAMED(fact_key, "not_after", not_after.s),
	DIGEST(fact_key, spki_sha512), DIGEST(fact_key, cert_sha256), DIGEST(fact_key, cert_sha512),
	DIGEST(fact_key, issuer_spki_sha256), DIGEST(fact_key, issuer_cert_sha256),
};
static const struct column server_columns[] = {
	TEXT(fact_server, name), TEXT(fact_server, address), STAMP(fact_server, answered), STAMP(fact_server, silent),
	TEXT(fact_server, words), { "answer", COL_SET, offsetof(struct fact_server, set), 0, 0 },
	U32(fact_server, same, UINT32_MAX), STAMP(fact_server, same_since), U32(fact_server, ttl_s, UINT32_MAX),
	U32(fact_server, validity, VALIDITY_NUM - 1), NAMED(fact_server, "signature_expires", signature_expires.s),
	U32(fact_server, serial, UINT32_MAX), BOOL(fact_server, alias),
};
static const struct column digest_columns[] = {
	DIGEST(fact_digest, spki_sha256), U32(fact_digest, algorithm, KEY_NUM_ALGORITHMS - 1), STAMP(fact_digest, known),
	STAMP(fact_digest, spoiled), NAMED_STAMP(fact_digest, "deleted", deleted[FORM_311]),
	NAMED(fact_digest, "old_signature", old_signature.s), I64(fact_digest, old_signature_count_ms),
	DIGEST(fact_digest, spki_sha512), NAMED_STAMP(fact_digest, "deleted_312", deleted[FORM_312]),
	NAMED_STAMP(fact_digest, "added", added[FORM_311]), NAMED_STAMP(fact_digest, "added_312", added[FORM_312]),
	NAMED_STAMP(fact_digest, "cleared", cleared[FORM_311]), NAMED_STAMP(fact_digest, "cleared_312", cleared[FORM_312]),
	NAMED(fact_digest, "signed_until", signed_until.s), I64(fact_digest, signed_count_ms),
};
static const struct column agree_columns[] = {
	U32(fact_agree, server, FACT_SERVERS - 1), U32(fact_agree, digest, FACT_DIGESTS - 1),
	U32(fact_agree, count, UINT32_MAX), I64(fact_agree, proof_ms), I64(fact_agree, run_ms), I64(fact_agree, last_ms),
};
static const struct column ttl_columns[] = { U32(fact_ttl, ttl_s, UINT32_MAX), BOOL(fact_ttl, negative),
	                                     STAMP(fact_ttl, last) };
static const struct column update_columns[] = {
	SET(fact_update, adds), SET(fact_update, deletes), STAMP(fact_update, sent), STAMP(fact_update, done),
	U32(fact_update, outcome, OUTCOME_NUM - 1), TEXT(fact_update, words),
};
static const struct column address_columns[] = { { "address", COL_TEXT, 0, FACT_ADDRESS, 0 } };
static const struct column probe_columns[] = {
	TEXT(fact_probe, address), U32(fact_probe, algorithm, KEY_NUM_ALGORITHMS - 1), U32(fact_probe, sni, SNI_NUM - 1),
	STAMP(fact_probe, at), BOOL(fact_probe, saw), DIGEST(fact_probe, spki_sha256), TEXT(fact_probe, words),
};
static const struct column roll_columns[] = {
	STAMP(fact_roll, asked), BOOL(fact_roll, by_timer), STAMP(fact_roll, begun), STAMP(fact_roll, held),
	{ "rolled_back_wall", COL_I64, offsetof(struct fact_roll, rollback.wall.s), 0, 0 },
	{ "rolled_back_count_ms", COL_I64, offsetof(struct fact_roll, rollback.count_ms), 0, 0 },
	STAMP(fact_roll, retiring), STAMP(fact_roll, ended),
	{ "outcome", COL_U32, offsetof(struct fact_roll, end), 0, ROLL_END_NUM - 1 },
	BOOL(fact_roll, emergency), BOOL(fact_roll, forced),
};
static const struct column move_columns[] = {
	U32(fact_move, instance, FACT_INSTANCES - 1), NAMED(fact_move, "old_generation", from),
	NAMED(fact_move, "new_generation", to), STAMP(fact_move, swap_asked),
};
static const struct column issue_columns[] = {
	U32(fact_issue, instance, FACT_INSTANCES - 1), I64(fact_issue, generation),
	U32(fact_issue, algorithm, KEY_NUM_ALGORITHMS - 1), U32(fact_issue, tries, UINT32_MAX), STAMP(fact_issue, asked),
	STAMP(fact_issue, done), U32(fact_issue, outcome, OUTCOME_NUM - 1), TEXT(fact_issue, words),
};
static const struct column renewal_columns[] = { DIGEST(fact_renewal, cert_sha256), STAMP(fact_renewal, asked) };
static const struct column withdrawn_columns[] = { U32(fact_withdrawn, instance, FACT_INSTANCES - 1),
	                                           I64(fact_withdrawn, generation), STAMP(fact_withdrawn, at) };

const struct table journal_tables[] = {
#define COLUMNS(c) c, sizeof c / sizeof c[0]
#define ARRAY(f, num) offsetof(struct facts, f), sizeof(((struct facts *)0)->f[0]), \
	sizeof(((struct facts *)0)->f) / sizeof(((struct facts *)0)->f[0]), offsetof(struct facts, num)
	{ "identity", COLUMNS(identity_columns), 0, sizeof(struct facts), 1, ONE_ROW },
	{ "instance", COLUMNS(instance_columns), ARRAY(instances, num_instances) },
	{ "key", COLUMNS(key_columns), ARRAY(keys, num_keys) },
	{ "server", COLUMNS(server_columns), ARRAY(servers, num_servers) },
	{ "digest", COLUMNS(digest_columns), ARRAY(digests, num_digests) },
	{ "agree", COLUMNS(agree_columns), ARRAY(agrees, num_agrees) },
	{ "ttl", COLUMNS(ttl_columns), ARRAY(ttls, num_ttls) },
	{ "update_attempt", COLUMNS(update_columns), offsetof(struct facts, update), sizeof(struct fact_update), 1, ONE_ROW },
	{ "address", COLUMNS(address_columns), ARRAY(addresses, num_addresses) },
	{ "probe", COLUMNS(probe_columns), ARRAY(probes, num_probes) },
	{ "roll", COLUMNS(roll_columns), offsetof(struct facts, roll), sizeof(struct fact_roll), 1, ONE_ROW },
	{ "move", COLUMNS(move_columns), ARRAY(roll.moves, roll.num_moves) },
	{ "issue", COLUMNS(issue_columns), offsetof(struct facts, issue), sizeof(struct fact_issue), 1, ONE_ROW },
	{ "renewal", COLUMNS(renewal_columns), ARRAY(renewals, num_renewals) },
	{ "withdrawn", COLUMNS(withdrawn_columns), ARRAY(withdrawn, num_withdrawn) },
};

bool journal_check(const struct facts *f)
{
	bool fine = f->clock.count_ms >= 0;
	for (size_t i = 0; i < f->num_keys; i++)
		fine = fine && f->keys[i].instance < f->num_instances;
	for (size_t i = 0; i < f->num_agrees; i++)
		fine = fine && f->agrees[i].server < f->num_servers && f->agrees[i].digest < f->num_digests;
	for (size_t i = 0; i < f->roll.num_moves; i++)
		fine = fine && f->roll.moves[i].instance < f->num_instances;
	fine = fine && (f->issue.asked.count_ms == 0 || f->issue.instance < f->num_instances);
	for (size_t i = 0; i < f->num_withdrawn; i++)
		fine = fine && f->withdrawn[i].instance < f->num_instances;
	return fine;
}
