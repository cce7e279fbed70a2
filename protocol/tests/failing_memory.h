/*
 * Memory that is not there, when a test says so. For one file of a test that is linked with
 * --wrap=calloc,--wrap=realloc: calls of them come here first.
 */
#ifndef PROTOCOL_TESTS_FAILING_MEMORY_H
#define PROTOCOL_TESTS_FAILING_MEMORY_H

#include <stdbool.h>
#include <stdlib.h>

void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *at, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *at, size_t bytes);

enum { NEVER = -1 };
static int fails_after = NEVER; /* allocations that still work */

static bool fails_now(void) {
    return fails_after != NEVER && fails_after-- == 0;
}

void *__wrap_calloc(size_t count, size_t bytes) {
    return fails_now() ? NULL : __real_calloc(count, bytes);
}

void *__wrap_realloc(void *at, size_t bytes) {
    return fails_now() ? NULL : __real_realloc(at, bytes);
}

#endif
