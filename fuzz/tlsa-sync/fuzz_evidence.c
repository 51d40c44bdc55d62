/* One server's raw answer, and what a validated look-up through it said, judged:
 * never more than both of them hold, never secure unless validation said so. */
#include <assert.h>
#include <string.h>

#include "dns/packet_ldns.h"
#include "tlsa-sync/evidence_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static bool subset(const struct tlsa_set *a, const struct tlsa_set *b)
{
	for (unsigned i = 0; i < a->num; i++)
		if (!tlsa_set_has(b, &a->items[i]))
			return false;
	return true;
}

static void check(const struct evidence_seen *s, const struct evidence_hop *hop, const struct answer *a)
{
	assert(subset(&a->set, &s->raw.tlsa));
	assert(a->validity != VALIDITY_SECURE || s->status == SECURE_VALID);
	assert(a->validity != VALIDITY_SECURE || subset(&a->set, &s->secure_set));
	assert(!a->alias || (hop->alias && a->set.num == 0 && s->raw.num_aliases > 0));
	assert(a->ttl_s >= hop->chain_ttl_s && (!s->raw.found || a->ttl_s >= s->raw.ttl_s));
	assert(s->raw.aa && (s->raw.rcode == DNS_NOERROR || s->raw.rcode == DNS_NXDOMAIN));
	assert(a->validity == VALIDITY_SECURE || a->words != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct evidence_seen seen, other;
	static struct answer a, b;
	const int64_t now_s = 1795303571;
	if (len < 3)
		return 0;
	struct slice packet = slice_of(data + 3, len - 3);
	struct evidence_hop hop = { .alias = (data[0] & 1) != 0, .chain_ttl_s = (uint32_t)data[1] << 4 };
	memset(&seen, 0, sizeof seen);
	seen.raw_ec = packet_parse(packet, &seen.raw, &seen.raw_why);
	seen.denial_until = evidence_denial_until(packet, now_s);
	seen.status = (enum secure_status)(data[0] >> 1 & 3);
	seen.has_serial = (data[0] & 8) != 0;
	seen.serial = 41;
	/* The look-up saw what the answer has, less some, more some: another moment. */
	for (unsigned i = 0; i < seen.raw.tlsa.num; i++)
		if ((data[2] >> (i & 7) & 1) == 0)
			(void)!tlsa_set_add(&seen.secure_set, &seen.raw.tlsa.items[i]);
	if ((data[0] & 16) != 0)
		(void)!tlsa_set_add(&seen.secure_set, &(struct tlsa){ .usage = 3, .selector = 1, .matching = 1, .len = 32 });
	if (seen.raw_ec == EC_OK) {
		hop.owner = seen.raw.question;
		hop.target = seen.raw.num_aliases > 0 && (data[0] & 32) == 0 ? seen.raw.aliases[0].target : seen.raw.question;
	}
	struct why why = { 0 };
	if (evidence_judge(&seen, &hop, now_s, &a, &why) != EC_OK) {
		assert(why.text[0] != '\0');
		return 0;
	}
	assert(seen.raw_ec == EC_OK);
	check(&seen, &hop, &a);
	/* Two answers from one address are worth no more than either. */
	other = seen;
	other.status = (enum secure_status)(data[0] >> 6 & 3);
	other.secure_set = (struct tlsa_set){ 0 };
	if (evidence_judge(&other, &hop, now_s, &b, &why) != EC_OK)
		return 0;
	struct answer both = a;
	evidence_merge(&both, &b);
	assert(a.alias || subset(&both.set, &a.set));
	assert(b.alias || subset(&both.set, &b.set));
	assert(both.validity != VALIDITY_SECURE || (a.validity == VALIDITY_SECURE && b.validity == VALIDITY_SECURE));
	assert(both.ttl_s >= a.ttl_s && both.ttl_s >= b.ttl_s && both.signature_expires.s >= a.signature_expires.s);
	return 0;
}
