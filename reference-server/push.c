#include "reference-server/push.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    WORK_BYTES = 256,         /* of a message that are as much work as an entry */
    TURN_WORK = 256,          /* in entries: what a lane moves on by */
    TRANSACTION_WORK = 16384, /* some 50 ms, beside which a flush to disk is little */
    DAMAGED_MAX = 16,         /* documents of one transaction that are left out of it */
};

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

/* ---- Turns ---- */

static size_t work_of(const struct push *push) {
    return push->len + push->message_bytes / WORK_BYTES;
}

static void add_lane(struct push_lanes *lanes, struct push_lane *lane) {
    if (!lanes->first)
        lanes->last = &lanes->first;
    lane->next = NULL;
    *lanes->last = lane;
    lanes->last = &lane->next;
}

void push_lanes_add(struct push_lanes *lanes, struct push *push) {
    struct push_lane *lane = push->lane;
    if (!lane->pushes.first) {
        lane->credit = TURN_WORK;
        add_lane(lanes, lane);
    }
    push_queue_add(&lane->pushes, push);
}

struct push *push_lanes_take(struct push_lanes *lanes) {
    struct push_queue chain = {0};
    for (size_t taken = 0; lanes->first && taken < TRANSACTION_WORK;) {
        struct push_lane *lane = lanes->first;
        size_t work = work_of(lane->pushes.first);
        if (work <= lane->credit) {
            lane->credit -= work;
            taken += work;
            push_queue_add(&chain, push_queue_take(&lane->pushes));
            if (lane->pushes.first)
                continue;
        }
        lanes->first = lane->next;
        if (lane->pushes.first) {
            lane->credit += TURN_WORK;
            add_lane(lanes, lane);
        }
    }
    return chain.first;
}

/* ---- Making ---- */

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

/* ---- Committing ---- */

/* What an earlier attempt has judged is judged anew. */
static void forget_outcome(struct push *push) {
    push->stored = 0;
    for (size_t i = 0; i < push->len; i++) {
        struct store_entry *entry = &push->entries[i];
        if (entry->code == ATHENA_CONFLICT || entry->code == ATHENA_QUOTA)
            entry->code = ATHENA_OK;
        if (!entry->code)
            entry->outcome = STORE_STORED;
    }
}

static enum athena_code append(struct push *push, struct store *store,
                               const struct store_quota *quota, struct athena_error *error) {
    forget_outcome(push);
    enum athena_code code = store->engine->append(store, push->doc, push->entries, push->len, quota,
                                                  &push->head, error);
    for (size_t i = 0; i < push->len && !code; i++)
        push->stored += push->entries[i].outcome == STORE_STORED;
    return code;
}

/* One transaction of those that have not failed before; *culprit is the push that it failed at, or
 * NULL when it was not one of them. */
static enum athena_code attempt(struct push *chain, struct store *store,
                                const struct store_quota *quota, struct push **culprit,
                                struct athena_error *error) {
    *culprit = NULL;
    enum athena_code code = store->engine->begin(store, error);
    for (struct push *push = chain; push && !code; push = push->next)
        if (!push->code && (code = append(push, store, quota, error)))
            *culprit = push;
    if (!code)
        code = store->engine->commit(store, error);
    if (code)
        store->engine->rollback(store);
    return code;
}

static void name_document(struct athena_error *error, const struct push *push) {
    char doc[ATHENA_DOC_TEXT_LEN + 1];
    const struct athena_error inner = *error;
    athena_doc_format(doc, push->doc);
    snprintf(error->text, sizeof error->text, "document %s: %.190s", doc, inner.text);
}

/* [ASP-DUR-2] [ASP-DUR-5] */
void push_commit(struct push *chain, struct store *store, const struct store_quota *quota,
                 struct athena_error *error) {
    for (size_t damaged = 0; damaged <= DAMAGED_MAX; damaged++) {
        struct push *culprit;
        if (!attempt(chain, store, quota, &culprit, error))
            return;
        if (!culprit)
            break;
        culprit->code = ATHENA_UNAVAILABLE;
        name_document(error, culprit);
    }
    for (struct push *push = chain; push; push = push->next)
        push->code = ATHENA_UNAVAILABLE;
}
