/* Owns:  a question to the person at the terminal.
 * Never: asks where nobody sits; goes on after Ctrl-C.
 * Spec:  tlsa-sync(1), rotate.
 * Start at: confirm_person. */
#ifndef TLSA_SYNC_CONFIRM_FS_H
#define TLSA_SYNC_CONFIRM_FS_H

enum confirmed {
	CONFIRMED_YES,
	CONFIRMED_NO,          /* any other answer, or the end of the input */
	CONFIRMED_NOBODY,      /* standard input or error is no terminal: nothing was asked */
	CONFIRMED_INTERRUPTED, /* SIGINT or SIGTERM came before the answer: no Enter is waited for */
};

/* confirm_person writes `question` and "[y/N]" to standard error and waits for a line from
 * standard input. While it waits, SIGINT and SIGTERM end the wait, and nothing else;
 * then they do again what they did before. */
enum confirmed confirm_person(const char *question);

#endif
