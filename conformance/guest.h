/*
 * What a client may never do on a connection, whatever the scenario expects: the counterpart of
 * watch.h where the client is under test. It also keeps what an honest server knows of the
 * connection: what it announced, and which documents are open.
 */
#ifndef CONFORM_GUEST_H
#define CONFORM_GUEST_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

/* Zero-initialise, end with guest_fini. */
struct guest {
    const char *authority; /* what the client was told to dial */
    const char *path;      /* what it was told to ask for there */
    cJSON *pushed;         /* all that any connection pushed, "DOC ID" to data; shared, borrowed */
    cJSON *proofs;         /* all that any connection gave, as names; shared, borrowed */
    cJSON *welcome;        /* as it was sent; NULL before */
    cJSON *asked;          /* array of requests without an answer */
    cJSON *open;           /* documents that are open: id to opened position */
    cJSON *counts;         /* requests so far, by type */
    unsigned messages;     /* in both directions */
};

void guest_init(struct guest *guest, const char *authority, const char *path, cJSON *pushed,
                cJSON *proofs);
void guest_fini(struct guest *guest);
/* A message that goes out. */
void guest_sent(struct guest *guest, const cJSON *message);
/* A message of `bytes` bytes that came and keeps its schema. NULL, or what is wrong with it
 * (static) and the requirement it breaks. */
const char *guest_received(struct guest *guest, const cJSON *message, size_t bytes,
                           const char **requirement);
/* A limit of the welcome. */
double guest_limit(const struct guest *guest, const char *name);

#endif
