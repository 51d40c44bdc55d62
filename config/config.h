/* Owns:  struct config, every setting of both programs as a plain value, with
 *        the place in the file that gave it.
 * Never: a secret: settings name the files that hold them. Never opens a file.
 * Spec:  danegate.yaml(5); schema.c has one row per member.
 * Start at: struct config. */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ec.h"
#include "base/slice.h"

/* Strings are owned, NUL-ended and never NULL ("" when unset). Durations are
 * milliseconds, sizes bytes. Addresses stay text, already checked: read them
 * with base/address.h and base/network.h. */

enum config_program { CONFIG_FOR_DANEGATE, CONFIG_FOR_TLSA_SYNC };

/* Same order as enum log_format and enum log_level in base/log_fs.h. */
enum config_log_format { CONFIG_LOG_LOGFMT, CONFIG_LOG_JSON };
enum config_log_level { CONFIG_LOG_DEBUG, CONFIG_LOG_INFO, CONFIG_LOG_NOTICE, CONFIG_LOG_WARNING, CONFIG_LOG_ERROR };
/* Same order as enum key_algorithm in certs/generation.h. */
enum config_algorithm { CONFIG_ECDSA_P256, CONFIG_RSA_3072, CONFIG_NUM_ALGORITHMS };
enum config_issuer { CONFIG_SELF_SIGNED, CONFIG_FILES, CONFIG_COMMAND };
enum config_client_info { CONFIG_CLIENT_NONE, CONFIG_CLIENT_XCLIENT, CONFIG_CLIENT_PROXY_V2, CONFIG_CLIENT_XFORWARD };
enum config_bare_newline { CONFIG_BARE_REJECT, CONFIG_BARE_NORMALIZE };
enum config_publisher { CONFIG_RFC2136, CONFIG_EXEC, CONFIG_ZONEFILE, CONFIG_NUM_PUBLISHERS };
enum config_tsig_algorithm { CONFIG_HMAC_SHA256, CONFIG_HMAC_SHA512 };
enum config_protocol { CONFIG_SMTP, CONFIG_LMTP };
enum config_hop_tls { CONFIG_TLS_NONE, CONFIG_TLS_OPPORTUNISTIC, CONFIG_TLS_REQUIRE };
enum config_dane { CONFIG_DANE_NONE, CONFIG_DANE_OPPORTUNISTIC, CONFIG_DANE_MANDATORY };
enum config_mta_sts { CONFIG_MTA_STS_NONE, CONFIG_MTA_STS_OPPORTUNISTIC };
enum config_wait { CONFIG_WAIT_TWO_TTL, CONFIG_WAIT_SIGNATURES };

/* struct config_mark is a place in the file, both counted from 1. Line 0 means
 * that the setting is not in the file: its default is in force. */
struct config_mark {
	uint32_t line;
	uint32_t col;
};

struct config_list {
	char **items;
	struct config_mark *marks;
	size_t num;
};

struct config_log {
	enum config_log_format format;
	enum config_log_level level;
};

struct config_dns {
	char *trust_anchor;
	char *root_hints; /* "" = libunbound's own */
	struct config_list resolver; /* ADDR or ADDR:PORT (default 53); none = iterate from the root */
	int64_t timeout_ms;
	bool keep_test_tld; /* look .test up in DNS */
};

struct config_sts {
	char *ca; /* "" = the system's */
	char *cache_dir; /* "" = mta-sts in state_dir */
	int64_t timeout_ms;
};

struct config_proxy {
	char *hostname;
	struct config_list listen; /* ADDR:PORT */
	uint64_t workers; /* 0 = one per core */
	char *control_socket;
	char *stats_socket;
	struct config_list proxy_protocol_from; /* networks: base/network.h */
	int64_t proxy_protocol_timeout_ms;
	int64_t drain_timeout_ms;
};

struct config_files {
	char *chain;
	char *key;
	struct config_mark chain_mark;
	struct config_mark key_mark;
};

struct config_identity {
	char *name; /* as written; compare without case */
	unsigned algorithms; /* OR of 1u << enum config_algorithm */
	enum config_issuer issuer;
	struct config_files *files; /* issuer files: one pair per algorithm */
	size_t num_files;
	struct config_list command; /* issuer command: program and arguments */
	struct config_mark command_mark;
	int64_t command_timeout_ms;
	int64_t command_retry_ms;
	int64_t renew_before_ms; /* 0 = a third of the certificate's life */
	int64_t certificate_life_ms;
	struct config_mark mark; /* of its name */
};

struct config_backend {
	char *address; /* ADDR:PORT or unix:/path */
	enum config_client_info client_info;
	int64_t connect_timeout_ms;
	int64_t reply_timeout_ms;
	int64_t data_timeout_ms;
	int64_t idle_timeout_ms;
};

/* What these settings mean is in config/connector.h. */
struct config_next_hop {
	char *to; /* "mx", HOST:PORT, ADDR:PORT or unix:/path */
	uint64_t priority; /* the lowest first */
	uint64_t weight; /* among equals, by chance */
	struct config_mark mark; /* of `to` */
};

struct config_connector {
	char *name;
	struct config_list domains; /* "example.org", "*.example.org", "*" */
	struct config_next_hop *next_hops;
	size_t num_next_hops;
	enum config_protocol protocol;
	enum config_hop_tls tls;
	char *tls_ca; /* "" = the system's store */
	char *tls_name; /* "" = the hop's host name */
	struct config_list tls_pins; /* SHA-256 of SPKIs in hex */
	enum config_dane dane;
	enum config_mta_sts mta_sts;
	char *until; /* the last day of an exception, "2027-01-31"; "" = none */
	char *reason;
	enum config_client_info client_info;
	uint64_t max_connections; /* per worker */
	uint64_t max_recipients; /* 0 = smtp.max_recipients */
	struct config_mark mark; /* of its name */
	struct config_mark protocol_mark, tls_mark, tls_ca_mark, tls_name_mark, tls_pins_mark;
	struct config_mark dane_mark, mta_sts_mark, until_mark, reason_mark;
};

struct config_smtp {
	enum config_bare_newline bare_newline;
	struct config_list bare_newline_exempt; /* networks */
	uint64_t max_message_size;
	uint64_t max_recipients;
	uint64_t max_commands;
	uint64_t max_errors;
	uint64_t max_transactions;
	int64_t greeting_delay_ms;
	int64_t command_timeout_ms;
	int64_t data_timeout_ms;
	int64_t message_timeout_ms;
	int64_t tls_timeout_ms;
	int64_t session_timeout_ms;
};

struct config_limits {
	uint64_t sessions; /* per worker */
	uint64_t sessions_per_address;
	uint64_t sessions_per_prefix;
	uint64_t tiny_tls_records; /* beyond one per 16 octets */
	uint64_t queue_bytes;
};

struct config_rfc2136 {
	char *server; /* "" = the primary of the SOA; else ADDR or ADDR:PORT (default 53) */
	char *tsig_name;
	enum config_tsig_algorithm tsig_algorithm;
	char *tsig_key_file;
	int64_t timeout_ms;
};

struct config_exec {
	struct config_list command; /* program and arguments */
	int64_t timeout_ms;
};

struct config_zonefile {
	char *directory;
	struct config_list reload; /* program and arguments; may be empty */
	int64_t timeout_ms;
};

struct config_probe {
	uint64_t port;
	struct config_list addresses; /* ADDR or ADDR:PORT (default: port); none = A and AAAA of the identity */
	int64_t timeout_ms;
};

struct config_tlsa_sync {
	char *journal;
	char *control_socket;
	char *stats_socket;
	struct config_list instances; /* control sockets of danegate */
	enum config_publisher publisher;
	struct config_rfc2136 rfc2136;
	struct config_exec exec;
	struct config_zonefile zonefile;
	int64_t ttl_ms;
	unsigned digests; /* OR of 1u << enum record_form (tlsa-sync/facts.h) */
	enum config_wait wait;
	int64_t floor_ms;
	uint64_t confirmations;
	int64_t poll_ms;
	int64_t watch_ms;
	int64_t cache_margin_ms;
	int64_t hold_ms;
	int64_t rotate_every_ms; /* 0 = only when asked */
	bool own_rrset;
	struct config_list on_event; /* program and arguments; may be empty */
	struct config_probe probe;
};

enum { CONFIG_MARKS = 160 };

/* Next hops of one connector: what a route has room for beside the hosts that DNS names for `mx`. */
enum { CONFIG_NEXT_HOPS_MAX = 16 };

struct config {
	char *state_dir;
	char *user; /* "" = stay */
	struct config_log log;
	struct config_dns dns;
	struct config_sts sts; /* section mta_sts */
	struct config_proxy proxy;
	struct config_identity *identities; /* the first is the default identity */
	size_t num_identities;
	struct config_backend backend;
	struct config_connector *connectors;
	size_t num_connectors;
	struct config_smtp smtp;
	struct config_limits limits;
	struct config_tlsa_sync tlsa_sync;

	unsigned programs; /* OR of 1u << enum config_program: who it was read for; config_load says one, config_parse both */
	char *file_name; /* as given to config_parse */
	struct config_mark marks[CONFIG_MARKS]; /* by schema row; ask config_mark_of */
};

enum { CONFIG_ERRORS_MAX = 50, CONFIG_ERROR_SIZE = 640, CONFIG_TEXT_MAX = 32 << 20 };

/* struct config_errors collects complaints, each one line ready to print:
 * `file:line:col: key: what is wrong; what would be right`. After
 * CONFIG_ERRORS_MAX of them `more` counts the rest. Start with `= { 0 }`. */
struct config_errors {
	size_t num;
	size_t more;
	enum ec ec; /* of the first */
	char items[CONFIG_ERRORS_MAX][CONFIG_ERROR_SIZE];
};

/* config_errors_add adds one. `key` may be "" (the whole file). */
void config_errors_add(struct config_errors *errs, enum ec ec, const char *file_name, struct config_mark mark,
                       const char *key, const char *format, ...) __attribute__((format(printf, 6, 7)));

/* config_errors_text appends all of them, a newline after each, and a line for
 * `more`. Returns EC_NO_MEMORY. */
enum ec config_errors_text(const struct config_errors *errs, struct bytes *out) MUST_CHECK;

/* config_defaults sets `*out` to a configuration with every default and no
 * identity. The caller frees it. Returns EC_NO_MEMORY. */
enum ec config_defaults(struct config **out) MUST_CHECK;

/* config_parse reads YAML. On EC_OK `*out` is the caller's to free. Otherwise
 * `*out` is NULL and `errs` holds every complaint; the code is the first one's:
 * EC_SYNTAX, EC_RANGE, EC_UNKNOWN_KEY, EC_DUPLICATE, EC_MISSING, EC_NOT_FOUND,
 * EC_UNSUPPORTED, EC_LIMIT, EC_NO_MEMORY. What only one of the programs needs is
 * not asked for here: see config_check_for. Pure. Copies `text`. */
enum ec config_parse(struct slice text, const char *file_name, struct config **out,
                     struct config_errors *errs) MUST_CHECK;

/* config_check_for adds an error for each setting that `program` needs and that
 * is not there. Returns EC_OK or EC_MISSING. Pure. */
enum ec config_check_for(const struct config *cfg, enum config_program program, struct config_errors *errs) MUST_CHECK;

void config_free(struct config *cfg);

/* config_mark_of gives the place of a dotted key outside lists of mappings,
 * e.g. "proxy.listen", or line 0. `key` must be in the schema. */
struct config_mark config_mark_of(const struct config *cfg, const char *key);

/* config_dump appends the effective configuration, every key with its value, as
 * YAML that config_parse reads back to an equal one. Returns EC_NO_MEMORY. */
enum ec config_dump(const struct config *cfg, struct bytes *out) MUST_CHECK;

/* config_diff calls `on_change` for each changed setting that matters to
 * after->programs (the two programs share one file, and a change in tlsa_sync is
 * nothing to danegate), in schema order: its dotted key and whether it can take
 * effect without a restart. Lists and identities compare as a whole
 * ("identities"). Returns the number of changes that need a restart. `on_change`
 * may be NULL. */
size_t config_diff(const struct config *before, const struct config *after,
                   void (*on_change)(void *arg, const char *key, bool reloadable), void *arg);

/* The words of the file for the enumerations, e.g. "ecdsa-p256"; static. */
const char *config_algorithm_name(enum config_algorithm algorithm);
const char *config_issuer_name(enum config_issuer issuer);
const char *config_client_info_name(enum config_client_info info);
const char *config_hop_tls_name(enum config_hop_tls tls);
const char *config_dane_name(enum config_dane dane);
const char *config_mta_sts_name(enum config_mta_sts mta_sts);
const char *config_tsig_algorithm_name(enum config_tsig_algorithm algorithm);

#endif
