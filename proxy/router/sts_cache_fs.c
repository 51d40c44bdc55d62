#include "proxy/router/sts_cache_fs.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/domain.h"
#include "base/log_fs.h"
#include "certs/disk_fs.h"

static const char suffix[] = ".json";
enum { SUFFIX_LEN = sizeof suffix - 1, FILE_NAME_SIZE = DOMAIN_MAX + sizeof suffix };

struct loading {
	struct sts_cache *cache;
	int dir;
	struct wall now;
	struct disk disk;
};

/* A domain in small letters is a safe name of a file: it holds no slash, and the suffix keeps "." away. */
static bool file_name(const char *domain, char out[FILE_NAME_SIZE])
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyz0123456789-_.";
	size_t len = strlen(domain);
	if (len == 0 || len > DOMAIN_MAX || domain[0] == '.' || strspn(domain, good) != len)
		return false;
	(void)snprintf(out, FILE_NAME_SIZE, "%s%s", domain, suffix);
	return true;
}

static bool domain_of(const char *name, char out[DOMAIN_MAX + 1])
{
	char again[FILE_NAME_SIZE];
	size_t len = strlen(name);
	if (len <= SUFFIX_LEN || len - SUFFIX_LEN > DOMAIN_MAX || strcmp(name + len - SUFFIX_LEN, suffix) != 0)
		return false;
	(void)snprintf(out, DOMAIN_MAX + 1, "%.*s", (int)(len - SUFFIX_LEN), name);
	return file_name(out, again);
}

/* One bad file is no reason to go without the others. */
static enum ec load_one(void *arg, const char *name)
{
	struct loading *l = arg;
	struct bytes text = { 0 };
	struct why why = { 0 };
	char domain[DOMAIN_MAX + 1];
	if (!domain_of(name, domain))
		return EC_OK; /* somebody else's, or one that was never finished */
	enum ec ec = disk_read(l->dir, name, STS_FILE_MAX, false, &text, &why);
	if (ec == EC_OK)
		ec = sts_cache_load(l->cache, domain, bytes_slice(&text), l->now, &why);
	bytes_fini(&text);
	if (ec == EC_EXPIRED)
		ec = disk_remove(&l->disk, l->dir, name, &why);
	if (ec != EC_OK)
		log_why(LOG_WARNING, "mta-sts-cache", name, why.text);
	return EC_OK;
}

/* The directory is made in the one above, which has to be there. */
static enum ec open_dir(const char *path, int *out, struct why *why)
{
	char above[PATH_MAX];
	struct disk disk = { 0 };
	int parent = -1;
	const char *slash = strrchr(path, '/');
	if (slash == NULL || slash[1] == '\0' || (size_t)(slash - path) + 2 > sizeof above)
		return why_set(why, EC_NOT_FOUND, "%s: not the absolute path of a directory", path);
	(void)snprintf(above, sizeof above, "%.*s", slash == path ? 1 : (int)(slash - path), path);
	enum ec ec = disk_open_dir(AT_FDCWD, above, &parent, why);
	if (ec != EC_OK)
		return ec;
	ec = disk_make_dir(&disk, parent, slash + 1, why);
	if (ec == EC_OK)
		ec = disk_open_dir(parent, slash + 1, out, why);
	close(parent);
	return ec;
}

enum ec sts_cache_open(struct sts_cache *c, const char *path, struct wall now, int *out_dir, struct why *why)
{
	struct loading l = { .cache = c, .dir = -1, .now = now };
	*out_dir = -1;
	enum ec ec = open_dir(path, &l.dir, why);
	if (ec == EC_OK)
		ec = disk_each(l.dir, load_one, &l, why);
	if (ec == EC_OK)
		*out_dir = l.dir;
	else if (l.dir >= 0)
		close(l.dir);
	return ec;
}

enum ec sts_cache_save(const struct sts_cache *c, int dir, const char *domain, struct why *why)
{
	char name[FILE_NAME_SIZE];
	struct disk disk = { 0 };
	struct bytes text = { 0 };
	if (!file_name(domain, name))
		return why_set(why, EC_NOT_FOUND, "%s: no domain", domain);
	enum ec ec = sts_cache_print(c, domain, &text);
	if (ec == EC_OK)
		ec = disk_replace(&disk, dir, name, bytes_slice(&text), why);
	else
		(void)why_set(why, ec, "%s: %s", domain, ec_text(ec));
	bytes_fini(&text);
	return ec;
}
