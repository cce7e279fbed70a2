/* A number for each text; texts are copied. Zero-initialise; map_fini. */
#ifndef SIMULATION_MAP_H
#define SIMULATION_MAP_H

#include "protocol/athena_protocol.h"

struct map_entry {
    char *key; /* NULL: free */
    size_t len;
    uint64_t value;
};

struct map {
    struct map_entry *entries;
    size_t len;
    size_t capacity; /* a power of two */
};

void map_set(struct map *map, struct athena_text_view key, uint64_t value);
/* NULL when there is none. Lives until the next map_set. */
const uint64_t *map_get(const struct map *map, struct athena_text_view key);
void map_fini(struct map *map);

#endif
