#include "proxy/super/trust_files_fs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/slice.h"
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
		if (bytes_len(text) + (size_t)n > TRUST_FILE_MAX)
			return why_set(why, EC_LIMIT, "%s: longer than %d MiB", path, TRUST_FILE_MAX >> 20);
		if (bytes_append(text, slice_of(part, (size_t)n)) != EC_OK)
			return why_set(why, EC_NO_MEMORY, "out of memory");
	}
	return EC_OK;
}

static enum ec read_file(const char *path, json_t *into, struct why *why)
{
	struct bytes text = { 0 };
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return why_set(why, EC_IO, "%s: %s; it has the CA certificates that a connector needs", path, strerror(errno));
	enum ec ec = read_all(fd, path, &text, why);
	struct slice all = bytes_slice(&text);
	if (ec == EC_OK && json_object_set_new(into, path, json_stringn((const char *)all.p, all.len)) != 0)
		ec = why_set(why, EC_SYNTAX, "%s: no text of PEM certificates", path);
	bytes_fini(&text);
	(void)close(fd);
	return ec;
}

enum ec trust_files_read(const struct config *cfg, json_t **out, struct why *why)
{
	json_t *paths = json_array(), *files = json_object();
	enum ec ec = paths == NULL || files == NULL ? EC_NO_MEMORY : exits_files(cfg, paths);
	if (ec != EC_OK)
		(void)why_set(why, ec, "out of memory");
	for (size_t i = 0; i < json_array_size(paths) && ec == EC_OK; i++)
		ec = read_file(json_string_value(json_array_get(paths, i)), files, why);
	json_decref(paths);
	if (ec == EC_OK)
		*out = files;
	else
		json_decref(files);
	return ec;
}
