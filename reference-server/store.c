/* What every storage engine shares: pages, tags, quotas. */
#include "reference-server/store.h"

#include <stdlib.h>
#include <string.h>

void store_close(struct store *store) {
    if (store)
        store->engine->close(store);
}

/* ---- Pages ---- */

static bool reserve_change(struct store_page *page) {
    if (page->len < page->capacity)
        return true;
    size_t capacity = page->capacity ? page->capacity * 2 : 16;
    struct athena_change_view *changes = realloc(page->changes, capacity * sizeof *changes);
    if (!changes)
        return false;
    page->changes = changes;
    page->capacity = capacity;
    return true;
}

/* The bytes may have moved: the views of all changes follow them, in order. */
static void rebase_views(struct store_page *page, const char *old) {
    if (page->bytes.at == old)
        return;
    const char *at = page->bytes.at;
    for (size_t i = 0; i < page->len; i++) {
        struct athena_change_view *change = &page->changes[i];
        change->id.at = at;
        change->data.at = (const uint8_t *)at + change->id.len;
        at += change->id.len + change->data.len;
    }
}

bool store_page_add(struct store_page *page, struct athena_text_view id,
                    struct athena_bytes_view data, bool with_data) {
    size_t data_len = with_data ? data.len : 0;
    const char *old = page->bytes.at;
    char *at = reserve_change(page) ? athena_buf_extend(&page->bytes, id.len + data_len) : NULL;
    if (!at)
        return false;
    memcpy(at, id.at, id.len);
    if (data_len)
        memcpy(at + id.len, data.at, data_len);
    page->changes[page->len++] = (struct athena_change_view){
        .id = {at, id.len}, .data = {(const uint8_t *)at + id.len, data_len}};
    rebase_views(page, old);
    page->encoded_bytes +=
        with_data ? athena_change_encoded_len(id.len, data_len) : athena_id_encoded_len(id.len);
    return true;
}

/* [ASP-LIST-2] [ASP-LIM-3] */
bool store_page_has_room(const struct store_page *page, const struct store_range *range,
                         size_t id_len, size_t data_len) {
    if (page->len == 0)
        return true;
    size_t entry = range->with_data ? athena_change_encoded_len(id_len, data_len)
                                    : athena_id_encoded_len(id_len);
    return page->len < range->entries_max &&
           page->encoded_bytes + entry <= range->encoded_bytes_max;
}

void store_page_clear(struct store_page *page) {
    page->len = 0;
    page->encoded_bytes = 0;
    athena_buf_clear(&page->bytes);
}

void store_page_fini(struct store_page *page) {
    free(page->changes);
    athena_buf_fini(&page->bytes);
    *page = (struct store_page){0};
}

/* ---- Tags and quotas ---- */

static uint64_t load64_le(const uint8_t at[static 8]) {
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--)
        value = value << 8 | at[i];
    return value;
}

/* [ASP-CUR-5] */
uint64_t store_tag(const uint8_t doc[static ATHENA_DOC_BYTES], const struct athena_digest *digest) {
    return load64_le(digest->sum) + load64_le(doc);
}

/* [ASP-ABUSE-5] */
bool store_admit(struct store_entry *entry, struct store_head *head, uint64_t *total_bytes,
                 const struct store_quota *quota) {
    uint64_t len = entry->data.len;
    if ((quota->document_bytes && head->data_bytes + len > quota->document_bytes) ||
        (quota->total_bytes && *total_bytes + len > quota->total_bytes)) {
        entry->outcome = STORE_REJECTED;
        entry->code = ATHENA_QUOTA;
        return false;
    }
    uint8_t hash[ATHENA_HASH_BYTES];
    athena_item_hash(hash, entry->id, entry->data);
    athena_digest_add(&head->digest, hash);
    head->data_bytes += len;
    *total_bytes += len;
    entry->outcome = STORE_STORED;
    return true;
}
