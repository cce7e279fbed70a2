/*
 * Memory and small growing things for a short-lived program: running out ends the process with a
 * message (a harness error, never a verdict), so no caller checks for NULL.
 */
#ifndef CONFORM_MEMORY_H
#define CONFORM_MEMORY_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed; free() it. */
void *memory_take(size_t bytes);
/* realloc() that cannot fail; what it adds is not zeroed. */
void *memory_grow(void *at, size_t bytes);
char *memory_copy_text(const char *text);
/* printf into fresh memory; free() it. */
char *memory_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
char *memory_format_list(const char *format, va_list arguments)
    __attribute__((format(printf, 1, 0)));
/* Makes cJSON use the above. Call once, before any other cJSON call. */
void memory_setup_json(void);

/* Bytes that grow at the end and are taken from the front. Zero-initialise, end with bytes_fini. */
struct bytes {
    uint8_t *at;
    size_t len;
    size_t capacity;
};
void bytes_append(struct bytes *bytes, const void *more, size_t len);
void bytes_drop(struct bytes *bytes, size_t len); /* from the front; len <= bytes->len */
void bytes_fini(struct bytes *bytes);

#endif
