/* The probe's dialogue with any server: bounded, the same however the octets come
 * in, and only ever EHLO, STARTTLS and silence from us. */
#include <assert.h>
#include <string.h>

#include "tlsa-sync/probe_talk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct run {
	enum ec ec;
	size_t sent_len;
	char sent[256];
};

static void talk(struct run *r, struct slice in, size_t step)
{
	static struct probe_talk t;
	struct writer w = writer_of(r->sent, sizeof r->sent);
	memset(&t, 0, sizeof t);
	r->ec = EC_AGAIN;
	while (in.len > 0 && r->ec == EC_AGAIN) {
		struct why why = { 0 };
		struct slice piece = slice_first(in, step);
		r->ec = probe_talk_feed(&t, piece, "probe.test", &w, &why);
		assert(r->ec == EC_OK || r->ec == EC_AGAIN || why.text[0] != '\0');
		in = slice_from(in, piece.len);
	}
	assert(!w.bad && (in.len == 0 || r->ec != EC_OK || step < SIZE_MAX));
	r->sent_len = w.len;
	struct slice all = writer_slice(&w), whole = SLICE_LIT("EHLO probe.test\r\nSTARTTLS\r\n");
	assert(all.len == 0 || all.len == 17 || all.len == whole.len);
	assert(slice_eq(all, slice_first(whole, all.len)));
	assert(r->ec != EC_OK || all.len == whole.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct run a, b;
	if (len < 1)
		return 0;
	talk(&a, slice_of(data + 1, len - 1), 1);
	talk(&b, slice_of(data + 1, len - 1), 2 + data[0] % 64);
	/* Octets behind a question of ours, or behind the 220, show only when they come along with it. */
	assert(a.ec == b.ec || b.ec == EC_SYNTAX);
	assert(a.ec != b.ec || a.sent_len == b.sent_len || b.ec == EC_SYNTAX);
	return 0;
}
