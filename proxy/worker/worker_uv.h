/* Owns:  the worker process: one loop, its listeners, sessions and backend
 *        links, and the wire to the supervisor.
 * Never: opens a file or starts a process; never outlives its supervisor.
 * Spec:  –
 * Start at: worker_run. */
#ifndef PROXY_WORKER_UV_H
#define PROXY_WORKER_UV_H

enum { WORKER_FD_LISTEN = 6 };

/* worker_run is the whole life of `danegate --worker N --slot S`: descriptor 3 is
 * the wire, 4 the counter page (counters_size bytes, read-write), 5 the census of
 * clients, in which S is ours, and WORKER_FD_LISTEN and the N-1 behind it are the
 * listening sockets. Returns the exit status: 0 after a drain or when the wire
 * closed, 1 when it could not start.
 *
 * From the supervisor, one JSON object per line:
 *   {"do":"config","number":N,"text":…,"name":"file name for errors","files":{"path":"text"…},"drained":[name…]}
 *     first, and again on reload                              -> {"configured":N} | {"configured":N,"why":…}
 *   {"do":"identities","epoch":E,"seed":"hex, 32 bytes","default":…,"base":[B,…],"part":0,"more":true,
 *     "identities":[{"name":…,"generation":G,"keys":[{"algorithm":…,"key_pem":…,"chain_pem":…}]}],"gone":[name,…]}
 *     in parts: 0, 1, … up to the one without "more", which is answered; a part that can't be taken is answered at
 *     once, and the rest of them passed over. With "base", what is to be added, replaced and taken away of the
 *     identities of one of these epochs; without, all there are -> {"ack":E} | {"nack":E,"why":…}
 *   {"do":"listen"} {"do":"pause"}                            -> nothing; see the LISTENING gauge
 *   {"do":"sessions","id":K}       -> {"sessions":K,"list":[{"id":…,"client":…,"age_s":…,"state":…,"tls":…,
 *                                      "cipher":…,"sni":…,"helo":…,"messages":…,"backend":true}…],"more":n}
 *   {"do":"route",…}               the answer to a question, see relay/route.h
 *   {"do":"hop","name":…,"drained":true|false}                -> nothing; see relay/health.h
 *   {"do":"drain"}                                            -> nothing; exits 0 when done
 * To the supervisor besides: {"backend":{"connector":…,"up":true|false,"why":…,"offers":[…]}} whenever that changes,
 * {"route":ID,…}, a question, and {"ledger":[…]}, counts since the last one (relay/ledger.h). */
int worker_run(int num_listeners, unsigned slot);

#endif
