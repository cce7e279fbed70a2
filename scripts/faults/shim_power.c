/*
 * A list of the writes since the last sync of their file, newest first, each with the bytes it
 * overwrote. A disk may keep any of them, in any order, so any may be taken back; where the file
 * was shorter, zeros stay.
 */
#include "scripts/faults/shim_power.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILES_MAX = 16, DESCRIPTOR_MIN = 512 };

struct unsynced {
    struct unsynced *next;
    int file; /* in files */
    off64_t at;
    size_t len;
    unsigned char before[]; /* len bytes, zeros behind the file's end */
};

/* A descriptor of our own for each file: closed by nobody, since that would give up its locks. */
static struct file {
    dev_t device;
    ino_t inode;
    int fd;
} files[FILES_MAX];

static int files_len;
static struct unsynced *newest;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

/* What a program opened for writing alone is opened once more, to see what it overwrites. */
static int own_descriptor(int fd) {
    char path[32];
    if ((fcntl(fd, F_GETFL) & O_ACCMODE) != O_WRONLY)
        return fcntl(fd, F_DUPFD_CLOEXEC, DESCRIPTOR_MIN);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open(path, O_RDWR | O_CLOEXEC);
}

/* -1 when there is no room for one more. */
static int file_of(int fd) {
    struct stat status;
    if (fstat(fd, &status) != 0)
        return -1;
    for (int i = 0; i < files_len; i++)
        if (files[i].device == status.st_dev && files[i].inode == status.st_ino)
            return i;
    int own = files_len < FILES_MAX ? own_descriptor(fd) : -1;
    if (own < 0)
        return -1;
    files[files_len] = (struct file){status.st_dev, status.st_ino, own};
    return files_len++;
}

void power_before_write(int fd, size_t len, off64_t at) {
    pthread_mutex_lock(&mutex);
    int file = file_of(fd);
    struct unsynced *write = file < 0 ? NULL : calloc(1, sizeof *write + len);
    if (write) {
        *write = (struct unsynced){newest, file, at, len};
        if (pread64(files[file].fd, write->before, len, at) >= 0)
            newest = write;
        else
            free(write);
    }
    pthread_mutex_unlock(&mutex);
}

/* Forgets the writes to a file from a position on. */
static void forget(int fd, off64_t from) {
    pthread_mutex_lock(&mutex);
    int file = file_of(fd);
    for (struct unsynced **at = &newest; *at;) {
        struct unsynced *write = *at;
        if (write->file != file || write->at < from) {
            at = &write->next;
            continue;
        }
        *at = write->next;
        free(write);
    }
    pthread_mutex_unlock(&mutex);
}

void power_after_sync(int fd) {
    forget(fd, 0);
}

void power_after_resize(int fd, off64_t len) {
    forget(fd, len);
}

void power_lose(unsigned dropped) {
    unsigned number = 0;
    pthread_mutex_lock(&mutex);
    for (const struct unsynced *write = newest; write; write = write->next, number++)
        if (dropped >> number % 32 & 1 &&
            pwrite64(files[write->file].fd, write->before, write->len, write->at) < 0)
            break;
    pthread_mutex_unlock(&mutex);
}
