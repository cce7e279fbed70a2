#include "scripts/bench/peer.h"

#include "scripts/bench/bench.h"

#include <poll.h>
#include <string.h>

enum { PRELOAD_PER_MESSAGE = 500 };

void peer_decode(const struct peer *peer, struct athena_message *message,
                 struct athena_text_view json) {
    struct athena_error error;
    if (athena_message_decode(message, peer->decoder, ATHENA_FROM_SERVER, json, &error) !=
        ATHENA_OK)
        bench_fail("the server sent %.*s: %s %s", (int)(json.len < 200 ? json.len : 200), json.at,
                   error.where, error.text);
    if (message->type == ATHENA_ERROR)
        bench_fail("the server answered %.*s", (int)json.len, json.at);
}

static void receive(struct peer *peer, struct athena_message *message, enum athena_type type) {
    struct athena_text_view json = wire_receive(&peer->wire);
    peer_decode(peer, message, json);
    if (message->type != type)
        bench_fail("unexpected message %.*s", (int)(json.len < 200 ? json.len : 200), json.at);
}

/* Encodes a request into *frames, which the caller keeps until it is sent, and frees. */
static void request(struct peer *peer, struct athena_buf *frames, struct athena_message *message) {
    struct athena_buf json = {0};
    message->has_req = message->has_doc = true;
    memcpy(message->doc, peer->corpus->keys.doc, sizeof message->doc);
    athena_message_encode(&json, message);
    bench_require_memory(json.failed ? NULL : json.at);
    athena_buf_clear(frames);
    wire_frame(frames, (struct athena_text_view){json.at, json.len});
    athena_buf_fini(&json);
    wire_send(&peer->wire, (struct athena_bytes_view){(uint8_t *)frames->at, frames->len});
    wire_flush(&peer->wire);
}

void peer_open(struct peer *peer, struct bench *bench, const struct server *server,
               const struct corpus *corpus, unsigned source) {
    struct athena_text_view authority = {server_authority(server),
                                         strlen(server_authority(server))};
    struct athena_message message, open = {.type = ATHENA_OPEN, .authority = authority};
    struct athena_buf frames = {0};
    *peer = (struct peer){.decoder = bench->decoder, .corpus = corpus};
    wire_connect(&peer->wire, &server->url, source);
    receive(peer, &message, ATHENA_WELCOME);
    athena_proof_sign(open.proof, &corpus->keys, message.challenge, authority);
    request(peer, &frames, &open);
    receive(peer, &message, ATHENA_OPENED);
    peer->count = message.digest.count;
    athena_buf_fini(&frames);
}

void peer_close(struct peer *peer) {
    wire_close(&peer->wire);
}

void peer_expect_stored(struct peer *peer, struct athena_text_view json) {
    struct athena_message message;
    peer_decode(peer, &message, json);
    if (message.type != ATHENA_PUSHED || message.duplicates_len || message.rejected_len)
        bench_fail("not a push that was stored: %.*s", (int)(json.len < 200 ? json.len : 200),
                   json.at);
    peer->unanswered--;
}

void peer_push(struct peer *peer, const struct athena_buf *frames, size_t messages) {
    peer->unanswered = messages;
    wire_send(&peer->wire, (struct athena_bytes_view){(uint8_t *)frames->at, frames->len});
    while (peer->unanswered)
        peer_expect_stored(peer, wire_receive(&peer->wire));
}

size_t peer_pull(struct peer *peer) {
    struct athena_message page = {.more = true};
    struct athena_buf frames = {0};
    char cursor[ATHENA_CURSOR_TEXT_MAX];
    size_t count = 0;
    while (page.more) {
        struct athena_message list = {.type = ATHENA_LIST, .with_data = true};
        list.has_after = count > 0;
        list.cursor = (struct athena_text_view){cursor, page.cursor.len};
        request(peer, &frames, &list);
        receive(peer, &page, ATHENA_LISTED);
        memcpy(cursor, page.cursor.at, page.cursor.len);
        count += page.changes_len;
    }
    athena_buf_fini(&frames);
    return count;
}

void peer_preload(struct bench *bench, const struct server *server, const struct corpus *corpus,
                  size_t first, size_t count) {
    struct peer peer;
    struct athena_buf frames = {0};
    corpus_frame_pushes(corpus, &frames, first, count, PRELOAD_PER_MESSAGE);
    peer_open(&peer, bench, server, corpus, 0);
    peer_push(&peer, &frames, (count + PRELOAD_PER_MESSAGE - 1) / PRELOAD_PER_MESSAGE);
    peer_close(&peer);
    athena_buf_fini(&frames);
}
