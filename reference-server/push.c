#include "reference-server/push.h"

#include <stdlib.h>
#include <string.h>

void push_queue_add(struct push_queue *queue, struct push *push) {
    if (!queue->first)
        queue->last = &queue->first;
    push->next = NULL;
    *queue->last = push;
    queue->last = &push->next;
}

struct push *push_queue_take(struct push_queue *queue) {
    struct push *push = queue->first;
    if (push)
        queue->first = push->next;
    return push;
}

/* What can be said of an entry without the store [ASP-PUSH-1] [ASP-MODEL-3]. */
static struct store_entry make_entry(const struct athena_change_view *change,
                                     uint64_t change_bytes_max) {
    struct store_entry entry = {.id = change->id, .data = change->data, .code = change->fault};
    if (!entry.code && change->data.len > change_bytes_max)
        entry.code = ATHENA_TOO_LARGE;
    if (entry.code)
        entry.outcome = STORE_REJECTED;
    return entry;
}

struct push *push_new(struct session *session, const struct athena_message *message,
                      struct athena_decoder *decoder, uint64_t change_bytes_max,
                      size_t message_bytes) {
    struct push *push = calloc(1, sizeof *push);
    struct store_entry *entries = calloc(message->changes_len, sizeof *entries);
    if (!push || !entries) {
        free(push);
        free(entries);
        return NULL;
    }
    push->session = session;
    push->req = message->req;
    memcpy(push->doc, message->doc, ATHENA_DOC_BYTES);
    push->decoder = decoder;
    push->entries = entries;
    push->len = message->changes_len;
    push->message_bytes = message_bytes;
    for (size_t i = 0; i < push->len; i++)
        entries[i] = make_entry(&message->changes[i], change_bytes_max);
    return push;
}

struct athena_decoder *push_free(struct push *push) {
    struct athena_decoder *decoder = push->decoder;
    free(push->entries);
    free(push);
    return decoder;
}

static enum athena_code append(struct push *push, struct store *store,
                               const struct store_quota *quota, struct athena_error *error) {
    enum athena_code code = store->engine->append(store, push->doc, push->entries, push->len, quota,
                                                  &push->head, error);
    for (size_t i = 0; i < push->len && !code; i++)
        push->stored += push->entries[i].outcome == STORE_STORED;
    return code;
}

/* [ASP-DUR-2] [ASP-DUR-5] */
void push_commit(struct push *chain, struct store *store, const struct store_quota *quota,
                 struct athena_error *error) {
    enum athena_code code = store->engine->begin(store, error);
    for (struct push *push = chain; push && !code; push = push->next)
        code = append(push, store, quota, error);
    if (!code)
        code = store->engine->commit(store, error);
    if (!code)
        return;
    store->engine->rollback(store);
    for (struct push *push = chain; push; push = push->next)
        push->code = ATHENA_UNAVAILABLE;
}
