#include "reference-server/tests/support_host.h"

#include <stdlib.h>
#include <string.h>

enum { CHANGES_MAX = 64 };

/* ---- A store that can fail ---- */

static enum athena_code unavailable(struct athena_error *error) {
    if (error)
        *error = (struct athena_error){ATHENA_UNAVAILABLE, "", "broken by the test"};
    return ATHENA_UNAVAILABLE;
}

static enum athena_code fail_head(struct store *store, const uint8_t doc[static ATHENA_DOC_BYTES],
                                  struct store_head *head, struct athena_error *error) {
    (void)store;
    (void)doc;
    (void)head;
    return unavailable(error);
}

static enum athena_code fail_read(struct store *store, const uint8_t doc[static ATHENA_DOC_BYTES],
                                  const struct store_range *range, struct store_page *page,
                                  struct athena_error *error) {
    (void)store;
    (void)doc;
    (void)range;
    (void)page;
    return unavailable(error);
}

static enum athena_code fail_find(struct store *store, const uint8_t doc[static ATHENA_DOC_BYTES],
                                  struct athena_text_view id, uint64_t until,
                                  struct store_page *page, bool *found,
                                  struct athena_error *error) {
    (void)store;
    (void)doc;
    (void)id;
    (void)until;
    (void)page;
    *found = false;
    return unavailable(error);
}

static enum athena_code fail_commit(struct store *store, struct athena_error *error) {
    (void)store;
    return unavailable(error);
}

/* The engine is the first thing in every store, so that it can be changed under way. */
static void replace_engine(struct host *host, bool reads, bool writes) {
    static struct store_engine broken;
    broken = *host->working;
    if (!reads) {
        broken.head = fail_head;
        broken.read = fail_read;
        broken.find = fail_find;
    }
    if (!writes)
        broken.commit = fail_commit;
    host->connection.session.store->engine = &broken;
}

void host_break_reading(struct host *host) {
    replace_engine(host, false, true);
}

void host_break_writing(struct host *host) {
    replace_engine(host, true, false);
}

void host_repair(struct host *host) {
    host->connection.session.store->engine = host->working;
}

/* ---- The host ---- */

static struct host *host_of(struct session_host *session_host) {
    return (struct host *)(void *)session_host; /* both are first in what holds them */
}

static bool is_authority(const struct session_host *host, struct athena_text_view authority) {
    (void)host;
    return authority.len == strlen(HOST_AUTHORITY) &&
           memcmp(authority.at, HOST_AUTHORITY, authority.len) == 0;
}

static void submit(struct session_host *host, struct push *push) {
    push_queue_add(&host_of(host)->submitted, push);
}

static void wake(struct session_host *host, void *owner) {
    (void)host;
    (void)owner;
}

static void report(struct session_host *host, const struct athena_error *error) {
    ck_assert_str_ne(error->text, "");
    host_of(host)->reports++;
}

static void make_challenge(uint8_t challenge[static ATHENA_CHALLENGE_BYTES]) {
    memset(challenge, 'c', ATHENA_CHALLENGE_BYTES);
}

static bool write_page(struct connection_host *host, struct athena_text_view path,
                       const char **content_type, struct athena_buf *body) {
    (void)host;
    *content_type = "text/plain";
    athena_buf_append(body, "ok\n", 3);
    return path.len == 8 && memcmp(path.at, "/healthz", 8) == 0;
}

void host_init(struct host *host) {
    static const uint8_t hash_key[16];
    *host = (struct host){.connection = {.idle_ms = 1000,
                                         .dead_ms = 3000,
                                         .handshake_ms = 500,
                                         .connections_max = 2,
                                         .challenge = make_challenge,
                                         .page = write_page}};
    struct session_host *session = &host->connection.session;
    session->limits = (struct athena_limits){100000, 4000, 1000, 5, 2};
    session->server_name = support_text("test/1");
    session->open_within_ms = 10000;
    session->is_authority = is_authority;
    session->submit = submit;
    session->wake = wake;
    session->report = report;
    session->store = store_memory_new();
    session->documents = documents_new(session->store, &session->limits, hash_key);
    ck_assert_ptr_nonnull(session->documents);
    host->working = session->store->engine;
}

void host_fini(struct host *host) {
    host_repair(host);
    host_commit(host);
    athena_decoder_free(host->connection.session.spare_decoder);
    documents_free(host->connection.session.documents);
    store_close(host->connection.session.store);
}

void host_commit(struct host *host) {
    struct athena_error error = {0};
    struct session_host *session = &host->connection.session;
    struct push *push = host->submitted.first;
    host->submitted.first = NULL;
    if (push)
        push_commit(push, session->store, &host->quota, &error);
    for (struct push *next; push; push = next) {
        next = push->next;
        session_pushed(session, push);
    }
}

/* ---- A peer ---- */

void peer_join(struct peer *peer, struct host *host) {
    struct athena_message welcome;
    *peer = (struct peer){.host = host, .decoder = athena_decoder_new()};
    make_challenge(peer->challenge);
    peer->session = session_new(&host->connection.session, peer, peer->challenge, 0);
    ck_assert_ptr_nonnull(peer->session);
    peer_expect(peer, ATHENA_WELCOME, &welcome);
}

void peer_leave(struct peer *peer) {
    session_free(peer->session);
    athena_decoder_free(peer->decoder);
}

void peer_say(struct peer *peer, const char *json) {
    size_t len = strlen(json);
    char *exact = malloc(len + 1); /* so that a byte read too far is seen */
    ck_assert_ptr_nonnull(exact);
    for (size_t i = 0; i < len; i++)
        exact[i] = json[i];
    ck_assert(session_takes_input(peer->session));
    session_receive(peer->session, (struct athena_text_view){exact, len});
    free(exact);
}

uint64_t peer_send(struct peer *peer, struct athena_message *message) {
    struct athena_buf json = {0};
    if (!message->has_req)
        message->req = peer->next_req++;
    message->has_req = true;
    athena_message_encode(&json, message);
    athena_buf_append(&json, "", 1);
    ck_assert(!json.failed);
    peer_say(peer, json.at);
    athena_buf_fini(&json);
    return message->req;
}

bool peer_next(struct peer *peer, struct athena_message *message) {
    struct athena_error error;
    struct frame *frame = session_next_frame(peer->session);
    if (!frame)
        return false;
    enum athena_code code = athena_message_decode(message, peer->decoder, ATHENA_FROM_SERVER,
                                                  frame_text(frame), &error);
    ck_assert_msg(code == ATHENA_OK, "%s: %s", error.where, error.text);
    frame_unref(frame);
    return true;
}

void peer_expect(struct peer *peer, enum athena_type type, struct athena_message *message) {
    ck_assert_msg(peer_next(peer, message), "nothing to be sent; the close code is %u",
                  session_close_code(peer->session));
    ck_assert_msg(message->type == type, "type %d, not %d: %.*s", (int)message->type, (int)type,
                  (int)message->text.len, message->text.len ? message->text.at : "");
}

void peer_expect_silence(struct peer *peer) {
    struct athena_message message;
    ck_assert_msg(!peer_next(peer, &message), "type %d, but nothing was expected",
                  (int)message.type);
}

void peer_expect_error(struct peer *peer, enum athena_code code, uint64_t req) {
    struct athena_message error;
    peer_expect(peer, ATHENA_ERROR, &error);
    ck_assert_msg(error.code == code, "%s, not %s: %.*s", athena_code_text(error.code),
                  athena_code_text(code), (int)error.text.len, error.text.at);
    ck_assert(error.has_req && error.has_doc);
    ck_assert_uint_eq(error.req, req);
}

/* ---- Requests ---- */

struct athena_message peer_request(enum athena_type type, const struct athena_keys *keys) {
    struct athena_message message = {.type = type, .has_doc = true};
    memcpy(message.doc, keys->doc, sizeof message.doc);
    return message;
}

struct athena_message peer_open_request(const struct peer *peer, const struct athena_keys *keys) {
    struct athena_message open = peer_request(ATHENA_OPEN, keys);
    open.authority = support_text(HOST_AUTHORITY);
    athena_proof_sign(open.proof, keys, peer->challenge, open.authority);
    return open;
}

void peer_open(struct peer *peer, const struct athena_keys *keys, struct athena_message *opened) {
    struct athena_message reply;
    struct athena_message open = peer_open_request(peer, keys);
    peer_send(peer, &open);
    peer_expect(peer, ATHENA_OPENED, opened ? opened : &reply);
}

uint64_t peer_push(struct peer *peer, const struct athena_keys *keys, uint64_t first, size_t len,
                   uint8_t version) {
    struct athena_change_view changes[CHANGES_MAX] = {0};
    char ids[CHANGES_MAX][ATHENA_CHANGE_ID_TEXT_MAX + 1];
    uint8_t data[CHANGES_MAX][2];
    ck_assert_uint_le(len, CHANGES_MAX);
    for (size_t i = 0; i < len; i++) {
        support_id(ids[i], first + i);
        data[i][0] = (uint8_t)(first + i);
        data[i][1] = version;
        changes[i].id = support_text(ids[i]);
        changes[i].data = (struct athena_bytes_view){data[i], 2};
    }
    struct athena_message push = peer_request(ATHENA_PUSH, keys);
    push.changes = changes;
    push.changes_len = len;
    return peer_send(peer, &push);
}

void peer_store(struct peer *peer, const struct athena_keys *keys, uint64_t first, size_t len) {
    struct athena_message pushed;
    peer_push(peer, keys, first, len, 0);
    host_commit(peer->host);
    peer_expect(peer, ATHENA_PUSHED, &pushed);
    ck_assert_uint_eq(pushed.duplicates_len + pushed.rejected_len, 0);
}

bool peer_has_changes(const struct athena_message *message, uint64_t first, uint64_t last) {
    bool ok = message->changes_len == last - first + 1;
    for (size_t i = 0; ok && i < message->changes_len; i++) {
        char id[ATHENA_CHANGE_ID_TEXT_MAX + 1];
        support_id(id, first + i);
        ok = message->changes[i].id.len == strlen(id) &&
             memcmp(message->changes[i].id.at, id, strlen(id)) == 0 &&
             message->changes[i].data.len == 2 &&
             message->changes[i].data.at[0] == (uint8_t)(first + i);
    }
    return ok;
}
