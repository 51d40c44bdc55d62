#include "tlsa-sync/clock_uv.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

static void read_boot(char out[FACT_BOOT])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, out, FACT_BOOT - 1);
	if (fd >= 0)
		close(fd);
	if (n > 0)
		out[strcspn(out, "\n")] = '\0';
	else
		(void)snprintf(out, FACT_BOOT, "process-%ld-%lld", (long)getpid(), (long long)clock_wall().s);
}

void clock_read(struct reading *out)
{
	static char boot[FACT_BOOT];
	if (boot[0] == '\0')
		read_boot(boot);
	struct timespec t = { 0 };
	clock_gettime(CLOCK_REALTIME, &t);
	*out = (struct reading){
		.wall_ms = (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000,
		.mono = { (int64_t)(uv_hrtime() / 1000000) },
	};
	memcpy(out->boot, boot, sizeof out->boot);
}

struct wall clock_wall(void)
{
	struct timespec t = { 0 };
	clock_gettime(CLOCK_REALTIME, &t);
	return (struct wall){ t.tv_sec };
}
