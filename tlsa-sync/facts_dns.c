/* The facts about DNS: servers, their answers, TTLs, updates, probes. */
#include <assert.h>
#include <string.h>

#include "tlsa-sync/facts_room.h"

static void later_of(struct wall *wall, int64_t *count_ms, struct wall expires, struct stamp now)
{
	if (expires.s > wall->s)
		*wall = expires;
	int64_t end = now.count_ms + (expires.s - now.wall.s) * 1000;
	if (end > *count_ms)
		*count_ms = end;
}

void facts_old_signature(struct fact_digest *d, struct wall expires, struct stamp now)
{
	later_of(&d->old_signature, &d->old_signature_count_ms, expires, now);
}

int facts_server(const struct facts *f, const char *name, const char *address)
{
	for (size_t i = 0; i < f->num_servers; i++)
		if (strcmp(f->servers[i].name, name) == 0 && strcmp(f->servers[i].address, address) == 0)
			return (int)i;
	return -1;
}

const struct fact_agree *facts_agree(const struct facts *f, unsigned server, unsigned digest)
{
	for (size_t i = 0; i < f->num_agrees; i++)
		if (f->agrees[i].server == server && f->agrees[i].digest == digest)
			return &f->agrees[i];
	return NULL;
}

static struct fact_agree *agree_row(struct facts *f, unsigned server, unsigned digest, bool make)
{
	for (size_t i = 0; i < f->num_agrees; i++)
		if (f->agrees[i].server == server && f->agrees[i].digest == digest)
			return &f->agrees[i];
	if (!make)
		return NULL;
	assert(f->num_agrees < FACT_AGREES); /* one per pair */
	struct fact_agree *row = &f->agrees[f->num_agrees++];
	*row = (struct fact_agree){ .server = server, .digest = digest };
	return row;
}

/* Records of a certificate, not of a key: 3 0 1, 2 1 1 and their like. */
static bool pins_certificate(const struct tlsa_set *set)
{
	for (size_t i = 0; i < set->num; i++)
		if (set->items[i].usage == 2 || (set->items[i].usage == 3 && set->items[i].selector == 0))
			return true;
	return false;
}

/* A server that leaves the zone may have been serving the old set: until it agreed,
 * or, when it never did, until this moment. Caches do not forget that with it. */
static void server_left(struct facts *f, unsigned server, struct stamp now)
{
	if (pins_certificate(&f->servers[server].set))
		f->cert_pinned = now;
	for (unsigned d = 0; d < f->num_digests; d++) {
		const struct fact_agree *row = facts_agree(f, server, d);
		struct stamp until = now;
		if (row != NULL && row->proof_ms != 0) {
			until.count_ms = row->proof_ms;
			until.wall.s -= (now.count_ms - row->proof_ms) / 1000;
		}
		if (until.count_ms > f->digests[d].spoiled.count_ms)
			f->digests[d].spoiled = until;
	}
}

enum ec facts_set_servers(struct facts *f, const struct server_id *servers, size_t num, struct stamp now)
{
	if (num > FACT_SERVERS)
		return EC_NO_SPACE;
	int to[FACT_SERVERS];
	for (size_t i = 0; i < FACT_SERVERS; i++)
		to[i] = -1;
	struct fact_server rows[FACT_SERVERS] = { 0 };
	for (size_t i = 0; i < num; i++) {
		int old = facts_server(f, servers[i].name, servers[i].address);
		if (old >= 0) {
			rows[i] = f->servers[old];
			to[old] = (int)i;
		} else {
			facts_text(rows[i].name, sizeof rows[i].name, servers[i].name);
			facts_text(rows[i].address, sizeof rows[i].address, servers[i].address);
		}
	}
	for (unsigned i = 0; i < f->num_servers; i++)
		if (to[i] < 0)
			server_left(f, i, now);
	size_t n = 0;
	for (size_t i = 0; i < f->num_agrees; i++) {
		if (to[f->agrees[i].server] < 0)
			continue;
		f->agrees[n] = f->agrees[i];
		f->agrees[n].server = (unsigned)to[f->agrees[n].server];
		n++;
	}
	f->num_agrees = n;
	memcpy(f->servers, rows, num * sizeof rows[0]);
	f->num_servers = num;
	f->zone_found = now;
	f->zone_failed = (struct stamp){ 0 };
	f->zone_words[0] = '\0';
	return EC_OK;
}

void facts_zone_failed(struct facts *f, const char *words, struct stamp now)
{
	f->zone_failed = now;
	facts_text(f->zone_words, sizeof f->zone_words, words);
}

void facts_set_zones(struct facts *f, const struct fact_zone *zones, size_t num)
{
	f->num_zones = num < FACT_ZONES ? num : FACT_ZONES;
	memset(f->zones, 0, sizeof f->zones);
	memcpy(f->zones, zones, f->num_zones * sizeof zones[0]);
}

/* When there are more TTLs than rows, two become the larger one, seen at the
 * later moment: that can only lengthen a wait. */
static void ttl_note(struct facts *f, uint32_t ttl_s, bool negative, struct stamp now)
{
	for (size_t i = 0; i < f->num_ttls; i++) {
		if (f->ttls[i].ttl_s == ttl_s && f->ttls[i].negative == negative) {
			f->ttls[i].last = now;
			return;
		}
	}
	if (f->num_ttls < FACT_TTLS) {
		f->ttls[f->num_ttls++] = (struct fact_ttl){ ttl_s, negative, now };
		return;
	}
	size_t largest = 0;
	for (size_t i = 1; i < f->num_ttls; i++)
		if (f->ttls[i].ttl_s > f->ttls[largest].ttl_s)
			largest = i;
	if (ttl_s > f->ttls[largest].ttl_s)
		f->ttls[largest].ttl_s = ttl_s;
	f->ttls[largest].last = now;
}

uint32_t facts_ttl_max(const struct facts *f)
{
	uint32_t max = 0;
	for (size_t i = 0; i < f->num_ttls; i++)
		if (f->ttls[i].ttl_s > max)
			max = f->ttls[i].ttl_s;
	return max;
}

void facts_ttls_prune(struct facts *f, int64_t margin_ms, struct stamp now)
{
	size_t n = 0;
	for (size_t i = 0; i < f->num_ttls; i++)
		if (f->ttls[i].last.count_ms + 2 * 1000 * (int64_t)f->ttls[i].ttl_s + margin_ms > now.count_ms)
			f->ttls[n++] = f->ttls[i];
	f->num_ttls = n;
}


static void agree_good(struct fact_agree *row, int64_t booted_ms, unsigned confirmations, int64_t gap_ms,
                       struct stamp now)
{
	/* the counted clock stands still over a boot, so that pause does not show in it */
	if (row->count == 0 || now.count_ms - row->last_ms > gap_ms || row->last_ms <= booted_ms)
		row->run_ms = now.count_ms;
	if (row->count < UINT32_MAX)
		row->count++;
	if (row->count >= confirmations && row->proof_ms == 0)
		row->proof_ms = now.count_ms;
	row->last_ms = now.count_ms;
}

static void agree_bad(struct fact_agree *row)
{
	row->count = 0;
	row->proof_ms = 0;
	row->run_ms = 0;
}

/* Did the server last answer with a set that the key would not match? */
static bool lacks(const struct facts *f, unsigned server, unsigned digest)
{
	const struct fact_server *s = &f->servers[server];
	return s->answered.count_ms != 0 && !s->alias && !facts_digest_served(&f->digests[digest], &s->set);
}

/* Called while the server's row has its former answer. */
static void answer_to_digests(struct facts *f, unsigned server, const struct answer *a, unsigned confirmations,
                              int64_t gap_ms, struct stamp now)
{
	for (unsigned d = 0; d < f->num_digests; d++) {
		bool serves = a->alias || facts_digest_served(&f->digests[d], &a->set);
		bool good = serves && a->validity == VALIDITY_SECURE;
		struct fact_agree *row = agree_row(f, server, d, false);
		/* The set before this one may have been signed once more, and nobody has seen that. It was before this one
		 * was signed, so that is what its signature is taken to last. */
		bool before = lacks(f, server, d) || (row != NULL && row->last_ms == 0);
		if (!serves || (good && !a->alias && before))
			facts_old_signature(&f->digests[d], a->signature_expires, now);
		if (good && row == NULL)
			row = agree_row(f, server, d, true);
		if (good)
			agree_good(row, f->clock.booted_ms, confirmations, gap_ms, now);
		else if (row != NULL)
			agree_bad(row);
		if (facts_digest_named(&f->digests[d], &a->set))
			later_of(&f->digests[d].signed_until, &f->digests[d].signed_count_ms, a->signature_expires, now);
	}
}

void facts_answer(struct facts *f, unsigned server, const struct answer *a, unsigned confirmations, int64_t gap_ms,
                  struct stamp now)
{
	assert(server < f->num_servers);
	struct fact_server *s = &f->servers[server];
	answer_to_digests(f, server, a, confirmations, gap_ms, now);
	if (a->validity != VALIDITY_SECURE)
		s->same = 0;
	else if (s->same > 0 && tlsa_set_eq(&s->set, &a->set))
		s->same++;
	else {
		s->same = 1;
		s->same_since = now;
	}
	/* what it had the last time it may have served until now */
	if (pins_certificate(&s->set) || pins_certificate(&a->set))
		f->cert_pinned = now;
	s->answered = now;
	s->silent = (struct stamp){ 0 };
	s->set = a->set;
	s->ttl_s = a->ttl_s;
	s->validity = a->validity;
	s->signature_expires = a->signature_expires;
	s->serial = a->serial;
	s->alias = a->alias;
	s->upkeep = a->upkeep;
	facts_text(s->words, sizeof s->words, a->words);
	/* What does not validate is not kept by a validating cache, and its TTL can
	 * be anybody's invention. */
	if (a->validity != VALIDITY_BOGUS)
		ttl_note(f, a->ttl_s, a->set.num == 0 && !a->alias, now);
}

void facts_silence(struct facts *f, unsigned server, const char *words, struct stamp now)
{
	assert(server < f->num_servers);
	struct fact_server *s = &f->servers[server];
	if (s->silent.count_ms == 0)
		s->silent = now;
	s->same = 0;
	facts_text(s->words, sizeof s->words, words);
	/* "In a row" is broken while still counting; a proof stands until a server is
	 * seen without the record, and the pause shows in run_ms. */
	for (size_t i = 0; i < f->num_agrees; i++)
		if (f->agrees[i].server == server && f->agrees[i].proof_ms == 0)
			agree_bad(&f->agrees[i]);
}

void facts_looked(struct facts *f, struct stamp now)
{
	f->looked = now;
}

static bool any_key(const struct facts *f, enum key_algorithm algorithm)
{
	for (size_t i = 0; i < f->num_keys; i++)
		if (f->keys[i].algorithm == algorithm)
			return true;
	return false;
}

void facts_probed(struct facts *f, struct stamp now)
{
	f->probed = now;
	/* What nobody has a key of is not asked for any more. */
	size_t n = 0;
	for (size_t i = 0; i < f->num_probes; i++)
		if (any_key(f, f->probes[i].algorithm))
			f->probes[n++] = f->probes[i];
	f->num_probes = n;
}

void facts_gone(struct facts *f, struct stamp now)
{
	f->off.gone = f->off.watched = now;
	for (size_t d = 0; d < f->num_digests; d++)
		for (size_t s = 0; s < f->num_servers; s++)
			if (!f->servers[s].alias)
				later_of(&f->digests[d].signed_until, &f->digests[d].signed_count_ms, f->servers[s].signature_expires, now);
}

/* A record goes into the zone. Where some server lacks it, one that gave no answer meanwhile may lack it as long: so each
 * has to prove anew that it has it. And where it was in the zone before, and we ordered it away or somebody took it out,
 * each may have served a set without it that nobody saw: last_ms tells until its next answer. */
static void going_in(struct facts *f, unsigned digest, enum record_form form)
{
	const struct fact_digest *d = &f->digests[digest];
	bool lacking = false, back = d->deleted[form].count_ms > d->added[form].count_ms;
	for (unsigned s = 0; s < f->num_servers; s++) {
		const struct fact_agree *row = facts_agree(f, s, digest);
		if (lacks(f, s, digest)) {
			lacking = true;
			back = back || (row != NULL && row->last_ms != 0);
		}
	}
	for (unsigned s = 0; lacking && s < f->num_servers; s++) {
		struct fact_agree *row = agree_row(f, s, digest, back);
		if (row == NULL)
			continue;
		agree_bad(row);
		if (back)
			row->last_ms = 0;
	}
}

void facts_update_sent(struct facts *f, const struct tlsa_set *adds, const struct tlsa_set *deletes, uint32_t ttl_s,
                       struct stamp now)
{
	f->update = (struct fact_update){ .adds = *adds, .deletes = *deletes, .sent = now, .outcome = OUTCOME_SENT };
	ttl_note(f, ttl_s, false, now);
	enum record_form form;
	for (size_t i = 0; i < adds->num; i++) {
		int d = facts_digest_of(f, &adds->items[i], &form);
		if (d < 0)
			continue;
		going_in(f, (unsigned)d, form);
		f->digests[d].added[form] = now;
	}
	for (size_t i = 0; i < deletes->num; i++) {
		int d = facts_digest_of(f, &deletes->items[i], &form);
		if (d >= 0)
			f->digests[d].deleted[form] = now;
	}
}

void facts_update_done(struct facts *f, enum outcome outcome, const char *words, struct stamp now)
{
	enum record_form form;
	f->update.outcome = outcome;
	f->update.done = now;
	for (size_t i = 0; outcome == OUTCOME_OK && i < f->update.deletes.num; i++) {
		int d = facts_digest_of(f, &f->update.deletes.items[i], &form);
		if (d >= 0)
			f->digests[d].cleared[form] = f->update.sent;
	}
	facts_text(f->update.words, sizeof f->update.words, words);
}

enum ec facts_set_addresses(struct facts *f, const char *const *addresses, size_t num)
{
	if (num > FACT_ADDRESSES)
		return EC_NO_SPACE;
	memset(f->addresses, 0, sizeof f->addresses);
	for (size_t i = 0; i < num; i++)
		facts_text(f->addresses[i], FACT_ADDRESS, addresses[i]);
	f->num_addresses = num;
	size_t n = 0;
	for (size_t i = 0; i < f->num_probes; i++)
		for (size_t a = 0; a < num; a++)
			if (strcmp(f->probes[i].address, f->addresses[a]) == 0) {
				f->probes[n++] = f->probes[i];
				break;
			}
	f->num_probes = n;
	return EC_OK;
}

const struct fact_probe *facts_probe_find(const struct facts *f, const char *address, enum key_algorithm algorithm,
                                          enum sni_kind sni)
{
	for (size_t i = 0; i < f->num_probes; i++)
		if (f->probes[i].algorithm == algorithm && f->probes[i].sni == sni &&
		    strcmp(f->probes[i].address, address) == 0)
			return &f->probes[i];
	return NULL;
}

void facts_probe(struct facts *f, const char *address, enum key_algorithm algorithm, enum sni_kind sni,
                 const uint8_t *spki_sha256, const char *words, struct stamp now)
{
	struct fact_probe *row = NULL;
	for (size_t i = 0; i < f->num_probes && row == NULL; i++)
		if (f->probes[i].algorithm == algorithm && f->probes[i].sni == sni &&
		    strcmp(f->probes[i].address, address) == 0)
			row = &f->probes[i];
	if (row == NULL && f->num_probes < FACT_PROBES)
		row = &f->probes[f->num_probes++];
	if (row == NULL)
		return; /* of an address not in the list: nobody waits for it */
	*row = (struct fact_probe){ .algorithm = algorithm, .sni = sni, .at = now, .saw = spki_sha256 != NULL };
	facts_text(row->address, sizeof row->address, address);
	facts_text(row->words, sizeof row->words, words);
	if (spki_sha256 != NULL)
		memcpy(row->spki_sha256, spki_sha256, 32);
}
