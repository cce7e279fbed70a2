/*
 * What holds on every connection, whatever the scenario is about: each reply answers a request,
 * live changes belong to an open document and come once, messages keep the announced size.
 */
#ifndef CONFORM_WATCH_H
#define CONFORM_WATCH_H

#include "conformance/confidence.h"
#include "conformance/history.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

/* Zero-initialise, end with watch_fini. */
struct watch {
    struct history *history;       /* of the run; NULL: none is kept */
    unsigned number;               /* of this connection in it */
    struct confidence *confidence; /* likewise */
    bool blind; /* something was sent that was not read here: replies cannot be matched */
    bool welcomed;
    double message_max; /* bytes, from welcome */
    cJSON *asked;       /* array of requests without an answer */
    cJSON *open;        /* array of ids of documents that are open */
    void *stored;       /* tree of "DOC CHANGE": by this connection, as `pushed` has said */
    void *relayed;      /* the same: come live */
};

void watch_fini(struct watch *watch);
/* A message that goes out. */
void watch_sent(struct watch *watch, const cJSON *message);
/* A message of `bytes` bytes that came and keeps its schema. NULL, or what is wrong with it
 * (static) and the requirement it breaks. */
const char *watch_received(struct watch *watch, const cJSON *message, size_t bytes,
                           const char **requirement);

#endif
