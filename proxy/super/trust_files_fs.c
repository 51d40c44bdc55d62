#include "proxy/super/trust_files_fs.h"

#include "base/slice.h"
#include "config/load_fs.h"
#include "config/pem.h"
#include "proxy/worker/connector_ssl.h"

/* PEM is ASCII; what stands between, in whatever encoding, may be no text for JSON. */
static void make_ascii(struct bytes *text)
{
	for (size_t i = text->start; i < text->end; i++)
		if (text->p[i] == '\0' || text->p[i] > 0x7e)
			text->p[i] = '?';
}

static enum ec read_file(const char *path, json_t *into, size_t *total, struct why *why)
{
	struct bytes text = { 0 };
	if (json_object_get(into, path) != NULL)
		return EC_OK; /* many connectors may have one CA */
	enum ec ec = config_read_file(path, CONFIG_CA_FILE_MAX, &text, why);
	make_ascii(&text);
	struct slice all = bytes_slice(&text);
	*total += all.len;
	/* Once more, for what changed since the configuration was checked, and for the system's own store. */
	if (ec == EC_OK)
		ec = pem_check(path, all, why);
	if (ec == EC_OK && *total > TRUST_FILES_MAX)
		ec = why_set(why, EC_LIMIT, "%s: with it, the CA certificates are longer than %d MiB together", path, TRUST_FILES_MAX >> 20);
	if (ec == EC_OK && json_object_set_new(into, path, json_stringn((const char *)all.p, all.len)) != 0)
		ec = why_set(why, EC_NO_MEMORY, "out of memory");
	bytes_fini(&text);
	return ec;
}

enum ec trust_files_read(const struct config *cfg, json_t **out, struct why *why)
{
	json_t *paths = json_array(), *files = json_object();
	size_t total = 0;
	enum ec ec = paths == NULL || files == NULL ? EC_NO_MEMORY : exits_files(cfg, paths);
	if (ec != EC_OK)
		(void)why_set(why, ec, "out of memory");
	for (size_t i = 0; i < json_array_size(paths) && ec == EC_OK; i++)
		ec = read_file(json_string_value(json_array_get(paths, i)), files, &total, why);
	json_decref(paths);
	if (ec == EC_OK)
		*out = files;
	else
		json_decref(files);
	return ec;
}
