/* Owns:  one connection to a backend: dialling it, writing in one go, reading, in clear
 *        or through TLS.
 * Never: understands a byte of it (backend.c does); retries; resolves a name.
 * Spec:  RFC 8446 6.1 (the end of a TLS stream).
 * Start at: link_dial. */
#ifndef PROXY_RELAY_DIAL_UV_H
#define PROXY_RELAY_DIAL_UV_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <uv.h>

#include "base/ec.h"
#include "base/slice.h"
#include "proxy/tls/client_ssl.h"

/* struct dial_target is where the backend is: an IP address and port, or a unix
 * socket when `path` is not empty. */
struct dial_target {
	struct sockaddr_storage addr;
	char path[sizeof ((struct sockaddr_un *)0)->sun_path];
};

/* dial_target_parse reads "ADDR:PORT" or "unix:/path". Returns EC_SYNTAX,
 * EC_RANGE, EC_MISSING (no port). */
enum ec dial_target_parse(const char *text, struct dial_target *out, struct why *why) MUST_CHECK;

/* dial_target_print writes it as the configuration has it. */
enum { DIAL_TEXT_SIZE = 128 };
void dial_target_print(char out[DIAL_TEXT_SIZE], const struct dial_target *t);

struct link;

/* on_event is called whenever something happened: connected, bytes came, bytes
 * went, the end. It never runs inside a call of ours, and not after link_close. */
typedef void link_event(void *arg);

/* link_dial starts connecting. `scratch` (LINK_SCRATCH bytes, shared by all links
 * of the loop) is where reads land. Returns EC_NO_MEMORY, or EC_IO when it
 * fails at once; then there is no link. */
enum { LINK_SCRATCH = 32 << 10 };
enum ec link_dial(uv_loop_t *loop, const struct dial_target *to, uint8_t *scratch, link_event *on_event, void *arg,
                  struct link **out, struct why *why) MUST_CHECK;

/* link_set_event gives the link to another owner. */
void link_set_event(struct link *l, link_event *on_event, void *arg);

/* link_secure puts TLS on an open link and takes `tls`; nothing may be in hand (link_in) or
 * queued. link_handshake goes on with the handshake, and answers as tls_client_handshake
 * does; it writes at once. After EC_OK link_in is what TLS decrypted and
 * link_queue encrypts. link_verdict is tls_client_verdict; link_tls the TLS, or NULL. */
void link_secure(struct link *l, struct tls_client *tls);
enum ec link_handshake(struct link *l, struct why *why) MUST_CHECK;
enum smtp_reply_id link_verdict(const struct link *l);
const struct tls_client *link_tls(const struct link *l);

enum link_state { LINK_DIALLING, LINK_OPEN, LINK_ENDED };
enum link_state link_state(const struct link *l);
/* link_why says what ended it; static. link_was_open tells whether it ever connected. */
const char *link_why(const struct link *l);
bool link_was_open(const struct link *l);

/* link_in is what was received and not taken yet, borrowed until link_take. */
struct slice link_in(const struct link *l);
void link_take(struct link *l, size_t len);

/* link_queue adds bytes to what link_flush will write in one go. Copies.
 * link_queue_ranges is for bodies on an open link: many bytes are written straight
 * from the caller's memory, and only what the kernel does not take is copied. Both
 * return EC_NO_MEMORY; after the end they do nothing. */
enum ec link_queue(struct link *l, struct slice s) MUST_CHECK;
enum ec link_queue_ranges(struct link *l, const struct slice *ranges, size_t num) MUST_CHECK;
void link_flush(struct link *l);
/* link_waiting is how many bytes the backend has not accepted yet. */
size_t link_waiting(const struct link *l);

/* link_bye tells the peer, with close_notify if there is TLS, that our end is an honest
 * one, and flushes. */
void link_bye(struct link *l);

/* link_close ends it at once and frees it in time; what is queued is lost. NULL
 * is accepted. */
void link_close(struct link *l);

#endif
