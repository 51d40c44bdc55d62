/* Owns:  what load and sink agree on: the header that carries a message's digest.
 * Never: does anything.
 * Spec:  –
 * Start at: BENCH_SUM_HEADER. */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

/* BENCH_SUM_HEADER is the last header field added on the way, so to speak: it is followed by
 * the SHA-256, in hex, of every octet behind its own line up to the final CRLF
 * "." CRLF, dots stuffed. What a proxy puts in front of it (Received:) is not summed. */
#define BENCH_SUM_HEADER "X-Bench-Sum: "

#endif
