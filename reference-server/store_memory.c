/*
 * A store in memory: the engine of the simulation and of the session's tests.
 *
 * Documents are in a list and their changes in an array; look-ups are linear. `committed` tells how
 * many changes of a document are durable: readers see only those, and a crash forgets the rest.
 */
#include "reference-server/store.h"

#include <stdlib.h>
#include <string.h>

struct memory_change {
    char *id; /* one allocation: id, then data */
    size_t id_len;
    size_t data_len;
    uint64_t tag;
};

struct memory_document {
    struct memory_document *next;
    uint8_t doc[ATHENA_DOC_BYTES];
    struct memory_change *changes;
    size_t len;
    size_t capacity;
    struct store_head head; /* of all changes */
    size_t committed;
    struct store_head committed_head;
};

struct memory_store {
    struct store base;
    struct memory_document *documents;
    uint64_t total_bytes;
    uint64_t committed_total_bytes;
};

static struct memory_store *of(struct store *store) {
    return (struct memory_store *)store;
}

static struct memory_document *find_document(struct store *store, const uint8_t *doc) {
    struct memory_document *d = of(store)->documents;
    while (d && memcmp(d->doc, doc, ATHENA_DOC_BYTES) != 0)
        d = d->next;
    return d;
}

static enum athena_code no_memory(struct athena_error *error) {
    if (error)
        *error = (struct athena_error){ATHENA_UNAVAILABLE, "", "out of memory"};
    return ATHENA_UNAVAILABLE;
}

static struct athena_text_view id_of(const struct memory_change *change) {
    return (struct athena_text_view){change->id, change->id_len};
}

static struct athena_bytes_view data_of(const struct memory_change *change) {
    return (struct athena_bytes_view){(const uint8_t *)change->id + change->id_len,
                                      change->data_len};
}

/* ---- Reading ---- */

static enum athena_code memory_head(struct store *store, const uint8_t doc[static ATHENA_DOC_BYTES],
                                    struct store_head *head, struct athena_error *error) {
    (void)error;
    const struct memory_document *d = find_document(store, doc);
    *head = d ? d->committed_head : (struct store_head){0};
    return ATHENA_OK;
}

static enum athena_code memory_tag(struct store *store, const uint8_t doc[static ATHENA_DOC_BYTES],
                                   uint64_t position, uint64_t *tag, bool *found,
                                   struct athena_error *error) {
    (void)error;
    const struct memory_document *d = find_document(store, doc);
    *found = position <= (d ? d->committed : 0);
    if (*found && position == 0)
        *tag = store_tag(doc, &(struct athena_digest){0});
    else if (*found)
        *tag = d->changes[position - 1].tag;
    return ATHENA_OK;
}

static enum athena_code memory_read(struct store *store, const uint8_t doc[static ATHENA_DOC_BYTES],
                                    const struct store_range *range, struct store_page *page,
                                    struct athena_error *error) {
    const struct memory_document *d = find_document(store, doc);
    for (uint64_t i = range->after; d && i < d->committed && i < range->until; i++) {
        const struct memory_change *change = &d->changes[i];
        if (!store_page_has_room(page, range, change->id_len, change->data_len))
            break;
        if (!store_page_add(page, id_of(change), data_of(change), range->with_data))
            return no_memory(error);
    }
    return ATHENA_OK;
}

/* Among the first `len` changes; NULL when it is none of them. */
static const struct memory_change *find_change(const struct memory_document *d,
                                               struct athena_text_view id, uint64_t len) {
    for (uint64_t i = 0; i < len; i++)
        if (d->changes[i].id_len == id.len && memcmp(d->changes[i].id, id.at, id.len) == 0)
            return &d->changes[i];
    return NULL;
}

static enum athena_code memory_find(struct store *store, const uint8_t doc[static ATHENA_DOC_BYTES],
                                    struct athena_text_view id, uint64_t until,
                                    struct store_page *page, bool *found,
                                    struct athena_error *error) {
    const struct memory_document *d = find_document(store, doc);
    const struct memory_change *change = NULL;
    if (d)
        change = find_change(d, id, until < d->committed ? until : d->committed);
    *found = change != NULL;
    if (change && !store_page_add(page, id, data_of(change), true))
        return no_memory(error);
    return ATHENA_OK;
}

/* ---- Writing ---- */

static enum athena_code memory_begin(struct store *store, struct athena_error *error) {
    (void)store;
    (void)error;
    return ATHENA_OK;
}

static struct memory_document *ensure_document(struct store *store, const uint8_t *doc) {
    struct memory_document *d = find_document(store, doc);
    if (d)
        return d;
    d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    memcpy(d->doc, doc, ATHENA_DOC_BYTES);
    d->next = of(store)->documents;
    of(store)->documents = d;
    return d;
}

static bool append_change(struct memory_document *d, const struct store_entry *entry) {
    if (d->len == d->capacity) {
        size_t capacity = d->capacity ? d->capacity * 2 : 16;
        struct memory_change *changes = realloc(d->changes, capacity * sizeof *changes);
        if (!changes)
            return false;
        d->changes = changes;
        d->capacity = capacity;
    }
    struct memory_change change = {.id_len = entry->id.len,
                                   .data_len = entry->data.len,
                                   .tag = store_tag(d->doc, &d->head.digest)};
    change.id = malloc(entry->id.len + entry->data.len);
    if (!change.id)
        return false;
    memcpy(change.id, entry->id.at, entry->id.len);
    memcpy(change.id + entry->id.len, entry->data.at, entry->data.len);
    d->changes[d->len++] = change;
    return true;
}

/* Whether the log has the id already, and then as what. */
static bool judge_known(const struct memory_document *d, struct store_entry *entry) {
    const struct memory_change *known = find_change(d, entry->id, d->len);
    if (!known)
        return false;
    struct athena_bytes_view data = data_of(known);
    bool same = data.len == entry->data.len && memcmp(data.at, entry->data.at, data.len) == 0;
    entry->outcome = same ? STORE_DUPLICATE : STORE_REJECTED;
    entry->code = same ? ATHENA_OK : ATHENA_CONFLICT;
    return true;
}

static enum athena_code memory_append(struct store *store,
                                      const uint8_t doc[static ATHENA_DOC_BYTES],
                                      struct store_entry *entries, size_t len,
                                      const struct store_quota *quota, struct store_head *head,
                                      struct athena_error *error) {
    struct memory_document *d = ensure_document(store, doc);
    if (!d)
        return no_memory(error);
    for (size_t i = 0; i < len; i++) {
        struct store_entry *entry = &entries[i];
        if (entry->outcome == STORE_REJECTED || judge_known(d, entry))
            continue;
        if (store_admit(entry, &d->head, &of(store)->total_bytes, quota) &&
            !append_change(d, entry))
            return no_memory(error);
    }
    *head = d->head;
    return ATHENA_OK;
}

static enum athena_code memory_commit(struct store *store, struct athena_error *error) {
    (void)error;
    for (struct memory_document *d = of(store)->documents; d; d = d->next) {
        d->committed = d->len;
        d->committed_head = d->head;
    }
    of(store)->committed_total_bytes = of(store)->total_bytes;
    return ATHENA_OK;
}

static void memory_rollback(struct store *store) {
    for (struct memory_document *d = of(store)->documents; d; d = d->next) {
        while (d->len > d->committed)
            free(d->changes[--d->len].id);
        d->head = d->committed_head;
    }
    of(store)->total_bytes = of(store)->committed_total_bytes;
}

static void memory_close(struct store *store) {
    struct memory_document *d = of(store)->documents;
    while (d) {
        struct memory_document *next = d->next;
        while (d->len > 0)
            free(d->changes[--d->len].id);
        free(d->changes);
        free(d);
        d = next;
    }
    free(store);
}

static const struct store_engine memory_engine = {
    .close = memory_close,
    .head = memory_head,
    .tag = memory_tag,
    .read = memory_read,
    .find = memory_find,
    .begin = memory_begin,
    .append = memory_append,
    .commit = memory_commit,
    .rollback = memory_rollback,
};

struct store *store_memory_new(void) {
    struct memory_store *store = calloc(1, sizeof *store);
    if (store)
        store->base.engine = &memory_engine;
    return store ? &store->base : NULL;
}

void store_memory_crash(struct store *store) {
    memory_rollback(store);
}
