/*
 * What a server is told that has no place in its log: tokens, challenges, proofs, envelopes and ids
 * of changes, a sample of each. What it prints is searched for them.
 */
#ifndef CONFORM_CONFIDENCE_H
#define CONFORM_CONFIDENCE_H

#include "conformance/canary.h"

#include <cjson/cJSON.h>

/* Zero-initialise, end with confidence_fini. */
struct confidence {
    struct canary tokens;
    struct canary sealed; /* and what proves who may have it */
    struct canary ids;
};

void confidence_fini(struct confidence *confidence);
void confidence_add_token(struct confidence *confidence, const char *token);
/* Of a message, in either direction. */
void confidence_add(struct confidence *confidence, const cJSON *message);
/* What was found in the text, borrowed, and the requirement that this breaks; NULL when nothing
 * was. */
const char *confidence_find(const struct confidence *confidence, const char *text,
                            const char **requirement);

#endif
