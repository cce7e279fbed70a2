#include "scripts/bench/folder.h"

#include "scripts/bench/bench.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

enum { OPEN_FOLDERS_MAX = 16, LINE_BYTES_MAX = 4096 };

/* A line of mountinfo: `id parent major:minor root point options [optional ...] - type source ...`
 */
void folder_file_system(const char *path, char *name, size_t size) {
    struct stat status;
    char line[LINE_BYTES_MAX], device[32];
    FILE *mounts = fopen("/proc/self/mountinfo", "re");
    if (!mounts || stat(path, &status) < 0)
        bench_fail("%s: %s", path, strerror(errno));
    snprintf(device, sizeof device, " %u:%u ", major(status.st_dev), minor(status.st_dev));
    snprintf(name, size, "unknown");
    while (fgets(line, sizeof line, mounts)) {
        const char *type = strstr(line, " - ");
        if (strstr(line, device) && type)
            snprintf(name, size, "%.*s", (int)strcspn(type + 3, " "), type + 3);
    }
    fclose(mounts);
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *walk) {
    (void)status, (void)kind, (void)walk;
    return remove(path);
}

void folder_remove(const char *path) {
    if (nftw(path, remove_entry, OPEN_FOLDERS_MAX, FTW_DEPTH | FTW_PHYS) < 0 && errno != ENOENT)
        fprintf(stderr, "athena-bench: %s cannot be removed: %s\n", path, strerror(errno));
}
