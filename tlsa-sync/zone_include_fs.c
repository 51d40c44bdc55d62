#include "tlsa-sync/zone_include_fs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "certs/disk_fs.h"
#include "tlsa-sync/zone_include.h"

/* One file is written at a time, so one name is enough. No name server includes it. */
#define TEMPORARY ".tlsa-sync-new"

enum ec zone_include_load(const char *directory, const char *name, struct bytes *out, struct why *why)
{
	int dir = -1;
	enum ec ec = disk_open_dir(AT_FDCWD, directory, &dir, why);
	if (ec != EC_OK)
		return ec;
	ec = disk_read(dir, name, ZONE_INCLUDE_MAX, false, out, why);
	close(dir);
	return ec == EC_NOT_FOUND ? EC_OK : ec;
}

static mode_t mode_of(int dir, const char *name)
{
	struct stat st;
	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) ? st.st_mode & 0777 : 0644;
}

enum ec zone_include_store(const char *directory, const char *name, struct slice content, struct why *why)
{
	struct disk d = { 0 };
	int dir = -1;
	enum ec ec = disk_open_dir(AT_FDCWD, directory, &dir, why);
	if (ec != EC_OK)
		return ec;
	(void)unlinkat(dir, TEMPORARY, 0); /* left by an earlier failure */
	ec = disk_write(&d, dir, TEMPORARY, content, why);
	if (ec == EC_OK && fchmodat(dir, TEMPORARY, mode_of(dir, name), 0) != 0)
		ec = why_set(why, EC_IO, "%s: %s", TEMPORARY, strerror(errno));
	if (ec == EC_OK)
		ec = disk_rename(&d, dir, TEMPORARY, name, why);
	if (ec != EC_OK)
		(void)unlinkat(dir, TEMPORARY, 0);
	close(dir);
	return ec;
}
