/*
 * What a client must keep to itself, of which any part is too much: the plaintext of changes, the
 * document secret and the keys made from it. What it sends, logs and leaves behind is searched.
 */
#ifndef CONFORM_DISCRETION_H
#define CONFORM_DISCRETION_H

#include "conformance/canary.h"

/* Zero-initialise, end with discretion_fini. */
struct discretion {
    struct canary plains;
    struct canary keys;    /* the document secrets included */
    struct canary secrets; /* the document secrets alone */
};

void discretion_fini(struct discretion *discretion);
void discretion_add_plain(struct discretion *discretion, const void *plain, size_t len);
/* A document secret in base64url, and all keys made from it. */
void discretion_add_secret(struct discretion *discretion, const char *secret);
/* What was found in the text, borrowed, and the requirement that sending it breaks; NULL when
 * nothing was. */
const char *discretion_find(const struct discretion *discretion, const void *text, size_t len,
                            const char **requirement);

#endif
