/* One host, from its addresses to what TLSA records say about it. */
#include "proxy/router/plan_int.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "certs/dane.h"

static void refuse_host(struct host *h, enum smtp_reply_id id, const char *why)
{
	/* `why` may be the host's own words. */
	size_t len = strnlen(why, sizeof h->why - 1);
	h->refused = id;
	memmove(h->why, why, len);
	h->why[len] = '\0';
}

bool host_text(const struct dns_name *name, char out[ROUTE_NAME_SIZE])
{
	char text[DNS_NAME_TEXT_SIZE];
	dns_name_print(text, name);
	size_t len = strlen(text);
	bool good = !dns_name_is_root(name) && len > 0 && len < ROUTE_NAME_SIZE;
	for (size_t i = 0; good && i < len; i++) {
		char c = text[i];
		good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
	}
	if (good)
		memcpy(out, text, len + 1);
	return good;
}

void host_add(struct plan *p, const struct config_next_hop *next, const struct dns_name *name, bool from_mx,
                     uint32_t preference, uint16_t port)
{
	if (p->num_hosts == PLAN_HOSTS_MAX)
		return;
	uint16_t number = (uint16_t)p->num_hosts;
	struct host *h = &p->hosts[number];
	*h = (struct host){ .next = next, .from_mx = from_mx, .preference = preference, .port = port, .name = *name };
	if (!host_text(name, h->text))
		return; /* nobody can be reached by it */
	p->num_hosts++;
	h->dane_applies = p->modes.dane != CONFIG_DANE_NONE && p->modes.tls != CONFIG_TLS_NONE && !p->pins_decide &&
	                  (!from_mx || p->mx_secure);
	h->open_addresses = 2;
	h->canonical = *name;
	plan_ask(p, ASK_ADDRESS, number, name, DNS_AAAA);
	plan_ask(p, ASK_ADDRESS, number, name, DNS_A);
}

/* DANE does not apply, or no TLSA record speaks for the host. */
static void host_silent(const struct plan *p, struct host *h, enum smtp_reply_id mandatory, const char *why)
{
	h->dane = HOST_SILENT;
	if (p->modes.dane == CONFIG_DANE_MANDATORY && h->refused == SMTP_R_NONE)
		refuse_host(h, mandatory, why);
}

static void ask_tlsa(struct plan *p, struct host *h, enum ask_kind kind)
{
	char labels[24];
	struct dns_name name;
	const struct dns_name *base = kind == ASK_TLSA_FAR ? &h->canonical : &h->name;
	(void)snprintf(labels, sizeof labels, "_%u._tcp", (unsigned)h->port);
	if (host_text(base, h->base) && dns_name_prepend(labels, base, &name, NULL) == EC_OK)
		plan_ask(p, kind, (uint16_t)(h - p->hosts), &name, DNS_TLSA);
	else if (kind == ASK_TLSA_FAR)
		ask_tlsa(p, h, ASK_TLSA_OWN);
	else
		host_silent(p, h, SMTP_R_HOP_TLSA, "the host's name is too long for TLSA records");
}

/* An address that no mail host has: it would lead to this machine, or to many. */
static bool is_nowhere(const struct sockaddr_storage *a)
{
	if (a->ss_family == AF_INET) {
		uint32_t ip = ntohl(((const struct sockaddr_in *)a)->sin_addr.s_addr);
		return ip >> 24 == 0 || ip >> 28 >= 0xe;
	}
	const struct in6_addr *ip = &((const struct sockaddr_in6 *)a)->sin6_addr;
	return IN6_IS_ADDR_UNSPECIFIED(ip) || IN6_IS_ADDR_MULTICAST(ip) || IN6_IS_ADDR_V4MAPPED(ip) || IN6_IS_ADDR_V4COMPAT(ip);
}

static unsigned keep_addresses(struct host *h, const struct secure_answer *a)
{
	struct sockaddr_storage all[SECURE_RDATA_MAX];
	unsigned num = 0;
	bool is_a = a->type == DNS_A;
	struct sockaddr_storage *out = is_a ? h->v4 : h->v6;
	unsigned *num_out = is_a ? &h->num_v4 : &h->num_v6;
	/* Rdata of a wrong length is nobody's address. */
	if (secure_addresses(a, h->port, all, SECURE_RDATA_MAX, &num) == EC_NO_SPACE)
		num = 0;
	for (unsigned i = 0; i < num && *num_out < ROUTE_ADDRESSES_MAX; i++)
		if (!is_nowhere(&all[i]))
			out[(*num_out)++] = all[i];
	return *num_out;
}

/* All addresses are known: what next? RFC 7672 2.1.1 to 2.1.3, 2.2.2. */
static void judge_addresses(struct plan *p, struct host *h)
{
	bool any = h->num_v4 + h->num_v6 > 0;
	if (h->bogus)
		refuse_host(h, SMTP_R_HOP_DNSSEC, h->why);
	else if (!any && h->failed)
		refuse_host(h, SMTP_R_HOP_DNS, h->why);
	else if (!any)
		refuse_host(h, SMTP_R_HOP_NO_HOST, "the mail host has no address");
	if (h->refused != SMTP_R_NONE)
		return;
	bool alias = !dns_name_eq(&h->canonical, &h->name);
	if (!h->dane_applies)
		return;
	if (!h->insecure)
		ask_tlsa(p, h, alias ? ASK_TLSA_FAR : ASK_TLSA_OWN);
	else if (alias)
		/* The name itself may be in a signed zone, and only what it points to not. */
		plan_ask(p, ASK_CNAME, (uint16_t)(h - p->hosts), &h->name, DNS_CNAME);
	else
		host_silent(p, h, SMTP_R_HOP_DNSSEC, "dane is mandatory, and the host's addresses are not signed");
}

static void on_address(struct plan *p, struct host *h, const struct secure_answer *a)
{
	switch (a->status) {
	case SECURE_BOGUS:
		h->bogus = true;
		break;
	case SECURE_FAILED:
		h->failed = true;
		break;
	case SECURE_INSECURE:
	case SECURE_VALID:
		if (a->num == 0) {
			h->failed = h->failed || (!a->nodata && !a->nxdomain);
			break;
		}
		if (keep_addresses(h, a) > 0) {
			h->insecure = h->insecure || a->status == SECURE_INSECURE;
			h->canonical = a->canonical;
		}
		break;
	}
	if (h->bogus || h->failed) {
		plan_failed(p);
		if (a->why.text[0] != '\0' && (h->why[0] == '\0' || a->status == SECURE_BOGUS))
			(void)snprintf(h->why, sizeof h->why, "%.*s", ROUTE_WHY_SIZE - 1, a->why.text);
		else if (h->why[0] == '\0')
			(void)snprintf(h->why, sizeof h->why, "the answer has no addresses and denies none");
	}
	if (--h->open_addresses == 0)
		judge_addresses(p, h);
}

/* The addresses are insecure. Is at least the alias itself in a signed zone? Then TLSA records at the host's
 * own name count. RFC 7672 2.2.2. */
static void on_cname(struct plan *p, struct host *h, const struct secure_answer *a)
{
	if (a->status == SECURE_VALID && a->num > 0) {
		ask_tlsa(p, h, ASK_TLSA_OWN);
	} else if (a->status == SECURE_VALID || a->status == SECURE_INSECURE) {
		host_silent(p, h, SMTP_R_HOP_DNSSEC, "dane is mandatory, and the host's addresses are not signed");
	} else {
		plan_failed(p);
		refuse_host(h, SMTP_R_HOP_DNSSEC, a->why.text);
	}
}

static void keep_records(struct host *h, const struct secure_answer *a)
{
	h->dane = HOST_UNUSABLE;
	for (unsigned i = 0; i < a->num && h->num_records < ROUTE_RECORDS_MAX; i++) {
		struct dane_record record;
		struct slice r = a->rdata[i];
		if (dane_record_read(r, &record, NULL) != EC_OK || r.len > ROUTE_RDATA_MAX)
			continue;
		h->records[h->num_records].at = bytes_len(&h->rdata);
		h->records[h->num_records].len = r.len;
		if (bytes_append(&h->rdata, r) != EC_OK) {
			/* Half a set must not be judged. */
			refuse_host(h, SMTP_R_HOP_DNSSEC, "out of memory");
			return;
		}
		h->num_records++;
		h->dane = HOST_RECORDS;
	}
}

/* RFC 7672 2.1.2, 2.2.3. */
static void on_tlsa(struct plan *p, struct host *h, enum ask_kind kind, const struct secure_answer *a)
{
	bool denied = a->num == 0 && (a->nxdomain || a->nodata);
	if (a->status == SECURE_VALID && a->num > 0) {
		keep_records(h, a);
		if (h->dane == HOST_UNUSABLE && p->modes.dane == CONFIG_DANE_MANDATORY)
			refuse_host(h, SMTP_R_HOP_TLSA, "dane is mandatory, and none of the host's TLSA records can be used");
		return;
	}
	if (a->status == SECURE_INSECURE || (a->status == SECURE_VALID && denied)) {
		h->tlsa_insecure = h->tlsa_insecure || a->status == SECURE_INSECURE;
		if (kind == ASK_TLSA_FAR)
			ask_tlsa(p, h, ASK_TLSA_OWN);
		else if (h->tlsa_insecure)
			host_silent(p, h, SMTP_R_HOP_DNSSEC, "dane is mandatory, and the host's TLSA records are not signed");
		else
			host_silent(p, h, SMTP_R_HOP_TLSA, "dane is mandatory, and the host has no TLSA records");
		return;
	}
	plan_failed(p);
	refuse_host(h, SMTP_R_HOP_DNSSEC, a->why.text[0] != '\0' ? a->why.text : "the answer has no TLSA records and denies none");
}

void host_heard(struct plan *p, struct host *h, enum ask_kind kind, const struct secure_answer *a)
{
	if (kind == ASK_ADDRESS)
		on_address(p, h, a);
	else if (kind == ASK_CNAME)
		on_cname(p, h, a);
	else
		on_tlsa(p, h, kind, a);
}
