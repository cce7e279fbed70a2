/* What an operator does with a store beside serving it. Each returns an exit status: 0 done, 1 not
 * done or damage found; what was wrong is on standard error. */
#ifndef REFERENCE_SERVER_MAINTENANCE_H
#define REFERENCE_SERVER_MAINTENANCE_H

/* Copies the store, also while it is served, to a file that appears only when it is whole. */
int maintenance_backup(const char *folder, const char *file);
/* Puts a backup in the place of a store that nobody serves. The file is verified first; the store
 * is replaced in one step, or not at all. */
int maintenance_restore(const char *folder, const char *file);
/* Verifies every log: positions, count, tags, digest, ids. Reports damage a document. */
int maintenance_check(const char *folder);

#endif
