/* Owns:  the mail server of mta.h at the other end of a socket: one connection at a
 *        time, a new one in place of the old.
 * Never: blocks; has an opinion of SMTP (mta.c has).
 * Spec:  PROXY protocol, version 2.
 * Start at: hop_move. */
#ifndef FUZZ_PROXY_HOP_H
#define FUZZ_PROXY_HOP_H

#include "fuzz/proxy/mta.h"

struct hop {
	int door;    /* listens; borrowed */
	int fd;      /* -1: no connection */
	size_t step; /* octets per write */
	bool heads;  /* each connection begins with a PROXY header */
	bool deaf;   /* does not read */
	bool lost;   /* it hung up, once at least */
	bool head_due;
	struct bytes head;
	struct mta mta;
};

/* hop_move accepts, writes one step and reads what there is. Returns whether anything moved. */
bool hop_move(struct hop *h);
void hop_drop(struct hop *h);

#endif
