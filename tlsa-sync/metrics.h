/* Owns:  the numbers of tlsa-sync as OpenMetrics text.
 * Never: reads a clock or counts by itself.
 * Spec:  OpenMetrics 1.0 (openmetrics.io): names, types, escapes, "# EOF".
 * Start at: metrics_text. */
#ifndef TLSA_SYNC_METRICS_H
#define TLSA_SYNC_METRICS_H

#include "tlsa-sync/view.h"

/* metrics_text appends the exposition of `num` identities. EC_NO_MEMORY. */
enum ec metrics_text(const struct view *views, size_t num, struct wall started, const struct events_counts *events,
                     struct bytes *out) MUST_CHECK;

#endif
