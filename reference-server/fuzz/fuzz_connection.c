/*
 * Everything a server reads from a connection: an HTTP head, frames, messages, at any time and cut
 * anywhere. Whatever comes, what goes out is an HTTP answer, or frames that RFC 6455 allows with
 * messages that a client can decode.
 *
 * The input is a list of acts (below); one that begins like a request head or like a message is
 * taken as that.
 */
#include "reference-server/connection.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum act { ACT_BYTES, ACT_MESSAGE, ACT_OPEN, ACT_COMMIT, ACT_TIME, ACT_READ, ACT_STOP, ACT_COUNT };
enum { ROOM = 1 << 16 };

static const char handshake[] = "GET /?a HTTP/1.1\r\nHost: fuzz\r\nUpgrade: websocket\r\n"
                                "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                                "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
                                "Sec-WebSocket-Protocol: athena-sync.v1\r\n\r\n";
static const char authority[] = "fuzz";

struct fuzz {
    struct connection_host host; /* first */
    struct connection *connection;
    struct push_queue waiting;
    uint64_t now_ms;
    struct athena_buf out; /* what was sent and is not judged yet */
    bool is_upgraded;
};

static struct athena_keys keys;
static struct athena_decoder *decoder; /* a client's */

static void require(bool holds) {
    if (!holds)
        abort();
}

/* ---- The host ---- */

static bool is_authority(const struct session_host *host, struct athena_text_view text) {
    (void)host;
    return text.len == sizeof authority - 1 && memcmp(text.at, authority, text.len) == 0;
}

static void submit(struct session_host *host, struct push *push) {
    push_queue_add(&((struct fuzz *)(void *)host)->waiting, push);
}

static void wake(struct session_host *host, void *owner) {
    (void)host;
    (void)owner;
}

static void report(struct session_host *host, const struct athena_error *error) {
    (void)host;
    require(error->code == ATHENA_UNAVAILABLE);
}

static void make_challenge(uint8_t challenge[static ATHENA_CHALLENGE_BYTES]) {
    memset(challenge, 0, ATHENA_CHALLENGE_BYTES);
}

static bool page(struct connection_host *host, struct athena_text_view path,
                 const char **content_type, struct athena_buf *body) {
    (void)host;
    *content_type = "text/plain";
    athena_buf_append(body, "ok\n", 3);
    return path.len == 8 && memcmp(path.at, "/healthz", 8) == 0;
}

static void set_up(struct fuzz *fuzz) {
    static const uint8_t hash_key[16];
    *fuzz = (struct fuzz){
        .host = {.session = {.limits = {65536, 1024, 4096, 8, 2},
                             .server_name = {"fuzz/1", 6},
                             .open_within_ms = 10000,
                             .store = store_memory_new(),
                             .is_authority = is_authority,
                             .submit = submit,
                             .wake = wake,
                             .report = report},
                 .idle_ms = 30000,
                 .dead_ms = 90000,
                 .handshake_ms = 10000,
                 .connections_max = 1,
                 .challenge = make_challenge,
                 .page = page},
    };
    struct session_host *host = &fuzz->host.session;
    require(host->store != NULL);
    host->documents = documents_new(host->store, &host->limits, hash_key);
    fuzz->connection = connection_new(&fuzz->host, NULL, 0);
    require(host->documents && fuzz->connection);
}

/* ---- What comes out ---- */

static void judge_message(struct athena_text_view json) {
    struct athena_message message;
    require(athena_message_decode(&message, decoder, ATHENA_FROM_SERVER, json, NULL) == ATHENA_OK);
}

/* One frame at the front: its bytes, or 0 when it is not whole. */
static size_t judge_frame(const uint8_t *at, size_t len) {
    if (len < 2)
        return 0;
    unsigned opcode = at[0] & 0x0f;
    size_t head = at[1] == 127 ? 10 : at[1] == 126 ? 4 : 2;
    size_t payload = head == 2 ? at[1] : 0;
    require((at[0] & 0xf0) == 0x80 && at[1] < 128); /* whole, no reserved bit, unmasked */
    require(opcode == 1 || opcode == 8 || opcode == 9 || opcode == 10);
    if (len < head)
        return 0;
    for (size_t i = 2; i < head; i++)
        payload = payload << 8 | at[i];
    require(payload <= ROOM && (head == 2 || payload > 125));
    if (len < head + payload)
        return 0;
    if (opcode == 1)
        judge_message((struct athena_text_view){(const char *)at + head, payload});
    return head + payload;
}

static void judge_output(struct fuzz *fuzz) {
    struct athena_buf *out = &fuzz->out;
    if (!fuzz->is_upgraded) {
        const char *end = out->len ? memmem(out->at, out->len, "\r\n\r\n", 4) : NULL;
        if (!end)
            return;
        require(memcmp(out->at, "HTTP/1.1 ", 9) == 0);
        if (memcmp(out->at + 9, "101", 3) != 0)
            return;
        fuzz->is_upgraded = true;
        out->len -= (size_t)(end + 4 - out->at);
        memmove(out->at, end + 4, out->len);
    }
    size_t used = 0;
    size_t frame;
    while ((frame = judge_frame((const uint8_t *)out->at + used, out->len - used)))
        used += frame;
    out->len -= used;
    if (out->len)
        memmove(out->at, out->at + used, out->len);
}

static void read_output(struct fuzz *fuzz, size_t room) {
    char *at = athena_buf_extend(&fuzz->out, room);
    require(at != NULL);
    connection_resume(fuzz->connection, fuzz->now_ms);
    size_t len = connection_produce(fuzz->connection, (uint8_t *)at, room, fuzz->now_ms);
    require(len <= room);
    fuzz->out.len -= room - len;
    judge_output(fuzz);
}

/* ---- What goes in ---- */

static void send_bytes(struct fuzz *fuzz, const void *bytes, size_t len) {
    if (connection_takes_input(fuzz->connection))
        connection_receive(fuzz->connection, bytes, len, fuzz->now_ms);
}

/* A text frame whose mask is zero, so that a fuzzer can read and change it. */
static void send_message(struct fuzz *fuzz, const void *text, size_t len) {
    uint8_t head[14] = {0x81, 0x80 | 127};
    for (size_t i = 0; i < 8; i++)
        head[2 + i] = (uint8_t)((uint64_t)len >> (56 - 8 * i));
    size_t head_len = sizeof head;
    if (len <= 125) {
        head[1] = (uint8_t)(0x80 | len);
        memset(head + 2, 0, 4);
        head_len = 6;
    } else if (len <= 65535) {
        head[1] = 0x80 | 126;
        head[2] = (uint8_t)(len >> 8);
        head[3] = (uint8_t)len;
        memset(head + 4, 0, 4);
        head_len = 8;
    }
    send_bytes(fuzz, head, head_len);
    send_bytes(fuzz, text, len);
}

static void send_open(struct fuzz *fuzz) {
    static const uint8_t challenge[ATHENA_CHALLENGE_BYTES];
    struct athena_buf json = {0};
    struct athena_message open = {.type = ATHENA_OPEN,
                                  .has_req = true,
                                  .req = 1,
                                  .has_doc = true,
                                  .authority = {authority, sizeof authority - 1}};
    memcpy(open.doc, keys.doc, sizeof open.doc);
    athena_proof_sign(open.proof, &keys, challenge, open.authority);
    athena_message_encode(&json, &open);
    send_message(fuzz, json.at, json.len);
    athena_buf_fini(&json);
}

static void commit(struct fuzz *fuzz, bool works) {
    static const struct store_quota quota = {16384, 65536};
    struct session_host *host = &fuzz->host.session;
    struct athena_error error;
    struct push *push;
    if (works && fuzz->waiting.first)
        push_commit(fuzz->waiting.first, host->store, &quota, &error);
    while ((push = push_queue_take(&fuzz->waiting))) {
        if (!works)
            push->code = ATHENA_UNAVAILABLE;
        session_pushed(host, push);
    }
}

static void pass_time(struct fuzz *fuzz, uint8_t seconds) {
    fuzz->now_ms += seconds * UINT64_C(1000);
    connection_tick(fuzz->connection, fuzz->now_ms);
}

/* One act: a byte that says which, one that says how much, then that many bytes (times 16 for
 * messages) where it takes any. */
static size_t act(struct fuzz *fuzz, const uint8_t *data, size_t size) {
    size_t len = data[0] % ACT_COUNT == ACT_MESSAGE ? data[1] * (size_t)16 : data[1];
    if (len > size - 2)
        len = size - 2;
    switch (data[0] % ACT_COUNT) {
    case ACT_BYTES:
        send_bytes(fuzz, data + 2, len);
        return 2 + len;
    case ACT_MESSAGE:
        send_message(fuzz, data + 2, len);
        return 2 + len;
    case ACT_OPEN:
        send_open(fuzz);
        break;
    case ACT_COMMIT:
        commit(fuzz, data[1] % 8 != 0);
        break;
    case ACT_TIME:
        pass_time(fuzz, data[1]);
        break;
    case ACT_READ:
        read_output(fuzz, data[1] + (size_t)1);
        break;
    default:
        connection_stop(fuzz->connection, fuzz->now_ms);
        break;
    }
    return 2;
}

static void run(struct fuzz *fuzz, const uint8_t *data, size_t size) {
    if (size > 4 && memcmp(data, "GET ", 4) == 0) {
        send_bytes(fuzz, data, size);
        return;
    }
    send_bytes(fuzz, handshake, sizeof handshake - 1);
    if (size > 0 && data[0] == '{') {
        send_open(fuzz);
        send_message(fuzz, data, size);
        commit(fuzz, true);
        return;
    }
    for (size_t used = 0;
         size - used >= 2 && connection_ending(fuzz->connection) != CONNECTION_DROP;)
        used += act(fuzz, data + used, size - used);
}

static void tear_down(struct fuzz *fuzz) {
    struct session_host *host = &fuzz->host.session;
    connection_free(fuzz->connection);
    commit(fuzz, true); /* pushes outlive their connection */
    documents_free(host->documents);
    store_close(host->store);
    athena_decoder_free(host->spare_decoder);
    athena_buf_fini(&fuzz->out);
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
    }
    set_up(&fuzz);
    run(&fuzz, data, size);
    for (int i = 0; i < 4; i++)
        read_output(&fuzz, ROOM);
    tear_down(&fuzz);
    return 0;
}
