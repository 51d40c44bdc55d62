/* Owns:  a mail server in memory for fuzz targets: it reads the strict way, says
 *        what a script tells it, and stops the program when the edge sends it
 *        something that no mail server should ever get.
 * Never: believes the edge: it keeps a transaction state of its own.
 * Spec:  RFC 5321 2.3.8, 4.1.4, 4.2; RFC 2033, 2920, 3207.
 * Start at: mta_take. */
#ifndef FUZZ_PROXY_MTA_H
#define FUZZ_PROXY_MTA_H

#include "base/slice.h"

/* In a script 0xfe ends one reply. An empty reply is a healthy one; a lone '!'
 * closes the connection instead. Behind its end all replies are healthy. */
enum { MTA_NEXT = 0xfe, MTA_CLOSE = '!' };

struct mta {
	struct slice script; /* borrowed; goes on over connections */
	bool lacks;          /* offers no extension at all */
	bool connected, closed;
	bool odd;            /* has said something that is not exactly one reply to one question */
	bool in_mail, in_data, in_chunk;
	bool chunking;       /* offers CHUNKING and BINARYMIME */
	bool lmtp;           /* LHLO, and one recipient */
	bool starttls;       /* offers STARTTLS, and its other extensions inside TLS only */
	bool must_tls;       /* the edge may say nothing of weight in clear */
	bool in_tls;
	bool eager;          /* says 354 also when there is no recipient */
	bool for_nobody;     /* has said such a 354: no octet may follow */
	bool been_eager;     /* on any link */
	bool sender;         /* MAIL was answered 2yz */
	bool binary;         /* BODY=BINARYMIME was said */
	bool last;           /* the chunk is the last one */
	uint64_t chunk_left;
	unsigned accepted;    /* recipients */
	unsigned dots, kept; /* ends of messages seen; those answered with 250 */
	struct bytes in, out; /* from the edge; to it */
	struct bytes body;    /* of the message being received */
	struct bytes stored;  /* messages that were answered with 250, as they came, dots stuffed */
	struct bytes heard;   /* all commands */
	struct bytes latest;  /* the message that came last, if by BDAT */
};

void mta_connect(struct mta *m);
void mta_drop(struct mta *m);
void mta_fini(struct mta *m);

/* mta_take reads what is in `in`. */
void mta_take(struct mta *m);

#endif
