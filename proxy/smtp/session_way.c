#include "proxy/smtp/connectors.h"
#include "proxy/smtp/session_int.h"

static struct slice domain_of(const struct smtp_rcpt *rcpt)
{
	return slice_of(rcpt->path.domain, rcpt->path.domain_len);
}

/* How many recipients may be accepted on a way. By LMTP each has an answer to the message
 * of its own (RFC 2033 4.2), but a client takes one only. */
static uint64_t max_recipients(const struct smtp_session *s, size_t way)
{
	const struct connectors *all = s->limits->connectors;
	uint64_t ours = s->limits->max_recipients;
	if (all == NULL)
		return ours;
	if (connectors_lmtp(all, way))
		return 1;
	uint64_t max = connectors_max_recipients(all, way);
	return max != 0 && max < ours ? max : ours;
}

bool session_way_same(const struct smtp_session *s, const struct smtp_rcpt *rcpt, size_t way)
{
	const struct connectors *all = s->limits->connectors;
	const struct txn *t = s->txn;
	return way == t->connector && (all == NULL || !connectors_per_domain(all, way) ||
	                               slice_eq_nocase(domain_of(rcpt), domain_of(&t->rcpt)));
}

enum smtp_reply_id session_way_find(const struct smtp_session *s, const struct smtp_rcpt *rcpt, size_t *out_way)
{
	const struct connectors *all = s->limits->connectors;
	const struct txn *t = s->txn;
	size_t way = all != NULL ? connectors_find(all, domain_of(rcpt)) : 0;
	*out_way = way;
	if (way == CONNECTOR_NONE)
		return SMTP_R_NO_ROUTE;
	if (t->accepted + t->pending > 0 && !session_way_same(s, rcpt, way))
		return SMTP_R_OTHER_CONNECTOR;
	return t->accepted + t->pending >= max_recipients(s, way) ? SMTP_R_MANY_RECIPIENTS : SMTP_R_NONE;
}
