/*
 * An honest server in memory: the logs of the documents of one scenario, and the answer to each
 * request. What a scenario wants to be different it changes in the answer.
 */
#ifndef CONFORM_HOST_H
#define CONFORM_HOST_H

#include "conformance/guest.h"

struct host {
    cJSON *logs; /* document id to array of changes, in log order; NULL at first */
};

void host_fini(struct host *host);

/* The changes of a document, borrowed; it exists from the first time it is asked for. */
cJSON *host_log(struct host *host, const char *doc);
/* Appends one change unless the log holds its id. Takes nothing over. */
void host_store(struct host *host, const char *doc, const cJSON *change);

/* A welcome with the recommended limits; `challenge` is base64url. cJSON_Delete it. */
cJSON *host_welcome(const char *challenge);
/* The reply to a request that keeps its schema; a `push` is carried out. What a push stored is
 * added to the array `stored`. cJSON_Delete it. */
cJSON *host_answer(struct host *host, struct guest *guest, const cJSON *request, cJSON *stored);
/* A `list` that asks for what follows the opened position, and so for nothing. */
bool host_is_probe(struct host *host, const struct guest *guest, const cJSON *list);
/* A live message with changes (copied), which the log holds already. */
cJSON *host_changed(struct host *host, const char *doc, const cJSON *changes);

#endif
