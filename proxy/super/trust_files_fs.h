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

enum { TRUST_FILE_MAX = 1 << 20 };

/* trust_files_read reads each file that exits_files names, and gives an object of them for the
 * "config" message: the caller's. Returns EC_IO (the why names the file), EC_LIMIT (over
 * TRUST_FILE_MAX octets), EC_SYNTAX (no text), EC_NO_MEMORY. */
enum ec trust_files_read(const struct config *cfg, json_t **out, struct why *why) MUST_CHECK;

#endif
