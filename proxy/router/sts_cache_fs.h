/* Owns:  the files of the MTA-STS cache: one per domain, in one directory, each replaced whole.
 * Never: lets a damaged file stop anything: it is logged and passed over.
 * Spec:  RFC 8461 3.3, 5.1 (policies are kept until they expire).
 * Start at: sts_cache_open. */
#ifndef PROXY_ROUTER_STS_CACHE_FS_H
#define PROXY_ROUTER_STS_CACHE_FS_H

#include "proxy/router/sts_cache.h"

/* sts_cache_open makes the directory if it is not there, loads all its files into `c`, removes those that
 * hold no longer, and sets `*out_dir` to a descriptor of the caller's. Returns EC_IO, EC_PERMISSION, EC_CORRUPT: then
 * policies are only kept in memory. */
enum ec sts_cache_open(struct sts_cache *c, const char *path, struct wall now, int *out_dir, struct why *why) MUST_CHECK;

/* sts_cache_save writes the file of `domain`. Returns EC_NOT_FOUND, EC_NO_MEMORY, EC_NO_SPACE, EC_PERMISSION, EC_IO. */
enum ec sts_cache_save(const struct sts_cache *c, int dir, const char *domain, struct why *why) MUST_CHECK;

#endif
