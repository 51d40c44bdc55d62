/* Owns:  the included files on disk: reading one, replacing one so that a name server
 *        never reads half of it.
 * Never: looks at what is in it.
 * Spec:  –
 * Start at: zone_include_store. */
#ifndef TLSA_SYNC_ZONE_INCLUDE_FS_H
#define TLSA_SYNC_ZONE_INCLUDE_FS_H

#include "base/ec.h"
#include "base/slice.h"

/* zone_include_load appends the content of `name` in `directory`; that there is no
 * such file counts as an empty one. Errors as disk_read and disk_open_dir, with words. */
enum ec zone_include_load(const char *directory, const char *name, struct bytes *out, struct why *why) MUST_CHECK;

/* zone_include_store gives it new content: after a crash it has the old or the new.
 * A new file is readable by everybody, an old one keeps its mode. Errors as disk_write
 * and disk_rename; then the old content is still there. */
enum ec zone_include_store(const char *directory, const char *name, struct slice content, struct why *why) MUST_CHECK;

#endif
