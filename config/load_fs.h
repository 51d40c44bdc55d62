/* Owns:  reading the configuration and the files it names.
 * Never: keeps a secret in struct config; never changes a file.
 * Spec:  danegate.yaml(5).
 * Start at: config_load. */
#ifndef CONFIG_LOAD_FS_H
#define CONFIG_LOAD_FS_H

#include "config/config.h"

/* Octets of a file of CA certificates: it goes to every worker. */
enum { CONFIG_CA_FILE_MAX = 1 << 20 };

/* config_load reads, parses and checks the file at `path` for `program`: what
 * config_parse and config_check_for find, and then the files that settings
 * name. On EC_OK `*out` is the caller's to free; otherwise `*out` is NULL and
 * `errs` has every complaint. Returns also EC_NOT_FOUND, EC_PERMISSION, EC_IO. */
enum ec config_load(const char *path, enum config_program program, struct config **out,
                    struct config_errors *errs) MUST_CHECK;

/* config_read is config_load without a look at the files that settings name: what
 * --dump prints must not depend on the machine. */
enum ec config_read(const char *path, enum config_program program, struct config **out,
                    struct config_errors *errs) MUST_CHECK;

/* config_check_files looks at what the settings name: the trust anchor and root
 * hints are readable, state_dir and the journal's directory are there and ours to
 * write, the TSIG key and imported keys are readable by nobody but us, the sockets'
 * directories are there, the CAs of connectors are PEM, the user exists. Returns EC_OK
 * or the first complaint's code. */
enum ec config_check_files(const struct config *cfg, enum config_program program, struct config_errors *errs) MUST_CHECK;

/* config_read_file appends the whole of a regular file of at most `max` octets. It never waits: a FIFO
 * or a device is refused (EC_IO). Returns EC_NOT_FOUND, EC_PERMISSION, EC_IO, EC_LIMIT (longer),
 * EC_NO_MEMORY; `why` names the file and the cure. */
enum ec config_read_file(const char *path, size_t max, struct bytes *out, struct why *why) MUST_CHECK;

/* config_load_tsig reads tlsa_sync.rfc2136.tsig_key_file into `*out`: base64 as it
 * stands in the file, blanks around it removed, NUL-ended, of 16 to 256 octets
 * (RFC 8945 8). The caller ends it with secret_fini. Returns EC_NOT_FOUND,
 * EC_PERMISSION when group or others may read it, EC_SYNTAX, EC_RANGE, EC_IO,
 * EC_NO_MEMORY; `why` says "what is wrong; what would be right". */
enum ec config_load_tsig(const struct config *cfg, struct secret *out, struct why *why) MUST_CHECK;

#endif
