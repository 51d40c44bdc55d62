#include "proxy/super/feed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void parcel_end(struct names_item *item)
{
	struct parcel *p = (struct parcel *)item;
	wipe(p->json, p->len);
	free(p);
}

/* One block: the struct, the name, the text. */
struct parcel *parcel_new(const char *name, struct slice json)
{
	size_t name_size = strlen(name) + 1;
	struct parcel *p = malloc(sizeof *p + name_size + json.len);
	if (p == NULL)
		return NULL;
	char *own = (char *)(p + 1);
	memcpy(own, name, name_size);
	memcpy(own + name_size, json.p, json.len);
	*p = (struct parcel){ .item = { .refs = 1, .name = own, .end = parcel_end }, .len = json.len, .json = own + name_size };
	return p;
}

enum ec holding_copy(const struct holding *from, struct holding *out)
{
	*out = (struct holding){ 0 };
	if (from->standard != NULL && (out->standard = strdup(from->standard)) == NULL)
		return EC_NO_MEMORY;
	out->parcels = names_copy(&from->parcels);
	return EC_OK;
}

void holding_fini(struct holding *h)
{
	names_fini(&h->parcels);
	free(h->standard);
	*h = (struct holding){ 0 };
}

/* --- messages ------------------------------------------------------------------- */

static enum ec put_str(struct bytes *out, const char *text)
{
	return bytes_append(out, slice_str(text));
}

static enum ec put_head(const struct feed *f, struct bytes *out)
{
	char text[512];
	struct writer w = writer_of(text, sizeof text);
	writer_format(&w, "{\"do\":\"identities\",\"epoch\":%llu,\"part\":%llu,\"default\":\"%s\"", (unsigned long long)f->epoch,
	              (unsigned long long)f->part, f->to->standard);
	if (f->part == 0)
		writer_format(&w, ",\"seed\":\"%s\"", f->seed);
	for (size_t i = 0; f->part == 0 && i < f->num_base; i++)
		writer_format(&w, "%s%llu%s", i == 0 ? ",\"base\":[" : ",", (unsigned long long)f->base[i],
		              i + 1 == f->num_base ? "]" : "");
	enum ec ec = w.bad ? EC_NO_SPACE : bytes_append(out, writer_slice(&w));
	wipe(text, sizeof text);
	return ec;
}

/* next is the parcel to send, or NULL and the name of one that is gone. */
static const struct parcel *next(const struct feed *f, const char **out_gone)
{
	if (f->changed == NULL)
		return (const struct parcel *)names_at(&f->to->parcels, f->at);
	*out_gone = f->changed[f->at];
	return (const struct parcel *)names_find(&f->to->parcels, slice_str(f->changed[f->at]));
}

static enum ec put_gone(struct bytes *gone, const char *name)
{
	enum ec ec = put_str(gone, bytes_len(gone) == 0 ? "\"" : ",\"");
	if (ec == EC_OK)
		ec = put_str(gone, name);
	return ec == EC_OK ? put_str(gone, "\"") : ec;
}

static enum ec put_items(struct feed *f, size_t num, struct bytes *out, struct bytes *gone)
{
	size_t start = bytes_len(out);
	bool first = true;
	enum ec ec = EC_OK;
	for (; ec == EC_OK && f->at < num && bytes_len(out) + bytes_len(gone) - start < FEED_PART; f->at++) {
		const char *name = NULL;
		const struct parcel *p = next(f, &name);
		if (p == NULL) {
			ec = put_gone(gone, name);
			continue;
		}
		if (!first)
			ec = put_str(out, ",");
		first = false;
		if (ec == EC_OK)
			ec = bytes_append(out, slice_of(p->json, p->len));
	}
	return ec;
}

enum ec feed_next(struct feed *f, struct bytes *out, bool *out_more)
{
	size_t num = f->changed == NULL ? names_num(&f->to->parcels) : f->num_changed;
	struct bytes gone = { 0 };
	out->secret = true;
	enum ec ec = put_head(f, out);
	if (ec == EC_OK)
		ec = put_str(out, ",\"identities\":[");
	if (ec == EC_OK)
		ec = put_items(f, num, out, &gone);
	if (ec == EC_OK)
		ec = put_str(out, "],\"gone\":[");
	if (ec == EC_OK)
		ec = bytes_append(out, bytes_slice(&gone));
	*out_more = f->at < num;
	if (ec == EC_OK)
		ec = put_str(out, *out_more ? "],\"more\":true}" : "]}");
	bytes_fini(&gone);
	f->part++;
	return ec;
}
