#include "scripts/bench/bench.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

_Noreturn void bench_fail(const char *format, ...) {
    va_list arguments;
    fflush(stdout);
    fputs("athena-bench: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

void bench_require_memory(const void *at) {
    if (!at)
        bench_fail("out of memory");
}

void *bench_take(size_t count, size_t size) {
    void *at = calloc(count, size);
    bench_require_memory(at);
    return at;
}

static double read_clock(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

double bench_now(void) {
    return read_clock(CLOCK_MONOTONIC);
}

double bench_processor_time(void) {
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

void bench_fresh_path(const struct bench *bench, char *path, size_t size, const char *stem) {
    static atomic_uint count;
    int len = snprintf(path, size, "%s/%s-%u", bench->folder, stem, atomic_fetch_add(&count, 1));
    if (len < 0 || (size_t)len >= size)
        bench_fail("the work folder's name is too long");
}
