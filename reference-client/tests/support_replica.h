/* A replica in a folder of its own, which tear-down removes. */
#ifndef REFERENCE_CLIENT_TESTS_SUPPORT_REPLICA_H
#define REFERENCE_CLIENT_TESTS_SUPPORT_REPLICA_H

#include "reference-client/athena_sync.h"

struct support_replica {
    char folder[64]; /* made by mkdtemp */
    char path[80];   /* of the replica in it */
    struct athena_sync *sync;
};

/* The folder alone, for a replica still to be made. */
void support_replica_folder(struct support_replica *replica);
/* A new document, opened; NULL is a fine url. */
void support_replica_init(struct support_replica *replica, const char *url);
/* A replica of the same document. */
void support_replica_join(struct support_replica *replica, const struct support_replica *other);
void support_replica_fini(struct support_replica *replica);

#endif
