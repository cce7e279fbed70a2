#include "reference-client/tests/support_session.h"

#include <check.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

const struct athena_limits rig_limits = {4194304, 16384, 1114112, 1000, 64};
static const char authority[] = "sync.example";

static struct athena_text_view view(const char *text) {
    return (struct athena_text_view){text, strlen(text)};
}

/* ---- The host ---- */

static void on_connect(void *ctx) {
    ((struct rig *)ctx)->dialled++;
}

static void on_send(void *ctx, struct athena_text_view json) {
    struct rig *rig = ctx;
    ck_assert_uint_lt(rig->sent_len, RIG_SENT_MAX);
    rig->sent[rig->sent_len++] = strndup(json.at, json.len);
}

static void forget_sent(struct rig *rig) {
    while (rig->sent_len > 0)
        free(rig->sent[--rig->sent_len]);
}

static void on_drop(void *ctx, uint16_t close_code) {
    struct rig *rig = ctx;
    rig->dropped++;
    rig->close_code = close_code;
    forget_sent(rig);
}

static void on_event(void *ctx, const struct athena_sync_event *event) {
    struct rig *rig = ctx;
    ck_assert_uint_lt(rig->events_len, RIG_EVENTS_MAX);
    struct rig_event *kept = &rig->events[rig->events_len++];
    struct athena_text_view id = event->type == ATHENA_SYNC_CHANGE ? event->change.id : event->id;
    *kept = (struct rig_event){.type = event->type,
                               .code = event->error.code,
                               .count = event->count,
                               .retry_ms = event->retry_ms};
    memcpy(kept->text, event->error.text, sizeof kept->text);
    if (id.len > 0)
        memcpy(kept->id, id.at, id.len);
    if (rig->handler)
        rig->handler(rig, event);
}

static uint32_t on_random(void *ctx) {
    return ((struct rig *)ctx)->random;
}

static void start(struct rig *rig) {
    struct session_host host = {rig, on_connect, on_send, on_drop, on_event, on_random};
    rig->session =
        session_new(&host, &session_default_times, rig->replica, &rig->keys, view(authority));
    ck_assert_ptr_nonnull(rig->session);
}

static void seal(struct rig *rig, unsigned number) {
    struct rig_change *change = &rig->changes[number];
    uint8_t random[ATHENA_UUID_BYTES] = {(uint8_t)number};
    uint8_t plain[2] = {'c', (uint8_t)number};
    struct athena_bytes_view content = {plain, sizeof plain};
    ck_assert_int_eq(athena_change_id_make(change->id, view("ab"), random, NULL), ATHENA_OK);
    ck_assert_int_eq(athena_envelope_seal(change->data, &rig->keys, view(change->id), content),
                     ATHENA_OK);
    change->data_len = athena_envelope_len(sizeof plain);
}

void rig_init(struct rig *rig) {
    static const uint8_t secret[ATHENA_SECRET_BYTES] = {7};
    *rig = (struct rig){0};
    ck_assert_int_ge(sodium_init(), 0);
    athena_keys_derive(&rig->keys, secret);
    rig->decoder = athena_decoder_new();
    ck_assert_ptr_nonnull(rig->decoder);
    ck_assert_int_eq(replica_open_in_memory(&rig->replica, rig->keys.doc, NULL), ATHENA_OK);
    for (unsigned i = 0; i < RIG_CHANGES; i++)
        seal(rig, i);
    start(rig);
}

void rig_fini(struct rig *rig) {
    session_free(rig->session);
    ck_assert_int_eq(replica_verify_known(rig->replica, NULL), ATHENA_OK);
    replica_close(rig->replica);
    athena_decoder_free(rig->decoder);
    forget_sent(rig);
}

void rig_restart(struct rig *rig) {
    session_free(rig->session);
    forget_sent(rig);
    start(rig);
}

/* ---- The replica ---- */

void rig_add(struct rig *rig, unsigned set) {
    ck_assert_int_eq(replica_begin(rig->replica, NULL), ATHENA_OK);
    for (unsigned i = 0; i < RIG_CHANGES; i++) {
        struct rig_change *change = &rig->changes[i];
        struct replica_change own = {
            .is_own = true, .id = view(change->id), .data = {change->data, change->data_len}};
        if (set & 1U << i)
            ck_assert_int_eq(replica_insert(rig->replica, &own, NULL, NULL, NULL), ATHENA_OK);
    }
    ck_assert_int_eq(replica_finish(rig->replica, ATHENA_OK, NULL), ATHENA_OK);
    session_added(rig->session, rig->now_ms);
}

unsigned rig_held(struct rig *rig) {
    unsigned held = 0;
    for (unsigned i = 0; i < RIG_CHANGES; i++) {
        struct replica_change own;
        ck_assert_int_eq(replica_find(rig->replica, view(rig->changes[i].id), &own, NULL),
                         ATHENA_OK);
        held |= own.number ? 1U << i : 0;
    }
    return held;
}

struct replica_server rig_server(struct rig *rig) {
    struct replica_server server;
    ck_assert_int_eq(replica_server(rig->replica, view(authority), &server, NULL), ATHENA_OK);
    return server;
}

struct replica_counts rig_counts(struct rig *rig) {
    struct replica_server server = rig_server(rig);
    struct replica_counts counts;
    ck_assert_int_eq(replica_count(rig->replica, &server, &counts, NULL), ATHENA_OK);
    return counts;
}

/* ---- What the client sends ---- */

struct athena_message rig_expect(struct rig *rig, enum athena_type type) {
    struct athena_message message;
    struct athena_error error = {0};
    ck_assert_uint_gt(rig->sent_len, 0);
    enum athena_code code = athena_message_decode(&message, rig->decoder, ATHENA_FROM_CLIENT,
                                                  view(rig->sent[0]), &error);
    ck_assert_msg(code == ATHENA_OK, "%s: %s %s", rig->sent[0], error.where, error.text);
    ck_assert_msg(message.type == type, "%s", rig->sent[0]);
    free(rig->sent[0]);
    memmove(rig->sent, rig->sent + 1, --rig->sent_len * sizeof *rig->sent);
    return message;
}

void rig_expect_nothing(struct rig *rig) {
    ck_assert_msg(rig->sent_len == 0, "the client sent %s", rig->sent[0]);
}

uint64_t rig_expect_list(struct rig *rig, const char *after, bool with_data) {
    struct athena_message list = rig_expect(rig, ATHENA_LIST);
    ck_assert_int_eq(list.has_after, *after != '\0');
    ck_assert_int_eq(list.with_data, with_data);
    if (*after) {
        ck_assert_uint_eq(list.cursor.len, strlen(after));
        ck_assert_mem_eq(list.cursor.at, after, list.cursor.len);
    }
    return list.req;
}

static unsigned number_of(const struct rig *rig, struct athena_text_view id) {
    unsigned number = 0;
    while (number < RIG_CHANGES && (strlen(rig->changes[number].id) != id.len ||
                                    memcmp(rig->changes[number].id, id.at, id.len) != 0))
        number++;
    ck_assert_uint_lt(number, RIG_CHANGES);
    return number;
}

uint64_t rig_expect_set(struct rig *rig, enum athena_type type, unsigned set) {
    struct athena_message message = rig_expect(rig, type);
    unsigned sent = 0;
    for (size_t i = 0; i < message.ids_len; i++)
        sent |= 1U << number_of(rig, message.ids[i]);
    for (size_t i = 0; i < message.changes_len; i++) {
        unsigned number = number_of(rig, message.changes[i].id);
        sent |= 1U << number;
        ck_assert_uint_eq(message.changes[i].data.len, rig->changes[number].data_len);
        ck_assert_mem_eq(message.changes[i].data.at, rig->changes[number].data,
                         message.changes[i].data.len); /* [ASP-CLI-4] */
    }
    ck_assert_uint_eq(sent, set);
    return message.req;
}

/* ---- What the server says ---- */

void rig_say_text(struct rig *rig, const char *json) {
    session_receive(rig->session, view(json), rig->now_ms);
}

void rig_say(struct rig *rig, const struct athena_message *message) {
    struct athena_buf json = {0};
    athena_message_encode(&json, message);
    ck_assert(!json.failed);
    session_receive(rig->session, (struct athena_text_view){json.at, json.len}, rig->now_ms);
    athena_buf_fini(&json);
}

static struct athena_message about(const struct rig *rig, enum athena_type type, uint64_t req) {
    struct athena_message message = {.type = type, .has_req = req > 0, .req = req, .has_doc = true};
    memcpy(message.doc, rig->keys.doc, sizeof message.doc);
    return message;
}

static size_t select_set(const struct rig *rig, unsigned set, struct athena_change_view *changes,
                         struct athena_text_view *ids) {
    size_t len = 0;
    for (unsigned i = 0; i < RIG_CHANGES; i++) {
        if (!(set & 1U << i))
            continue;
        ids[len] = view(rig->changes[i].id);
        changes[len++] =
            (struct athena_change_view){.id = view(rig->changes[i].id),
                                        .data = {rig->changes[i].data, rig->changes[i].data_len}};
    }
    return len;
}

void rig_greet(struct rig *rig, const struct athena_limits *limits) {
    struct athena_message welcome = {
        .type = ATHENA_WELCOME, .server = view("test/1"), .limits = *limits};
    unsigned dialled = rig->dialled;
    session_start(rig->session, rig->now_ms);
    ck_assert_uint_eq(rig->dialled, dialled + 1);
    session_connected(rig->session, rig->now_ms);
    rig_expect_nothing(rig);
    rig_say(rig, &welcome);
}

void rig_open(struct rig *rig, unsigned log, const char *cursor) {
    struct athena_change_view changes[RIG_CHANGES];
    struct athena_text_view ids[RIG_CHANGES];
    rig_greet(rig, &rig_limits);
    struct athena_message opened = about(rig, ATHENA_OPENED, rig_expect(rig, ATHENA_OPEN).req);
    size_t len = select_set(rig, log, changes, ids);
    for (size_t i = 0; i < len; i++) {
        uint8_t hash[ATHENA_HASH_BYTES];
        athena_item_hash(hash, changes[i].id, changes[i].data);
        athena_digest_add(&opened.digest, hash);
    }
    opened.cursor = view(cursor);
    rig_say(rig, &opened);
}

void rig_say_listed(struct rig *rig, uint64_t req, unsigned set, bool with_data, bool more,
                    const char *cursor) {
    struct athena_change_view changes[RIG_CHANGES];
    struct athena_text_view ids[RIG_CHANGES];
    struct athena_message listed = about(rig, ATHENA_LISTED, req);
    listed.ids_len = listed.changes_len = select_set(rig, set, changes, ids);
    listed.ids = ids;
    listed.changes = changes;
    listed.with_data = with_data;
    listed.more = more;
    listed.cursor = view(cursor);
    rig_say(rig, &listed);
}

void rig_say_got(struct rig *rig, uint64_t req, unsigned set, unsigned missing) {
    struct athena_change_view changes[RIG_CHANGES];
    struct athena_change_view unused[RIG_CHANGES];
    struct athena_text_view ids[RIG_CHANGES];
    struct athena_message got = about(rig, ATHENA_GOT, req);
    got.changes_len = select_set(rig, set, changes, ids);
    got.changes = changes;
    got.ids_len = select_set(rig, missing, unused, ids);
    got.ids = ids;
    rig_say(rig, &got);
}

void rig_say_changed(struct rig *rig, unsigned set, const char *cursor) {
    struct athena_change_view changes[RIG_CHANGES];
    struct athena_text_view ids[RIG_CHANGES];
    struct athena_message changed = about(rig, ATHENA_CHANGED, 0);
    changed.changes_len = select_set(rig, set, changes, ids);
    changed.changes = changes;
    changed.cursor = view(cursor);
    rig_say(rig, &changed);
}

void rig_say_pushed(struct rig *rig, uint64_t req, int rejected, enum athena_code code) {
    struct athena_rejected one = {rejected < 0 ? 0 : (uint64_t)rejected, code};
    struct athena_message pushed = about(rig, ATHENA_PUSHED, req);
    pushed.rejected = &one;
    pushed.rejected_len = rejected >= 0;
    rig_say(rig, &pushed);
}

void rig_say_error(struct rig *rig, uint64_t req, enum athena_code code, uint64_t retry_ms) {
    struct athena_message error = about(rig, ATHENA_ERROR, req);
    error.code = code;
    error.text = view("test");
    error.has_retry_after = retry_ms > 0;
    error.retry_after_ms = retry_ms;
    rig_say(rig, &error);
}

void rig_cut(struct rig *rig) {
    struct athena_error why = {ATHENA_UNAVAILABLE, "", "cut"};
    forget_sent(rig);
    session_disconnected(rig->session, &why, rig->now_ms);
}

void rig_pass(struct rig *rig, uint64_t ms) {
    rig->now_ms += ms;
    session_tick(rig->session, rig->now_ms);
}

/* ---- Events ---- */

const struct rig_event *rig_event(const struct rig *rig, enum athena_sync_event_type type) {
    for (size_t i = 0; i < rig->events_len; i++)
        if (rig->events[i].type == type)
            return &rig->events[i];
    return NULL;
}

unsigned rig_count(const struct rig *rig, enum athena_sync_event_type type) {
    unsigned count = 0;
    for (size_t i = 0; i < rig->events_len; i++)
        count += rig->events[i].type == type;
    return count;
}

void rig_forget(struct rig *rig) {
    rig->events_len = 0;
}
