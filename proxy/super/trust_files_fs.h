/* Owns:  reading the CA certificates that connectors need, for the workers, who open no
 *        files.
 * Never: looks into them: the worker does.
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
 * "config" message: the caller's. Octets that PEM does not have come out as "?". Returns EC_IO (the
 * why names the file), EC_LIMIT (a file over
 * CONFIG_CA_FILE_MAX octets, config/load_fs.h; or all of them over TRUST_FILES_MAX), EC_NO_MEMORY. */
enum ec trust_files_read(const struct config *cfg, json_t **out, struct why *why) MUST_CHECK;

#endif
