/* The two signals are blocked but in ppoll, so none can come between the look at the flag and
 * the wait. libuv's own handlers, where a loop runs, restart a read: they are put aside meanwhile. */
#include "tlsa-sync/confirm_fs.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const int ends[] = { SIGINT, SIGTERM };
enum { NUM_ENDS = sizeof ends / sizeof ends[0] };

static volatile sig_atomic_t ended;

static void on_end(int sig)
{
	(void)sig;
	ended = 1;
}

/* wait_for_line returns false when a signal came first. */
static bool wait_for_line(const sigset_t *mask)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	while (ended == 0 && ppoll(&input, 1, NULL, mask) < 0 && errno == EINTR)
		continue;
	return ended == 0;
}

static enum confirmed read_answer(void)
{
	char line[16] = "";
	if (fgets(line, sizeof line, stdin) == NULL)
		return CONFIRMED_NO;
	bool yes = strcmp(line, "y\n") == 0 || strcmp(line, "Y\n") == 0 || strcmp(line, "yes\n") == 0;
	return yes ? CONFIRMED_YES : CONFIRMED_NO;
}

enum confirmed confirm_person(const char *question)
{
	if (isatty(STDIN_FILENO) != 1 || isatty(STDERR_FILENO) != 1)
		return CONFIRMED_NOBODY;
	struct sigaction own = { .sa_handler = on_end }, former[NUM_ENDS];
	sigset_t blocked, before, waiting;
	(void)sigemptyset(&own.sa_mask);
	(void)sigemptyset(&blocked);
	for (int i = 0; i < NUM_ENDS; i++)
		(void)sigaddset(&blocked, ends[i]);
	(void)sigprocmask(SIG_BLOCK, &blocked, &before);
	waiting = before;
	ended = 0;
	for (int i = 0; i < NUM_ENDS; i++) {
		(void)sigdelset(&waiting, ends[i]);
		(void)sigaction(ends[i], &own, &former[i]);
	}
	(void)fprintf(stderr, "%s [y/N] ", question);
	enum confirmed answer = wait_for_line(&waiting) ? read_answer() : CONFIRMED_INTERRUPTED;
	for (int i = 0; i < NUM_ENDS; i++)
		(void)sigaction(ends[i], &former[i], NULL);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	return answer;
}
