/* Owns:  the server side of one TLS connection, over memory: cipher bytes in and
 *        out, plain bytes in and out.
 * Never: touches a socket or a clock of its own; falls back to clear text; fails
 *        a handshake for the name that the client asked for.
 * Spec:  RFC 8446, 5246, 9325 (versions and suites), 7627, 5746 (no
 *        renegotiation), 7301 (ALPN), 5077, 6066 3, 7672 8.1.
 * Start at: "The contract" below, channel_new. */
#ifndef PROXY_TLS_CHANNEL_SSL_H
#define PROXY_TLS_CHANNEL_SSL_H

#include <stdbool.h>

#include "base/ec.h"
#include "base/slice.h"
#include "certs/snapshot_ssl.h"

/* The contract
 *
 *     channel_give(c, what the socket gave)          borrowed
 *     channel_handshake(c, …) until it is EC_OK
 *     channel_read(c, …) while it gives EC_OK
 *     channel_keep(c)                                before the borrowed bytes go
 *
 * Whatever any call wants sent is appended to its `out`, to be written in order;
 * also after a failure, when it is the alert that tells the peer why.
 *
 * Signing with a key that lives in another process (SSL_PRIVATE_KEY_METHOD)
 * belongs into make_context in channel_ssl.c: the handshake would then also give
 * EC_BUSY, "wait for the signature". */
struct channel;

enum channel_sni { CHANNEL_SNI_ABSENT, CHANNEL_SNI_KNOWN, CHANNEL_SNI_UNKNOWN };

/* struct channel_info describes a finished handshake. The strings live as long as the channel. */
struct channel_info {
	const char *version; /* "TLSv1.3" */
	const char *cipher;  /* "TLS_AES_128_GCM_SHA256" */
	const char *group;   /* "X25519", "" on a resumption without one */
	const char *sni;     /* as the client sent it, "" if none */
	enum channel_sni match;
	bool resumed;
	enum key_algorithm algorithm; /* of our key */
	const char *identity;
	uint64_t generation;
};

/* channel_prepare makes what all channels of a new snapshot share, so that a
 * fault shows when identities arrive and not in a handshake. Returns EC_TLS,
 * EC_NO_MEMORY. */
enum ec channel_prepare(struct snapshot *s, struct why *why) MUST_CHECK;

/* channel_new makes a channel that shares `s`, for its whole life. NULL: no memory. */
struct channel *channel_new(struct snapshot *s);
/* channel_allow_tiny sets how many records the peer may send beyond one for each
 * CHANNEL_TINY octets that they carried; CHANNEL_TINY_FREE without a call. */
enum { CHANNEL_TINY = 16, CHANNEL_TINY_FREE = 10000 };
void channel_allow_tiny(struct channel *c, uint64_t num);
/* channel_free sends nothing; see channel_shutdown. NULL is accepted. */
void channel_free(struct channel *c);

/* channel_give lends cipher bytes. What an earlier call lent must be used up or
 * kept; kept bytes come first. Returns EC_NO_MEMORY when they can't be joined. */
enum ec channel_give(struct channel *c, struct slice in) MUST_CHECK;
/* channel_keep copies the lent bytes that were not used. Returns EC_NO_MEMORY. */
enum ec channel_keep(struct channel *c) MUST_CHECK;
/* channel_waiting is how many cipher bytes are in hand, lent or kept. */
size_t channel_waiting(const struct channel *c);

/* channel_handshake goes on with the handshake. Returns EC_OK once it is
 * complete, EC_AGAIN for more bytes, EC_TLS (failed), EC_LIMIT (more bytes than
 * any handshake needs). After a failure only channel_free is left. */
enum ec channel_handshake(struct channel *c, struct bytes *out, struct why *why) MUST_CHECK;
void channel_info(const struct channel *c, struct channel_info *info);

/* channel_fault sorts what ended the channel, for those who count; OTHER while it
 * works. channel_key_updates is how many KeyUpdates the peer has sent. */
enum channel_fault {
	CHANNEL_FAULT_OTHER,
	CHANNEL_FAULT_VERSION,        /* older than TLS 1.2, or a fallback that was not needed */
	CHANNEL_FAULT_NOTHING_SHARED, /* no cipher suite, group or signature algorithm in common */
	CHANNEL_FAULT_ALPN,           /* protocols named, and "smtp" not among them */
	CHANNEL_FAULT_NO_EMS,         /* TLS 1.2 without extended master secret */
	CHANNEL_FAULT_ALERT,          /* the peer did not like something: our certificate, perhaps */
	CHANNEL_FAULT_CLEAR_TEXT,     /* no TLS record at all */
	CHANNEL_FAULT_FLOOD,          /* too much of something */
};
enum channel_fault channel_fault(const struct channel *c);
uint32_t channel_key_updates(const struct channel *c);

/* channel_read decrypts into `p` as much as fits and is at hand. Returns EC_OK
 * with `*got` > 0, EC_AGAIN, EC_CLOSED (close_notify: an honest end), EC_TLS (a
 * record that is none, a bad MAC, an alert, renegotiation), EC_LIMIT (records
 * that carry nothing: empty ones, KeyUpdates without end; or almost nothing, as
 * channel_allow_tiny says). */
enum ec channel_read(struct channel *c, void *p, size_t cap, size_t *got, struct bytes *out,
                     struct why *why) MUST_CHECK;

/* channel_write encrypts all of `plain`. Returns EC_TLS, EC_NO_MEMORY. */
enum ec channel_write(struct channel *c, struct slice plain, struct bytes *out) MUST_CHECK;

/* channel_shutdown appends close_notify, if that still makes sense. RFC 8446 6.1:
 * without it the peer can't tell our end from an attacker's. */
void channel_shutdown(struct channel *c, struct bytes *out);

#endif
