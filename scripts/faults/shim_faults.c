/*
 * A disk that fails and a clock that jumps, for a program that loads this by LD_PRELOAD. It stands
 * between the program and the C library: what it lets through goes on to the next function of the
 * same name. Only regular files count as disk, so that sockets and what is logged go undisturbed.
 */
#include "scripts/faults/faults.h"
#include "scripts/faults/shim_power.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name): the C library has its own names
 */

#define EXPORT __attribute__((visibility("default")))
/* The function of the same name behind this one, as a pointer of its type. */
#define NEXT(name) ((__typeof__(&(name)))dlsym(RTLD_NEXT, #name))

/* Until it is mapped, and where no file is named: no faults. */
static struct faults none;
static struct faults *faults = &none;

__attribute__((constructor)) static void map_faults(void) {
    const char *path = getenv(FAULTS_VARIABLE);
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *at = mmap(NULL, sizeof *faults, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (at != MAP_FAILED)
        faults = at;
}

static bool is_file(int fd) {
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

/* Whether this is the operation that was counted down to. */
static bool is_its_turn(atomic_long *countdown) {
    return atomic_load(countdown) > 0 && atomic_fetch_sub(countdown, 1) == 1;
}

/* Before each operation whose place among others matters after a loss of power. What is written is
 * kept for it only while one is to come. */
static bool awaits_power_loss(void) {
    if (atomic_load(&faults->power_loss) <= 0)
        return false;
    if (is_its_turn(&faults->power_loss)) {
        power_lose(atomic_load(&faults->dropped));
        kill(getpid(), SIGKILL);
    }
    return true;
}

/* A loss still to come comes when the program has ended. */
__attribute__((destructor)) static void lose_at_end(void) {
    const struct faults *told = faults;
    faults = &none;
    if (atomic_load(&told->power_loss) > 0)
        power_lose(atomic_load(&told->dropped));
}

/* ---- Writing ---- */

/* 0, or the errno with which a write fails now. */
static int write_error(int fd) {
    if (is_file(fd) && is_its_turn(&faults->full_write))
        atomic_store(&faults->disk, DISK_FULL);
    int disk = atomic_load(&faults->disk);
    int error = disk == DISK_FULL ? ENOSPC : disk == DISK_READ_ONLY ? EROFS : 0;
    return error && is_file(fd) ? error : 0;
}

static ssize_t write_at(__typeof__(&pwrite64) next, int fd, const void *bytes, size_t len,
                        off64_t at) {
    int error = write_error(fd);
    if (error) {
        errno = error;
        return -1;
    }
    if (is_file(fd) && is_its_turn(&faults->torn_write)) {
        next(fd, bytes, len / 2, at);
        kill(getpid(), SIGKILL);
    }
    if (is_file(fd) && awaits_power_loss())
        power_before_write(fd, len, at);
    return next(fd, bytes, len, at);
}

EXPORT ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at) {
    return write_at(NEXT(pwrite), fd, bytes, len, at);
}

EXPORT ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t at) {
    return write_at(NEXT(pwrite64), fd, bytes, len, at);
}

EXPORT ssize_t write(int fd, const void *bytes, size_t len) {
    int error = write_error(fd);
    if (error) {
        errno = error;
        return -1;
    }
    if (is_file(fd) && awaits_power_loss())
        power_before_write(fd, len, lseek64(fd, 0, SEEK_CUR));
    return NEXT(write)(fd, bytes, len);
}

static int resize(__typeof__(&ftruncate64) next, int fd, off64_t len) {
    int error = write_error(fd);
    if (!error) {
        power_after_resize(fd, len);
        return next(fd, len);
    }
    errno = error;
    return -1;
}

EXPORT int ftruncate(int fd, off_t len) {
    return resize(NEXT(ftruncate), fd, len);
}

EXPORT int ftruncate64(int fd, off64_t len) {
    return resize(NEXT(ftruncate64), fd, len);
}

/* ---- Opening and renaming ---- */

EXPORT int rename(const char *from, const char *to) {
    int disk = atomic_load(&faults->disk);
    awaits_power_loss();
    if (disk != DISK_FULL && disk != DISK_READ_ONLY)
        return NEXT(rename)(from, to);
    errno = disk == DISK_FULL ? ENOSPC : EROFS;
    return -1;
}

static int open_as(__typeof__(&open64) next, const char *path, int flags, mode_t mode) {
    if ((flags & O_ACCMODE) == O_RDONLY || atomic_load(&faults->disk) != DISK_READ_ONLY)
        return next(path, flags, mode);
    errno = EROFS;
    return -1;
}

static mode_t mode_of(int flags, va_list list) {
    return flags & (O_CREAT | __O_TMPFILE) ? va_arg(list, mode_t) : 0;
}

EXPORT int open(const char *path, int flags, ...) {
    va_list list;
    va_start(list, flags);
    mode_t mode = mode_of(flags, list);
    va_end(list);
    return open_as(NEXT(open), path, flags, mode);
}

EXPORT int open64(const char *path, int flags, ...) {
    va_list list;
    va_start(list, flags);
    mode_t mode = mode_of(flags, list);
    va_end(list);
    return open_as(NEXT(open64), path, flags, mode);
}

/* ---- Reading ---- */

static ssize_t read_at(__typeof__(&pread64) next, int fd, void *bytes, size_t len, off64_t at) {
    if (atomic_load(&faults->disk) != DISK_FAILS_READS || !is_file(fd))
        return next(fd, bytes, len, at);
    errno = EIO;
    return -1;
}

EXPORT ssize_t pread(int fd, void *bytes, size_t len, off_t at) {
    return read_at(NEXT(pread), fd, bytes, len, at);
}

EXPORT ssize_t pread64(int fd, void *bytes, size_t len, off64_t at) {
    return read_at(NEXT(pread64), fd, bytes, len, at);
}

/* ---- Syncing ---- */

static int sync_by(__typeof__(&fsync) next, int fd) {
    enum { LOOK_AGAIN_MS = 2 };
    awaits_power_loss();
    atomic_fetch_add(&faults->syncs, 1);
    if (is_its_turn(&faults->failing_sync))
        atomic_store(&faults->disk, DISK_FAILS_SYNCS);
    while (atomic_load(&faults->disk) == DISK_HANGS)
        poll(NULL, 0, LOOK_AGAIN_MS);
    if (atomic_load(&faults->disk) == DISK_FAILS_SYNCS) {
        errno = EIO;
        return -1;
    }
    int result = next(fd);
    if (result == 0)
        power_after_sync(fd);
    return result;
}

EXPORT int fsync(int fd) {
    return sync_by(NEXT(fsync), fd);
}

EXPORT int fdatasync(int fd) {
    return sync_by(NEXT(fdatasync), fd);
}

/* ---- The wall clock ---- */

EXPORT int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = NEXT(clock_gettime)(clock, now);
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)
        now->tv_sec += atomic_load(&faults->clock_s);
    return result;
}

EXPORT int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    int result = NEXT(gettimeofday)(now, zone);
    now->tv_sec += atomic_load(&faults->clock_s);
    return result;
}

EXPORT time_t time(time_t *at) {
    time_t now = NEXT(time)(NULL) + atomic_load(&faults->clock_s);
    if (at)
        *at = now;
    return now;
}

/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */
