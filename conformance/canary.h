/*
 * What must never leave a client: the plaintexts of the changes, the document secret and the keys
 * made from it. Everything a client puts on the wire is searched for them, raw, in base64,
 * base64url (wherever in the encoded text they begin) and hexadecimal.
 */
#ifndef CONFORM_CANARY_H
#define CONFORM_CANARY_H

#include "conformance/memory.h"

enum { CANARY_BYTES_LEAST = 12 }; /* shorter ones would be found by chance */

struct needle {
    char *what; /* "the document secret in hexadecimal" */
    struct bytes bytes;
};

/* Zero-initialise, end with canary_fini. */
struct canary {
    struct needle *needles;
    size_t len;
};

/* `what` is for people. Shorter secrets than CANARY_BYTES_LEAST are left out. */
void canary_add(struct canary *canary, const char *what, const void *secret, size_t len);
void canary_fini(struct canary *canary);
/* What was found in the text, borrowed; NULL when nothing was. */
const char *canary_find(const struct canary *canary, const void *text, size_t len);

#endif
