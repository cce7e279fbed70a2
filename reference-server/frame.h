/*
 * A message as it travels: JSON behind the header of an unmasked WebSocket text frame. Encoded
 * once, then shared by every connection that sends it.
 */
#ifndef REFERENCE_SERVER_FRAME_H
#define REFERENCE_SERVER_FRAME_H

#include "protocol/athena_protocol.h"

struct frame {
    size_t refs;
    struct frame **known_at; /* NULL, or a pointer that holds no reference: see frame_know */
    struct athena_buf buf;
    size_t start; /* of the header in buf */
};

/* The caller owns one reference. NULL without memory. */
struct frame *frame_new(const struct athena_message *message);
struct frame *frame_ref(struct frame *frame);
void frame_unref(struct frame *frame); /* NULL is fine */
/* *at becomes the frame, without a reference, for as long as others have one: then it is NULL. What
 * it was before is forgotten; `frame` may be NULL. One such pointer a frame. */
void frame_know(struct frame **at, struct frame *frame);

/* The bytes to send. */
struct athena_bytes_view frame_bytes(const struct frame *frame);
/* The message without the header. */
struct athena_text_view frame_text(const struct frame *frame);

#endif
