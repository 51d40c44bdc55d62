/* Owns:  the rules between settings, which no single row can state.
 * Never: looks outside the configuration (load_fs does).
 * Spec:  danegate.yaml(5).
 * Start at: check_relations. */
#ifndef CONFIG_CHECK_H
#define CONFIG_CHECK_H

#include "config/config.h"

/* check_relations adds an error for each rule broken: names given twice, files
 * without the issuer that uses them, one socket for two purposes, bounds that
 * contradict each other. Pure. */
void check_relations(const struct config *cfg, struct config_errors *errs);

#endif
