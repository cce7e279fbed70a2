#include "reference-server/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

bool folder_path(char path[static FOLDER_PATH_MAX], const char *folder, const char *name) {
    int len = snprintf(path, FOLDER_PATH_MAX, "%s/%s", folder, name);
    return len > 0 && len < FOLDER_PATH_MAX;
}

void folder_of(char folder[static FOLDER_PATH_MAX], const char *path) {
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/')
        len--;
    while (len > 0 && path[len - 1] != '/')
        len--;
    while (len > 1 && path[len - 1] == '/')
        len--;
    if (len > 0)
        snprintf(folder, FOLDER_PATH_MAX, "%.*s", (int)len, path);
    else
        snprintf(folder, FOLDER_PATH_MAX, ".");
}

bool folder_sync_name(const char *path) {
    char folder[FOLDER_PATH_MAX];
    folder_of(folder, path);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    int failure = errno;
    if (fd >= 0)
        close(fd);
    errno = failure;
    return ok;
}

/* One whose name may be lost is taken back: the next start would take it for settled. */
bool folder_create(const char *folder) {
    if (mkdir(folder, 0700) != 0)
        return errno == EEXIST;
    if (folder_sync_name(folder))
        return true;
    int failure = errno;
    rmdir(folder);
    errno = failure;
    return false;
}

int folder_open_file(const char *path) {
    struct stat status;
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0) {
        fchmod(fd, 0600);
        return fd;
    }
    /* O_NONBLOCK: a FIFO of that name would be waited for. */
    fd = errno == EEXIST ? open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC) : -1;
    if (fd < 0 || (fstat(fd, &status) == 0 && S_ISREG(status.st_mode)))
        return fd;
    close(fd);
    errno = EINVAL;
    return -1;
}

static enum athena_code cannot(const char *what, const char *path, struct athena_error *error) {
    if (error) {
        *error = (struct athena_error){.code = ATHENA_UNAVAILABLE};
        snprintf(error->text, sizeof error->text, "%.40s %.150s: %.60s", what, path,
                 strerror(errno));
    }
    return ATHENA_UNAVAILABLE;
}

/* [ASP-LOG-7] */
enum athena_code folder_lock(int *fd, const char *folder, struct athena_error *error) {
    char path[FOLDER_PATH_MAX];
    if (!folder_create(folder))
        return cannot("cannot create the folder", folder, error);
    if (!folder_path(path, folder, "lock")) {
        errno = ENAMETOOLONG;
        return cannot("cannot use the folder", folder, error);
    }
    *fd = folder_open_file(path);
    if (*fd < 0)
        return cannot("cannot open", path, error);
    if (flock(*fd, LOCK_EX | LOCK_NB) == 0)
        return ATHENA_OK;
    enum athena_code code = cannot("cannot lock", path, error);
    if (errno == EWOULDBLOCK && error)
        snprintf(error->text, sizeof error->text, "another process uses the store in %.150s",
                 folder);
    close(*fd);
    *fd = -1;
    return code;
}
