/*
 * Everything a client reads from a server, right or wrong, in any order. Whatever comes, the client
 * sends only what a server can decode, and its store stays true to itself.
 *
 * The input is a list of acts (below), most of them replies to the oldest request that is not
 * answered, made of right and wrong parts; one that begins like a message is taken as that, after a
 * right beginning.
 */
#include "reference-client/session.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum act {
    ACT_MESSAGE,
    ACT_WELCOME,
    ACT_REPLY,
    ACT_ERROR,
    ACT_CHANGED,
    ACT_ADD,
    ACT_CUT,
    ACT_TIME,
    ACT_CONNECT,
    ACT_COUNT
};
enum { POOL_LEN = 8, REQUESTS_MAX = 64 };

/* A change that may come up anywhere; one of them twice, with other bytes, one that does not open.
 */
struct pool_change {
    char id[ATHENA_CHANGE_ID_TEXT_MAX + 1];
    uint8_t data[256];
    size_t data_len;
};

struct fuzz {
    struct replica *replica;
    struct session *session;
    struct athena_message requests[REQUESTS_MAX]; /* type, req and doc of what is not answered */
    size_t requests_len;
    uint64_t now_ms;
    uint64_t added;
    uint32_t random;
};

static struct athena_keys keys;
static struct athena_decoder *decoder; /* a server's */
static struct pool_change pool[POOL_LEN];
static const struct athena_text_view authority = {"fuzz", 4};

static void require(bool holds) {
    if (!holds)
        abort();
}

static struct athena_text_view view(const char *text) {
    return (struct athena_text_view){text, strlen(text)};
}

/* ---- The host ---- */

static void on_connect(void *ctx) {
    (void)ctx;
}

static void on_send(void *ctx, struct athena_text_view json) {
    struct fuzz *fuzz = ctx;
    struct athena_message message;
    require(athena_message_decode(&message, decoder, ATHENA_FROM_CLIENT, json, NULL) == ATHENA_OK);
    for (size_t i = 0; i < message.changes_len; i++)
        require(!message.changes[i].fault);
    require(fuzz->requests_len < REQUESTS_MAX);
    fuzz->requests[fuzz->requests_len++] = message;
}

static void on_drop(void *ctx, uint16_t close_code) {
    struct fuzz *fuzz = ctx;
    require(close_code >= 1000);
    fuzz->requests_len = 0;
}

static void on_event(void *ctx, const struct athena_sync_event *event) {
    (void)ctx;
    require(event->type <= ATHENA_SYNC_DISCONNECTED);
}

static uint32_t on_random(void *ctx) {
    return ((struct fuzz *)ctx)->random++;
}

static void set_up(struct fuzz *fuzz) {
    struct session_host host = {fuzz, on_connect, on_send, on_drop, on_event, on_random};
    *fuzz = (struct fuzz){0};
    require(replica_open_in_memory(&fuzz->replica, keys.doc, NULL) == ATHENA_OK);
    fuzz->session = session_new(&host, &session_default_times, fuzz->replica, &keys, authority);
    require(fuzz->session != NULL);
    session_start(fuzz->session, 0);
}

/* ---- What comes in ---- */

static void give(struct fuzz *fuzz, const struct athena_message *message) {
    struct athena_buf json = {0};
    athena_message_encode(&json, message);
    session_receive(fuzz->session, (struct athena_text_view){json.at, json.len}, fuzz->now_ms);
    athena_buf_fini(&json);
}

static void give_welcome(struct fuzz *fuzz, uint8_t how) {
    struct athena_message welcome = {
        .type = ATHENA_WELCOME,
        .server = view("fuzz/1"),
        .limits = {65536, 16384, how & 1 ? 300 : 4096, how & 2 ? 1 : 4, 2}};
    give(fuzz, &welcome);
}

/* The changes that a byte selects. */
static size_t select_changes(uint8_t which, struct athena_change_view *changes,
                             struct athena_text_view *ids) {
    size_t len = 0;
    for (size_t i = 0; i < POOL_LEN; i++) {
        if (!(which & 1U << i))
            continue;
        ids[len] = view(pool[i].id);
        changes[len++] = (struct athena_change_view){.id = view(pool[i].id),
                                                     .data = {pool[i].data, pool[i].data_len}};
    }
    return len;
}

static struct athena_digest digest_of(const struct athena_change_view *changes, size_t len) {
    struct athena_digest digest = {0};
    for (size_t i = 0; i < len; i++) {
        uint8_t hash[ATHENA_HASH_BYTES];
        athena_item_hash(hash, changes[i].id, changes[i].data);
        athena_digest_add(&digest, hash);
    }
    return digest;
}

/* The request a reply is to; one that nobody made when all are answered. */
static struct athena_message take_request(struct fuzz *fuzz) {
    struct athena_message request = {.type = ATHENA_OPEN, .req = 99};
    if (fuzz->requests_len > 0) {
        request = fuzz->requests[0];
        fuzz->requests_len--;
        memmove(fuzz->requests, fuzz->requests + 1, fuzz->requests_len * sizeof request);
    }
    return request;
}

static struct athena_message reply_to(const struct athena_message *request, enum athena_type type) {
    struct athena_message reply = {
        .type = type, .has_req = true, .req = request->req, .has_doc = true};
    memcpy(reply.doc, keys.doc, sizeof reply.doc);
    return reply;
}

static void give_reply(struct fuzz *fuzz, uint8_t which, uint8_t how) {
    static const char *const cursors[] = {"c0", "c1", "c2", "c3"};
    static const enum athena_type types[ATHENA_TYPE_COUNT] = {[ATHENA_OPEN] = ATHENA_OPENED,
                                                              [ATHENA_LIST] = ATHENA_LISTED,
                                                              [ATHENA_GET] = ATHENA_GOT,
                                                              [ATHENA_PUSH] = ATHENA_PUSHED,
                                                              [ATHENA_CLOSE] = ATHENA_CLOSED};
    struct athena_change_view changes[POOL_LEN];
    struct athena_text_view ids[POOL_LEN];
    struct athena_text_view missing[POOL_LEN];
    struct athena_change_view unused[POOL_LEN];
    struct athena_rejected rejected = {how >> 4, how & 4 ? ATHENA_CONFLICT : ATHENA_QUOTA};
    uint64_t duplicate = how >> 2 & 3;
    struct athena_message request = take_request(fuzz);
    struct athena_message reply = reply_to(&request, types[request.type]);
    reply.changes_len = reply.ids_len = select_changes(which, changes, ids);
    reply.changes = changes;
    reply.ids = ids;
    reply.digest = digest_of(changes, reply.changes_len);
    reply.cursor = view(cursors[how & 3]);
    reply.more = how & 4 && reply.changes_len > 0;
    reply.with_data = request.with_data != (how == 255);
    if (reply.type == ATHENA_GOT) {
        reply.ids_len = select_changes(how, unused, missing);
        reply.ids = missing;
    }
    if (how & 1) {
        reply.duplicates = &duplicate;
        reply.duplicates_len = 1;
    }
    if (how & 2 && rejected.index != duplicate) {
        reply.rejected = &rejected;
        reply.rejected_len = 1;
    }
    give(fuzz, &reply);
}

static void give_error(struct fuzz *fuzz, uint8_t code, uint8_t how) {
    struct athena_message request = take_request(fuzz);
    struct athena_message error = reply_to(&request, ATHENA_ERROR);
    error.has_req = !(how & 1);
    error.has_doc = !(how & 2);
    error.code = (enum athena_code)(ATHENA_BAD_MESSAGE + code % ATHENA_QUOTA);
    error.text = view("no");
    error.has_retry_after = how & 4;
    error.retry_after_ms = how;
    give(fuzz, &error);
}

static void give_changed(struct fuzz *fuzz, uint8_t which, uint8_t how) {
    static const char *const cursors[] = {"c1", "c2", "c3", "c4"};
    struct athena_change_view changes[POOL_LEN];
    struct athena_text_view ids[POOL_LEN];
    struct athena_message changed = {.type = ATHENA_CHANGED, .has_doc = true};
    memcpy(changed.doc, keys.doc, sizeof changed.doc);
    changed.changes_len = select_changes(which, changes, ids);
    changed.changes = changes;
    changed.cursor = view(cursors[how & 3]);
    if (changed.changes_len > 0)
        give(fuzz, &changed);
}

/* ---- What the application and the network do ---- */

static void add_change(struct fuzz *fuzz, uint8_t which, uint8_t len) {
    struct replica_change change = {.is_own = true};
    char id[ATHENA_CHANGE_ID_TEXT_MAX + 1];
    uint8_t random[ATHENA_UUID_BYTES] = {0};
    uint8_t plain[256] = {which};
    uint8_t data[512];
    if (which % 4 == 0) { /* one that the server has, or has with other bytes */
        const struct pool_change *known = &pool[which / 4 % POOL_LEN];
        memcpy(id, known->id, sizeof id);
    } else {
        memcpy(random, &fuzz->added, sizeof fuzz->added);
        require(!athena_change_id_make(id, view("ab"), random, NULL));
    }
    struct athena_bytes_view content = {plain, len};
    require(!athena_envelope_seal(data, &keys, view(id), content));
    change.id = view(id);
    change.data = (struct athena_bytes_view){data, athena_envelope_len(len)};
    struct replica_change held;
    require(!replica_find(fuzz->replica, change.id, &held, NULL));
    if (held.number)
        return;
    change.id = view(id);
    require(!replica_begin(fuzz->replica, NULL));
    require(!replica_insert(fuzz->replica, &change, NULL, NULL, NULL));
    require(!replica_finish(fuzz->replica, ATHENA_OK, NULL));
    fuzz->added++;
    session_added(fuzz->session, fuzz->now_ms);
}

static void cut(struct fuzz *fuzz) {
    struct athena_error why = {ATHENA_UNAVAILABLE, "", "cut"};
    fuzz->requests_len = 0;
    session_disconnected(fuzz->session, &why, fuzz->now_ms);
}

static void pass_time(struct fuzz *fuzz, uint8_t how) {
    uint64_t deadline = session_deadline_ms(fuzz->session);
    uint64_t now = fuzz->now_ms + how * UINT64_C(500);
    fuzz->now_ms = how == 255 && deadline != UINT64_MAX && deadline > now ? deadline : now;
    session_tick(fuzz->session, fuzz->now_ms);
}

static void connect(struct fuzz *fuzz) {
    session_start(fuzz->session, fuzz->now_ms);
    session_connected(fuzz->session, fuzz->now_ms);
}

/* One act: a byte that says which and two that say how; a message takes so many bytes more. */
static size_t act(struct fuzz *fuzz, const uint8_t *data, size_t size) {
    switch (data[0] % ACT_COUNT) {
    case ACT_MESSAGE: {
        size_t len = data[1] * (size_t)16 + data[2];
        if (len > size - 3)
            len = size - 3;
        struct athena_text_view json = {(const char *)data + 3, len};
        session_receive(fuzz->session, json, fuzz->now_ms);
        return 3 + len;
    }
    case ACT_WELCOME:
        give_welcome(fuzz, data[1]);
        break;
    case ACT_REPLY:
        give_reply(fuzz, data[1], data[2]);
        break;
    case ACT_ERROR:
        give_error(fuzz, data[1], data[2]);
        break;
    case ACT_CHANGED:
        give_changed(fuzz, data[1], data[2]);
        break;
    case ACT_ADD:
        add_change(fuzz, data[1], data[2]);
        break;
    case ACT_CUT:
        cut(fuzz);
        break;
    case ACT_TIME:
        pass_time(fuzz, data[1]);
        break;
    default:
        connect(fuzz);
    }
    return 3;
}

static void run(struct fuzz *fuzz, const uint8_t *data, size_t size) {
    connect(fuzz);
    if (size > 0 && data[0] == '{') {
        give_welcome(fuzz, 0);
        give_reply(fuzz, 3, 0);
        session_receive(fuzz->session, (struct athena_text_view){(const char *)data, size}, 0);
        return;
    }
    for (size_t used = 0; size - used >= 3;) {
        used += act(fuzz, data + used, size - used);
        if (fuzz->requests_len > REQUESTS_MAX - 8)
            cut(fuzz);
    }
}

static void make_pool(void) {
    for (size_t i = 0; i < POOL_LEN; i++) {
        struct pool_change *change = &pool[i];
        uint8_t random[ATHENA_UUID_BYTES] = {(uint8_t)i};
        uint8_t plain[200] = {(uint8_t)i};
        struct athena_bytes_view content = {plain, i * 20};
        require(!athena_change_id_make(change->id, view("cd"), random, NULL));
        require(!athena_envelope_seal(change->data, &keys, view(change->id), content));
        change->data_len = athena_envelope_len(content.len);
    }
    pool[6].data[30] ^= 1;                           /* does not open */
    memcpy(pool[7].id, pool[0].id, sizeof pool->id); /* is another's content under a known id */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fuzz fuzz;
    if (!decoder) {
        uint8_t secret[ATHENA_SECRET_BYTES];
        require(sodium_init() >= 0);
        for (size_t i = 0; i < sizeof secret; i++)
            secret[i] = (uint8_t)i; /* of the specification's appendix, as in the fixtures */
        athena_keys_derive(&keys, secret);
        decoder = athena_decoder_new();
        require(decoder != NULL);
        make_pool();
    }
    set_up(&fuzz);
    run(&fuzz, data, size);
    session_free(fuzz.session);
    require(replica_verify_known(fuzz.replica, NULL) == ATHENA_OK);
    replica_close(fuzz.replica);
    return 0;
}
