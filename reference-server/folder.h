/* The data folder and the files in it: their names, their lock, who may read them, and what makes a
 * name outlast a loss of power. Errors are in errno where nothing else is said. */
#ifndef REFERENCE_SERVER_FOLDER_H
#define REFERENCE_SERVER_FOLDER_H

#include "protocol/athena_protocol.h"

enum { FOLDER_PATH_MAX = 4096 };

/* folder/name; false when that is too long. */
bool folder_path(char path[static FOLDER_PATH_MAX], const char *folder, const char *name);
/* The folder in which a path is; "." where it names none. */
void folder_of(char folder[static FOLDER_PATH_MAX], const char *path);

/* Makes it, with mode 0700, unless it is there. */
bool folder_create(const char *folder);
/* Creates it if need be and takes its lock; close(*fd) gives it back. */
enum athena_code folder_lock(int *fd, const char *folder, struct athena_error *error);
/* Opens a regular file, with mode 0600 whatever the umask if it is made now; -1 when it cannot be.
 */
int folder_open_file(const char *path);
/* Waits until the folder that names this path is on stable storage. */
bool folder_sync_name(const char *path);

#endif
