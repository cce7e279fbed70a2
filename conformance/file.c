#include "conformance/file.h"

#include "conformance/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WALK_FDS = 16 };

char *file_read(const char *path, char **error) {
    struct bytes text = {0};
    char piece[65536];
    size_t got;
    FILE *file = fopen(path, "re");
    if (file != NULL)
        while (text.len <= FILE_BYTES_MAX && (got = fread(piece, 1, sizeof piece, file)) > 0)
            bytes_append(&text, piece, got);
    if (file == NULL || ferror(file))
        *error = memory_format("%s: %s", path, strerror(errno));
    else if (text.len > FILE_BYTES_MAX)
        *error = memory_format("%s: over %d bytes", path, FILE_BYTES_MAX);
    else
        bytes_append(&text, "", 1);
    if (file != NULL)
        fclose(file);
    if (*error != NULL)
        bytes_fini(&text);
    return (char *)text.at;
}

static unsigned line_of(const char *text, const char *at) {
    unsigned line = 1;
    for (; text < at; text++)
        line += *text == '\n';
    return line;
}

cJSON *file_parse_json(const char *path, const char *text, char **error) {
    const char *end = NULL;
    cJSON *json = cJSON_ParseWithOpts(text, &end, true);
    if (json == NULL)
        *error = memory_format("%s:%u: not valid JSON", path, line_of(text, end));
    return json;
}

cJSON *file_read_json(const char *path, char **error) {
    *error = NULL;
    char *text = file_read(path, error);
    cJSON *json = text != NULL ? file_parse_json(path, text, error) : NULL;
    free(text);
    return json;
}

char *folder_make_temporary(const char *parent, char **error) {
    if (parent == NULL)
        parent = getenv("TMPDIR");
    char *path = memory_format("%s/athena-conform-XXXXXX", parent != NULL ? parent : "/tmp");
    if (mkdtemp(path) != NULL)
        return path;
    *error = memory_format("%s: %s", path, strerror(errno));
    free(path);
    return NULL;
}

static bool copy_bytes(int from, int to) {
    ssize_t moved;
    while ((moved = sendfile(to, from, NULL, 1 << 20)) > 0) {
    }
    return moved == 0;
}

static bool copy_file(const char *from, const char *to, mode_t mode) {
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode & 0777);
    bool ok = in >= 0 && out >= 0 && copy_bytes(in, out);
    int saved = errno;
    if (in >= 0)
        close(in);
    if (out >= 0)
        close(out);
    errno = saved;
    return ok;
}

/* nftw() has no user pointer; the program is single-threaded. */
static const char *copy_from;
static const char *copy_to;

static int copy_entry(const char *path, const struct stat *info, int kind, struct FTW *walk) {
    (void)walk;
    char *to = memory_format("%s%s", copy_to, path + strlen(copy_from));
    bool ok = kind == FTW_D ? mkdir(to, info->st_mode & 0777) == 0
                            : !S_ISREG(info->st_mode) || copy_file(path, to, info->st_mode);
    free(to);
    return ok ? 0 : -1;
}

bool folder_copy(const char *from, const char *to, char **error) {
    copy_from = from;
    copy_to = to;
    if (nftw(from, copy_entry, WALK_FDS, FTW_PHYS) == 0)
        return true;
    *error = memory_format("copying %s to %s: %s", from, to, strerror(errno));
    return false;
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *walk) {
    (void)info;
    (void)kind;
    (void)walk;
    remove(path);
    return 0;
}

void folder_remove(const char *path) {
    nftw(path, remove_entry, WALK_FDS, FTW_PHYS | FTW_DEPTH);
}
