#include "certs/store_parts_fs.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "certs/load_ssl.h"
#include "dns/name.h"

enum { JSON_MAX = 16 << 10 };
static const char state_file[] = "state.json";
static const char meta_file[] = "meta.json";

/* --- names ----------------------------------------------------------------- */

/* An identity names a directory, so only what a host name is made of may pass. */
enum ec store_canonical(const char *identity, char out[STORE_NAME_SIZE], struct why *why)
{
	struct dns_name name;
	char text[DNS_NAME_TEXT_SIZE];
	enum ec ec = dns_name_parse(slice_str(identity), &name, why);
	if (ec != EC_OK)
		return ec;
	dns_name_print(text, &name);
	size_t len = strlen(text);
	bool ok = len < STORE_NAME_SIZE && text[0] != '.' && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == len;
	if (!ok)
		return why_set(why, EC_SYNTAX, "\"%.100s\" is no host name", identity);
	memcpy(out, text, len + 1);
	return EC_OK;
}

/* "17", not "017" or "17x". */
bool store_parse_number(const char *name, uint64_t *out)
{
	return *name != '0' && parse_u64(slice_str(name), UINT64_MAX / 2, out) == EC_OK;
}

void store_number_name(char out[STORE_FILE_SIZE], const char *prefix, uint64_t number)
{
	(void)snprintf(out, STORE_FILE_SIZE, "%s%" PRIu64, prefix, number);
}

void store_key_name(char out[STORE_FILE_SIZE], enum key_algorithm algorithm, const char *suffix)
{
	(void)snprintf(out, STORE_FILE_SIZE, "%s.%s", key_algorithm_name(algorithm), suffix);
}

void store_close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* --- state.json -------------------------------------------------------------- */

static bool json_u64(const json_t *object, const char *key, uint64_t *out)
{
	const json_t *value = json_object_get(object, key);
	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return false;
	*out = (uint64_t)json_integer_value(value);
	return true;
}

static enum ec read_json(int dir, const char *name, json_t **out, struct why *why)
{
	struct bytes text = { 0 };
	enum ec ec = disk_read(dir, name, JSON_MAX, false, &text, why);
	if (ec == EC_OK) {
		json_error_t error;
		struct slice s = bytes_slice(&text);
		*out = json_loadb(s.len == 0 ? "" : (const char *)s.p, s.len, JSON_REJECT_DUPLICATES, &error);
		if (*out == NULL)
			ec = why_set(why, EC_CORRUPT, "%s is damaged (line %d: %.100s)", name, error.line, error.text);
	}
	bytes_fini(&text);
	return ec;
}

static enum ec note_greatest(void *arg, const char *name)
{
	uint64_t *greatest = arg, number = 0;
	if (store_parse_number(name, &number) && number > *greatest)
		*greatest = number;
	return EC_OK;
}

/* `*out_disk` is the greatest number that has a directory. */
enum ec store_state_read(int dir, struct store_state *out, uint64_t *out_disk, struct why *why)
{
	*out = (struct store_state){ 0 };
	*out_disk = 0;
	enum ec ec = disk_each(dir, note_greatest, out_disk, why);
	if (ec != EC_OK)
		return ec;
	json_t *json = NULL;
	ec = read_json(dir, state_file, &json, why);
	if (ec == EC_NOT_FOUND && *out_disk == 0)
		return EC_OK; /* new */
	out->found = ec == EC_OK && json_u64(json, "active", &out->active) && json_u64(json, "last", &out->last) &&
	             out->active <= out->last && *out_disk <= out->last;
	json_decref(json);
	if (ec == EC_IO || ec == EC_PERMISSION || ec == EC_NO_MEMORY || out->found)
		return ec;
	char words[200];
	(void)snprintf(words, sizeof words, "%.199s", why == NULL || ec == EC_OK ? "its numbers make no sense" : why->text);
	*out = (struct store_state){ .last = *out_disk };
	return why_set(why, EC_CORRUPT,
	               "%s: %s; write {\"active\": N, \"last\": %" PRIu64
	               "} into it, N being the number of the generation that was presented (%" PRIu64
	               " or a greater number for last, if you know of one)",
	               state_file, words, *out_disk, *out_disk);
}

enum ec store_state_write(struct store *s, int dir, const struct store_state *state, struct why *why)
{
	char text[128];
	struct writer w = writer_of(text, sizeof text);
	writer_format(&w, "{\"active\": %" PRIu64 ", \"last\": %" PRIu64 "}\n", state->active, state->last);
	return disk_replace(&s->disk, dir, state_file, writer_slice(&w), why);
}

/* --- one generation ----------------------------------------------------------- */

enum ec store_key_write(struct store *s, int dir, const struct store_key *key, struct why *why)
{
	char name[STORE_FILE_SIZE];
	store_key_name(name, key->algorithm, "key");
	enum ec ec = disk_write(&s->disk, dir, name, slice_of(key->key_pem.p, key->key_pem.len), why);
	if (ec != EC_OK)
		return ec;
	store_key_name(name, key->algorithm, "pem");
	return disk_write(&s->disk, dir, name, bytes_slice(&key->chain_pem), why);
}

/* meta.json says what must be there, and is never written again. */
enum ec store_meta_write(struct store *s, int dir, const struct store_keys *keys, struct wall now, struct why *why)
{
	json_t *list = json_array();
	enum ec ec = EC_OK;
	for (size_t i = 0; ec == EC_OK && i < keys->num; i++) {
		struct loaded l = { 0 };
		char hex[65];
		const struct store_key *k = &keys->keys[i];
		ec = load_pair(slice_of(k->key_pem.p, k->key_pem.len), bytes_slice(&k->chain_pem), &l, why);
		if (ec == EC_OK && l.info.algorithm != k->algorithm)
			ec = why_set(why, EC_KEY_MISMATCH, "the key is not %s", key_algorithm_name(k->algorithm));
		hex_encode(hex, slice_of(l.info.chain[0].spki_sha256, 32));
		loaded_fini(&l);
		if (ec == EC_OK)
			(void)json_array_append_new(list, json_pack("{s:s, s:s}", "algorithm",
			                                            key_algorithm_name(k->algorithm), "spki_sha256", hex));
	}
	json_t *meta = json_pack("{s:I, s:O}", "created", (json_int_t)now.s, "keys", list);
	char *text = meta == NULL ? NULL : json_dumps(meta, JSON_INDENT(2));
	bool complete = text != NULL && json_array_size(list) == keys->num;
	if (ec == EC_OK && !complete)
		ec = why_set(why, EC_NO_MEMORY, "out of memory");
	if (ec == EC_OK)
		ec = disk_write(&s->disk, dir, meta_file, slice_str(text), why);
	/* What jansson allocated goes back to jansson: a program may have set an
	 * allocator of its own (wire_secrets). */
	json_malloc_t allocate;
	json_free_t release;
	json_get_alloc_funcs(&allocate, &release);
	release(text);
	json_decref(meta);
	json_decref(list);
	return ec;
}

static enum ec read_key(int dir, const json_t *meta, struct store_key *out, struct key_info *out_info, struct why *why)
{
	char name[STORE_FILE_SIZE];
	const char *word = json_string_value(json_object_get(meta, "algorithm"));
	const char *hex = json_string_value(json_object_get(meta, "spki_sha256"));
	uint8_t digest[32];
	struct bytes pem = { 0 };
	struct loaded l = { 0 };
	if (word == NULL || hex == NULL || !key_algorithm_parse(slice_str(word), &out->algorithm) ||
	    !hex_decode(digest, sizeof digest, slice_str(hex)))
		return why_set(why, EC_CORRUPT, "%s is damaged (keys)", meta_file);
	store_key_name(name, out->algorithm, "key");
	enum ec ec = disk_read(dir, name, LOAD_PEM_MAX, true, &pem, why);
	if (ec == EC_OK)
		ec = secret_copy(&out->key_pem, bytes_slice(&pem));
	store_key_name(name, out->algorithm, "pem");
	if (ec == EC_OK)
		ec = disk_read(dir, name, LOAD_PEM_MAX, false, &out->chain_pem, why);
	if (ec == EC_OK) {
		ec = load_pair(slice_of(out->key_pem.p, out->key_pem.len), bytes_slice(&out->chain_pem), &l, why);
		if (ec != EC_OK)
			why_prefix(why, "%s.key and .pem", key_algorithm_name(out->algorithm));
	}
	if (ec == EC_OK &&
	    (l.info.algorithm != out->algorithm || memcmp(l.info.chain[0].spki_sha256, digest, sizeof digest) != 0))
		ec = why_set(why, EC_CORRUPT, "%s.key is not the key that %s speaks of", key_algorithm_name(out->algorithm),
		             meta_file);
	*out_info = l.info;
	loaded_fini(&l);
	if (pem.p != NULL)
		wipe(pem.p, pem.cap);
	bytes_fini(&pem);
	return ec;
}

/* Reads all of <dir> (an open generation); `out` and `keys` must be zeroed. */
static enum ec read_pieces(int dir, struct generation *out, struct store_keys *keys, struct why *why)
{
	json_t *meta = NULL;
	enum ec ec = read_json(dir, meta_file, &meta, why);
	if (ec != EC_OK)
		return ec;
	const json_t *list = json_object_get(meta, "keys");
	size_t num = json_array_size(list);
	uint64_t created = 0;
	if (!json_u64(meta, "created", &created) || num == 0 || num > KEY_NUM_ALGORITHMS)
		ec = why_set(why, EC_CORRUPT, "%s is damaged", meta_file);
	out->created.s = (int64_t)created;
	for (size_t i = 0; ec == EC_OK && i < num; i++) {
		/* Counted first: whatever was read is freed with `keys`. */
		keys->num = out->num_keys = i + 1;
		ec = read_key(dir, json_array_get(list, i), &keys->keys[i], &out->keys[i], why);
		for (size_t j = 0; ec == EC_OK && j < i; j++)
			if (keys->keys[j].algorithm >= keys->keys[i].algorithm)
				ec = why_set(why, EC_CORRUPT, "%s is damaged (order of keys)", meta_file);
	}
	json_decref(meta);
	return ec;
}

enum ec store_generation_read(const struct store *s, const char *identity, int dir, uint64_t number,
                               struct generation *out, struct store_keys *keys, struct why *why)
{
	char name[STORE_FILE_SIZE];
	int fd = -1;
	*out = (struct generation){ .number = number };
	*keys = (struct store_keys){ 0 };
	store_number_name(name, "", number);
	enum ec ec = disk_open_dir(dir, name, &fd, why);
	if (ec == EC_NOT_FOUND)
		return ec;
	if (ec == EC_OK)
		ec = read_pieces(fd, out, keys, why);
	store_close_fd(fd);
	if (ec == EC_OK)
		return EC_OK;
	store_keys_fini(keys);
	/* A missing piece is damage: a generation appears and goes as a whole. What
	 * may be better in a moment (EC_IO: too many open files) is not. */
	if (ec == EC_PERMISSION || ec == EC_IO || ec == EC_NO_MEMORY) {
		why_prefix(why, "%s/%s/%s", s->path, identity, name);
		return ec;
	}
	struct why what = why == NULL ? (struct why){ 0 } : *why;
	return why_set(why, EC_CORRUPT, "%s/%s/%s: %.250s; restore it from a backup, or remove the directory", s->path, identity, name,
	               what.text);
}
