/* Folders that come and go with a measure. */
#ifndef BENCH_FOLDER_H
#define BENCH_FOLDER_H

#include <stddef.h>

/* The kind of file system below a path, as the kernel calls it ("ext4"). */
void folder_file_system(const char *path, char *name, size_t size);
/* The folder and all that is in it. */
void folder_remove(const char *path);

#endif
