#include "proxy/census_fs.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum ec census_make(unsigned num, struct census **out, int *out_fd, struct why *why)
{
	uint64_t seed[2];
	size_t len = census_size(num);
	if (getrandom(seed, sizeof seed, 0) != (ssize_t)sizeof seed)
		return why_set(why, EC_IO, "no random bytes: %s", strerror(errno));
	int fd = memfd_create("danegate-census", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, (off_t)len) != 0) {
		enum ec ec = why_set(why, EC_IO, "census of clients: %s", strerror(errno));
		if (fd >= 0)
			close(fd);
		return ec;
	}
	struct census *c = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (c == MAP_FAILED) {
		close(fd);
		return why_set(why, EC_IO, "census of clients: %s", strerror(errno));
	}
	census_begin(c, num, seed);
	*out = c;
	*out_fd = fd;
	return EC_OK;
}

enum ec census_adopt(int fd, unsigned slot, struct census **out, struct why *why)
{
	struct stat st;
	enum ec ec = EC_OK;
	void *p = fstat(fd, &st) != 0 || st.st_size < (off_t)sizeof(struct census) ?
	                  MAP_FAILED :
	                  mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) {
		ec = why_set(why, EC_IO, "census of clients: %s", strerror(errno));
	} else if (census_check(p, (size_t)st.st_size, slot) != EC_OK) {
		ec = why_set(why, EC_CORRUPT, "census of clients: made by another version");
		(void)munmap(p, (size_t)st.st_size);
	} else if (mprotect(&((struct census *)p)->slots[slot], sizeof(struct census_slot), PROT_READ | PROT_WRITE) != 0) {
		ec = why_set(why, EC_IO, "census of clients: %s", strerror(errno));
		census_unmap(p);
	} else {
		*out = p;
	}
	close(fd);
	return ec;
}

void census_unmap(struct census *c)
{
	if (c != NULL)
		(void)munmap(c, census_size(c->num));
}
