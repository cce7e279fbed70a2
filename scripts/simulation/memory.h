/* Allocation for a test program: it either works or ends the program. */
#ifndef SIMULATION_MEMORY_H
#define SIMULATION_MEMORY_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline void *memory_need(void *memory) {
    if (!memory) {
        fputs("athena-simulate: out of memory\n", stderr);
        exit(2);
    }
    return memory;
}

static inline void *memory_new(size_t bytes) {
    return memory_need(calloc(1, bytes ? bytes : 1));
}

static inline void *memory_resize(void *memory, size_t bytes) {
    return memory_need(realloc(memory, bytes));
}

static inline void *memory_copy(const void *bytes, size_t len) {
    void *copy = memory_new(len);
    if (len > 0)
        memcpy(copy, bytes, len);
    return copy;
}

#endif
