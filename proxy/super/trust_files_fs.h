/* Owns:  reading the CA certificates that connectors need, for the workers, who open no
 *        files.
 * Never: waits for a file; looks into certificates: the worker does.
 * Spec:  danegate.yaml(5), connectors.tls_ca.
 * Start at: trust_files_read. */
#ifndef PROXY_TRUST_FILES_FS_H
#define PROXY_TRUST_FILES_FS_H

#include <jansson.h>

#include "base/ec.h"
#include "config/config.h"

/* Octets of all files together: the message has to fit into a line of a wire (base/wire_uv.h), beside
 * the configuration itself. */
enum { TRUST_FILES_MAX = 16 << 20 };

/* trust_files_read reads each file that exits_files names, and gives an object of them for the
 * "config" message: the caller's. Octets that PEM does not have come out as "?". Returns what
 * config_read_file does of a file over CONFIG_CA_FILE_MAX octets, or that can't be read or is no regular
 * file (config/load_fs.h), what pem_check does of one that is damaged (config/pem.h), EC_LIMIT (all of
 * them over TRUST_FILES_MAX), EC_NO_MEMORY; `why` names the file. */
enum ec trust_files_read(const struct config *cfg, json_t **out, struct why *why) MUST_CHECK;

#endif
