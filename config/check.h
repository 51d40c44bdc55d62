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

/* check_connectors is the part of it that is about connectors: names and patterns
 * given twice, demands that no hop can meet or that contradict each other, exceptions
 * without an end, settings that nothing would look at. Pure. */
void check_connectors(const struct config *cfg, struct config_errors *errs);

#endif
