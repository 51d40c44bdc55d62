/* Owns:  what the sessions of a worker share, made once, for a fuzz target that runs them:
 *        loop, keys, settings by option, the sockets of two mail servers, and a clock that
 *        stands still.
 * Never: is used with the program's real clock: link with --wrap=uv_now, --wrap=time.
 * Spec:  –
 * Start at: world_begin. */
#ifndef FUZZ_PROXY_WORLD_H
#define FUZZ_PROXY_WORLD_H

#include "proxy/worker/work_uv.h"

/* The first as in fuzz_edge.c; XCLIENT and XFORWARD together are PROXY v2. */
enum { NORMALIZE = 1, SMALL = 2, XCLIENT = 4, NO_TLS = 8, LACKS = 16, NO_LIMITS = 32, XFORWARD = 64, DELAY = 128 };
/* Of sockets and queues that are to fill up. */
enum { WORLD_BUFFER = 4096 };

/* With two connectors: the domain of the first, which goes to the first mail server by SMTP; all others go
 * to the second by LMTP. Else all go to the first. */
#define WORLD_DOMAIN "one.test"
enum { WORLD_DOORS = 2 };

struct worker_world {
	struct work work;
	struct counters page;
	struct census *census;
	struct snapshot *snapshots[2];
	char directory[32];
	struct {
		int fd; /* where a mail server listens */
		char path[64], away[64];
	} doors[WORLD_DOORS];
};

extern struct worker_world world;
/* What work_now tells. */
extern uint64_t now_ms;

void world_begin(void);
/* world_settings are those of the options; `narrow`: with a short queue; `ways`: two connectors. They live for
 * ever, and nothing was seen of the mail servers yet. */
struct settings *world_settings(uint8_t options, bool narrow, bool ways);
/* world_door lets the mail servers be found, or not. */
void world_door(bool open);
/* world_connect opens a session as from `address` and returns the client's end. */
int world_connect(const char *address, bool header_due, bool narrow);

#endif
