/* opening_start -> begin (dial the next address) -> on_link … -> step:
 *   connected -> greet -> EHLO … -> START_TLS -> shake -> EHLO … -> READY
 * Whatever goes wrong on the way is noted, and the next address is tried; after the last
 * one it has FAILED with the gravest of what was noted. Nothing of a transaction has been
 * said by then, so trying elsewhere can neither lose nor double a message. */
#include "proxy/relay/opening_uv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/address.h"
#include "config/connector.h"
#include "proxy/relay/tries.h"

struct opening {
	struct opening_setup setup;
	struct backend_client client;
	char client_addr[ADDRESS_TEXT_SIZE];
	uint8_t header[PROXY_V2_MAX];
	struct tries tries;
	unsigned next;
	unsigned hop; /* of the present try */
	char name[HEALTH_NAME_SIZE];
	enum opening_state state;
	struct link *link;
	struct backend *backend;
	bool shaking, secure, verified, eof_told;
	bool clear; /* TLS failed at this address, and may be left out */
	int64_t deadline_ms;
	uint64_t progress;
	struct smtp_caps offered;
	enum smtp_reply_id refusal;
	char words[ROUTE_WHY_SIZE + HEALTH_NAME_SIZE];
};

static const struct route_hop *hop_of(const struct opening *o)
{
	return &o->setup.route->hops[o->hop];
}

static int64_t now_ms(const struct opening *o)
{
	return (int64_t)uv_now(o->setup.loop) + 1; /* as work_now */
}

/* --- what went wrong ---------------------------------------------------------- */

/* gravity: a proof that failed says more than a host that is down. */
static int gravity(enum smtp_reply_id id)
{
	switch (smtp_reply_row(id)->reason) {
	case SMTP_WHY_HOP_TLSA:
	case SMTP_WHY_HOP_EXPIRED:
	case SMTP_WHY_HOP_NAME:
	case SMTP_WHY_HOP_TRUST:
	case SMTP_WHY_HOP_STS:
	case SMTP_WHY_HOP_DNSSEC:
	case SMTP_WHY_HOP_NO_STARTTLS:
		return 3;
	case SMTP_WHY_NONE:
		return 0;
	case SMTP_WHY_HOP_BUSY:
		return 1;
	default:
		return 2;
	}
}

static void note(struct opening *o, enum smtp_reply_id id, const char *where, const char *words)
{
	if (gravity(id) <= gravity(o->refusal))
		return;
	o->refusal = id;
	(void)snprintf(o->words, sizeof o->words, "%s: %s", where, words);
}

static void drop(struct opening *o)
{
	link_close(o->link);
	backend_free(o->backend);
	o->link = NULL;
	o->backend = NULL;
	o->shaking = o->secure = o->verified = o->eof_told = false;
}

static void begin(struct opening *o);

static void give_up(struct opening *o, enum smtp_reply_id id, const char *words)
{
	if (hop_of(o)->sts && gravity(id) == 3)
		id = SMTP_R_HOP_STS; /* no STARTTLS, no such certificate: to MTA-STS it is the same (RFC 8461 5) */
	note(o, id, o->name, words);
	if (id != SMTP_R_NO_MEMORY)
		health_failed(o->setup.health, o->name, (struct mono){ now_ms(o) });
	drop(o);
	begin(o);
}

/* --- one address ---------------------------------------------------------------- */

static void on_link(void *arg);

static bool dial(struct opening *o, unsigned i)
{
	struct dial_target to = { 0 };
	struct why why = { 0 };
	unsigned address = o->tries.items[i].address;
	o->hop = o->tries.items[i].hop;
	const struct route_hop *hop = hop_of(o);
	tries_name(o->name, hop, address);
	if (hop->path[0] != '\0')
		memcpy(to.path, hop->path, sizeof to.path);
	else
		to.addr = hop->addresses[address];
	o->deadline_ms = now_ms(o) + o->setup.connect_timeout_ms;
	enum ec ec = link_dial(o->setup.loop, &to, o->setup.scratch, on_link, o, &o->link, &why);
	if (ec == EC_OK)
		return true;
	o->link = NULL;
	note(o, ec == EC_NO_MEMORY ? SMTP_R_NO_MEMORY : SMTP_R_BACKEND_CONNECT, o->name, why.text);
	if (ec != EC_NO_MEMORY)
		health_failed(o->setup.health, o->name, (struct mono){ now_ms(o) });
	return false;
}

/* begin tries the next address, and fails behind the last one. */
static void begin(struct opening *o)
{
	o->clear = false;
	while (o->next < o->tries.num)
		if (dial(o, o->next++))
			return;
	o->state = OPENING_FAILED;
	o->deadline_ms = 0;
	if (o->tries.drained)
		note(o, SMTP_R_HOP_BUSY, "every next hop", "drained");
	if (o->refusal == SMTP_R_NONE)
		note(o, SMTP_R_BACKEND_CONNECT, "no next hop", "none has an address");
}

static enum backend_tls tls_of(const struct route_hop *hop)
{
	static const enum backend_tls words[] = {
		[ROUTE_TLS_NONE] = BACKEND_TLS_NONE, [ROUTE_TLS_MAY] = BACKEND_TLS_MAY, [ROUTE_TLS_MUST] = BACKEND_TLS_MUST
	};
	return words[hop->tls];
}

static bool greet(struct opening *o)
{
	enum config_client_info info = o->setup.client_info;
	struct backend_setup setup = {
		.hostname = o->setup.hostname,
		.own_name = hop_of(o)->mx ? o->setup.hostname : (struct slice){ 0 },
		.xclient = info == CONFIG_CLIENT_XCLIENT ? o->setup.client : NULL,
		.xforward = info == CONFIG_CLIENT_XFORWARD ? o->setup.client : NULL,
		.lmtp = o->setup.lmtp,
		.tls = o->clear ? BACKEND_TLS_NONE : tls_of(hop_of(o)),
	};
	/* Behind a PROXY header the dialogue is taken for the client's own. */
	if (o->setup.header.len > 0 && o->setup.client != NULL && o->setup.client->helo.len > 0)
		setup.hostname = o->setup.client->helo;
	if (o->setup.header.len > 0 && link_queue(o->link, o->setup.header) != EC_OK)
		return false;
	link_flush(o->link); /* whoever expects a header greets only behind it */
	o->backend = backend_new(&setup);
	o->progress = UINT64_MAX;
	return o->backend != NULL;
}

/* --- TLS ---------------------------------------------------------------------------- */

static enum tls_client_verify verify_of(enum route_verify verify)
{
	static const enum tls_client_verify words[] = {
		[ROUTE_VERIFY_ANY] = TLS_CLIENT_ANY,
		[ROUTE_VERIFY_DANE] = TLS_CLIENT_DANE,
		[ROUTE_VERIFY_NAMES] = TLS_CLIENT_NAMES,
		[ROUTE_VERIFY_PINS] = TLS_CLIENT_PINS,
	};
	return words[verify];
}

static void secure(struct opening *o)
{
	const struct route_hop *hop = hop_of(o);
	const char *names[ROUTE_NAMES_MAX];
	struct tls_client *tls = NULL;
	struct why why = { 0 };
	struct tls_client_want want = {
		.verify = verify_of(hop->verify),
		.sni = hop->num_names > 0 ? hop->names[0] : hop->name,
		.names = names,
		.num_names = hop->num_names,
		.records = hop->records,
		.num_records = hop->num_records,
		.store = hop->sts ? o->setup.system : o->setup.ca,
		.pins = o->setup.pins,
		.num_pins = o->setup.num_pins,
		.sts = hop->sts,
		.now = { (int64_t)time(NULL) },
	};
	for (unsigned i = 0; i < hop->num_names; i++)
		names[i] = hop->names[i];
	enum ec ec = tls_client_new(&want, &tls, &why);
	if (ec != EC_OK) {
		give_up(o, ec == EC_NO_MEMORY ? SMTP_R_NO_MEMORY : SMTP_R_HOP_TRUST, why.text);
		return;
	}
	link_secure(o->link, tls);
	o->shaking = true;
}

/* unshaken: no TLS with this address. Where it was only welcome the same address is tried
 * again in clear (RFC 7435 3), since no TLS at all is what would be used there anyway. */
static void unshaken(struct opening *o, enum smtp_reply_id id, const char *words)
{
	if (hop_of(o)->tls != ROUTE_TLS_MAY) {
		give_up(o, id, words);
		return;
	}
	drop(o);
	o->clear = true;
	if (!dial(o, o->next - 1))
		begin(o);
}

/* shake goes on with the handshake; tells whether anything moved. */
static bool shake(struct opening *o)
{
	struct why why = { 0 };
	enum ec ec = link_handshake(o->link, &why);
	if (ec == EC_AGAIN) {
		if (link_state(o->link) != LINK_ENDED)
			return false;
		unshaken(o, hop_of(o)->verify == ROUTE_VERIFY_DANE ? SMTP_R_HOP_TLSA : SMTP_R_HOP_TRUST,
		         "closed during the TLS handshake");
		return true;
	}
	if (ec != EC_OK) {
		enum smtp_reply_id id = link_verdict(o->link);
		unshaken(o, id == SMTP_R_NONE ? SMTP_R_HOP_TRUST : id, why.text);
		return true;
	}
	o->shaking = false;
	o->secure = true;
	o->verified = hop_of(o)->verify != ROUTE_VERIFY_ANY;
	backend_tls_done(o->backend);
	return true;
}

/* --- the dialogue ---------------------------------------------------------------------- */

static void ready(struct opening *o, const struct smtp_caps *caps)
{
	o->state = OPENING_READY;
	o->deadline_ms = 0;
	o->offered = *caps;
	if (!o->verified)
		o->offered.flags &= ~(uint32_t)SMTP_CAP_REQUIRETLS;
	health_worked(o->setup.health, o->name);
}

static void act(struct opening *o, const struct backend_event *ev)
{
	switch (ev->kind) {
	case BACKEND_EV_START_TLS:
		secure(o);
		break;
	case BACKEND_EV_READY:
		ready(o, ev->caps);
		break;
	case BACKEND_EV_LOST:
		give_up(o, smtp_reply_lost(ev->reason), ev->words == NULL ? "lost" : ev->words);
		break;
	case BACKEND_EV_ANSWER:
	case BACKEND_EV_QUIT:
		give_up(o, SMTP_R_BACKEND_GARBAGE, "an answer that nobody asked for");
		break;
	}
}

static void talk(struct opening *o, bool *moved)
{
	struct backend_event ev;
	struct slice out = backend_output(o->backend);
	size_t used = 0;
	if (out.len > 0) {
		enum ec ec = link_queue(o->link, out);
		backend_sent(o->backend);
		link_flush(o->link);
		*moved = true;
		if (ec != EC_OK) {
			give_up(o, SMTP_R_NO_MEMORY, "out of memory");
			return;
		}
	}
	if (backend_next(o->backend, &ev)) {
		act(o, &ev);
		*moved = true;
		return;
	}
	struct slice in = link_in(o->link);
	if (in.len > 0) {
		backend_feed(o->backend, in, &used);
		link_take(o->link, used);
	}
	*moved |= used > 0;
	if (*moved || link_state(o->link) != LINK_ENDED || o->eof_told)
		return;
	o->eof_told = true;
	backend_eof(o->backend);
	*moved = true;
}

static bool step(struct opening *o)
{
	bool moved = false;
	if (o->state != OPENING_BUSY || link_state(o->link) == LINK_DIALLING)
		return false;
	if (!link_was_open(o->link)) {
		give_up(o, SMTP_R_BACKEND_CONNECT, link_why(o->link));
		return true;
	}
	if (o->backend == NULL) {
		if (!greet(o))
			give_up(o, SMTP_R_NO_MEMORY, "out of memory");
		return true;
	}
	if (o->shaking)
		return shake(o);
	talk(o, &moved);
	return moved;
}

static void set_deadline(struct opening *o)
{
	if (o->state != OPENING_BUSY || o->backend == NULL)
		return; /* dialling: set when it began */
	uint64_t progress = 2 * backend_progress(o->backend) + o->shaking;
	if (progress != o->progress)
		o->deadline_ms = now_ms(o) + o->setup.reply_timeout_ms;
	o->progress = progress;
}

static void on_link(void *arg)
{
	struct opening *o = arg;
	while (step(o))
		;
	set_deadline(o);
	o->setup.on_event(o->setup.arg);
}

/* --- the outside --------------------------------------------------------------------------- */

static void keep_client(struct opening *o)
{
	const struct backend_client *from = o->setup.client;
	if (from == NULL)
		return;
	struct writer w = writer_of(o->client_addr, sizeof o->client_addr);
	o->client = *from;
	writer_bytes(&w, from->addr);
	o->client.addr = writer_slice(&w);
	o->setup.client = &o->client;
}

struct opening *opening_start(const struct opening_setup *setup)
{
	struct opening *o = calloc(1, sizeof *o);
	if (o == NULL)
		return NULL;
	o->setup = *setup;
	o->setup.route = route_share(setup->route);
	keep_client(o);
	if (setup->header.len > 0) {
		memcpy(o->header, setup->header.p, setup->header.len);
		o->setup.header = slice_of(o->header, setup->header.len);
	}
	tries_plan(setup->route, setup->health, (struct mono){ now_ms(o) }, setup->chance, &o->tries);
	if (o->tries.refused != SMTP_R_NONE) {
		const struct route_hop *hop = &setup->route->hops[o->tries.refused_hop];
		note(o, o->tries.refused, hop->name, hop->why);
	}
	begin(o);
	return o;
}

enum opening_state opening_state(const struct opening *o)
{
	return o->state;
}

int64_t opening_deadline(const struct opening *o)
{
	return o->deadline_ms;
}

bool opening_dialling(const struct opening *o)
{
	return o->backend == NULL;
}

void opening_late(struct opening *o)
{
	if (o->state != OPENING_BUSY)
		return;
	if (o->backend == NULL)
		give_up(o, SMTP_R_BACKEND_CONNECT, "no connection in time");
	else
		give_up(o, SMTP_R_BACKEND_TIMEOUT, o->shaking ? "no TLS handshake in time" : "no answer in time");
	set_deadline(o);
}

/* local: nobody is between us and a unix socket or a loopback address. */
static bool local(const struct opening *o)
{
	const struct route_hop *hop = hop_of(o);
	struct config_hop to = { .kind = CONFIG_HOP_UNIX };
	if (hop->path[0] == '\0')
		to = (struct config_hop){ .kind = CONFIG_HOP_ADDRESS, .address = hop->addresses[o->tries.items[o->next - 1].address] };
	return config_hop_is_local(&to);
}

static enum trust trust_of(const struct opening *o)
{
	const struct route_hop *hop = hop_of(o);
	if (!o->secure)
		return local(o) ? TRUST_LOCAL : TRUST_CLEAR;
	if (!o->verified)
		return TRUST_ENCRYPTED;
	if (hop->verify == ROUTE_VERIFY_DANE)
		return TRUST_DANE;
	return hop->sts ? TRUST_MTA_STS : TRUST_REQUIRED;
}

void opening_take(struct opening *o, link_event *on_event, void *arg, struct opened *out)
{
	*out = (struct opened){ .link = o->link, .backend = o->backend, .caps = &o->offered, .trust = trust_of(o) };
	memcpy(out->hop, o->name, sizeof out->hop);
	link_set_event(o->link, on_event, arg);
	o->link = NULL;
	o->backend = NULL;
}

void opened_quit(struct opened *o)
{
	backend_quit(o->backend);
	if (link_queue(o->link, backend_output(o->backend)) == EC_OK)
		link_bye(o->link);
	backend_free(o->backend);
	link_close(o->link);
	*o = (struct opened){ 0 };
}

enum smtp_reply_id opening_refusal(const struct opening *o, const char **out_words)
{
	*out_words = o->words;
	return o->refusal;
}

void opening_free(struct opening *o)
{
	if (o == NULL)
		return;
	drop(o);
	route_free(o->setup.route);
	free(o);
}
