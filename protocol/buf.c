/* A growing byte buffer whose failure is remembered, so that encoders need no check a line. */
#include "protocol/athena_protocol.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 256 };

static bool reserve(struct athena_buf *buf, size_t len) {
    if (buf->failed)
        return false;
    if (len <= buf->capacity - buf->len)
        return true;
    size_t capacity = buf->capacity ? buf->capacity : FIRST_CAPACITY;
    while (capacity - buf->len < len) {
        if (capacity > SIZE_MAX / 2) {
            buf->failed = true;
            return false;
        }
        capacity *= 2;
    }
    char *at = realloc(buf->at, capacity);
    if (!at) {
        buf->failed = true;
        return false;
    }
    buf->at = at;
    buf->capacity = capacity;
    return true;
}

void athena_buf_append(struct athena_buf *buf, const void *bytes, size_t len) {
    if (len == 0 || !reserve(buf, len))
        return;
    memcpy(buf->at + buf->len, bytes, len);
    buf->len += len;
}

char *athena_buf_extend(struct athena_buf *buf, size_t len) {
    if (!reserve(buf, len))
        return NULL;
    char *at = buf->at + buf->len;
    buf->len += len;
    return at;
}

void athena_buf_clear(struct athena_buf *buf) {
    buf->len = 0;
    buf->failed = false;
}

void athena_buf_fini(struct athena_buf *buf) {
    free(buf->at);
    *buf = (struct athena_buf){0};
}
