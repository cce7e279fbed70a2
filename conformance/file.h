/* Files and folders: what the catalogue reads, and the data folders of a server under test. */
#ifndef CONFORM_FILE_H
#define CONFORM_FILE_H

#include <cjson/cJSON.h>
#include <stdbool.h>

enum { FILE_BYTES_MAX = 16 * 1024 * 1024 };

/* The whole text, NUL-terminated; free() it. NULL with *error (free it) set. */
char *file_read(const char *path, char **error);
/* `text` as JSON; an error names `path` and the line. cJSON_Delete() it. */
cJSON *file_parse_json(const char *path, const char *text, char **error);
/* Both in one. */
cJSON *file_read_json(const char *path, char **error);

/* A fresh folder for temporary things inside `parent` (NULL: the system's); free() the path. NULL
 * with *error set. */
char *folder_make_temporary(const char *parent, char **error);
/* Copies a tree of folders and plain files; `to` must not exist. */
bool folder_copy(const char *from, const char *to, char **error);
/* Removes a tree; one that is not there is fine. */
void folder_remove(const char *path);

#endif
