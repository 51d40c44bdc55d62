#include "config/schema.h"

#include <assert.h>
#include <string.h>

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define YEAR (366 * DAY)
#define KIB INT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

static const char *const words_log_format[] = { "logfmt", "json", NULL };
static const char *const words_log_level[] = { "debug", "info", "notice", "warning", "error", NULL };
static const char *const words_algorithm[] = { "ecdsa-p256", "rsa-3072", NULL };
static const char *const words_issuer[] = { "self-signed", "files", "command", NULL };
static const char *const words_client_info[] = { "none", "xclient", "proxy-v2", "xforward", NULL };
static const char *const words_protocol[] = { "smtp", "lmtp", NULL };
static const char *const words_hop_tls[] = { "none", "opportunistic", "require", NULL };
static const char *const words_dane[] = { "none", "opportunistic", "mandatory", NULL };
static const char *const words_mta_sts[] = { "none", "opportunistic", NULL };
static const char *const words_bare_newline[] = { "reject", "normalize", NULL };
static const char *const words_publisher[] = { "rfc2136", "exec", "zonefile", NULL };
static const char *const words_tsig[] = { "hmac-sha256", "hmac-sha512", NULL };
static const char *const words_wait[] = { "two-ttl", "signatures", NULL };
/* Same order as enum record_form in tlsa-sync/facts.h. */
static const char *const words_digests[] = { "sha2-256", "sha2-512", NULL };

#define AT(member) .offset = offsetof(struct config, member)
#define AT_IDENTITY(member) .scope = SCHEMA_IN_IDENTITY, .offset = offsetof(struct config_identity, member)
#define AT_FILES(member) .scope = SCHEMA_IN_FILES, .offset = offsetof(struct config_files, member)
#define AT_CONNECTOR(member) .scope = SCHEMA_IN_CONNECTOR, .offset = offsetof(struct config_connector, member)
#define AT_CONNECTOR_MARKED(member) AT_CONNECTOR(member), .mark_offset = offsetof(struct config_connector, member##_mark)
#define AT_HOP(member) .scope = SCHEMA_IN_HOP, .offset = offsetof(struct config_next_hop, member)

/* clang-format off */
const struct schema_row schema_rows[] = {
	{ "state_dir", SCHEMA_PATH, AT(state_dir), .fallback = "/var/lib/danegate", .needs_restart = true,
	  .doc = "Directory for what must survive a restart; private keys are kept in its keys directory, mode 0700." },
	{ "user", SCHEMA_TEXT, AT(user), .fallback = "", .empty = true, .needs_restart = true,
	  .doc = "User to become once sockets are open. Empty means: stay." },

	{ "log", SCHEMA_SECTION, .doc = "What is logged, on standard error." },
	{ "log.format", SCHEMA_WORD, AT(log.format), .fallback = "logfmt", .words = words_log_format,
	  .doc = "Form of a log line." },
	{ "log.level", SCHEMA_WORD, AT(log.level), .fallback = "info", .words = words_log_level,
	  .doc = "The least important events that are logged." },

	{ "dns", SCHEMA_SECTION, .doc = "DNSSEC-validated look-ups, made in our own process." },
	{ "dns.trust_anchor", SCHEMA_PATH, AT(dns.trust_anchor), .fallback = "/usr/share/dns/root.key",
	  .doc = "File with the trust anchor of the root zone." },
	{ "dns.root_hints", SCHEMA_PATH, AT(dns.root_hints), .fallback = "", .empty = true,
	  .doc = "File with the addresses of the root servers. Empty means those built into libunbound." },
	{ "dns.resolver", SCHEMA_ADDRESSES, AT(dns.resolver), .fallback = "", .max = 16, .port = 53,
	  .doc = "Resolvers to forward questions to; their answers are still validated here. Empty means: iterate from the root." },
	{ "dns.timeout", SCHEMA_DURATION, AT(dns.timeout_ms), .fallback = "5s", .min = 100, .max = 5 * MINUTE, .step = 1,
	  .doc = "Longest wait for one look-up." },
	{ "dns.keep_test_tld", SCHEMA_BOOL, AT(dns.keep_test_tld), .fallback = "false",
	  .doc = "Look names under test. up in DNS instead of denying them (RFC 6761). For labs." },

	{ "mta_sts", SCHEMA_SECTION, .doc = "Fetching the MTA-STS policies (RFC 8461) of the domains that connectors with \"to: mx\" serve." },
	{ "mta_sts.ca", SCHEMA_PATH, AT(sts.ca), .fallback = "", .empty = true,
	  .doc = "File with the certificates, in PEM, that a policy host's chain must end at. Empty means the system's "
		 "(/etc/ssl/certs/ca-certificates.crt)." },
	{ "mta_sts.cache_dir", SCHEMA_PATH, AT(sts.cache_dir), .fallback = "", .empty = true,
	  .doc = "Directory for the policies that are known, so that they hold over a restart. Empty means mta-sts in state_dir." },
	{ "mta_sts.timeout", SCHEMA_DURATION, AT(sts.timeout_ms), .fallback = "15s", .min = SECOND, .max = MINUTE, .step = 1,
	  .doc = "Longest wait for a policy. A recipient waits for it only the first time, and then at most 10s." },

	{ "proxy", SCHEMA_SECTION, .doc = "danegate itself." },
	{ "proxy.hostname", SCHEMA_HOST, AT(proxy.hostname), .needed_by = SCHEMA_NEEDED_DANEGATE,
	  .doc = "Name used in the greeting, the EHLO reply and Received:." },
	{ "proxy.listen", SCHEMA_ADDRESSES, AT(proxy.listen), .fallback = "0.0.0.0:25 [::]:25", .min = 1, .max = 64,
	  .needs_restart = true, .doc = "Addresses to listen on." },
	{ "proxy.workers", SCHEMA_COUNT, AT(proxy.workers), .fallback = "0", .max = 256, .needs_restart = true,
	  .doc = "Number of worker processes; 0 means one per core." },
	{ "proxy.control_socket", SCHEMA_SOCKET, AT(proxy.control_socket), .fallback = "/run/danegate/control.sock",
	  .needs_restart = true, .doc = "Unix socket on which tlsa-sync asks for keys and swaps." },
	{ "proxy.stats_socket", SCHEMA_SOCKET, AT(proxy.stats_socket), .fallback = "/run/danegate/stats.sock",
	  .needs_restart = true, .doc = "Unix socket that answers \"help\", \"show info\" and so on." },
	{ "proxy.proxy_protocol_from", SCHEMA_NETWORKS, AT(proxy.proxy_protocol_from), .fallback = "", .max = 1000,
	  .doc = "Networks of load balancers. A connection from there must begin with a PROXY protocol header, version 1 or 2, "
		 "which says who the client is; without one it is closed before the greeting. From everywhere else such a header "
		 "is refused." },
	{ "proxy.proxy_protocol_timeout", SCHEMA_DURATION, AT(proxy.proxy_protocol_timeout_ms), .fallback = "10s",
	  .min = 100, .max = 5 * MINUTE, .step = 1, .doc = "Longest wait for that header." },
	{ "proxy.drain_timeout", SCHEMA_DURATION, AT(proxy.drain_timeout_ms), .fallback = "30s", .max = HOUR, .step = 1,
	  .doc = "How long running transactions may take to finish once the program is told to stop." },

	{ "identities", SCHEMA_MAPPINGS, AT(identities), .min = 1, .max = 100000, .needed_by = SCHEMA_NEEDED_DANEGATE,
	  .doc = "The MX host names that are served, each with its own keys. The first one is the default identity: it "
		 "answers when a client names no host or an unknown one." },
	{ "identities.name", SCHEMA_HOST, AT_IDENTITY(name), .needed_by = SCHEMA_NEEDED_DANEGATE,
	  .mark_offset = offsetof(struct config_identity, mark),
	  .doc = "MX host name; the TLSA records are at _25._tcp.name." },
	{ "identities.algorithms", SCHEMA_SET, AT_IDENTITY(algorithms), .fallback = "ecdsa-p256",
	  .words = words_algorithm, .min = 1, .doc = "Kinds of key; one of each kind is made and published." },
	{ "identities.issuer", SCHEMA_WORD, AT_IDENTITY(issuer), .fallback = "self-signed", .words = words_issuer,
	  .doc = "Where certificates come from: danegate signs them itself, which is all that DANE-EE needs; both key and chain are "
		 "made elsewhere and read from files; or tlsa-sync runs a command that gets them from a CA. Keys are not renewed with "
		 "them: a roll of tlsa-sync makes new ones." },
	{ "identities.files", SCHEMA_MAPPINGS, AT_IDENTITY(files), .max = CONFIG_NUM_ALGORITHMS,
	  .doc = "For issuer files: a chain and a key for each algorithm." },
	{ "identities.files.chain", SCHEMA_PATH, AT_FILES(chain), .needed_by = SCHEMA_NEEDED_DANEGATE,
	  .mark_offset = offsetof(struct config_files, chain_mark),
	  .doc = "PEM file with the certificate and those above it." },
	{ "identities.files.key", SCHEMA_PATH, AT_FILES(key), .needed_by = SCHEMA_NEEDED_DANEGATE,
	  .mark_offset = offsetof(struct config_files, key_mark),
	  .doc = "PEM file with the private key, readable by its owner only." },
	{ "identities.command", SCHEMA_COMMAND, AT_IDENTITY(command), .fallback = "", .max = 64,
	  .mark_offset = offsetof(struct config_identity, command_mark),
	  .doc = "For issuer command: the program and its arguments. No shell comes into it. tlsa-sync runs it with a certificate "
		 "signing request (PEM) as its input and expects the chain (PEM), the leaf first, as its output; see ISSUERS in "
		 "tlsa-sync(1)." },
	{ "identities.command_timeout", SCHEMA_DURATION, AT_IDENTITY(command_timeout_ms), .fallback = "5m", .min = SECOND,
	  .max = HOUR, .step = 1, .doc = "After this long it is killed, with all it has started." },
	{ "identities.command_retry", SCHEMA_DURATION, AT_IDENTITY(command_retry_ms), .fallback = "5m", .min = SECOND,
	  .max = 6 * HOUR, .step = SECOND,
	  .doc = "Pause before it is run again after a failure; doubled after each further one, up to 6h. CAs limit how often one "
		 "may fail." },
	{ "identities.renew_before", SCHEMA_DURATION, AT_IDENTITY(renew_before_ms), .fallback = "0", .max = 10 * YEAR,
	  .step = SECOND, .doc = "With issuer command: how long before its end a certificate is renewed, with the same key. 0 means a third "
	  "of its life." },
	{ "identities.certificate_life", SCHEMA_DURATION, AT_IDENTITY(certificate_life_ms), .fallback = "90d",
	  .min = HOUR, .max = 10 * YEAR, .step = SECOND,
	  .doc = "Life of a self-signed certificate. It is signed anew, with the same key, when a third is left. With issuer command "
		 "a key has such a certificate until the CA has given one." },

	{ "backend", SCHEMA_SECTION, .doc = "The mail system behind the edge. Its times hold for connectors too." },
	{ "backend.address", SCHEMA_NEXT_HOP, AT(backend.address), .needed_by = SCHEMA_NEEDED_DANEGATE,
	  .doc = "Where it listens for SMTP. With connectors this may be left out; if it is there, it is one more connector, named "
		 "backend, for the domains that no other one has, spoken to without TLS." },
	{ "backend.client_info", SCHEMA_WORD, AT(backend.client_info), .fallback = "xclient", .words = words_client_info,
	  .doc = "How the backend learns the real client's address: the XCLIENT command, a PROXY protocol header, or the XFORWARD "
		 "command, which only its logs use. A backend that does not offer the chosen command gets no mail. Beware of none and "
		 "xforward: its access rules then see danegate's own address, and a backend that relays for that one (Postfix does "
		 "for mynetworks, which holds 127.0.0.0/8) becomes an open relay." },
	{ "backend.connect_timeout", SCHEMA_DURATION, AT(backend.connect_timeout_ms), .fallback = "1s", .min = 100,
	  .max = 10 * MINUTE, .step = 1,
	  .doc = "Longest wait for a TCP connection; then the sender gets a 4xx and comes back. The backend is near: one that takes longer "
		 "is down." },
	{ "backend.reply_timeout", SCHEMA_DURATION, AT(backend.reply_timeout_ms), .fallback = "60s", .min = 100,
	  .max = HOUR, .step = 1, .doc = "Longest wait for any reply but the one to the end of the message." },
	{ "backend.data_timeout", SCHEMA_DURATION, AT(backend.data_timeout_ms), .fallback = "600s", .min = 100,
	  .max = HOUR, .step = 1,
	  .doc = "Longest wait for the reply to the end of the message (RFC 5321 4.5.3.2.6 asks for 10 minutes)." },
	{ "backend.idle_timeout", SCHEMA_DURATION, AT(backend.idle_timeout_ms), .fallback = "60s", .max = HOUR, .step = 1,
	  .doc = "How long an unused connection is kept for the next message; 0 means not at all." },

	{ "connectors", SCHEMA_MAPPINGS, AT(connectors), .max = 10000,
	  .doc = "Ways on for the mail of sets of domains, each with its own next hops and its own demands on them; see CONNECTORS in "
		 "danegate(8). A recipient whose domain no connector has is refused with 550 5.7.1." },
	{ "connectors.name", SCHEMA_LABEL, AT_CONNECTOR(name), .needed_by = SCHEMA_NEEDED_DANEGATE,
	  .mark_offset = offsetof(struct config_connector, mark),
	  .doc = "Its name in logs, counters and reports." },
	{ "connectors.domains", SCHEMA_PATTERNS, AT_CONNECTOR(domains), .min = 1, .max = 100000,
	  .needed_by = SCHEMA_NEEDED_DANEGATE,
	  .doc = "Recipient domains: example.org is that domain alone, *.example.org all below it, however deep, but not itself, and * "
		 "all that no other pattern has. The exact name wins over the longest suffix. Case does not count, nor whether an "
		 "internationalized label is written as such (in small letters) or as its xn-- form. A pattern may stand once in the "
		 "file." },
	{ "connectors.next_hops", SCHEMA_MAPPINGS, AT_CONNECTOR(next_hops), .min = 1, .max = CONFIG_NEXT_HOPS_MAX,
	  .needed_by = SCHEMA_NEEDED_DANEGATE, .doc = "Where the mail goes on to; at most 16 of them." },
	{ "connectors.next_hops.to", SCHEMA_HOP, AT_HOP(to), .needed_by = SCHEMA_NEEDED_DANEGATE,
	  .mark_offset = offsetof(struct config_next_hop, mark),
	  .doc = "With mx it goes to the mail hosts that DNS names for the recipient's domain, at port 25." },
	{ "connectors.next_hops.priority", SCHEMA_COUNT, AT_HOP(priority), .fallback = "10", .max = 65535,
	  .doc = "The lowest is tried first." },
	{ "connectors.next_hops.weight", SCHEMA_COUNT, AT_HOP(weight), .fallback = "1", .min = 1, .max = 65535,
	  .doc = "Share of this hop among those of the same priority." },
	{ "connectors.protocol", SCHEMA_WORD, AT_CONNECTOR_MARKED(protocol), .fallback = "smtp", .words = words_protocol,
	  .doc = "LMTP (RFC 2033) is for mail stores. Such a transaction has one recipient: further ones get 452 4.5.3 and are sent again by "
		 "themselves, because one answer must speak for all of a message." },
	{ "connectors.tls", SCHEMA_WORD, AT_CONNECTOR_MARKED(tls), .fallback = "opportunistic", .words = words_hop_tls,
	  .doc = "Opportunistic encrypts where STARTTLS is offered, and believes any certificate; what dane and mta_sts find goes above it. "
		 "Require takes only a certificate that chains to tls_ca and has tls_name, or that has one of tls_pins. Without that the "
		 "sender gets a 4xx." },
	{ "connectors.tls_ca", SCHEMA_PATH, AT_CONNECTOR_MARKED(tls_ca), .fallback = "", .empty = true,
	  .doc = "For tls require: PEM file with the CAs to trust. Empty means those of the system, "
		 "/etc/ssl/certs/ca-certificates.crt." },
	{ "connectors.tls_name", SCHEMA_HOST, AT_CONNECTOR_MARKED(tls_name), .fallback = "", .empty = true,
	  .doc = "For tls require: the name that the certificate must have. Empty means the name of the host." },
	{ "connectors.tls_pins", SCHEMA_PINS, AT_CONNECTOR_MARKED(tls_pins), .fallback = "", .max = 16,
	  .doc = "For tls require, instead of tls_ca and tls_name: SHA-256 digests, in hex, of the public keys (SubjectPublicKeyInfo) that "
		 "are believed; the same as in a TLSA record 3 1 1." },
	{ "connectors.dane", SCHEMA_WORD, AT_CONNECTOR_MARKED(dane), .fallback = "opportunistic", .words = words_dane,
	  .doc = "DANE (RFC 7672) for hops that have a name. Opportunistic: where the zone is signed and has TLSA records, a certificate that "
		 "matches none of them gets no mail. Mandatory: neither does a hop without such records." },
	{ "connectors.mta_sts", SCHEMA_WORD, AT_CONNECTOR_MARKED(mta_sts), .fallback = "opportunistic", .words = words_mta_sts,
	  .doc = "MTA-STS (RFC 8461) for the hop mx, where DANE does not apply: a policy of the domain in mode enforce is kept to. It means "
		 "nothing to other hops." },
	{ "connectors.until", SCHEMA_DATE, AT_CONNECTOR_MARKED(until), .fallback = "", .empty = true,
	  .doc = "The last day, in UTC, on which none holds. From then on it counts as opportunistic, an alarm says so, and danegate --check "
		 "warns of it. Needed with tls, dane or mta_sts none, unless every hop is a unix socket or a loopback address." },
	{ "connectors.reason", SCHEMA_TEXT, AT_CONNECTOR_MARKED(reason), .fallback = "", .empty = true,
	  .doc = "Why it is so: shown with the alarm and in reports. Needed with until." },
	{ "connectors.client_info", SCHEMA_WORD, AT_CONNECTOR(client_info), .fallback = "none", .words = words_client_info,
	  .doc = "How the next hop learns the real client's address: see backend.client_info, and its warning." },
	{ "connectors.max_connections", SCHEMA_COUNT, AT_CONNECTOR(max_connections), .fallback = "100", .min = 1, .max = 100000,
	  .doc = "Connections at once to its hops, in each worker. A recipient who would need one more gets 451 4.3.2." },
	{ "connectors.max_recipients", SCHEMA_COUNT, AT_CONNECTOR(max_recipients), .fallback = "0", .max = 100000,
	  .doc = "Recipients of one message; 0 means as many as smtp.max_recipients." },

	{ "smtp", SCHEMA_SECTION, .doc = "The dialogue with clients." },
	{ "smtp.bare_newline", SCHEMA_WORD, AT(smtp.bare_newline), .fallback = "reject", .words = words_bare_newline,
	  .doc = "What happens to a CR or LF alone in a message: it is refused, or made a whole line end. It never passes, except "
		 "with BODY=BINARYMIME (RFC 3030), where a message has no lines." },
	{ "smtp.bare_newline_exempt", SCHEMA_NETWORKS, AT(smtp.bare_newline_exempt), .fallback = "", .max = 1000,
	  .doc = "Networks of old clients whose messages get whole line ends even where smtp.bare_newline says reject." },
	{ "smtp.max_message_size", SCHEMA_SIZE, AT(smtp.max_message_size), .fallback = "150M", .min = KIB, .max = 16 * GIB,
	  .doc = "Largest message; announced by SIZE (RFC 1870), cut to what the backend takes. Large senders go up to 150M." },
	{ "smtp.max_recipients", SCHEMA_COUNT, AT(smtp.max_recipients), .fallback = "1000", .min = 1, .max = 100000,
	  .doc = "Recipients of one message (RFC 5321 4.5.3.1.8 asks for at least 100)." },
	{ "smtp.max_commands", SCHEMA_COUNT, AT(smtp.max_commands), .fallback = "1000", .min = 10, .max = 1000000,
	  .doc = "Commands in a session without a delivered message." },
	{ "smtp.max_errors", SCHEMA_COUNT, AT(smtp.max_errors), .fallback = "20", .min = 1, .max = 100000,
	  .doc = "Refused commands in a session." },
	{ "smtp.max_transactions", SCHEMA_COUNT, AT(smtp.max_transactions), .fallback = "100", .min = 1, .max = 1000000,
	  .doc = "Messages in a session." },
	{ "smtp.greeting_delay", SCHEMA_DURATION, AT(smtp.greeting_delay_ms), .fallback = "0", .max = MINUTE, .step = 1,
	  .doc = "Wait before the greeting; a client that talks first is refused." },
	{ "smtp.command_timeout", SCHEMA_DURATION, AT(smtp.command_timeout_ms), .fallback = "300s", .min = 100,
	  .max = HOUR, .step = 1, .doc = "Longest wait for a command (RFC 5321 4.5.3.2.7 asks for 5 minutes)." },
	{ "smtp.data_timeout", SCHEMA_DURATION, AT(smtp.data_timeout_ms), .fallback = "300s", .min = 100, .max = HOUR,
	  .step = 1, .doc = "Longest wait between two pieces of a message." },
	{ "smtp.message_timeout", SCHEMA_DURATION, AT(smtp.message_timeout_ms), .fallback = "30m", .min = 100, .max = DAY,
	  .step = 1, .doc = "Longest time for the whole of a message, from DATA or the first BDAT to its end." },
	{ "smtp.tls_timeout", SCHEMA_DURATION, AT(smtp.tls_timeout_ms), .fallback = "30s", .min = 100,
	  .max = 10 * MINUTE, .step = 1, .doc = "Longest TLS handshake." },
	{ "smtp.session_timeout", SCHEMA_DURATION, AT(smtp.session_timeout_ms), .fallback = "3600s", .min = SECOND,
	  .max = DAY, .step = 1, .doc = "Longest session." },

	{ "limits", SCHEMA_SECTION, .doc = "Bounds on what clients may take. They never withhold STARTTLS (RFC 7672 9.2)." },
	{ "limits.sessions", SCHEMA_COUNT, AT(limits.sessions), .fallback = "10000", .min = 1, .max = 1000000,
	  .doc = "Sessions at once in one worker; each takes one of the descriptors that a process may have." },
	{ "limits.sessions_per_address", SCHEMA_COUNT, AT(limits.sessions_per_address), .fallback = "100", .min = 1,
	  .max = 1000000, .doc = "Sessions at once from one IPv4 address or one IPv6 /64, in all workers together." },
	{ "limits.sessions_per_prefix", SCHEMA_COUNT, AT(limits.sessions_per_prefix), .fallback = "1000", .min = 1,
	  .max = 1000000, .doc = "Sessions at once from one IPv4 /24 or IPv6 /56, in all workers together." },
	{ "limits.tiny_tls_records", SCHEMA_COUNT, AT(limits.tiny_tls_records), .fallback = "10000", .min = 100,
	  .max = 1000000000, .doc = "TLS records in a session beyond one for every 16 octets that they carry. A client that "
	  "sends each octet in a record of its own is cut off here; one that writes lines never comes near." },
	{ "limits.queue_bytes", SCHEMA_SIZE, AT(limits.queue_bytes), .fallback = "64K", .min = 4 * KIB, .max = 64 * MIB,
	  .doc = "Bytes held for a side that does not read before the other side is no longer read from." },

	{ "tlsa_sync", SCHEMA_SECTION, .doc = "tlsa-sync, which rolls the keys in DNS." },
	{ "tlsa_sync.journal", SCHEMA_PATH, AT(tlsa_sync.journal), .fallback = "/var/lib/tlsa-sync/journal.db",
	  .needs_restart = true, .doc = "Database of facts and history." },
	{ "tlsa_sync.control_socket", SCHEMA_SOCKET, AT(tlsa_sync.control_socket),
	  .fallback = "/run/tlsa-sync/control.sock", .needs_restart = true,
	  .doc = "Unix socket through which the commands reach the daemon." },
	{ "tlsa_sync.stats_socket", SCHEMA_SOCKET, AT(tlsa_sync.stats_socket), .fallback = "/run/tlsa-sync/stats.sock",
	  .needs_restart = true, .doc = "Unix socket that answers \"help\", \"show rollover\" and so on." },
	{ "tlsa_sync.instances", SCHEMA_SOCKETS, AT(tlsa_sync.instances), .fallback = "/run/danegate/control.sock",
	  .min = 1, .max = 64, .doc = "Control sockets of every danegate that serves the identities." },
	{ "tlsa_sync.publisher", SCHEMA_WORD, AT(tlsa_sync.publisher), .fallback = "rfc2136", .words = words_publisher,
	  .doc = "How DNS is changed: by RFC 2136 updates to the primary, by a command of yours, or by files that the zone "
		 "includes. The section of that name has the rest; those of the others are not looked at." },
	{ "tlsa_sync.rfc2136", SCHEMA_SECTION, .doc = "Dynamic updates (RFC 2136) signed with TSIG (RFC 8945)." },
	{ "tlsa_sync.rfc2136.server", SCHEMA_ADDRESS, AT(tlsa_sync.rfc2136.server), .fallback = "", .empty = true,
	  .port = 53, .doc = "Where updates are sent. Empty means the primary that the zone's SOA names." },
	{ "tlsa_sync.rfc2136.tsig_name", SCHEMA_NAME, AT(tlsa_sync.rfc2136.tsig_name),
	  .needed_by = SCHEMA_NEEDED_TLSA_SYNC, .doc = "Name of the TSIG key." },
	{ "tlsa_sync.rfc2136.tsig_algorithm", SCHEMA_WORD, AT(tlsa_sync.rfc2136.tsig_algorithm),
	  .fallback = "hmac-sha256", .words = words_tsig, .doc = "Its algorithm." },
	{ "tlsa_sync.rfc2136.tsig_key_file", SCHEMA_PATH, AT(tlsa_sync.rfc2136.tsig_key_file),
	  .needed_by = SCHEMA_NEEDED_TLSA_SYNC,
	  .doc = "File with its secret in base64, readable by its owner only." },
	{ "tlsa_sync.rfc2136.timeout", SCHEMA_DURATION, AT(tlsa_sync.rfc2136.timeout_ms), .fallback = "10s", .min = 100,
	  .max = 5 * MINUTE, .step = 1, .doc = "Longest wait for the answer to an update. Then it may have been applied, and the servers are asked." },
	{ "tlsa_sync.exec", SCHEMA_SECTION, .doc = "A command for each change, for DNS with an interface of its own; see tlsa-sync(1)." },
	{ "tlsa_sync.exec.command", SCHEMA_COMMAND, AT(tlsa_sync.exec.command), .min = 1, .max = 64,
	  .needed_by = SCHEMA_NEEDED_TLSA_SYNC,
	  .doc = "The program and its arguments. No shell comes into it. It gets the change as JSON and answers in JSON." },
	{ "tlsa_sync.exec.timeout", SCHEMA_DURATION, AT(tlsa_sync.exec.timeout_ms), .fallback = "60s", .min = 100, .max = HOUR,
	  .step = 1, .doc = "After this long it is killed, with all it has started." },
	{ "tlsa_sync.zonefile", SCHEMA_SECTION, .doc = "Files that zones include, one for each identity." },
	{ "tlsa_sync.zonefile.directory", SCHEMA_PATH, AT(tlsa_sync.zonefile.directory), .needed_by = SCHEMA_NEEDED_TLSA_SYNC,
	  .doc = "Where the files are: NAME.tlsa holds the TLSA records of identity NAME and nothing else." },
	{ "tlsa_sync.zonefile.reload", SCHEMA_COMMAND, AT(tlsa_sync.zonefile.reload), .fallback = "", .max = 64,
	  .doc = "A command, with its arguments, that makes the primary read the zone again; it also has to raise the serial of the "
		 "SOA where the server does not. The name of the zone is in its environment as TLSA_SYNC_ZONE, that of the owner of "
		 "the records as TLSA_SYNC_OWNER, the file as TLSA_SYNC_FILE. Empty means that something else looks after that." },
	{ "tlsa_sync.zonefile.timeout", SCHEMA_DURATION, AT(tlsa_sync.zonefile.timeout_ms), .fallback = "60s", .min = 100,
	  .max = HOUR, .step = 1, .doc = "After this long it is killed, with all it has started." },
	{ "tlsa_sync.ttl", SCHEMA_DURATION, AT(tlsa_sync.ttl_ms), .fallback = "1h", .min = SECOND, .max = 7 * DAY,
	  .step = SECOND, .doc = "TTL of the TLSA records." },
	{ "tlsa_sync.digests", SCHEMA_SET, AT(tlsa_sync.digests), .fallback = "sha2-256", .words = words_digests, .min = 1,
	  .doc = "Records published for each key: DANE-EE(3) SPKI(1) with these digests. Every client has SHA2-256 (3 1 1); SHA2-512 "
		 "(3 1 2) beside it doubles the set, and alone is not understood by all. A change is made in the order of RFC 7671 8.3: "
		 "the new records of every key first, and when no cache can lack them the old ones go." },
	{ "tlsa_sync.wait", SCHEMA_WORD, AT(tlsa_sync.wait), .fallback = "two-ttl", .words = words_wait,
	  .doc = "When caches are trusted to have the new set: two TTLs after every server had it (RFC 7671 8.1), or also "
		 "not before the last signature over the old set has expired (one that nobody saw lasts as long as the first over the new set)." },
	{ "tlsa_sync.floor", SCHEMA_DURATION, AT(tlsa_sync.floor_ms), .fallback = "0s", .max = YEAR, .step = SECOND,
	  .doc = "Least age of a published digest before its key is used, whatever else is known." },
	{ "tlsa_sync.confirmations", SCHEMA_COUNT, AT(tlsa_sync.confirmations), .fallback = "3", .min = 1, .max = 100,
	  .doc = "How many times in a row each server must give the wanted answer." },
	{ "tlsa_sync.poll", SCHEMA_DURATION, AT(tlsa_sync.poll_ms), .fallback = "5s", .min = 100, .max = HOUR, .step = 1,
	  .doc = "Time between two looks while a change is under way." },
	{ "tlsa_sync.watch", SCHEMA_DURATION, AT(tlsa_sync.watch_ms), .fallback = "5m", .min = SECOND, .max = DAY,
	  .step = 1, .doc = "Time between two looks when nothing is under way." },
	{ "tlsa_sync.cache_margin", SCHEMA_DURATION, AT(tlsa_sync.cache_margin_ms), .fallback = "0s", .max = DAY,
	  .step = SECOND, .doc = "Added to every wait, for senders that cache longer than the TTL." },
	{ "tlsa_sync.hold", SCHEMA_DURATION, AT(tlsa_sync.hold_ms), .fallback = "1h", .max = YEAR, .step = SECOND,
	  .doc = "How long the old key stays published after a swap, so that it can be undone at once." },
	{ "tlsa_sync.rotate_every", SCHEMA_DURATION, AT(tlsa_sync.rotate_every_ms), .fallback = "90d", .max = 10 * YEAR,
	  .step = SECOND, .doc = "Time from one roll to the next; 0 means only when asked." },
	{ "tlsa_sync.own_rrset", SCHEMA_BOOL, AT(tlsa_sync.own_rrset), .fallback = "false",
	  .doc = "Also delete TLSA records that we did not make. Otherwise they are reported." },
	{ "tlsa_sync.on_event", SCHEMA_COMMAND, AT(tlsa_sync.on_event), .fallback = "", .max = 64,
	  .doc = "A command, with its arguments, that is told of each change of state and of each alarm: one JSON object as its input, "
		 "see EVENTS in tlsa-sync(1). No shell comes into it. Runs follow one another, each for at most 30s; whatever becomes of "
		 "them, the roll goes on." },
	{ "tlsa_sync.probe", SCHEMA_SECTION, .doc = "Looking at the served key from outside, by SMTP and STARTTLS." },
	{ "tlsa_sync.probe.port", SCHEMA_COUNT, AT(tlsa_sync.probe.port), .fallback = "25", .min = 1, .max = 65535,
	  .doc = "Port to connect to." },
	{ "tlsa_sync.probe.addresses", SCHEMA_ADDRESSES, AT(tlsa_sync.probe.addresses), .fallback = "", .max = 64,
	  .port = 25, .doc = "Addresses to connect to. Empty means every A and AAAA record of the identity. One without a port "
			     "uses tlsa_sync.probe.port." },
	{ "tlsa_sync.probe.timeout", SCHEMA_DURATION, AT(tlsa_sync.probe.timeout_ms), .fallback = "10s", .min = 100,
	  .max = 5 * MINUTE, .step = 1, .doc = "Longest probe." },
};
/* clang-format on */

const size_t schema_num_rows = sizeof schema_rows / sizeof schema_rows[0];
static_assert(sizeof schema_rows / sizeof schema_rows[0] <= CONFIG_MARKS, "struct config has a mark for each row");
static_assert(sizeof(enum config_log_format) == sizeof(unsigned), "SCHEMA_WORD stores enumerations as unsigned");

const struct schema_row *schema_find(struct slice key)
{
	for (size_t i = 0; i < schema_num_rows; i++)
		if (slice_eq(slice_str(schema_rows[i].key), key))
			return &schema_rows[i];
	return NULL;
}

const char *schema_leaf(const struct schema_row *row)
{
	const char *dot = strrchr(row->key, '.');
	return dot == NULL ? row->key : dot + 1;
}

bool schema_parent_is(const struct schema_row *row, const char *prefix)
{
	const char *leaf = schema_leaf(row);
	size_t len = leaf == row->key ? 0 : (size_t)(leaf - row->key) - 1;
	return strlen(prefix) == len && memcmp(prefix, row->key, len) == 0;
}

enum { NEAREST_MAX = 40 };

/* Number of letters to insert, delete, change or swap (Damerau-Levenshtein). */
static size_t distance(struct slice a, struct slice b)
{
	size_t rows[3][NEAREST_MAX + 1];
	for (size_t j = 0; j <= b.len; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= a.len; i++) {
		size_t *now = rows[i % 3], *up = rows[(i - 1) % 3], *up2 = rows[(i + 1) % 3];
		now[0] = i;
		for (size_t j = 1; j <= b.len; j++) {
			size_t best = up[j - 1] + (a.p[i - 1] != b.p[j - 1]);
			if (up[j] + 1 < best)
				best = up[j] + 1;
			if (now[j - 1] + 1 < best)
				best = now[j - 1] + 1;
			if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1] && up2[j - 2] + 1 < best)
				best = up2[j - 2] + 1;
			now[j] = best;
		}
	}
	return rows[a.len % 3][b.len];
}

const struct schema_row *schema_nearest(const char *prefix, struct slice key)
{
	const struct schema_row *best = NULL;
	size_t best_distance = 1 + (key.len < 6 ? 1 : key.len / 3);
	if (key.len == 0 || key.len > NEAREST_MAX)
		return NULL;
	for (size_t i = 0; i < schema_num_rows; i++) {
		const struct schema_row *row = &schema_rows[i];
		struct slice leaf = slice_str(schema_leaf(row));
		if (!schema_parent_is(row, prefix) || leaf.len > NEAREST_MAX)
			continue;
		size_t d = distance(key, leaf);
		if (d < best_distance) {
			best = row;
			best_distance = d;
		}
	}
	/* The right key in the wrong section is as common as a slip of the finger. */
	for (size_t i = 0; best == NULL && i < schema_num_rows; i++)
		if (slice_eq(slice_str(schema_leaf(&schema_rows[i])), key))
			best = &schema_rows[i];
	return best;
}

bool schema_section_chosen(const struct schema_row *row, const struct config *cfg)
{
	static const char above[] = "tlsa_sync.";
	if (row->offset == offsetof(struct config, backend.address) && row->scope == SCHEMA_IN_CONFIG)
		return cfg->num_connectors == 0;
	if (strncmp(row->key, above, sizeof above - 1) != 0)
		return true;
	const char *name = row->key + sizeof above - 1;
	for (unsigned i = 0; words_publisher[i] != NULL; i++) {
		size_t len = strlen(words_publisher[i]);
		if (strncmp(name, words_publisher[i], len) == 0 && name[len] == '.')
			return i == (unsigned)cfg->tlsa_sync.publisher;
	}
	return true;
}

unsigned schema_used_by(const struct schema_row *row)
{
	/* By the first part of the key; what is not here is for danegate alone. */
	static const struct {
		const char *top;
		unsigned programs;
	} tops[] = {
		{ "tlsa_sync", 1u << CONFIG_FOR_TLSA_SYNC },
		{ "user", 1u << CONFIG_FOR_DANEGATE | 1u << CONFIG_FOR_TLSA_SYNC },
		{ "log", 1u << CONFIG_FOR_DANEGATE | 1u << CONFIG_FOR_TLSA_SYNC },
		{ "dns", 1u << CONFIG_FOR_DANEGATE | 1u << CONFIG_FOR_TLSA_SYNC },
	};
	struct slice top = slice_of(row->key, strcspn(row->key, "."));
	for (size_t i = 0; i < sizeof tops / sizeof tops[0]; i++)
		if (slice_eq(slice_str(tops[i].top), top))
			return tops[i].programs;
	return 1u << CONFIG_FOR_DANEGATE;
}

bool schema_is_text(enum schema_type type)
{
	return type >= SCHEMA_TEXT && type <= SCHEMA_NEXT_HOP;
}

bool schema_is_list(enum schema_type type)
{
	return type >= SCHEMA_ADDRESSES && type <= SCHEMA_COMMAND;
}
