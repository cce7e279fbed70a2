/* A store that hands everything on to another and tells the judge what was committed; or fails. */
#ifndef SIMULATION_FAULTY_STORE_H
#define SIMULATION_FAULTY_STORE_H

#include "reference-server/store.h"
#include "scripts/simulation/world.h"

struct faulty_store {
    struct store base; /* first */
    struct world *world;
    struct store *inner;
    unsigned commits_fail; /* percent */
    unsigned reads_fail;   /* percent */
    struct uncommitted *uncommitted;
    size_t uncommitted_len;
    size_t uncommitted_capacity;
};

/* Zero-initialise but world and inner, which are borrowed. */
void faulty_store_init(struct faulty_store *store);
void faulty_store_fini(struct faulty_store *store);

#endif
