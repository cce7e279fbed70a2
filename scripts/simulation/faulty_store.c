#include "scripts/simulation/faulty_store.h"

#include "scripts/simulation/judge.h"
#include "scripts/simulation/memory.h"

/* An entry that the transaction stores; it lives as long as the push. */
struct uncommitted {
    size_t doc;
    struct athena_change_view change;
};

static struct faulty_store *of(struct store *store) {
    return (struct faulty_store *)store;
}

static bool fails(struct faulty_store *store, unsigned percent) {
    if (percent == 0 || !random_chance(&store->world->random, percent))
        return false;
    world_trace(store->world, "server: the store fails");
    return true;
}

static enum athena_code failed(struct athena_error *error) {
    if (error)
        *error = (struct athena_error){ATHENA_UNAVAILABLE, "", "the simulated disk failed"};
    return ATHENA_UNAVAILABLE;
}

/* ---- Reading ---- */

static enum athena_code faulty_head(struct store *store, const uint8_t doc[static ATHENA_DOC_BYTES],
                                    struct store_head *head, struct athena_error *error) {
    struct store *inner = of(store)->inner;
    return fails(of(store), of(store)->reads_fail) ? failed(error)
                                                   : inner->engine->head(inner, doc, head, error);
}

static enum athena_code faulty_tag(struct store *store, const uint8_t doc[static ATHENA_DOC_BYTES],
                                   uint64_t position, uint64_t *tag, bool *found,
                                   struct athena_error *error) {
    struct store *inner = of(store)->inner;
    return fails(of(store), of(store)->reads_fail)
               ? failed(error)
               : inner->engine->tag(inner, doc, position, tag, found, error);
}

static enum athena_code faulty_read(struct store *store, const uint8_t doc[static ATHENA_DOC_BYTES],
                                    const struct store_range *range, struct store_page *page,
                                    struct athena_error *error) {
    struct store *inner = of(store)->inner;
    return fails(of(store), of(store)->reads_fail)
               ? failed(error)
               : inner->engine->read(inner, doc, range, page, error);
}

static enum athena_code faulty_find(struct store *store, const uint8_t doc[static ATHENA_DOC_BYTES],
                                    struct athena_text_view id, uint64_t until,
                                    struct store_page *page, bool *found,
                                    struct athena_error *error) {
    struct store *inner = of(store)->inner;
    return fails(of(store), of(store)->reads_fail)
               ? failed(error)
               : inner->engine->find(inner, doc, id, until, page, found, error);
}

/* ---- Writing ---- */

static enum athena_code faulty_begin(struct store *store, struct athena_error *error) {
    struct store *inner = of(store)->inner;
    of(store)->uncommitted_len = 0;
    return fails(of(store), of(store)->commits_fail / 2) ? failed(error)
                                                         : inner->engine->begin(inner, error);
}

static void remember(struct faulty_store *store, size_t doc, const struct store_entry *entry) {
    if (store->uncommitted_len == store->uncommitted_capacity) {
        store->uncommitted_capacity = store->uncommitted_capacity * 2 + 16;
        store->uncommitted = memory_resize(store->uncommitted, store->uncommitted_capacity *
                                                                   sizeof *store->uncommitted);
    }
    store->uncommitted[store->uncommitted_len++] =
        (struct uncommitted){doc, {.id = entry->id, .data = entry->data}};
}

static size_t doc_index(const struct world *world, const uint8_t *doc) {
    for (size_t i = 0; i < DOCS; i++)
        if (memcmp(world->keys[i].doc, doc, ATHENA_DOC_BYTES) == 0)
            return i;
    return DOCS;
}

static enum athena_code faulty_append(struct store *store,
                                      const uint8_t doc[static ATHENA_DOC_BYTES],
                                      struct store_entry *entries, size_t len,
                                      const struct store_quota *quota, struct store_head *head,
                                      struct athena_error *error) {
    struct store *inner = of(store)->inner;
    if (fails(of(store), of(store)->commits_fail / 2))
        return failed(error);
    enum athena_code code = inner->engine->append(inner, doc, entries, len, quota, head, error);
    for (size_t i = 0; i < len && !code; i++)
        if (entries[i].outcome == STORE_STORED)
            remember(of(store), doc_index(of(store)->world, doc), &entries[i]);
    return code;
}

static enum athena_code faulty_commit(struct store *store, struct athena_error *error) {
    struct faulty_store *s = of(store);
    if (fails(s, s->commits_fail))
        return failed(error);
    enum athena_code code = s->inner->engine->commit(s->inner, error);
    for (size_t i = 0; i < s->uncommitted_len && !code; i++)
        judge_committed(s->world->judge, s->uncommitted[i].doc, &s->uncommitted[i].change);
    s->uncommitted_len = 0;
    s->world->figures[FIGURE_COMMITS]++;
    return code;
}

static void faulty_rollback(struct store *store) {
    struct store *inner = of(store)->inner;
    of(store)->uncommitted_len = 0;
    inner->engine->rollback(inner);
}

static const struct store_engine faulty_engine = {
    .head = faulty_head,
    .tag = faulty_tag,
    .read = faulty_read,
    .find = faulty_find,
    .begin = faulty_begin,
    .append = faulty_append,
    .commit = faulty_commit,
    .rollback = faulty_rollback,
};

void faulty_store_init(struct faulty_store *store) {
    store->base.engine = &faulty_engine;
}

void faulty_store_fini(struct faulty_store *store) {
    free(store->uncommitted);
}
