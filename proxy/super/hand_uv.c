#include "proxy/super/hand_uv.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "proxy/worker/worker_uv.h"

/* What a worker is born with, behind its wire. */
enum { PAGE, CENSUS, LISTENERS };
static_assert(CHILD_FD_FIRST + LISTENERS == WORKER_FD_LISTEN, "worker_uv.h says which descriptor is what");

static enum ec page_make(struct hand *h, struct why *why)
{
	h->page_fd = memfd_create("danegate-counters", MFD_CLOEXEC);
	if (h->page_fd < 0 || ftruncate(h->page_fd, (off_t)counters_size()) != 0)
		return why_set(why, EC_IO, "counter page: %s", strerror(errno));
	void *p = mmap(NULL, counters_size(), PROT_READ, MAP_SHARED, h->page_fd, 0);
	if (p == MAP_FAILED)
		return why_set(why, EC_IO, "counter page: %s", strerror(errno));
	h->page = p;
	return EC_OK;
}

enum ec hand_init(struct hand *h, uv_loop_t *loop, unsigned number, const int *listeners, unsigned num_listeners,
                  int census_fd, const struct child_events *events, struct crew *crew, struct why *why)
{
	*h = (struct hand){ .number = number, .crew = crew, .page_fd = -1 };
	(void)snprintf(h->count, sizeof h->count, "%u", num_listeners);
	(void)snprintf(h->slot, sizeof h->slot, "%u", number);
	const char *args[] = { "danegate", "--worker", h->count, "--slot", h->slot, NULL };
	memcpy(h->args, args, sizeof args);
	h->fds = calloc(LISTENERS + num_listeners, sizeof *h->fds);
	child_init(&h->child, loop, (struct child_plan){
		.args = h->args, .fds = h->fds, .num_fds = LISTENERS + num_listeners, .events = events, .arg = h,
	});
	if (h->fds == NULL)
		return why_set(why, EC_NO_MEMORY, "out of memory");
	enum ec ec = page_make(h, why);
	h->fds[PAGE] = h->page_fd;
	h->fds[CENSUS] = census_fd;
	memcpy(&h->fds[LISTENERS], listeners, num_listeners * sizeof *listeners);
	return ec;
}

void hand_fini(struct hand *h, void (*freed)(void *arg), void *arg)
{
	if (h->page != NULL)
		munmap((void *)(uintptr_t)h->page, counters_size());
	if (h->page_fd >= 0)
		close(h->page_fd);
	free(h->fds);
	h->page = NULL;
	h->page_fd = -1;
	h->fds = NULL;
	child_fini(&h->child, freed, arg);
}
