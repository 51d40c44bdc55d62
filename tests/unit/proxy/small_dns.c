#include "tests/unit/proxy/small_dns.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "tests/unit/unit.h"

enum { WORD_SIZE = 300, RDATA_ROOM = 300000 };

static const struct {
	const char *name;
	uint16_t type;
} types[] = {
	{ "A", DNS_A }, { "AAAA", DNS_AAAA }, { "MX", DNS_MX }, { "CNAME", DNS_CNAME }, { "TLSA", DNS_TLSA }, { "TXT", DNS_TXT },
};

static const char *type_name(uint16_t type)
{
	for (size_t i = 0; i < NUM(types); i++)
		if (types[i].type == type)
			return types[i].name;
	return "?";
}

static struct dns_name name_of(const char *text)
{
	struct dns_name n;
	assert_int_equal(dns_name_parse(slice_str(text), &n, NULL), EC_OK);
	return n;
}

/* --- one line as an answer --------------------------------------------------------------- */

struct making {
	struct secure_answer *a;
	uint8_t *room;
	size_t used;
};

static void add(struct making *m, const void *p, size_t len)
{
	assert_true(m->used + len <= RDATA_ROOM && m->a->num < SECURE_RDATA_MAX);
	memcpy(m->room + m->used, p, len);
	m->a->rdata[m->a->num++] = slice_of(m->room + m->used, len);
	m->used += len;
}

static void add_tlsa(struct making *m, const char *text)
{
	unsigned usage, selector, matching;
	char hex[WORD_SIZE];
	uint8_t rdata[WORD_SIZE];
	/* "3 1 1 x64": 64 octets of some value; "3 1 0 x8000": a key of 8000, as far as its outer shape goes */
	int fields = sscanf(text, "%u %u %u %299s", &usage, &selector, &matching, hex);
	assert_int_equal(fields, 4);
	rdata[0] = (uint8_t)usage;
	rdata[1] = (uint8_t)selector;
	rdata[2] = (uint8_t)matching;
	size_t len = strlen(hex) / 2;
	if (hex[0] == 'x') {
		len = strtoul(hex + 1, NULL, 10);
		uint8_t *big = calloc(1, len + 3);
		assert_non_null(big);
		memcpy(big, rdata, 3);
		memset(big + 3, 0x5a, len);
		if (selector == TLSA_SPKI && matching == TLSA_FULL) {
			const uint8_t head[] = { 0x30, 0x82, (uint8_t)((len - 4) >> 8), (uint8_t)(len - 4), /* SEQUENCE */
				                 0x30, 3, 6, 1, 42, /* an algorithm */
				                 3, 0x82, (uint8_t)((len - 13) >> 8), (uint8_t)(len - 13) }; /* BIT STRING */
			memcpy(big + 3, head, sizeof head);
		}
		add(m, big, len + 3);
		free(big);
		return;
	}
	assert_true(hex_decode(rdata + 3, len, slice_str(hex)));
	add(m, rdata, len + 3);
}

static void add_value(struct making *m, uint16_t type, const char *text)
{
	struct sockaddr_storage address;
	unsigned preference;
	char host[WORD_SIZE];
	if (text[0] == '#') { /* octets as they are, in hex */
		uint8_t rdata[WORD_SIZE];
		size_t len = strlen(text + 1) / 2;
		assert_true(hex_decode(rdata, len, slice_str(text + 1)));
		add(m, rdata, len);
	} else if (type == DNS_A || type == DNS_AAAA) {
		assert_int_equal(address_parse(slice_str(text), 1, &address, NULL), EC_OK);
		if (type == DNS_A)
			add(m, &((struct sockaddr_in *)&address)->sin_addr, 4);
		else
			add(m, &((struct sockaddr_in6 *)&address)->sin6_addr, 16);
	} else if (type == DNS_MX) {
		uint8_t rdata[2 + DNS_NAME_WIRE_MAX];
		assert_int_equal(sscanf(text, "%u %299s", &preference, host), 2);
		struct dns_name n = name_of(host);
		rdata[0] = (uint8_t)(preference >> 8);
		rdata[1] = (uint8_t)preference;
		memcpy(rdata + 2, n.wire, n.len);
		add(m, rdata, 2U + n.len);
	} else if (type == DNS_CNAME) {
		struct dns_name n = name_of(text);
		add(m, n.wire, n.len);
	} else {
		add_tlsa(m, text);
	}
}

static void read_status(struct secure_answer *a, const char *word)
{
	static const enum secure_status all[] = { SECURE_FAILED, SECURE_BOGUS, SECURE_INSECURE, SECURE_VALID };
	for (size_t i = 0; i < NUM(all); i++)
		if (strcmp(secure_status_name(all[i]), word) == 0)
			a->status = all[i];
	if (a->status == SECURE_BOGUS || a->status == SECURE_FAILED) {
		a->ec = a->status == SECURE_BOGUS ? EC_DNS_BOGUS : EC_DNS_FAILED;
		(void)why_set(&a->why, a->ec, "the look-up is %s", word);
	}
}

static void read_rest(struct making *m, uint16_t type, char *rest)
{
	while (*rest == ' ')
		rest++;
	if (*rest == '>') {
		char *end = rest + strcspn(rest, " ");
		bool more = *end != '\0';
		*end = '\0';
		m->a->canonical = name_of(rest + 1);
		rest = more ? end + 1 : end;
	}
	if (strncmp(rest, "ttl=", 4) == 0) {
		m->a->ttl_s = (uint32_t)strtoul(rest + 4, &rest, 10);
		while (*rest == ' ')
			rest++;
	}
	m->a->nodata = strcmp(rest, "nodata") == 0;
	m->a->nxdomain = strcmp(rest, "nxdomain") == 0;
	if (m->a->nodata || m->a->nxdomain)
		return;
	char *save = NULL;
	for (char *v = strtok_r(rest, ",", &save); v != NULL; v = strtok_r(NULL, ",", &save))
		add_value(m, type, v + strspn(v, " "));
}

static void look_up(const struct small_dns *dns, const struct plan_question *q, struct making *m)
{
	char name[DNS_NAME_TEXT_SIZE], head[DNS_NAME_TEXT_SIZE + 16];
	dns_name_print(name, &q->name);
	(void)snprintf(head, sizeof head, "%s %s ", name, type_name(q->type));
	*m->a = (struct secure_answer){ .question = q->name, .canonical = q->name, .type = q->type, .ttl_s = 3600 };
	for (size_t i = 0; dns->lines != NULL && dns->lines[i] != NULL; i++) {
		char line[4096], status[WORD_SIZE];
		if (strncmp(dns->lines[i], head, strlen(head)) != 0)
			continue;
		(void)snprintf(line, sizeof line, "%s", dns->lines[i] + strlen(head));
		(void)snprintf(status, sizeof status, "%.*s", (int)strcspn(line, " "), line);
		read_status(m->a, status);
		read_rest(m, q->type, line + strlen(status));
		return;
	}
	m->a->status = dns->everything_insecure ? SECURE_INSECURE : SECURE_VALID;
	m->a->nodata = true;
}

/* --- leading a plan ------------------------------------------------------------------------ */

static void note(struct small_dns *dns, const struct plan_question *q)
{
	char name[DNS_NAME_TEXT_SIZE];
	dns_name_print(name, &q->name);
	size_t len = strlen(dns->asked);
	(void)snprintf(dns->asked + len, sizeof dns->asked - len, "%s %s;", name, q->policy ? "POLICY" : type_name(q->type));
	dns->num_asked++;
}

static void answer_one(struct plan *p, struct small_dns *dns, const struct plan_question *q)
{
	static struct secure_answer a;
	static uint8_t room[RDATA_ROOM];
	struct making m = { .a = &a, .room = room };
	static struct sts_policy policy;
	if (!q->policy) {
		look_up(dns, q, &m);
		plan_answer(p, q->id, &a);
		/* What an answer points to is gone by the time anything else happens. */
		memset(room, 0xee, sizeof room);
	} else if (dns->policy == NULL) {
		plan_policy(p, q->id, NULL, ROUTE_TTL_MAX_MS);
	} else if (!dns->policy_is_late) {
		assert_int_equal(sts_policy_parse(slice_str(dns->policy), &policy, NULL), EC_OK);
		plan_policy(p, q->id, &policy, ROUTE_TTL_MAX_MS);
	}
}

bool plan_through(struct plan *p, struct small_dns *dns)
{
	for (;;) {
		struct plan_question q[PLAN_ASKS_MAX];
		unsigned num = 0;
		while (plan_next(p, &q[num])) {
			note(dns, &q[num++]);
			assert_true(num < PLAN_ASKS_MAX);
		}
		if (num == 0)
			return plan_is_done(p);
		for (unsigned i = 0; i < num; i++)
			answer_one(p, dns, &q[dns->reversed ? num - 1 - i : i]);
	}
}

void route_text(const struct route *r, char *out, size_t size)
{
	struct writer w = writer_of(out, size);
	out[0] = '\0';
	if (r->refused != SMTP_R_NONE)
		writer_format(&w, "refused %s\n", route_refused_name(r->refused));
	for (unsigned i = 0; i < r->num_hops; i++) {
		const struct route_hop *h = &r->hops[i];
		if (h->path[0] != '\0')
			writer_format(&w, "%s", h->path);
		else
			writer_format(&w, "%s:%u", h->name, h->port);
		writer_format(&w, " %u/%u", h->priority, h->preference);
		if (h->refused != SMTP_R_NONE) {
			writer_format(&w, " refused %s\n", route_refused_name(h->refused));
			continue;
		}
		writer_format(&w, " %s %s", route_tls_name(h->tls), route_verify_name(h->verify));
		for (unsigned n = 0; h->verify != ROUTE_VERIFY_ANY && n < h->num_names; n++)
			writer_format(&w, "%s%s", n == 0 ? " " : ",", h->names[n]);
		if (h->num_records > 0)
			writer_format(&w, " records=%u", h->num_records);
		if (h->sts)
			writer_str(&w, " sts");
		if (h->sts_listed)
			writer_str(&w, " listed");
		for (unsigned n = 0; n < h->num_addresses; n++) {
			char text[ADDRESS_TEXT_SIZE];
			address_print_ip(text, &h->addresses[n]);
			writer_format(&w, " %s", text);
		}
		writer_str(&w, "\n");
	}
	assert_false(w.bad);
}
