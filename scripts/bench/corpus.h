/*
 * A document and its changes, sealed, encoded and framed before any clock starts.
 *
 * Change ids look like real ones, at random in an index, but end in their number (eight hexadecimal
 * digits), so that a receiver knows which change it has got.
 */
#ifndef BENCH_CORPUS_H
#define BENCH_CORPUS_H

#include "protocol/athena_protocol.h"

struct corpus {
    uint8_t secret[ATHENA_SECRET_BYTES];
    struct athena_keys keys;
    char actor[33]; /* 16 bytes in hexadecimal */
};
/* A new document. */
void corpus_init(struct corpus *corpus);

/* Appends the frames that push changes first..first+count-1, so many in each message; `req` is the
 * number of a message's first change. */
void corpus_frame_pushes(const struct corpus *corpus, struct athena_buf *frames, size_t first,
                         size_t count, size_t per_message);
/* The number a change's id ends in. */
size_t corpus_number(struct athena_text_view id);

#endif
