/* Owns:  which connector a recipient's domain goes by.
 * Never: looks anything up in DNS; knows whether a connector's hops are well.
 *        Allocates only when the table is made.
 * Spec:  danegate.yaml(5), connectors; RFC 5321 2.3.5, 4.1.3; RFC 5890 2.3.2.1.
 * Start at: connectors_find. */
#ifndef PROXY_SMTP_CONNECTORS_H
#define PROXY_SMTP_CONNECTORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ec.h"
#include "base/slice.h"

struct config;
struct connectors;

#define CONNECTOR_NONE SIZE_MAX

/* connectors_new makes the table for `cfg`, which it borrows for the call only.
 * Connector i is cfg->connectors[i]; where backend.address is set, the last one is
 * the section `backend` and has the name "backend", the one pattern "*" and SMTP.
 * `cfg` has passed config_parse, so no pattern is there twice. On EC_OK `*out` is
 * the caller's to free. Returns EC_NO_MEMORY. */
enum ec connectors_new(const struct config *cfg, struct connectors **out) MUST_CHECK;
void connectors_free(struct connectors *t);

/* connectors_find gives the connector of a recipient's domain, or CONNECTOR_NONE: that
 * of its exact pattern, else that of the longest "*.suffix" with a label or more in
 * front, else that of "*". Case does not count, nor whether a label is written as
 * U-label or A-label (RFC 6531 3.2 lets a client send either). An address
 * literal, the empty domain of a bare postmaster, and what DNS can't have (a label of
 * more than 63 octets, say) go by "*". Takes a time that depends on the length of the
 * domain only. */
size_t connectors_find(const struct connectors *t, struct slice domain);

size_t connectors_num(const struct connectors *t);

/* The rest is about connector `i`, which is less than connectors_num. */

/* connectors_name gives its name, which lives as long as the table. */
const char *connectors_name(const struct connectors *t, size_t i);

/* connectors_per_domain tells whether the way depends on the recipient's domain: one
 * of the hops is "mx". Then recipients of two domains can't share a transaction. */
bool connectors_per_domain(const struct connectors *t, size_t i);

/* connectors_lmtp tells whether it speaks LMTP (RFC 2033): then a transaction has one
 * recipient, as one reply must speak for all of a message. */
bool connectors_lmtp(const struct connectors *t, size_t i);

/* connectors_max_recipients gives the most recipients of a transaction, or 0 when only
 * smtp.max_recipients holds. */
uint64_t connectors_max_recipients(const struct connectors *t, size_t i);

#endif
