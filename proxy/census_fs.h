/* Owns:  the memory of a census, and who may write which part of it.
 * Never: counts (census.h).
 * Spec:  memfd_create(2), mmap(2).
 * Start at: census_make. */
#ifndef PROXY_CENSUS_FS_H
#define PROXY_CENSUS_FS_H

#include "proxy/census.h"

/* census_make makes an empty census of `num` slots with a seed of its own, and
 * `*out_fd`, by which others reach it (close-on-exec). Returns EC_IO. */
enum ec census_make(unsigned num, struct census **out, int *out_fd, struct why *why) MUST_CHECK;

/* census_adopt takes `fd` and maps what it is: all of it for reading, and only
 * `slot` for writing. Returns EC_IO, EC_CORRUPT. */
enum ec census_adopt(int fd, unsigned slot, struct census **out, struct why *why) MUST_CHECK;

/* census_unmap accepts NULL. */
void census_unmap(struct census *c);

#endif
