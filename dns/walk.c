#include "dns/walk.h"

#include <string.h>

enum { HEADER_LEN = 12, QUESTION_MIN = 5, RECORD_MIN = 11, POINTER = 0xc0 };

static uint16_t u16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

enum ec walk_begin(struct walk *w, struct slice wire)
{
	*w = (struct walk){ .wire = wire, .at = HEADER_LEN };
	if (wire.len < HEADER_LEN || wire.len > UINT16_MAX) {
		w->bad = true;
		return EC_SYNTAX;
	}
	w->id = u16(wire.p);
	w->flags = u16(wire.p + 2);
	size_t records = 0;
	for (int i = 0; i < 4; i++) {
		w->left[i] = u16(wire.p + 4 + 2 * i);
		records += i == WALK_QUESTION ? 0U : w->left[i];
	}
	size_t least = HEADER_LEN + (size_t)w->left[WALK_QUESTION] * QUESTION_MIN + records * RECORD_MIN;
	w->bad = records > WALK_RECORDS_MAX || least > wire.len;
	return w->bad ? EC_SYNTAX : EC_OK;
}

/* Reads the name at `at`, which may be compressed. A pointer must lead to before
 * the part it ends, so there can be no loop. Returns where the name's own bytes end, 0 if bad. */
static size_t read_name(struct slice wire, size_t at, struct dns_name *out)
{
	uint8_t flat[DNS_NAME_WIRE_MAX];
	size_t len = 0, end = 0, part = at;
	for (;;) {
		if (at >= wire.len)
			return 0;
		uint8_t c = wire.p[at];
		if ((c & POINTER) == POINTER) {
			if (at + 2 > wire.len)
				return 0;
			size_t target = u16(wire.p + at) & 0x3fffU;
			if (end == 0)
				end = at + 2;
			if (target >= part || target < HEADER_LEN)
				return 0;
			at = part = target;
			continue;
		}
		if ((c & POINTER) != 0 || at + 1 + c > wire.len || len + 1 + c > sizeof flat)
			return 0;
		memcpy(flat + len, wire.p + at, 1U + c);
		len += 1U + c;
		at += 1U + c;
		if (c == 0)
			break;
	}
	if (dns_name_from_wire(slice_of(flat, len), out) != EC_OK)
		return 0;
	return end != 0 ? end : at;
}

static bool walk_fail(struct walk *w)
{
	w->bad = true;
	return false;
}

bool walk_next(struct walk *w, struct walk_record *out)
{
	unsigned section = 0;
	while (section < 4 && w->left[section] == 0)
		section++;
	if (w->bad)
		return false;
	if (section == 4)
		return w->at == w->wire.len ? false : walk_fail(w);
	w->left[section]--;
	*out = (struct walk_record){ .section = (enum walk_section)section, .at = w->at };
	size_t end = read_name(w->wire, w->at, &out->owner);
	if (end == 0)
		return walk_fail(w);
	struct reader r = reader_of(slice_from(w->wire, end));
	out->type = reader_u16be(&r);
	out->class = reader_u16be(&r);
	if (section != WALK_QUESTION) {
		out->ttl_raw = reader_u32be(&r);
		out->ttl_s = out->ttl_raw > INT32_MAX ? 0 : out->ttl_raw;
		out->rdata = reader_bytes(&r, reader_u16be(&r));
	}
	if (r.bad)
		return walk_fail(w);
	w->at = w->wire.len - r.rest.len;
	return true;
}

enum ec walk_check(struct slice wire, struct why *why)
{
	struct walk w;
	struct walk_record r;
	unsigned num_opt = 0, num_tsig = 0;
	bool misplaced = false;
	if (walk_begin(&w, wire) != EC_OK)
		return why_set(why, EC_SYNTAX, "not a DNS message: %zu octets, or more records than fit", wire.len);
	while (walk_next(&w, &r)) {
		if (r.section == WALK_QUESTION)
			continue;
		misplaced |= num_tsig > 0; /* something follows it */
		num_opt += r.type == DNS_OPT;
		num_tsig += r.type == DNS_TSIG;
		misplaced |= (r.type == DNS_OPT || r.type == DNS_TSIG) && r.section != WALK_ADDITIONAL;
	}
	if (w.bad)
		return why_set(why, EC_SYNTAX, "malformed DNS message: record at octet %zu of %zu", w.at, wire.len);
	if (misplaced || num_opt > 1 || num_tsig > 1)
		return why_set(why, EC_SYNTAX, "malformed DNS message: an OPT or TSIG record is doubled or out of place");
	return EC_OK;
}

enum ec walk_tsig_parse(struct slice rdata, struct walk_tsig *out)
{
	memset(out, 0, sizeof *out);
	size_t len = 0;
	while (len < rdata.len && rdata.p[len] != 0)
		len += 1U + rdata.p[len];
	struct reader r = reader_of(rdata);
	struct slice name = reader_bytes(&r, len + 1);
	if (r.bad || dns_name_from_wire(name, &out->algorithm) != EC_OK)
		return EC_SYNTAX;
	out->time_s = (uint64_t)reader_u16be(&r) << 32;
	out->time_s |= reader_u32be(&r);
	out->fudge_s = reader_u16be(&r);
	out->mac = reader_bytes(&r, reader_u16be(&r));
	out->original_id = reader_u16be(&r);
	out->error = reader_u16be(&r);
	out->other = reader_bytes(&r, reader_u16be(&r));
	return r.bad || r.rest.len > 0 ? EC_SYNTAX : EC_OK;
}
