/*
 * Secrets that must not be told, and whether a text tells one: raw, in hexadecimal, in base64 or
 * base64url, wherever in the encoded text it begins.
 */
#ifndef CONFORM_CANARY_H
#define CONFORM_CANARY_H

#include "conformance/memory.h"

enum {
    CANARY_BYTES_LEAST = 12, /* shorter ones would be found by chance */
    CANARY_PART_BYTES = 16,
    CANARY_PART_TEXT_MAX = 32 /* characters of a part, in whatever form */
};

/* One, and how many bytes of it in a row are too many. */
struct canary_secret {
    const char *what; /* static: "the document secret" */
    uint8_t *at;
    size_t len;
    size_t least;
};

/* Where some bytes stand in a secret, found by these. */
struct canary_block {
    uint64_t bytes;
    uint32_t secret; /* its number, from 1; 0: none */
    uint32_t at;
};

/* Zero-initialise, end with canary_fini. */
struct canary {
    struct canary_secret *secrets;
    size_t len;
    struct canary_block *blocks; /* a hash table, at most half full */
    size_t blocks_len;
    size_t blocks_capacity;
};

/* Found as a whole. `what` is for people. Shorter ones than CANARY_BYTES_LEAST are left out. */
void canary_add(struct canary *canary, const char *what, const void *secret, size_t len);
/* Found by any CANARY_PART_BYTES of it as well. */
void canary_add_parts(struct canary *canary, const char *what, const void *secret, size_t len);
void canary_fini(struct canary *canary);
/* What was found in the text, borrowed; NULL when nothing was. */
const char *canary_find(const struct canary *canary, const void *text, size_t len);

#endif
