/* What a loss of power takes: writes that no sync has followed. */
#ifndef SCRIPTS_FAULTS_SHIM_POWER_H
#define SCRIPTS_FAULTS_SHIM_POWER_H

#include <sys/types.h>

/* Before a write to a regular file: keeps what is there. */
void power_before_write(int fd, size_t len, off64_t at);
/* After a sync: what was written to the file stays. */
void power_after_sync(int fd);
/* After a file was cut: what was written behind its end is no more. */
void power_after_resize(int fd, off64_t len);
/* Takes back the writes that are not synced, those whose bit in `dropped` is set (the newest has
 * the lowest bit; after 32 again from the first). What the process does then does not count. */
void power_lose(unsigned dropped);

#endif
