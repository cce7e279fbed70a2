#include "reference-server/frame.h"

#include <assert.h>
#include <stdlib.h>

enum { HEADER_MAX = 10, FIN_TEXT = 0x81, LEN_16 = 126, LEN_64 = 127 };

/* Writes the header right before the text, and where it starts. RFC 6455, section 5.2. */
static void put_header(struct frame *frame) {
    size_t len = frame->buf.len - HEADER_MAX;
    size_t len_bytes = len < LEN_16 ? 0 : len <= UINT16_MAX ? 2 : 8;
    frame->start = HEADER_MAX - 2 - len_bytes;
    uint8_t *at = (uint8_t *)frame->buf.at + frame->start;
    at[0] = FIN_TEXT;
    at[1] = (uint8_t)(len_bytes == 0 ? len : len_bytes == 2 ? LEN_16 : LEN_64);
    for (size_t i = 0; i < len_bytes; i++)
        at[2 + i] = (uint8_t)(len >> (8 * (len_bytes - 1 - i)));
}

/* It may live as long as its slowest reader: no longer with room to grow in. */
static void trim(struct frame *frame) {
    char *at = realloc(frame->buf.at, frame->buf.len);
    if (!at)
        return;
    frame->buf.at = at;
    frame->buf.capacity = frame->buf.len;
}

struct frame *frame_new(const struct athena_message *message) {
    struct frame *frame = calloc(1, sizeof *frame);
    if (!frame)
        return NULL;
    frame->refs = 1;
    athena_buf_extend(&frame->buf, HEADER_MAX);
    athena_message_encode(&frame->buf, message);
    if (frame->buf.failed) {
        frame_unref(frame);
        return NULL;
    }
    trim(frame);
    put_header(frame);
    return frame;
}

struct frame *frame_ref(struct frame *frame) {
    frame->refs++;
    return frame;
}

void frame_unref(struct frame *frame) {
    if (!frame || --frame->refs > 0)
        return;
    if (frame->known_at)
        *frame->known_at = NULL;
    athena_buf_fini(&frame->buf);
    free(frame);
}

void frame_know(struct frame **at, struct frame *frame) {
    if (*at)
        (*at)->known_at = NULL;
    *at = frame;
    if (!frame)
        return;
    assert(!frame->known_at);
    frame->known_at = at;
}

struct athena_bytes_view frame_bytes(const struct frame *frame) {
    return (struct athena_bytes_view){(const uint8_t *)frame->buf.at + frame->start,
                                      frame->buf.len - frame->start};
}

struct athena_text_view frame_text(const struct frame *frame) {
    return (struct athena_text_view){frame->buf.at + HEADER_MAX, frame->buf.len - HEADER_MAX};
}
