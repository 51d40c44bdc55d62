/* Owns:  the client side of one TLS connection, over memory: cipher bytes in and out,
 *        plain bytes in and out, and the verdict on who is at the other end.
 * Never: touches a socket or a clock of its own; falls back to clear text; resumes a
 *        session, for a resumed one shows no certificate.
 * Spec:  RFC 8446, 5246, 9325 (versions and suites), 7672 3, 8.1 (SNI), 7671, 8461 4.2,
 *        7435 (opportunistic: encrypted is better than clear), 5746 (no renegotiation).
 * Start at: "The contract" below, tls_client_new. */
#ifndef PROXY_TLS_CLIENT_SSL_H
#define PROXY_TLS_CLIENT_SSL_H

#include <stdbool.h>

#include "base/ec.h"
#include "base/instant.h"
#include "base/slice.h"
#include "proxy/smtp/reply.h"

/* The contract, as in channel_ssl.h
 *
 *     tls_client_handshake(c, …)                     once before anything came: the ClientHello
 *     tls_client_give(c, what the socket gave)       borrowed
 *     tls_client_handshake(c, …) until it is EC_OK
 *     tls_client_read(c, …) while it gives EC_OK
 *     tls_client_keep(c)                             before the borrowed bytes go
 *     tls_client_ended(c, …)                         when the socket says that nothing more comes
 *
 * Whatever any call wants sent is appended to its `out`, to be written in order; also
 * after a failure, when it is the alert that tells the peer why. */
struct tls_client;

/* struct tls_store holds CA certificates. It is made once per settings and shared:
 * clients that began with it keep it alive. */
struct tls_store;

/* tls_store_new reads every certificate of a PEM text; those of a kind that can't be
 * decoded are left out, as long as one is left. Returns EC_MISSING (no usable certificate),
 * EC_CORRUPT (one is cut off or damaged; `why` says which: nothing of the text is used), EC_NO_MEMORY.
 * tls_store_ref gives another reference, tls_store_free gives one back. */
enum ec tls_store_new(struct slice pem, struct tls_store **out, struct why *why) MUST_CHECK;
struct tls_store *tls_store_ref(struct tls_store *store);
void tls_store_free(struct tls_store *store);
/* tls_store_num is how many certificates were taken. */
size_t tls_store_num(const struct tls_store *store);

/* What the certificate must prove. */
enum tls_client_verify {
	TLS_CLIENT_ANY,   /* nothing: a handshake never fails for the certificate */
	TLS_CLIENT_DANE,  /* one of `records`, RFC 7672 3 */
	TLS_CLIENT_NAMES, /* a chain to a CA of `store`, and one of `names` */
	TLS_CLIENT_PINS   /* the leaf's key is one of `pins`; no name, no date */
};

enum { TLS_CLIENT_NAMES_MAX = 4, TLS_CLIENT_RECORDS_MAX = 32, TLS_CLIENT_PINS_MAX = 16, TLS_CLIENT_PIN_SIZE = 32 };

/* struct tls_client_want is borrowed by tls_client_new, which copies what it needs. */
struct tls_client_want {
	enum tls_client_verify verify;
	const char *sni; /* the TLSA base domain (RFC 7672 8.1), or the host; NULL, "" or an address: none is sent */
	const char *const *names; /* reference identifiers: the TLSA base domain, the next-hop domain (RFC 7672 3.2.2);
	                             for NAMES also addresses */
	size_t num_names;
	const struct slice *records; /* DANE: rdata of the whole TLSA RRset; sorting out the unusable is done here */
	size_t num_records;
	struct tls_store *store; /* NAMES */
	const uint8_t (*pins)[TLS_CLIENT_PIN_SIZE]; /* PINS: SHA-256 of SubjectPublicKeyInfos */
	size_t num_pins;
	bool sts; /* asked for by MTA-STS: every failure is SMTP_R_HOP_STS */
	struct wall now;
};

/* tls_client_new makes a client. Returns EC_LIMIT (more names or pins than fit), EC_MISSING
 * (NAMES without a store or a name), EC_RANGE (`sni` or a name is longer than a host name can
 * be), EC_TLS (set-up), EC_NO_MEMORY. */
enum ec tls_client_new(const struct tls_client_want *want, struct tls_client **out, struct why *why) MUST_CHECK;
/* tls_client_free sends nothing; see tls_client_shutdown. NULL is accepted. */
void tls_client_free(struct tls_client *c);

/* tls_client_give lends cipher bytes. What an earlier call lent must be used up or kept;
 * kept bytes come first. Returns EC_NO_MEMORY when they can't be joined. */
enum ec tls_client_give(struct tls_client *c, struct slice in) MUST_CHECK;
/* tls_client_keep copies the lent bytes that were not used. Returns EC_NO_MEMORY. */
enum ec tls_client_keep(struct tls_client *c) MUST_CHECK;
/* tls_client_waiting is how many cipher bytes are in hand, lent or kept. */
size_t tls_client_waiting(const struct tls_client *c);

/* tls_client_handshake goes on with the handshake, at first with the ClientHello. Returns
 * EC_OK once it is complete and the certificate proved what was wanted, EC_AGAIN for more
 * bytes, EC_TLS (failed: see tls_client_verdict), EC_LIMIT (more bytes than any handshake
 * needs), EC_NO_MEMORY. After a failure only verdict, words and free are left. */
enum ec tls_client_handshake(struct tls_client *c, struct bytes *out, struct why *why) MUST_CHECK;

/* tls_client_verdict is the reply that a failed handshake calls for; SMTP_R_NONE while it
 * goes on and when it is complete. It does not decide about clear text: with ANY (a
 * handshake can fail there too) the caller knows whether that is allowed.
 *     HOP_EXPIRED  HOP_NAME   the certificate, DANE and NAMES
 *     HOP_TLSA     DANE: no record matches; or the handshake failed otherwise
 *     HOP_TRUST    NAMES, PINS: not trusted; NAMES, PINS, ANY: the handshake failed otherwise
 *     HOP_STS      any of these with `sts`
 *     NO_MEMORY */
enum smtp_reply_id tls_client_verdict(const struct tls_client *c);

/* struct tls_client_info describes a finished handshake. The strings live as long as the client. */
struct tls_client_info {
	const char *version; /* "TLSv1.3" */
	const char *cipher;  /* "TLS_AES_128_GCM_SHA256" */
	const char *group;   /* "X25519", "" without one (RSA key transport) */
	bool authenticated;  /* the certificate proved something: not ANY */
	const char *proof;   /* words: "DANE-EE(3) SPKI(1) SHA2-256(1) matches …", "not asked for" */
};
void tls_client_info(const struct tls_client *c, struct tls_client_info *info);

/* tls_client_read decrypts into `p` as much as fits and is at hand. Returns EC_OK with
 * `*got` > 0, EC_AGAIN, EC_CLOSED (close_notify: an honest end), EC_TLS (a record that is
 * none, a bad MAC, an alert, renegotiation), EC_LIMIT (records that carry nothing or next
 * to nothing, KeyUpdates without end). */
enum ec tls_client_read(struct tls_client *c, void *p, size_t cap, size_t *got, struct bytes *out,
                        struct why *why) MUST_CHECK;

/* tls_client_ended is for when the transport ended: EC_CLOSED if close_notify came before
 * it and all was read, EC_TLS for a stream that somebody cut off (RFC 8446 6.1). */
enum ec tls_client_ended(struct tls_client *c, struct why *why) MUST_CHECK;

/* tls_client_write encrypts all of `plain`. Returns EC_TLS, EC_NO_MEMORY. */
enum ec tls_client_write(struct tls_client *c, struct slice plain, struct bytes *out) MUST_CHECK;

/* tls_client_shutdown appends close_notify, if that still makes sense. */
void tls_client_shutdown(struct tls_client *c, struct bytes *out);

#endif
