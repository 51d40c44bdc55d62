/* The whole session under a client's bytes, with a backend whose answers hang on
 * the recipients only; with option 128 they come when all in hand was read, so that commands
 * pile up behind RCPTs (RFC 2920). The upper bits of the second octet choose what connectors there
 * are. Oracles: recipients of two connectors are never on one link, nor of two domains where the
 * way depends on it, nor two by LMTP; cuts change nothing; no message for nobody; every reply is one or more
 * well-formed lines; what goes behind has no bare CR or LF and no early end; 250
 * to a message only after the backend's 250. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "proxy/smtp/connectors.h"
#include "proxy/smtp/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* d.test and below go by MX, l.test by LMTP, r.test may be refused, f.test takes two; the rest, if
 * the number is odd, has a way too. */
enum { WAY_MX, WAY_LMTP, WAY_REFUSED, WAY_FEW, WAY_REST };

struct run {
	struct smtp_session *s;
	struct connectors *ways;
	size_t way; /* of the link */
	bool just_lost;
	char domain[SMTP_DOMAIN_MAX];
	size_t domain_len;
	struct bytes replies, stored, body;
	bool tls, closed, said_yes, open, in_data, in_chunks, binary;
	uint64_t chunk_due; /* octets announced and not come */
	uint8_t options;
	/* Recipients and DATA (0) that wait for their answers; recipients accepted. */
	bool raced;
	unsigned num_links, num_asked, accepted;
	uint8_t asked[64];
};

static void must(enum ec ec)
{
	if (ec != EC_OK)
		abort();
}

static void check_replies(struct slice s)
{
	assert(s.len > 0 && s.p[s.len - 1] == '\n');
	while (s.len > 0) {
		const uint8_t *lf = memchr(s.p, '\n', s.len);
		size_t len = (size_t)(lf - s.p) + 1;
		assert(len >= 6 && len <= 512 && s.p[len - 2] == '\r');
		assert(s.p[0] >= '2' && s.p[0] <= '5' && (s.p[3] == ' ' || s.p[3] == '-'));
		for (size_t i = 0; i < len - 2; i++)
			assert(s.p[i] >= 0x20 && s.p[i] < 0x7f);
		/* RFC 2034 4: an enhanced code is of the reply's class. */
		if (len > 10 && s.p[4] >= '2' && s.p[4] <= '5' && s.p[5] == '.' && s.p[7] == '.')
			assert(s.p[4] == s.p[0]);
		s = slice_from(s, len);
	}
}

static void answer(struct run *r, uint16_t code)
{
	struct smtp_answer a = { .code = code, .enhanced = "2.0.0", .text = SLICE_LIT("words \x01\xff") };
	r->accepted += code == 250;
	smtp_session_backend_answer(r->s, &a);
}

static void answer_one(struct run *r, uint8_t what)
{
	switch (what) {
	case 0:
		r->in_data = (r->options & 32) == 0;
		answer(r, r->in_data ? 354 : 451);
		break;
	case 'n':
		answer(r, 550);
		break;
	case 'g':
		answer(r, 354);
		break;
	case 'l':
		r->open = false;
		r->just_lost = true;
		r->num_asked = 0;
		smtp_session_backend_lost(r->s, SMTP_WHY_BACKEND_LOST);
		break;
	default:
		answer(r, 250);
		break;
	}
}

static bool answer_oldest(struct run *r)
{
	if (r->num_asked == 0)
		return false;
	uint8_t what = r->asked[0];
	memmove(r->asked, r->asked + 1, --r->num_asked);
	/* What is under way shares the fate of the link. */
	r->raced = r->raced || what == 'l' || what == 'g';
	answer_one(r, what);
	return true;
}

static void ask(struct run *r, uint8_t what)
{
	assert(r->num_asked < sizeof r->asked);
	if ((r->options & 128) != 0)
		r->asked[r->num_asked++] = what;
	else
		answer_one(r, what);
}

static void commit(struct run *r)
{
	struct slice body = bytes_slice(&r->body);
	for (size_t i = 0; i < body.len && !r->binary; i++) {
		assert(body.p[i] != '\0');
		assert(body.p[i] != '\n' || (i > 0 && body.p[i - 1] == '\r'));
		assert(body.p[i] != '\r' || (i + 1 < body.len && body.p[i + 1] == '\n'));
	}
	assert(r->chunk_due == 0);
	if (!r->in_chunks)
		assert(body.len > 2 && body.p[body.len - 1] == '\n' && memmem(body.p, body.len, "\r\n.\r\n", 5) == NULL);
	must(bytes_append(&r->stored, body));
	bytes_fini(&r->body);
	r->in_data = r->in_chunks = false;
	r->said_yes = (r->options & 8) == 0;
	answer(r, r->said_yes ? 250 : (r->options & 16) != 0 ? 354 : 452);
}

static struct connectors *make_ways(unsigned which)
{
	char name[] = "x", mx[] = "mx", addr[] = "192.0.2.1:25", address[] = "192.0.2.2:25", none[] = "";
	char d[] = "d.test", below[] = "*.d.test", l[] = "l.test", r[] = "r.test", f[] = "f.test";
	char *by_mx[] = { d, below }, *by_lmtp[] = { l }, *refused[] = { r }, *few[] = { f };
	struct config_next_hop hop = { .to = addr }, hop_mx = { .to = mx };
	struct config_connector all[] = {
		[WAY_MX] = { .name = name, .domains = { .items = by_mx, .num = 2 }, .next_hops = &hop_mx, .num_next_hops = 1 },
		[WAY_LMTP] = { .name = name, .domains = { .items = by_lmtp, .num = 1 }, .next_hops = &hop, .num_next_hops = 1,
		               .protocol = CONFIG_LMTP },
		[WAY_REFUSED] = { .name = name, .domains = { .items = refused, .num = 1 }, .next_hops = &hop, .num_next_hops = 1 },
		[WAY_FEW] = { .name = name, .domains = { .items = few, .num = 1 }, .next_hops = &hop, .num_next_hops = 1,
		              .max_recipients = 2 },
	};
	struct config cfg = { .connectors = all, .num_connectors = WAY_REST, .backend.address = which % 2 != 0 ? address : none };
	struct connectors *ways = NULL;
	if (which != 0)
		must(connectors_new(&cfg, &ways));
	return ways;
}

static struct slice domain_of(const struct smtp_rcpt *rcpt)
{
	return slice_of(rcpt->path.domain, rcpt->path.domain_len);
}

/* A recipient that somebody is asked about: of the link that was opened for this transaction. */
static void check_way(const struct run *r, const struct smtp_rcpt *rcpt)
{
	if (r->ways == NULL) {
		assert(r->way == 0);
		return;
	}
	struct slice domain = domain_of(rcpt);
	assert(connectors_find(r->ways, domain) == r->way && r->way != CONNECTOR_NONE);
	assert(r->way != WAY_MX || slice_eq_nocase(domain, slice_of(r->domain, r->domain_len)));
	assert(r->way != WAY_LMTP || r->accepted + r->num_asked == 0);
	assert(r->way != WAY_FEW || r->accepted + r->num_asked < 2);
}

static void open_backend(struct run *r, const struct smtp_event *ev)
{
	struct slice domain = domain_of(ev->rcpt);
	assert(r->num_asked == 0);
	r->way = ev->connector;
	r->accepted = 0;
	memcpy(r->domain, domain.p, domain.len);
	r->domain_len = domain.len;
	check_way(r, ev->rcpt);
	bool again = r->just_lost;
	r->just_lost = false;
	if (r->ways != NULL && r->way == WAY_REFUSED && (again || ev->rcpt->path.local[0] == 'n')) {
		smtp_session_backend_refused(r->s, again ? SMTP_R_HOP_NULL_MX : SMTP_R_HOP_TLSA);
		return;
	}
	r->open = true;
	smtp_session_backend_ready(r->s, &(struct smtp_caps){ .flags = (r->options & 4) != 0 ? 0 : UINT32_MAX },
	                           (r->options & 128) != 0 && r->num_links++ % 2 != 0);
}

static void act(struct run *r, const struct smtp_event *ev)
{
	assert(!r->closed);
	switch (ev->kind) {
	case SMTP_EV_REPLY:
		check_replies(ev->bytes);
		assert(!(ev->message && ev->code < 400) || (r->said_yes && ev->code == 250));
		if (ev->message)
			r->said_yes = false;
		must(bytes_append(&r->replies, ev->bytes));
		break;
	case SMTP_EV_START_TLS:
		r->tls = true;
		smtp_session_tls_done(r->s, &(struct smtp_tls_info){ SLICE_LIT("TLSv1.3"), SLICE_LIT("X"), SLICE_LIT("\r\n") });
		break;
	case SMTP_EV_OPEN_BACKEND:
		open_backend(r, ev);
		break;
	case SMTP_EV_MAIL:
		assert(r->open);
		r->accepted = 0;
		bytes_fini(&r->body);
		r->binary = ev->mail->body == SMTP_BODY_BINARYMIME;
		break;
	case SMTP_EV_RCPT:
		assert(r->open);
		check_way(r, ev->rcpt);
		ask(r, ev->rcpt->path.local[0] != '\0' ? (uint8_t)ev->rcpt->path.local[0] : 'x');
		break;
	case SMTP_EV_DATA:
		assert(r->open && !r->binary);
		assert(r->accepted > 0 || (r->options & 4) == 0); /* early to one that pipelines only */
		ask(r, 0);
		break;
	case SMTP_EV_CHUNK:
		assert(r->open && (r->options & 4) == 0 && r->chunk_due == 0 && ev->chunk_first == !r->in_chunks);
		r->in_data = r->in_chunks = true;
		r->chunk_due = ev->chunk_size;
		break;
	case SMTP_EV_CHUNK_END:
		assert(r->in_chunks && r->chunk_due == 0);
		answer(r, (r->options & 64) != 0 ? 452 : 250);
		break;
	case SMTP_EV_BODY:
		assert(r->in_data && r->accepted > 0);
		for (size_t i = 0; i < ev->num_ranges; i++) {
			must(bytes_append(&r->body, ev->ranges[i]));
			assert(!r->in_chunks || ev->ranges[i].len <= r->chunk_due);
			r->chunk_due -= r->in_chunks ? ev->ranges[i].len : 0;
		}
		break;
	case SMTP_EV_COMMIT:
		assert(r->in_data);
		commit(r);
		break;
	case SMTP_EV_ABORT:
		r->open = r->in_data = r->in_chunks = false;
		r->chunk_due = 0;
		r->num_asked = 0;
		bytes_fini(&r->body);
		break;
	case SMTP_EV_RESET:
		assert(r->open && r->chunk_due == 0 && r->num_asked == 0);
		r->in_data = r->in_chunks = false;
		bytes_fini(&r->body);
		break;
	case SMTP_EV_CLOSE:
		r->closed = true;
		break;
	default:
		abort();
	}
}

static void pump(struct run *r, struct bytes *in)
{
	for (bool moved = true; moved;) {
		struct smtp_event ev;
		size_t used;
		moved = false;
		while (smtp_session_next(r->s, &ev)) {
			act(r, &ev);
			moved = true;
		}
		smtp_session_feed(r->s, bytes_slice(in), &used);
		while (smtp_session_next(r->s, &ev)) {
			act(r, &ev);
			moved = true;
		}
		bytes_consume(in, used);
		moved |= used > 0 || (!moved && answer_oldest(r));
	}
	/* What is not taken is part of a line, or waits behind the end. */
	assert(bytes_len(in) <= SMTP_LINE_MAX || !smtp_session_wants(r->s));
}

static void play(struct run *r, uint8_t options, unsigned ways, const uint8_t *data, size_t len, size_t step)
{
	r->ways = make_ways(ways);
	struct smtp_limits limits = { "edge.test", (options & 2) != 0 ? 60 : 0, 3, 50, 20, 5,
		                      (options & 1) != 0 ? SMTP_BARE_NORMALIZE : SMTP_BARE_REJECT, r->ways };
	struct smtp_setup setup = { .limits = &limits, .caps = { .flags = UINT32_MAX }, .tls_offered = true,
		                    .client_addr = SLICE_LIT("192.0.2.1"), .id = SLICE_LIT("f") };
	struct bytes in = { 0 };
	r->options = options;
	r->s = smtp_session_new(&setup);
	assert(r->s != NULL);
	smtp_session_greet(r->s);
	while (len > 0) {
		size_t n = len < step ? len : step;
		must(bytes_append(&in, slice_of(data, n)));
		pump(r, &in);
		data += n;
		len -= n;
	}
	smtp_session_eof(r->s);
	pump(r, &in);
	assert(r->closed && smtp_session_deadline(r->s) == SMTP_DEADLINE_NONE);
	smtp_session_free(r->s);
	connectors_free(r->ways);
	bytes_fini(&in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct run a = { 0 }, b = { 0 };
	if (len < 2)
		return 0;
	play(&a, data[0], data[1] / 64, data + 2, len - 2, SIZE_MAX);
	play(&b, data[0], data[1] / 64, data + 2, len - 2, 1 + data[1] % 64);
	/* Only STARTTLS may tell one read from two. */
	if (!a.tls && !b.tls && !a.raced && !b.raced) {
		assert(slice_eq(bytes_slice(&a.replies), bytes_slice(&b.replies)));
		assert(slice_eq(bytes_slice(&a.stored), bytes_slice(&b.stored)));
	}
	struct run *const both[] = { &a, &b };
	for (int i = 0; i < 2; i++) {
		bytes_fini(&both[i]->replies);
		bytes_fini(&both[i]->stored);
		bytes_fini(&both[i]->body);
	}
	return 0;
}
