/* Owns:  what must hold for the file as text before YAML is looked at.
 * Never: knows a setting.
 * Spec:  RFC 3629 (UTF-8); YAML 1.1 5.1 (characters).
 * Start at: text_check. */
#ifndef CONFIG_TEXT_H
#define CONFIG_TEXT_H

#include "config/config.h"

/* text_check adds an error and returns its code unless `text` is at the most
 * CONFIG_TEXT_MAX bytes of UTF-8 without control characters, without tabs that
 * indent, and ends with a newline (a file that does not may be cut off). */
enum ec text_check(struct slice text, const char *file_name, struct config_errors *errs) MUST_CHECK;

#endif
