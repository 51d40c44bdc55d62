/* Owns:  the list of what a worker counts, and the page that holds the counts:
 *        one per worker, shared with the supervisor, one writer.
 * Never: makes or maps the memory; never locks: each count is one aligned word.
 * Spec:  OpenMetrics (names and labels of what the supervisor prints).
 * Start at: COUNTER_LIST. */
#ifndef PROXY_COUNTERS_H
#define PROXY_COUNTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ec.h"
#include "proxy/smtp/reply.h"

enum counter_kind { COUNTER_TOTAL, COUNTER_GAUGE };

/* X(NAME, family, labels, kind, help). A total never goes down, also not when
 * its worker crashes: the next worker goes on with the same page. A gauge is a
 * state and starts at zero with each worker. Rows of one family stand together
 * and share kind and help. The metric is danegate_<family>{<labels>}, with
 * "_total" behind a total's family. */
#define COUNTER_LIST(X)                                                                                                \
	X(SESSIONS_OPEN, "sessions_open", "", GAUGE, "client sessions open now")                                       \
	X(SESSIONS_TLS, "sessions_tls", "", GAUGE, "client sessions open now that are under TLS")                      \
	X(BACKEND_OPEN, "backend_links_open", "", GAUGE, "backend connections open now")                               \
	X(ADDRESSES, "client_addresses", "", GAUGE, "distinct client addresses with a session now")                    \
	X(LISTENING, "listening", "", GAUGE, "workers that accept new sessions")                                      \
	X(EPOCH, "identities_epoch", "", GAUGE, "epoch of the identities that new sessions get")                       \
	X(ACCEPTED, "sessions", "", TOTAL, "client connections accepted")                                              \
	X(REFUSED_SESSIONS, "sessions_refused", "reason=\"sessions\"", TOTAL, "client connections answered 421 at once") \
	X(REFUSED_ADDRESS, "sessions_refused", "reason=\"address\"", TOTAL, "client connections answered 421 at once") \
	X(REFUSED_PREFIX, "sessions_refused", "reason=\"prefix\"", TOTAL, "client connections answered 421 at once")   \
	X(REFUSED_MEMORY, "sessions_refused", "reason=\"memory\"", TOTAL, "client connections answered 421 at once")   \
	X(PROXY_NAMED, "proxy_headers", "result=\"named\"", TOTAL, "PROXY headers awaited, by what came")               \
	X(PROXY_LOCAL, "proxy_headers", "result=\"local\"", TOTAL, "PROXY headers awaited, by what came")               \
	X(PROXY_MALFORMED, "proxy_headers", "result=\"malformed\"", TOTAL, "PROXY headers awaited, by what came")       \
	X(PROXY_LATE, "proxy_headers", "result=\"late\"", TOTAL, "PROXY headers awaited, by what came")                 \
	X(PROXY_CLOSED, "proxy_headers", "result=\"closed\"", TOTAL, "PROXY headers awaited, by what came")             \
	X(PAUSED, "reading_paused", "", TOTAL, "times a client was not read from, a side having limits.queue_bytes waiting") \
	X(ACCEPT_PAUSED, "accept_pauses", "", TOTAL, "times accepting stopped because no descriptor was left")         \
	X(TIMEOUT_COMMAND, "timeouts", "phase=\"command\"", TOTAL, "deadlines passed, by phase")                       \
	X(TIMEOUT_DATA, "timeouts", "phase=\"data\"", TOTAL, "deadlines passed, by phase")                             \
	X(TIMEOUT_MESSAGE, "timeouts", "phase=\"message\"", TOTAL, "deadlines passed, by phase")                       \
	X(TIMEOUT_TLS, "timeouts", "phase=\"tls\"", TOTAL, "deadlines passed, by phase")                               \
	X(TIMEOUT_WRITE, "timeouts", "phase=\"write\"", TOTAL, "deadlines passed, by phase")                           \
	X(TIMEOUT_SESSION, "timeouts", "phase=\"session\"", TOTAL, "deadlines passed, by phase")                       \
	X(TIMEOUT_CONNECT, "timeouts", "phase=\"backend-connect\"", TOTAL, "deadlines passed, by phase")               \
	X(TIMEOUT_REPLY, "timeouts", "phase=\"backend-reply\"", TOTAL, "deadlines passed, by phase")                   \
	X(TIMEOUT_COMMIT, "timeouts", "phase=\"backend-commit\"", TOTAL, "deadlines passed, by phase")                 \
	X(STARTTLS, "starttls", "", TOTAL, "STARTTLS commands accepted")                                               \
	X(TLS_13, "tls_handshakes", "version=\"TLSv1.3\"", TOTAL, "TLS handshakes completed")                          \
	X(TLS_12, "tls_handshakes", "version=\"TLSv1.2\"", TOTAL, "TLS handshakes completed")                          \
	X(TLS_RESUMED, "tls_resumed", "", TOTAL, "TLS handshakes that resumed a session")                              \
	X(TLS_KEY_ECDSA, "tls_keys", "algorithm=\"ecdsa-p256\"", TOTAL, "full TLS handshakes by key")                  \
	X(TLS_KEY_RSA, "tls_keys", "algorithm=\"rsa-3072\"", TOTAL, "full TLS handshakes by key")                      \
	X(SNI_KNOWN, "tls_sni", "match=\"known\"", TOTAL, "TLS handshakes by server name asked for")                   \
	X(SNI_UNKNOWN, "tls_sni", "match=\"unknown\"", TOTAL, "TLS handshakes by server name asked for")               \
	X(SNI_ABSENT, "tls_sni", "match=\"absent\"", TOTAL, "TLS handshakes by server name asked for")                 \
	X(TLS_FAILED, "tls_failed", "reason=\"handshake\"", TOTAL, "TLS handshakes and sessions that failed")		\
	X(TLS_VERSION, "tls_failed", "reason=\"version\"", TOTAL, "TLS handshakes and sessions that failed")		\
	X(TLS_NOTHING_SHARED, "tls_failed", "reason=\"nothing-shared\"", TOTAL, "TLS handshakes and sessions that failed")	\
	X(TLS_ALPN, "tls_failed", "reason=\"alpn\"", TOTAL, "TLS handshakes and sessions that failed")			\
	X(TLS_NO_EMS, "tls_failed", "reason=\"no-extended-master-secret\"", TOTAL, "TLS handshakes and sessions that failed")	\
	X(TLS_ALERT, "tls_failed", "reason=\"alert\"", TOTAL, "TLS handshakes and sessions that failed")		\
	X(TLS_CLEAR_TEXT, "tls_failed", "reason=\"clear-text\"", TOTAL, "TLS handshakes and sessions that failed")	\
	X(TLS_CLOSED, "tls_failed", "reason=\"closed\"", TOTAL, "TLS handshakes and sessions that failed")		\
	X(TLS_RECORD, "tls_failed", "reason=\"record\"", TOTAL, "TLS handshakes and sessions that failed")		\
	X(TLS_FLOOD, "tls_failed", "reason=\"flood\"", TOTAL, "TLS handshakes and sessions that failed")		\
	X(KEY_UPDATES, "tls_key_updates", "", TOTAL, "TLS 1.3 KeyUpdates received, by the end of their session")	\
	X(TRANSACTIONS, "transactions", "", TOTAL, "transactions opened at the backend")                               \
	X(ACCEPTED_MESSAGES, "messages", "result=\"accepted\"", TOTAL, "messages by the answer the client got")        \
	X(DEFERRED_MESSAGES, "messages", "result=\"deferred\"", TOTAL, "messages by the answer the client got")        \
	X(REJECTED_MESSAGES, "messages", "result=\"rejected\"", TOTAL, "messages by the answer the client got")        \
	X(ABORTED_MESSAGES, "messages", "result=\"aborted\"", TOTAL, "messages by the answer the client got")          \
	X(BYTES_IN, "bytes", "from=\"client\"", TOTAL, "bytes received")                                               \
	X(BYTES_BACKEND, "bytes", "from=\"backend\"", TOTAL, "bytes received")                                         \
	X(REPLIES_4XX, "replies", "class=\"4xx\"", TOTAL, "error replies sent to clients")                             \
	X(REPLIES_5XX, "replies", "class=\"5xx\"", TOTAL, "error replies sent to clients")                             \
	X(BACKEND_CONNECTS, "backend_connects", "result=\"ok\"", TOTAL, "connections to the backend")                  \
	X(BACKEND_REFUSED, "backend_connects", "result=\"failed\"", TOTAL, "connections to the backend")               \
	X(BACKEND_REUSED, "backend_reused", "", TOTAL, "transactions on a backend connection already open")            \
	X(BACKEND_LOST, "backend_lost", "", TOTAL, "backend connections that ended in the middle")                     \
	X(BACKEND_GARBAGE, "backend_garbage", "", TOTAL, "backend connections dropped for replies not understood")     \
	X(PROBES_OK, "backend_probes", "result=\"ok\"", TOTAL, "looks at what the backend offers")                     \
	X(PROBES_FAILED, "backend_probes", "result=\"failed\"", TOTAL, "looks at what the backend offers")

/* After those come two families with one row per reason of smtp/reply.h:
 * danegate_refusals_total, replies that refuse something, and
 * danegate_sessions_ended_total. counter_refusal and counter_ended address them. */
enum counter {
#define COUNTER_ENUM(name, family, labels, kind, help) COUNT_##name,
	COUNTER_LIST(COUNTER_ENUM)
#undef COUNTER_ENUM
	COUNT_REFUSAL,
	COUNT_ENDED = COUNT_REFUSAL + SMTP_REASON_COUNT,
	COUNT_NUM = COUNT_ENDED + SMTP_REASON_COUNT
};

/* counter_refusal and counter_ended address the rows by reason. */
static inline enum counter counter_refusal(enum smtp_reason reason)
{
	return (enum counter)(COUNT_REFUSAL + (int)reason);
}

static inline enum counter counter_ended(enum smtp_reason reason)
{
	return (enum counter)(COUNT_ENDED + (int)reason);
}

/* struct counter_row describes one counter; static. */
struct counter_row {
	const char *family; /* "sessions_refused" */
	const char *labels; /* "reason=\"address\"" or "" */
	enum counter_kind kind;
	const char *help;
};

/* struct counters is the shared page. Zeroed memory (a fresh memfd) is an empty
 * one. Only the worker writes; the supervisor maps it read-only. */
struct counters {
	uint32_t magic;
	uint32_t num;
	uint64_t values[COUNT_NUM];
};

/* counters_size is the length in bytes to give the shared memory: whole pages. */
size_t counters_size(void);

/* counters_begin is the worker's first act on the page: it marks it, keeps the
 * totals that a crashed predecessor left, and zeroes the gauges. Returns
 * EC_CORRUPT for a page of another build, which it leaves alone. */
enum ec counters_begin(struct counters *c) MUST_CHECK;

/* counters_add and counters_set are the writer's; `by` may be negative for a
 * gauge. counters_get is anybody's: a value that was true a moment ago. */
void counters_add(struct counters *c, enum counter which, int64_t by);
void counters_set(struct counters *c, enum counter which, uint64_t value);
uint64_t counters_get(const struct counters *c, enum counter which);

/* counters_row describes `which`. */
const struct counter_row *counters_row(enum counter which);

/* counters_sum adds `which` over `num` pages, NULLs skipped. The EPOCH gauge is
 * the least of them, and LISTENING the number of workers that listen. */
uint64_t counters_sum(const struct counters *const *pages, size_t num, enum counter which);

#endif
