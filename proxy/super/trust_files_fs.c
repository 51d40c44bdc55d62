#include "proxy/super/trust_files_fs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/slice.h"
#include "config/load_fs.h"
#include "proxy/worker/connector_ssl.h"

static enum ec read_all(int fd, const char *path, struct bytes *text, struct why *why)
{
	uint8_t part[16384];
	ssize_t n;
	while ((n = read(fd, part, sizeof part)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return why_set(why, EC_IO, "%s: %s", path, strerror(errno));
		if (bytes_len(text) + (size_t)n > CONFIG_CA_FILE_MAX)
			return why_set(why, EC_LIMIT, "%s: longer than %d MiB", path, CONFIG_CA_FILE_MAX >> 20);
		/* PEM is ASCII; what stands between, in whatever encoding, may be no text for JSON. */
		for (ssize_t i = 0; i < n; i++)
			if (part[i] == '\0' || part[i] > 0x7e)
				part[i] = '?';
		if (bytes_append(text, slice_of(part, (size_t)n)) != EC_OK)
			return why_set(why, EC_NO_MEMORY, "out of memory");
	}
	return EC_OK;
}

static enum ec read_file(const char *path, json_t *into, size_t *total, struct why *why)
{
	struct bytes text = { 0 };
	if (json_object_get(into, path) != NULL)
		return EC_OK; /* many connectors may have one CA */
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return why_set(why, EC_IO, "%s: %s; it has the CA certificates that a connector needs", path, strerror(errno));
	enum ec ec = read_all(fd, path, &text, why);
	struct slice all = bytes_slice(&text);
	*total += all.len;
	if (ec == EC_OK && *total > TRUST_FILES_MAX)
		ec = why_set(why, EC_LIMIT, "%s: with it, the CA certificates are longer than %d MiB together", path, TRUST_FILES_MAX >> 20);
	if (ec == EC_OK && json_object_set_new(into, path, json_stringn(all.p == NULL ? "" : (const char *)all.p, all.len)) != 0)
		ec = why_set(why, EC_NO_MEMORY, "out of memory");
	bytes_fini(&text);
	(void)close(fd);
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
