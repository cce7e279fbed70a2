/* Step e, and pushing ever after: the local changes that the server lacks, a few batches at a time
 * [ASP-CLI-37]. What waits is in the replica; here is only how far it was sent. */
#include "reference-client/session_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    QUOTA_RETRY_MS = 60000,
    REFUSED_RETRY_MS = 2000,
    MESSAGE_BYTES_MAX = 4 * 1024 * 1024, /* of a push of several changes */
};

/* A push being put together: copies, because rows do not stay. */
struct batch {
    struct athena_buf bytes;
    struct athena_change_view *changes;
    uint64_t *numbers;
    size_t len;
    size_t encoded_bytes;
};

static void batch_fini(struct batch *batch) {
    athena_buf_fini(&batch->bytes);
    free(batch->changes);
    free(batch->numbers);
}

static bool batch_init(struct batch *batch, size_t entries_max) {
    *batch = (struct batch){
        .changes = calloc(entries_max, sizeof *batch->changes),
        .numbers = calloc(entries_max, sizeof *batch->numbers),
    };
    return batch->changes && batch->numbers;
}

static void batch_add(struct batch *batch, const struct replica_change *change) {
    athena_buf_append(&batch->bytes, change->id.at, change->id.len);
    athena_buf_append(&batch->bytes, change->data.at, change->data.len);
    batch->changes[batch->len].id.len = change->id.len;
    batch->changes[batch->len].data.len = change->data.len;
    batch->numbers[batch->len++] = change->number;
    batch->encoded_bytes += athena_change_encoded_len(change->id.len, change->data.len);
}

/* The bytes have stopped moving: the views may point to them. */
static void batch_finish(struct batch *batch) {
    const char *at = batch->bytes.at;
    for (size_t i = 0; i < batch->len; i++) {
        struct athena_change_view *change = &batch->changes[i];
        change->id.at = at;
        change->data.at = (const uint8_t *)at + change->id.len;
        at += change->id.len + change->data.len;
    }
}

/* ---- Refusals ---- */

static void tell_refused(struct session *s, struct athena_text_view id, enum athena_code code,
                         const char *text) {
    struct athena_sync_event event = {
        .type = ATHENA_SYNC_REFUSED, .id = id, .error = {.code = code}};
    snprintf(event.error.text, sizeof event.error.text, "%s", text);
    session_event(s, &event);
}

/* Larger than the server takes: told once, kept, not sent [ASP-CLI-34]. */
static bool refuse_too_large(struct session *s, const struct replica_change *change) {
    char id_text[ATHENA_CHANGE_ID_TEXT_MAX + 1];
    struct athena_error error;
    struct athena_text_view id = {id_text, change->id.len};
    memcpy(id_text, change->id.at, change->id.len);
    enum athena_code code = replica_begin(s->replica, &error);
    if (!code)
        code = replica_refuse(s->replica, &s->server, change->number, LACKING_TOO_LARGE,
                              s->limits.change, &error);
    code = replica_finish(s->replica, code, &error);
    if (code) {
        session_storage_fault(s, &error);
        return false;
    }
    tell_refused(s, id, ATHENA_TOO_LARGE, "larger than the server takes");
    return true;
}

/* ---- Sending ---- */

/* [ASP-MSG-20] [ASP-PUSH-10] */
static bool fits(const struct session *s, const struct batch *batch,
                 const struct replica_change *change) {
    uint64_t message_max =
        s->limits.message < MESSAGE_BYTES_MAX ? s->limits.message : MESSAGE_BYTES_MAX;
    size_t room = message_max > ATHENA_MESSAGE_FRAME_BYTES
                      ? (size_t)message_max - ATHENA_MESSAGE_FRAME_BYTES
                      : 0;
    return batch->len == 0 ||
           batch->encoded_bytes + athena_change_encoded_len(change->id.len, change->data.len) <=
               room;
}

/* Finds the next whole change that waits behind sent_through; number 0 when there is none. What is
 * damaged here would be other bytes, in quarantine everywhere [ASP-CLI-4]: it is told of, and
 * passed over. False when the connection was dropped. */
static bool next_waiting(struct session *s, struct replica_change *change) {
    struct athena_error error;
    for (;;) {
        enum athena_code code =
            replica_next_waiting(s->replica, &s->server, s->sent_through, change, &error);
        if (!code && change->number)
            code = replica_check_change(change, &error);
        if (!code)
            return true;
        if (change->number == 0) {
            session_storage_fault(s, &error);
            return false;
        }
        s->sent_through = change->number;
        session_fault(s, error.text);
    }
}

/* Fills the batch with what waits; false when the connection was dropped. */
static bool fill(struct session *s, struct batch *batch, size_t entries_max) {
    while (batch->len < entries_max) {
        struct replica_change change;
        if (!next_waiting(s, &change))
            return false;
        if (change.number == 0 || (change.data.len <= s->limits.change && !fits(s, batch, &change)))
            break;
        s->sent_through = change.number;
        if (change.data.len <= s->limits.change)
            batch_add(batch, &change);
        else if (!refuse_too_large(s, &change))
            return false;
    }
    return true;
}

static void send_batch(struct session *s, struct batch *batch) {
    struct request *request = session_request(s, REQUEST_PUSH);
    if (!request)
        return;
    request->numbers = batch->numbers;
    request->len = batch->len;
    batch->numbers = NULL;
    batch_finish(batch);
    struct athena_message push = {
        .type = ATHENA_PUSH, .changes = batch->changes, .changes_len = batch->len};
    s->pushes_in_flight++;
    session_send(s, &push, request);
}

/* Puts the next push together. False when nothing waits, or the connection was dropped: without
 * memory what waits has another turn on the next one. */
static bool take_batch(struct session *s, struct batch *batch, size_t entries_max) {
    bool has_room = batch_init(batch, entries_max);
    if (has_room && !fill(s, batch, entries_max))
        return false;
    if (!has_room || batch->bytes.failed) {
        session_storage_fault(s, &(struct athena_error){ATHENA_NO_MEMORY, "", "out of memory"});
        return false;
    }
    return batch->len > 0;
}

void outbox_push(struct session *s) {
    enum { ENTRIES_MAX = 1000 };
    size_t entries_max = s->limits.batch < ENTRIES_MAX ? (size_t)s->limits.batch : ENTRIES_MAX;
    while (s->state == LIVE && !s->is_push_blocked && !s->push_retry_ms &&
           s->pushes_in_flight < PUSHES_IN_FLIGHT_MAX) {
        struct batch batch;
        bool has_more = take_batch(s, &batch, entries_max);
        if (has_more)
            send_batch(s, &batch);
        batch_fini(&batch);
        if (!has_more)
            return;
    }
}

bool outbox_is_empty(const struct session *s) {
    struct replica_change change;
    return replica_next_waiting(s->replica, &s->server, 0, &change, NULL) == ATHENA_OK &&
           change.number == 0;
}

/* ---- Answers ---- */

static void retry_later(struct session *s, uint64_t delay_ms) {
    uint64_t at = s->now_ms + delay_ms;
    if (!s->push_retry_ms || at > s->push_retry_ms)
        s->push_retry_ms = at;
}

/* Indexes in order, each once, each of the request. */
static bool is_sound(const struct request *request, const struct athena_message *pushed) {
    for (size_t i = 0; i < pushed->duplicates_len; i++)
        if (pushed->duplicates[i] >= request->len ||
            (i > 0 && pushed->duplicates[i] <= pushed->duplicates[i - 1]))
            return false;
    size_t duplicate = 0;
    for (size_t i = 0; i < pushed->rejected_len; i++) {
        uint64_t index = pushed->rejected[i].index;
        if (index >= request->len || (i > 0 && index <= pushed->rejected[i - 1].index))
            return false;
        while (duplicate < pushed->duplicates_len && pushed->duplicates[duplicate] < index)
            duplicate++;
        if (duplicate < pushed->duplicates_len && pushed->duplicates[duplicate] == index)
            return false;
    }
    return true;
}

/* What becomes of one change of a push [ASP-CLI-31] [ASP-ERR-5] [ASP-CLI-33]. */
static enum athena_code settle(struct session *s, uint64_t number, enum athena_code rejection,
                               uint64_t *pushed, struct athena_error *error) {
    struct replica_change change;
    switch (rejection) {
    case ATHENA_OK: {
        enum athena_code code = replica_next(s->replica, number - 1, &change, error);
        (*pushed)++;
        return code ? code : replica_learn(s->replica, &s->server, number, change.hash, error);
    }
    case ATHENA_TOO_LARGE:
        return replica_refuse(s->replica, &s->server, number, LACKING_TOO_LARGE, s->limits.change,
                              error);
    case ATHENA_BAD_CHANGE:
        return replica_refuse(s->replica, &s->server, number, LACKING_REFUSED, 0, error);
    default: /* a conflict is settled by the server's bytes, a quota by time */
        return ATHENA_OK;
    }
}

static enum athena_code settle_all(struct session *s, const struct request *request,
                                   const struct athena_message *message, uint64_t *pushed,
                                   struct athena_error *error) {
    enum athena_code code = replica_begin(s->replica, error);
    size_t rejected = 0;
    if (code)
        return code;
    for (size_t i = 0; i < request->len && !code; i++) {
        enum athena_code rejection = ATHENA_OK;
        if (rejected < message->rejected_len && message->rejected[rejected].index == i)
            rejection = message->rejected[rejected++].code;
        code = settle(s, request->numbers[i], rejection, pushed, error);
    }
    if (!code)
        code = replica_save_server(s->replica, &s->server, error);
    return replica_finish(s->replica, code, error);
}

/* The id of a local change; its text is copied. */
static bool id_of(struct session *s, uint64_t number, char text[static ATHENA_CHANGE_ID_TEXT_MAX],
                  struct athena_text_view *id) {
    struct replica_change change;
    if (replica_next(s->replica, number - 1, &change, NULL) || change.number != number)
        return false;
    memcpy(text, change.id.at, change.id.len);
    *id = (struct athena_text_view){text, change.id.len};
    return true;
}

static void tell_rejections(struct session *s, const struct request *request,
                            const struct athena_message *message) {
    for (size_t i = 0; i < message->rejected_len && s->state == LIVE; i++) {
        char text[ATHENA_CHANGE_ID_TEXT_MAX];
        struct athena_text_view id;
        enum athena_code code = message->rejected[i].code;
        if (!id_of(s, request->numbers[message->rejected[i].index], text, &id))
            continue;
        if (code == ATHENA_CONFLICT)
            resume_get(s, &id, 1, true);
        else if (code == ATHENA_TOO_LARGE || code == ATHENA_BAD_CHANGE)
            tell_refused(s, id, code, "the server refuses it");
        else
            retry_later(s, QUOTA_RETRY_MS);
    }
}

void outbox_on_pushed(struct session *s, const struct request *request,
                      const struct athena_message *message) {
    struct athena_error error;
    struct replica_server before = s->server;
    uint64_t pushed = 0;
    s->pushes_in_flight--;
    if (!is_sound(request, message)) {
        session_protocol_fault(s, "an acknowledgement with indexes that make no sense");
        return;
    }
    if (settle_all(s, request, message, &pushed, &error)) {
        s->server = before;
        session_storage_fault(s, &error);
        return;
    }
    if (pushed > 0)
        session_event(s, &(struct athena_sync_event){.type = ATHENA_SYNC_PUSHED, .count = pushed});
    tell_rejections(s, request, message);
    outbox_push(s);
}

void outbox_on_refused(struct session *s, const struct athena_message *message) {
    s->pushes_in_flight--;
    if (session_is_for_now(message->code)) {
        uint64_t asked_ms = session_retry_after_ms(message);
        if (asked_ms > 0 && s->now_ms + asked_ms > s->push_not_before_ms)
            s->push_not_before_ms = s->now_ms + asked_ms;
        retry_later(s, asked_ms > 0 ? asked_ms : REFUSED_RETRY_MS);
        return;
    }
    s->is_push_blocked = true;
    session_fault(s, session_refusal("the server refused a push: ", message).text);
}
