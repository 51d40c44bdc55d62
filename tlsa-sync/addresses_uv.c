#include "tlsa-sync/addresses_uv.h"

#include "base/address.h"

static void take(struct addresses *a, const struct secure_answer *answer)
{
	char host[DNS_NAME_TEXT_SIZE];
	dns_name_print(host, a->host);
	if (answer->status == SECURE_FAILED || answer->status == SECURE_BOGUS) {
		(void)why_set(&a->why, answer->ec, "%s %s: %s", host, dns_type_name(answer->type),
		              answer->why.text[0] != '\0' ? answer->why.text : ec_text(answer->ec));
		return;
	}
	enum ec ec = secure_addresses(answer, a->port, a->items, FACT_ADDRESSES, &a->num);
	if (ec != EC_OK)
		(void)why_set(&a->why, ec, "%s has more than %d addresses", host, FACT_ADDRESSES);
}

static void on_answer(struct addresses *a, unsigned which, const struct secure_answer *answer)
{
	a->calls[which] = NULL;
	take(a, answer);
	if (--a->pending > 0)
		return;
	char host[DNS_NAME_TEXT_SIZE];
	dns_name_print(host, a->host);
	if (a->why.text[0] != '\0')
		a->num = 0; /* a part of the addresses proves nothing */
	else if (a->num == 0)
		(void)why_set(&a->why, EC_NOT_FOUND, "%s has neither A nor AAAA records", host);
	a->done(a->arg);
}

static void on_a(void *arg, const struct secure_answer *answer)
{
	on_answer(arg, 0, answer);
}

static void on_aaaa(void *arg, const struct secure_answer *answer)
{
	on_answer(arg, 1, answer);
}

static void take_configured(struct addresses *a, const struct config_list *list)
{
	for (size_t i = 0; i < list->num; i++) {
		enum ec ec = a->num == FACT_ADDRESSES
		                     ? why_set(&a->why, EC_LIMIT, "tlsa_sync.probe.addresses: more than %d", FACT_ADDRESSES)
		                     : address_parse(slice_str(list->items[i]), a->port, &a->items[a->num], &a->why);
		if (ec != EC_OK) {
			a->num = 0;
			return;
		}
		a->num++;
	}
}

void addresses_find(struct addresses *a, struct secure *s, const struct config *cfg, const struct dns_name *host,
                    void (*done)(void *arg), void *arg)
{
	const struct config_probe *probe = &cfg->tlsa_sync.probe;
	*a = (struct addresses){ .host = host, .port = (uint16_t)probe->port, .done = done, .arg = arg };
	if (probe->addresses.num > 0) {
		take_configured(a, &probe->addresses);
		done(arg);
		return;
	}
	static const struct {
		uint16_t type;
		secure_done *done;
	} asks[2] = { { DNS_A, on_a }, { DNS_AAAA, on_aaaa } };
	a->pending = 2;
	for (unsigned i = 0; i < 2; i++) {
		struct secure_answer failed = { .status = SECURE_FAILED, .ec = EC_DNS_FAILED, .type = asks[i].type };
		if (secure_ask(s, host, asks[i].type, 0, asks[i].done, a, &a->calls[i], &failed.why) != EC_OK)
			on_answer(a, i, &failed);
	}
}

void addresses_cancel(struct addresses *a)
{
	secure_cancel(a->calls[0]);
	secure_cancel(a->calls[1]);
	a->calls[0] = a->calls[1] = NULL;
}
