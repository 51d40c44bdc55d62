/* A worker's connection as it is, with libuv, sockets and TLS: a caller at one end of a
 * descriptor, a mail server (mta.h) at the end of another, or two of them behind two connectors,
 * and a clock of our own.
 *
 * Input: four octets (options, TLS and more options, cuts of the client's bytes, cuts of the
 * mail servers'), the script of replies up to a 0xff (each mail server's own), then the client's bytes. There 0xff
 * and the octet behind it are an event: all before it has been dealt with. Behind a 220 to STARTTLS the
 * client really speaks TLS.
 *
 * Oracles: a message is answered 250 only if the mail server said 250 to its dot; that one
 * gets no bare CR or LF, no command of the client's making and no end of data but ours
 * (mta.c), and no recipient of another connector; replies are whole well-formed lines; cuts change nothing of what is answered and stored;
 * another session of the worker is none the wiser; a client that has gone is not waited for;
 * and when all is over nothing is left: no session, no link, no deadline, no count. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/ssl.h>

#include "fuzz/proxy/caller.h"
#include "fuzz/proxy/hop.h"
#include "fuzz/proxy/world.h"
#include "proxy/worker/conn_uv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Of the second octet; of the first: world.h. */
enum { SNI = 3, V12 = 4, RAW = 8, HEADER = 16, NARROW = 32, CHUNKING = 64, WAYS = 128 };

struct play {
	uint8_t options, more;
	struct caller caller, bystander;
	bool bystander_there;
	size_t bystander_said;
	struct hop hops[WORLD_DOORS];
	bool quotes;   /* the input has the mail servers' own words */
	bool eventful; /* something happened whose moment depends on the cuts */
};

static const char bystander_lines[] = "EHLO by.test\r\nNOOP\r\nRSET\r\nNOOP 2\r\nNOOP 3\r\nRSET\r\nNOOP 4\r\nNOOP 5\r\n";

static void narrow_handle(uv_handle_t *h, void *arg)
{
	int size = WORLD_BUFFER;
	(void)arg;
	if (h->type == UV_NAMED_PIPE && !uv_is_closing(h))
		(void)uv_send_buffer_size(h, &size);
}

static bool one_round(struct play *p)
{
	uv_run(&world.work.loop, UV_RUN_NOWAIT);
	if ((p->more & NARROW) != 0)
		uv_walk(&world.work.loop, narrow_handle, NULL);
	bool moved = caller_move(&p->caller);
	moved |= p->bystander_there && caller_move(&p->bystander);
	for (size_t i = 0; i < WORLD_DOORS; i++)
		moved |= hop_move(&p->hops[i]);
	return moved;
}

static void pump(struct play *p)
{
	/* Nothing moved twice: a callback may have been the only thing that the first round saw. */
	for (int quiet = 0; quiet < 2;)
		quiet = one_round(p) ? 0 : quiet + 1;
}

static void pass(struct play *p, uint64_t ms)
{
	struct deadline *d;
	now_ms += ms;
	while ((d = deadlines_next(&world.work.deadlines, work_now(&world.work))) != NULL)
		conn_on_deadline(d);
	pump(p);
}

static void bystander_speaks(struct play *p)
{
	if (!p->bystander_there)
		caller_open(&p->bystander, world_connect("192.0.2.9", false, false), SIZE_MAX);
	p->bystander_there = true;
	struct slice words = slice_first(slice_from(slice_str(bystander_lines), p->bystander_said), 5);
	p->bystander_said += words.len;
	caller_say(&p->bystander, words);
}

static void check_list(void)
{
	json_t *list = conn_list(&world.work, 10);
	assert(json_array_size(list) == world.work.num_conns);
	for (size_t i = 0; i < json_array_size(list); i++)
		assert(json_is_object(json_array_get(list, i)));
	json_decref(list);
}

static void happens(struct play *p, uint8_t what)
{
	struct hop *hop = &p->hops[(p->more & WAYS) != 0 && (what & 16) != 0];
	static const unsigned seconds[] = { 1, 2, 11, 31, 61, 301, 601, 3601 };
	p->eventful |= (what & 15) != 0;
	switch (what & 15) {
	case 1:
		conn_drain_all(&world.work);
		break;
	case 2:
		pass(p, seconds[what >> 5] * 1000u);
		break;
	case 3:
		p->caller.deaf = !p->caller.deaf;
		break;
	case 4:
		hop->deaf = !hop->deaf;
		break;
	case 5:
		hop->lost = true;
		hop_drop(hop);
		break;
	case 6:
		p->caller.half = true;
		break;
	case 7:
		caller_hang_up(&p->caller);
		break;
	case 8:
		if (world.work.snapshot != NULL)
			world.work.snapshot = world.snapshots[1];
		break;
	case 9:
		check_list();
		break;
	case 10:
		bystander_speaks(p);
		break;
	case 11:
		caller_raw(&p->caller, slice_of(&what, 1));
		break;
	case 12:
		caller_update(&p->caller);
		break;
	case 13:
		caller_bye(&p->caller);
		break;
	case 14:
		conn_end_all(&world.work);
		break;
	case 15:
		world_door((what & 16) == 0);
		break;
	default:
		break; /* only a pause */
	}
	pump(p);
}

/* What was heard last is the 220 that a handshake follows. */
static bool told_to_shake(const struct play *p, size_t heard_before)
{
	struct slice new = slice_from(bytes_slice(&p->caller.heard), heard_before);
	size_t start = new.len > 0 ? new.len - 1 : 0;
	while (start > 0 && new.p[start - 1] != '\n')
		start--;
	return slice_eq(slice_first(slice_from(new, start), 10), SLICE_LIT("220 2.0.0 "));
}

static struct slice up_to_starttls(struct slice in)
{
	struct slice line = in;
	for (const uint8_t *lf; line.len > 0 && (lf = memchr(line.p, '\n', line.len)) != NULL;) {
		size_t len = (size_t)(lf - line.p) + 1;
		if (slice_eq_nocase(slice_first(line, 8), SLICE_LIT("STARTTLS")))
			return slice_first(in, (size_t)(line.p - in.p) + len);
		line = slice_from(line, len);
	}
	return in;
}

static void talk(struct play *p, struct slice in)
{
	static const char *const names[] = { NULL, "mx1.test", "other.test", "MX1.test" };
	while (in.len > 0) {
		struct slice part = (p->more & RAW) != 0 || p->caller.ssl != NULL ? in : up_to_starttls(in);
		size_t heard = bytes_len(&p->caller.heard);
		for (struct slice rest = part; rest.len > 0;) {
			struct slice piece = slice_first(rest, p->caller.step);
			caller_say(&p->caller, piece);
			(void)one_round(p);
			rest = slice_from(rest, piece.len);
		}
		pump(p);
		bool asked = part.len < in.len || up_to_starttls(part).len == part.len;
		if (asked && (p->more & RAW) == 0 && p->caller.ssl == NULL && told_to_shake(p, heard)) {
			caller_secure(&p->caller, (p->more & V12) != 0 ? TLS1_2_VERSION : TLS1_3_VERSION, names[p->more & SNI]);
			pump(p);
			assert(p->caller.secure || p->eventful || p->caller.eof);
		}
		in = slice_from(in, part.len);
	}
}

/* RFC 5321 4.2: whole lines, a code, '-' or blank, printable text. Returns how many say `text`. */
static size_t check_replies(struct slice s, const char *text, bool torn)
{
	size_t num = 0;
	while (s.len > 0) {
		const uint8_t *lf = memchr(s.p, '\n', s.len);
		if (lf == NULL) {
			assert(torn);
			break;
		}
		size_t len = (size_t)(lf - s.p) + 1;
		assert(len >= 6 && len <= 512 && s.p[len - 2] == '\r' && s.p[0] >= '2' && s.p[0] <= '5');
		assert(s.p[1] >= '0' && s.p[1] <= '5' && s.p[2] >= '0' && s.p[2] <= '9' && (s.p[3] == ' ' || s.p[3] == '-'));
		for (size_t i = 4; i < len - 2; i++)
			assert(s.p[i] >= 0x20 && s.p[i] < 0x7f);
		num += memmem(s.p, len, text, strlen(text)) != NULL;
		s = slice_from(s, len);
	}
	return num;
}

/* To one that speaks no TLS where it should, the last word is an alert: RFC 8446 6. */
static struct slice without_alert(struct slice heard)
{
	static const uint8_t fatal[] = { 0x15, 3, 1, 0, 2, 2 };
	size_t len = sizeof fatal + 1;
	struct slice last = slice_from(heard, heard.len < len ? 0 : heard.len - len);
	bool alert = last.len == len && memcmp(last.p, fatal, 2) == 0 && memcmp(last.p + 3, fatal + 3, 3) == 0;
	return alert ? slice_first(heard, heard.len - len) : heard;
}

static void check_bystander(struct play *p, bool drained)
{
	if (!p->bystander_there)
		return;
	struct slice said = slice_first(slice_str(bystander_lines), p->bystander_said);
	struct slice heard = bytes_slice(&p->bystander.heard);
	size_t lines = 0, oks = 0;
	for (size_t i = 0; i < said.len; i++)
		lines += said.p[i] == '\n';
	for (size_t i = 0; i + 4 <= heard.len; i++)
		oks += (i == 0 || heard.p[i - 1] == '\n') && memcmp(heard.p + i, "250 ", 4) == 0;
	(void)check_replies(heard, "", false);
	/* Who speaks before the greeting is refused, and a drain sends everybody away. */
	assert(oks == lines || drained || (p->options & DELAY) != 0);
}

static void check_nothing_left(void)
{
	static const enum counter gauges[] = { COUNT_SESSIONS_OPEN, COUNT_SESSIONS_TLS, COUNT_BACKEND_OPEN, COUNT_ADDRESSES };
	const struct work *w = &world.work;
	assert(w->conns == NULL && w->num_conns == 0 && w->deadlines.num == 0);
	assert(clients_num_sessions(w->clients) == 0 && bytes_len(&w->replies) == 0);
	for (size_t i = 0; i < sizeof gauges / sizeof *gauges; i++)
		assert(counters_get(&world.page, gauges[i]) == 0);
}

/* sum_up adds up what the mail servers know; returns how many messages they keep. */
static uint64_t sum_up(const struct play *p, bool *out_odd, bool *out_lost)
{
	uint64_t kept = 0;
	*out_odd = *out_lost = false;
	for (size_t i = 0; i < WORLD_DOORS; i++) {
		kept += p->hops[i].mta.kept;
		*out_odd |= p->hops[i].mta.odd;
		*out_lost |= p->hops[i].lost;
	}
	return kept;
}

/* Each recipient is with the mail server of its domain; what may be quoted is not looked into. */
static void check_ways(const struct play *p)
{
	static const char end[] = "@" WORLD_DOMAIN ">";
	for (size_t i = 0; i < WORLD_DOORS && (p->more & WAYS) != 0; i++) {
		struct slice heard = bytes_slice(&p->hops[i].mta.heard);
		while (heard.len > 0) {
			const uint8_t *lf = memchr(heard.p, '\n', heard.len);
			struct slice line = slice_first(heard, (size_t)(lf - heard.p));
			heard = slice_from(heard, line.len + 1);
			if (!slice_eq(slice_first(line, 9), SLICE_LIT("RCPT TO:<")) || memchr(line.p, '"', line.len) != NULL)
				continue;
			const uint8_t *path_end = memchr(line.p, '>', line.len);
			assert(path_end != NULL);
			struct slice path = slice_first(line, (size_t)(path_end - line.p) + 1);
			size_t len = path.len < sizeof end - 1 ? path.len : sizeof end - 1;
			assert(slice_eq_nocase(slice_from(path, path.len - len), slice_str(end)) == (i == 0));
		}
	}
}

static void end(struct play *p)
{
	bool odd, lost;
	p->caller.deaf = p->hops[0].deaf = p->hops[1].deaf = false;
	pump(p);
	p->caller.half = true;
	pump(p);
	if (p->bystander_there) {
		p->bystander.half = true;
		pump(p);
	}
	/* Whoever has gone is not waited for. */
	(void)sum_up(p, &odd, &lost);
	assert(world.work.conns == NULL || p->eventful || lost || odd);
	for (int i = 0; i < 24 && world.work.conns != NULL; i++)
		pass(p, 600 * 1000);
	/* The close callbacks come in a later round. */
	pump(p);
	hop_drop(&p->hops[0]);
	hop_drop(&p->hops[1]);
	check_nothing_left();
}

static bool has(struct slice s, const char *text)
{
	return s.len > 0 && memmem(s.p, s.len, text, strlen(text)) != NULL;
}

static void play(struct play *p, struct slice client)
{
	static const char stored[] = "2.6.0 Stored"; /* which only the dot is answered with, in health */
	struct work *w = &world.work;
	bool drained = false;
	p->quotes = has(client, stored) || has(p->hops[0].mta.script, stored);
	memset(&world.page.values, 0, sizeof world.page.values);
	now_ms = 1000000;
	health_fini(&w->health);
	w->settings = world_settings(p->options, (p->more & NARROW) != 0, (p->more & WAYS) != 0);
	w->snapshot = (p->options & NO_TLS) != 0 ? NULL : world.snapshots[0];
	w->settings->exits.offer = (struct smtp_caps){ .flags = (p->options & LACKS) != 0 ? 0 : UINT32_MAX };
	w->next_id = 7;
	world_door(true);
	for (size_t i = 0; i < WORLD_DOORS; i++) {
		struct hop *h = &p->hops[i];
		h->fd = -1;
		h->door = world.doors[i].fd;
		h->heads = (p->options & (XCLIENT | XFORWARD)) == (XCLIENT | XFORWARD);
		h->mta.lacks = (p->options & LACKS) != 0;
		h->mta.chunking = (p->more & CHUNKING) != 0;
		h->mta.lmtp = i == 1;
	}
	caller_open(&p->caller, world_connect((p->more & SNI) == SNI ? "2001:db8::1" : "192.0.2.1", (p->more & HEADER) != 0, (p->more & NARROW) != 0), p->caller.step);
	pump(p);
	while (client.len > 0) {
		const uint8_t *mark = memchr(client.p, 0xff, client.len);
		struct slice words = slice_first(client, mark != NULL ? (size_t)(mark - client.p) : client.len);
		talk(p, words);
		client = slice_from(client, words.len + 1);
		if (mark != NULL && client.len > 0) {
			drained |= (client.p[0] & 15) == 1 || (client.p[0] & 15) == 2 || (client.p[0] & 15) == 14;
			happens(p, client.p[0]);
			client = slice_from(client, 1);
		}
	}
	end(p);
	uint64_t yes = counters_get(&world.page, COUNT_ACCEPTED_MESSAGES);
	bool torn = p->caller.reset || p->caller.failed || p->caller.fd < 0 || p->eventful;
	struct slice heard = bytes_slice(&p->caller.heard);
	if ((p->more & RAW) != 0)
		heard = without_alert(heard);
	size_t seen = check_replies(heard, stored, torn);
	bool odd, lost;
	uint64_t kept = sum_up(p, &odd, &lost);
	assert(odd || (yes <= kept && (seen <= yes || p->quotes)));
	assert(odd || p->eventful || lost || yes == kept);
	check_bystander(p, drained);
	check_ways(p);
}

static void fini(struct play *p)
{
	caller_fini(&p->caller);
	if (p->bystander_there)
		caller_fini(&p->bystander);
	mta_fini(&p->hops[0].mta);
	mta_fini(&p->hops[1].mta);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len < 5)
		return 0;
	world_begin();
	struct slice in = slice_of(data + 4, len - 4);
	const uint8_t *mark = memchr(in.p, 0xff, in.len);
	struct slice script = mark != NULL ? slice_first(in, (size_t)(mark - in.p)) : (struct slice){ 0 };
	struct slice client = mark != NULL ? slice_from(in, script.len + 1) : in;
	struct play a = { .options = data[0], .more = data[1], .caller.step = 4096 };
	struct play b = { .options = data[0], .more = data[1], .caller.step = 1 + data[2] % 64u };
	/* Many small pieces take long and find no more than some. */
	b.caller.step += client.len / 64;
	for (size_t i = 0; i < WORLD_DOORS; i++) {
		a.hops[i] = (struct hop){ .step = 4096, .mta.script = script };
		b.hops[i] = (struct hop){ .step = 1 + data[3] % 64u, .mta.script = script };
	}
	play(&a, client);
	play(&b, client);
	bool odd[2], lost[2];
	(void)sum_up(&a, &odd[0], &lost[0]);
	(void)sum_up(&b, &odd[1], &lost[1]);
	bool calm = !a.eventful && !b.eventful && !lost[0] && !lost[1] && !odd[0] && !odd[1];
	if (calm && (a.more & (RAW | HEADER)) == 0 && (a.options & DELAY) == 0) {
		assert(slice_eq(bytes_slice(&a.caller.heard), bytes_slice(&b.caller.heard)));
		for (size_t i = 0; i < WORLD_DOORS; i++) {
			assert(slice_eq(bytes_slice(&a.hops[i].mta.stored), bytes_slice(&b.hops[i].mta.stored)));
			assert(slice_eq(bytes_slice(&a.hops[i].mta.heard), bytes_slice(&b.hops[i].mta.heard)));
		}
	}
	fini(&a);
	fini(&b);
	return 0;
}
