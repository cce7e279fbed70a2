#include "conformance/memory.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *check(void *at) {
    if (at == NULL) {
        fputs("athena-conform: out of memory\n", stderr);
        abort();
    }
    return at;
}

void *memory_take(size_t bytes) {
    return check(calloc(1, bytes > 0 ? bytes : 1));
}

void *memory_grow(void *at, size_t bytes) {
    return check(realloc(at, bytes > 0 ? bytes : 1));
}

char *memory_copy_text(const char *text) {
    return check(strdup(text));
}

char *memory_format_list(const char *format, va_list arguments) {
    char *text = NULL;
    if (vasprintf(&text, format, arguments) < 0)
        text = NULL;
    return check(text);
}

char *memory_format(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    char *text = memory_format_list(format, arguments);
    va_end(arguments);
    return text;
}

static void *take_unzeroed(size_t bytes) {
    return memory_grow(NULL, bytes);
}

void memory_setup_json(void) {
    cJSON_Hooks hooks = {.malloc_fn = take_unzeroed, .free_fn = free};
    cJSON_InitHooks(&hooks);
}

void bytes_append(struct bytes *bytes, const void *more, size_t len) {
    if (len == 0)
        return;
    if (bytes->capacity - bytes->len < len) {
        size_t capacity =
            bytes->capacity * 2 > bytes->len + len ? bytes->capacity * 2 : bytes->len + len;
        bytes->at = memory_grow(bytes->at, capacity);
        bytes->capacity = capacity;
    }
    memcpy(bytes->at + bytes->len, more, len);
    bytes->len += len;
}

void bytes_drop(struct bytes *bytes, size_t len) {
    if (len > 0 && len < bytes->len)
        memmove(bytes->at, bytes->at + len, bytes->len - len);
    bytes->len -= len;
}

void bytes_fini(struct bytes *bytes) {
    free(bytes->at);
    *bytes = (struct bytes){0};
}
