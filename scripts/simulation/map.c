#include "scripts/simulation/map.h"

#include "scripts/simulation/memory.h"

/* FNV-1a: nobody attacks this table. */
static size_t hash(struct athena_text_view key) {
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < key.len; i++)
        h = (h ^ (uint8_t)key.at[i]) * UINT64_C(0x100000001b3);
    return (size_t)(h ^ (h >> 32));
}

static struct map_entry *place(const struct map *map, struct athena_text_view key) {
    for (size_t i = hash(key);; i++) {
        struct map_entry *entry = &map->entries[i & (map->capacity - 1)];
        if (!entry->key || (entry->len == key.len && memcmp(entry->key, key.at, key.len) == 0))
            return entry;
    }
}

static void grow(struct map *map) {
    struct map old = *map;
    map->capacity = old.capacity ? old.capacity * 2 : 64;
    map->entries = memory_new(map->capacity * sizeof *map->entries);
    for (size_t i = 0; i < old.capacity; i++)
        if (old.entries[i].key)
            *place(map, (struct athena_text_view){old.entries[i].key, old.entries[i].len}) =
                old.entries[i];
    free(old.entries);
}

void map_set(struct map *map, struct athena_text_view key, uint64_t value) {
    if (map->len * 2 >= map->capacity)
        grow(map);
    struct map_entry *entry = place(map, key);
    if (!entry->key) {
        *entry = (struct map_entry){memory_copy(key.at, key.len), key.len, 0};
        map->len++;
    }
    entry->value = value;
}

const uint64_t *map_get(const struct map *map, struct athena_text_view key) {
    if (map->capacity == 0)
        return NULL;
    const struct map_entry *entry = place(map, key);
    return entry->key ? &entry->value : NULL;
}

void map_fini(struct map *map) {
    for (size_t i = 0; i < map->capacity; i++)
        free(map->entries[i].key);
    free(map->entries);
    *map = (struct map){0};
}
