#include "certs/disk_fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum ec failed(struct why *why, int error, const char *what, const char *name)
{
	enum ec ec = EC_IO;
	switch (error) {
	case ENOSPC:
	case EDQUOT:
		ec = EC_NO_SPACE;
		break;
	case ENOENT:
		ec = EC_NOT_FOUND;
		break;
	case EACCES:
	case EPERM:
	case EROFS:
		ec = EC_PERMISSION;
		break;
	case EEXIST:
		ec = EC_EXISTS;
		break;
	case ENOTDIR: /* something else stands where a file or directory of ours should */
	case EISDIR:
	case ELOOP:
		ec = EC_CORRUPT;
		break;
	default:
		break;
	}
	return why_set(why, ec, "cannot %s %s: %s", what, name, strerror(error));
}

/* Asks the tests whether this step may happen. */
static enum ec step(struct disk *d, const char *what, const char *name, struct why *why)
{
	int error = d->fault.before == NULL ? 0 : d->fault.before(d->fault.arg, what, name);
	return error == 0 ? EC_OK : failed(why, error, what, name);
}

enum ec disk_open_dir(int dir, const char *name, int *out_fd, struct why *why)
{
	*out_fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return *out_fd >= 0 ? EC_OK : failed(why, errno, "open directory", name);
}

enum ec disk_sync(struct disk *d, int dir, const char *name, struct why *why)
{
	enum ec ec = step(d, "sync", name, why);
	if (ec == EC_OK && fsync(dir) != 0)
		ec = failed(why, errno, "sync", name);
	return ec;
}

enum ec disk_make_dir(struct disk *d, int dir, const char *name, struct why *why)
{
	struct stat st;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return S_ISDIR(st.st_mode) ? EC_OK : failed(why, ENOTDIR, "use as a directory", name);
	enum ec ec = step(d, "make directory", name, why);
	if (ec == EC_OK && mkdirat(dir, name, 0700) != 0)
		ec = failed(why, errno, "make directory", name);
	return ec == EC_OK ? disk_sync(d, dir, "the directory above", why) : ec;
}

static enum ec write_all(struct disk *d, int fd, const char *name, struct slice content, struct why *why)
{
	enum ec ec = step(d, "write", name, why);
	while (ec == EC_OK && content.len > 0) {
		ssize_t n = write(fd, content.p, content.len);
		if (n > 0)
			content = slice_from(content, (size_t)n);
		else if (n == 0 || errno != EINTR)
			ec = failed(why, n == 0 ? ENOSPC : errno, "write", name);
	}
	return ec == EC_OK ? disk_sync(d, fd, name, why) : ec;
}

enum ec disk_write(struct disk *d, int dir, const char *name, struct slice content, struct why *why)
{
	enum ec ec = step(d, "make", name, why);
	if (ec != EC_OK)
		return ec;
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return failed(why, errno, "make", name);
	ec = write_all(d, fd, name, content, why);
	/* Network file systems report a full disk as late as here. */
	if (close(fd) != 0 && ec == EC_OK)
		ec = failed(why, errno, "write", name);
	if (ec != EC_OK)
		(void)unlinkat(dir, name, 0);
	return ec;
}

enum ec disk_rename(struct disk *d, int dir, const char *from, const char *to, struct why *why)
{
	enum ec ec = step(d, "rename", from, why);
	if (ec == EC_OK && renameat(dir, from, dir, to) != 0)
		ec = failed(why, errno, "rename", from);
	return ec == EC_OK ? disk_sync(d, dir, "the directory above", why) : ec;
}

enum ec disk_replace(struct disk *d, int dir, const char *name, struct slice content, struct why *why)
{
	char temporary[64];
	int n = snprintf(temporary, sizeof temporary, ".tmp-%s", name);
	if (n < 0 || (size_t)n >= sizeof temporary)
		return why_set(why, EC_RANGE, "file name %s is too long", name);
	(void)unlinkat(dir, temporary, 0); /* left by an earlier failure */
	enum ec ec = disk_write(d, dir, temporary, content, why);
	if (ec != EC_OK)
		return ec;
	ec = disk_rename(d, dir, temporary, name, why);
	if (ec != EC_OK)
		(void)unlinkat(dir, temporary, 0);
	return ec;
}

struct removal {
	struct disk *d;
	int dir;
	struct why *why;
};

static enum ec remove_one(void *arg, const char *name)
{
	struct removal *r = arg;
	enum ec ec = step(r->d, "remove", name, r->why);
	if (ec == EC_OK && unlinkat(r->dir, name, 0) != 0 && errno != ENOENT)
		ec = failed(r->why, errno, "remove", name);
	return ec;
}

enum ec disk_remove(struct disk *d, int dir, const char *name, struct why *why)
{
	struct stat st;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? EC_OK : failed(why, errno, "remove", name);
	if (!S_ISDIR(st.st_mode))
		return remove_one(&(struct removal){ d, dir, why }, name);
	int fd = -1;
	enum ec ec = disk_open_dir(dir, name, &fd, why);
	if (ec == EC_OK)
		ec = disk_each(fd, remove_one, &(struct removal){ d, fd, why }, why);
	if (fd >= 0)
		close(fd);
	if (ec == EC_OK)
		ec = step(d, "remove directory", name, why);
	if (ec == EC_OK && unlinkat(dir, name, AT_REMOVEDIR) != 0)
		ec = failed(why, errno, "remove directory", name);
	return ec;
}

enum ec disk_read(int dir, const char *name, size_t max, bool secret, struct bytes *out, struct why *why)
{
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return failed(why, errno, "read", name);
	struct stat st;
	enum ec ec = EC_OK;
	uint8_t *at = NULL;
	if (fstat(fd, &st) != 0)
		ec = failed(why, errno, "read", name);
	else if (!S_ISREG(st.st_mode))
		ec = why_set(why, EC_CORRUPT, "%s is not a regular file", name);
	else if (secret && (st.st_mode & 077) != 0)
		ec = why_set(why, EC_PERMISSION,
		             "%s is open to group or others (mode %04o): chmod 0600 it, and roll the key if somebody may have "
		             "read it",
		             name, (unsigned)st.st_mode & 07777);
	else if (st.st_size < 0 || (uint64_t)st.st_size > max)
		ec = why_set(why, EC_LIMIT, "%s is larger than %zu bytes", name, max);
	else if (bytes_reserve(out, max + 1, &at) != EC_OK)
		ec = why_set(why, EC_NO_MEMORY, "out of memory");
	size_t len = 0;
	while (ec == EC_OK && len <= max) {
		ssize_t n = read(fd, at + len, max + 1 - len);
		if (n < 0 && errno != EINTR)
			ec = failed(why, errno, "read", name);
		if (n == 0)
			break;
		if (n > 0)
			len += (size_t)n;
	}
	if (ec == EC_OK && len > max)
		ec = why_set(why, EC_LIMIT, "%s is larger than %zu bytes", name, max);
	if (ec == EC_OK)
		bytes_commit(out, len);
	close(fd);
	return ec;
}

enum ec disk_each(int dir, enum ec (*each)(void *arg, const char *name), void *arg, struct why *why)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	if (list == NULL) {
		int error = errno;
		if (fd >= 0)
			close(fd);
		return failed(why, error, "list", "the directory");
	}
	enum ec ec = EC_OK;
	const struct dirent *entry = NULL;
	errno = 0;
	while (ec == EC_OK && (entry = readdir(list)) != NULL) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			ec = each(arg, entry->d_name);
		errno = 0;
	}
	if (ec == EC_OK && errno != 0)
		ec = failed(why, errno, "list", "the directory");
	(void)closedir(list);
	return ec;
}
