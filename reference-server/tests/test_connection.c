/* A connection as bytes: whatever the pieces are in which they come, and however they are broken.
 */
#include "reference-server/tests/support_host.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

enum { ROOM = 65536 };

#define HANDSHAKE                                                                                  \
    "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"                   \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"                 \
    "Sec-WebSocket-Protocol: athena-sync.v1\r\n\r\n"
#define UNKNOWN(req) "{\"type\":\"mystery\",\"req\":" #req "}"

static struct host host;
static struct connection *connection;
static struct athena_buf sent; /* by the connection, all of it */
static uint64_t now_ms;

static void set_up(void) {
    host_init(&host);
    connection = connection_new(&host.connection, NULL, 0);
    ck_assert_ptr_nonnull(connection);
}

static void tear_down(void) {
    connection_free(connection);
    ck_assert_uint_eq(host.connection.connections, 0);
    athena_buf_fini(&sent);
    host_fini(&host);
}

/* ---- Bytes in, bytes out ---- */

/* Takes what there is to send, `room` bytes at a time. */
static void produce(size_t room) {
    static uint8_t out[ROOM];
    for (size_t len; (len = connection_produce(connection, out, room, now_ms)) > 0;) {
        ck_assert_uint_le(len, room);
        athena_buf_append(&sent, out, len);
        connection_resume(connection, now_ms);
    }
}

/* An exact copy, so that a byte read too far is seen. */
static void receive(const void *bytes, size_t len) {
    uint8_t *copy = malloc(len + (len == 0));
    ck_assert_ptr_nonnull(copy);
    for (size_t i = 0; i < len; i++)
        copy[i] = ((const uint8_t *)bytes)[i];
    ck_assert(connection_takes_input(connection));
    connection_receive(connection, copy, len, now_ms);
    free(copy);
}

static void put_frame(struct athena_buf *buf, uint8_t first, const void *payload, size_t len) {
    static const uint8_t mask[4] = {0x12, 0x34, 0x56, 0x78};
    uint8_t header[10] = {first};
    size_t len_bytes = len < 126 ? 0 : len <= UINT16_MAX ? 2 : 8;
    header[1] = (uint8_t)(0x80 | (len_bytes == 0 ? len : len_bytes == 2 ? 126 : 127));
    for (size_t i = 0; i < len_bytes; i++)
        header[2 + i] = (uint8_t)(len >> (8 * (len_bytes - 1 - i)));
    athena_buf_append(buf, header, 2 + len_bytes);
    athena_buf_append(buf, mask, 4);
    for (size_t i = 0; i < len; i++) {
        uint8_t byte = ((const uint8_t *)payload)[i] ^ mask[i % 4];
        athena_buf_append(buf, &byte, 1);
    }
}

static void put_text(struct athena_buf *buf, const char *text) {
    put_frame(buf, 0x81, text, strlen(text));
}

static void upgrade(void) {
    receive(HANDSHAKE, strlen(HANDSHAKE));
    produce(ROOM);
    ck_assert_uint_gt(sent.len, 12);
    ck_assert_mem_eq(sent.at, "HTTP/1.1 101", 12);
    athena_buf_clear(&sent);
}

/* Whether text is anywhere in what was sent. */
static bool said(const char *text) {
    return sent.len > 0 && memmem(sent.at, sent.len, text, strlen(text));
}

/* The Close frame at the end of what was sent; 0 when there is none. */
static unsigned close_code(void) {
    const uint8_t *end = (const uint8_t *)sent.at + sent.len;
    if (sent.len < 4 || end[-4] != 0x88 || end[-3] != 2)
        return 0;
    return (unsigned)end[-2] << 8 | end[-1];
}

/* ---- Pieces ---- */

/* A session of all kinds of frames: messages whole and in fragments, pings between, a close. */
static void put_session(struct athena_buf *buf) {
    static char large[3000] = UNKNOWN(5);
    size_t len = strlen(large);
    memset(large + len, ' ', sizeof large - len);
    athena_buf_append(buf, HANDSHAKE, strlen(HANDSHAKE));
    put_text(buf, UNKNOWN(1));
    put_frame(buf, 0x01, "{\"type\":\"mys", 12);
    put_frame(buf, 0x89, "between", 7);
    put_frame(buf, 0x00, "tery\",", 6);
    put_frame(buf, 0x00, "", 0);
    put_frame(buf, 0x8A, "", 0);
    put_frame(buf, 0x80, "\"req\":2}", 8);
    put_text(buf, UNKNOWN(3));
    put_text(buf, UNKNOWN(4));
    put_frame(buf, 0x81, large, sizeof large);
    put_frame(buf, 0x89, "", 0);
}

/* What was sent behind the answer to the handshake: messages, and control frames by themselves,
 * which may stand anywhere between. */
static void sort_frames(struct athena_buf *messages, struct athena_buf *controls) {
    const uint8_t *at = memmem(sent.at, sent.len, "\r\n\r\n", 4);
    const uint8_t *end = (const uint8_t *)sent.at + sent.len;
    ck_assert_ptr_nonnull(at);
    for (at += 4; at < end;) {
        size_t len = at[1] == 126 ? 4 + ((size_t)at[2] << 8 | at[3]) : 2 + (size_t)at[1];
        athena_buf_append(at[0] & 8 ? controls : messages, at, len);
        at += len;
    }
    ck_assert_ptr_eq(at, end);
}

/* The session in pieces, on a connection of its own. */
static void run_pieces(const struct athena_buf *bytes, size_t first, size_t others, size_t room) {
    struct athena_buf messages = {0};
    struct athena_buf controls = {0};
    connection_free(connection);
    athena_buf_clear(&sent);
    connection = connection_new(&host.connection, NULL, now_ms);
    for (size_t at = 0, len = first; at < bytes->len; at += len, len = others) {
        if (len > bytes->len - at)
            len = bytes->len - at;
        receive(bytes->at + at, len);
        produce(room);
    }
    sort_frames(&messages, &controls);
    ck_assert_ptr_nonnull(messages.at);
    const char *reply = messages.at;
    for (int req = 1; req <= 5; req++) {
        char text[] = "\"req\":0";
        text[sizeof text - 2] = (char)('0' + req);
        reply = memmem(reply, messages.len - (size_t)(reply - messages.at), text, sizeof text - 1);
        ck_assert_msg(reply, "pieces of %zu and %zu: no answer to %d", first, others, req);
    }
    ck_assert_uint_eq(controls.len, 11);
    ck_assert_mem_eq(controls.at,
                     "\x8A\x07"
                     "between\x8A\x00",
                     11);
    athena_buf_fini(&messages);
    athena_buf_fini(&controls);
}

/* [ASP-WS-21] [ASP-WS-26] */
START_TEST(does_not_care_about_pieces) {
    struct athena_buf bytes = {0};
    put_session(&bytes);
    for (size_t i = 0; i <= bytes.len; i++) /* two pieces, cut at every byte */
        run_pieces(&bytes, i, bytes.len, ROOM);
    for (size_t len = 1; len < 40; len++) /* many pieces, and little room to send */
        run_pieces(&bytes, len, len, len);
    athena_buf_fini(&bytes);
}
END_TEST

/* ---- Broken frames and their endings ---- */

struct ending {
    const char *bytes;
    size_t len;
    unsigned code;
};

#define ENDING(text, code)                                                                         \
    { text, sizeof(text) - 1, code } /* NOLINT(bugprone-macro-parentheses) */
#define MASK "\0\0\0\0"

/* [ASP-WS-22] [ASP-WS-24] [ASP-WS-25] [ASP-WS-27] [ASP-ERR-7]; cut at every byte as well. */
START_TEST(ends_at_broken_frames) {
    static const struct ending endings[] = {
        ENDING("\x82\x82" MASK "{}", 1003), /* binary */
        ENDING("\x02\x81" MASK "{\x80\x81" MASK "}", 1003),
        ENDING("\x81\x82" MASK "\xC3\x28", 1007), /* not UTF-8 */
        ENDING("\x81\x81" MASK "\xC3", 1007),     /* cut at its end */
        ENDING("\x01\x81" MASK "\xC3\x80\x81" MASK "\x28", 1007),
        ENDING("\x81\x83" MASK "\xED\xA0\x80", 1007), /* a surrogate */
        ENDING("\x81\x02{}", 1002),                   /* not masked */
        ENDING("\xC1\x82" MASK "{}", 1002),           /* a reserved bit */
        ENDING("\x83\x80" MASK, 1002),                /* a reserved opcode */
        ENDING("\x8B\x80" MASK, 1002),
        ENDING("\x80\x80" MASK, 1002),                      /* continues nothing */
        ENDING("\x01\x81" MASK "{\x81\x81" MASK "}", 1002), /* not continued */
        ENDING("\x09\x80" MASK, 1002),                      /* a ping in fragments */
        ENDING("\x89\xFE\0\x7E" MASK, 1002),                /* a ping of 126 bytes */
        ENDING("\x81\xFE\0\x02" MASK "{}", 1002),           /* a length in too many bytes */
        ENDING("\x81\xFF\x80\0\0\0\0\0\0\x02" MASK, 1002),
        ENDING("\x88\x81" MASK "\x03", 1002),     /* half a code */
        ENDING("\x88\x82" MASK "\x03\xE7", 1002), /* 999 */
        ENDING("\x88\x82" MASK "\x03\xED", 1002), /* 1005 */
        ENDING("\x88\x82" MASK "\x03\xE8", 1000), /* in order */
        ENDING("\x88\x82" MASK "\x0F\xA1", 4001),
        ENDING("\x81\xFE\x0F\xA1" MASK, 1009), /* 4001 bytes before an open */
        ENDING("\x81\xFF\0\0\0\0\xFF\xFF\xFF\xFF" MASK, 1009),
    };
    struct athena_buf after = {0};
    put_text(&after, UNKNOWN(1)); /* ignored [ASP-WS-47] */
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        const struct ending *ending = &endings[i];
        for (size_t cut = 0; cut <= ending->len; cut++) {
            connection_free(connection);
            connection = connection_new(&host.connection, NULL, now_ms);
            athena_buf_clear(&sent);
            upgrade();
            receive(ending->bytes, cut);
            produce(ROOM);
            receive(ending->bytes + cut, ending->len - cut);
            receive(after.at, after.len);
            produce(ROOM);
            ck_assert_msg(close_code() == ending->code,
                          "%u, not %u, %zu bytes, at %zu of ending %zu", close_code(), ending->code,
                          sent.len, cut, i);
            ck_assert_uint_eq(sent.len, 4); /* nothing but the Close frame [ASP-WS-45] */
        }
        ck_assert_int_ne(connection_ending(connection), CONNECTION_GOES_ON);
    }
    athena_buf_fini(&after);
}
END_TEST

/* [ASP-WS-23] [ASP-LIM-6]: to the byte, in one frame or in many. */
START_TEST(bounds_messages) {
    static char text[4001] = UNKNOWN(1);
    struct athena_buf bytes = {0};
    size_t len = strlen(text);
    memset(text + len, ' ', sizeof text - len);
    upgrade();
    put_frame(&bytes, 0x81, text, 4000);
    put_frame(&bytes, 0x01, text, 2000);
    put_frame(&bytes, 0x80, text + 2000, 2000);
    receive(bytes.at, bytes.len);
    produce(ROOM);
    ck_assert(said("unknown-type"));
    ck_assert_uint_eq(close_code(), 0);
    athena_buf_clear(&bytes);
    put_frame(&bytes, 0x01, text, 2000);
    put_frame(&bytes, 0x80, text + 2000, 2001);
    receive(bytes.at, bytes.len);
    produce(ROOM);
    ck_assert_uint_eq(close_code(), 1009);
    athena_buf_fini(&bytes);
}
END_TEST

/* [ASP-FLOW-1]: however small the fragments are, a message takes the memory of its bytes. */
START_TEST(bounds_fragments) {
    static char text[4000] = UNKNOWN(1);
    struct athena_buf bytes = {0};
    size_t len = strlen(text);
    memset(text + len, ' ', sizeof text - len);
    upgrade();
    for (size_t i = 0; i < sizeof text; i++)
        put_frame(&bytes, i ? 0x00 : 0x01, &text[i], 1);
    size_t before = mallinfo2().uordblks;
    receive(bytes.at, bytes.len);
    size_t after = mallinfo2().uordblks;
    ck_assert_msg(after < before + 32768, "%zu bytes became %zu", sizeof text, after - before);
    athena_buf_clear(&bytes);
    put_frame(&bytes, 0x80, "", 0);
    receive(bytes.at, bytes.len);
    produce(ROOM);
    ck_assert(said("unknown-type"));
    athena_buf_fini(&bytes);
}
END_TEST

/* An empty Close frame is answered by one. */
START_TEST(answers_an_empty_close) {
    upgrade();
    receive("\x88\x80" MASK, 6);
    produce(ROOM);
    ck_assert_uint_eq(sent.len, 2);
    ck_assert_mem_eq(sent.at, "\x88\x00", 2);
    ck_assert_int_eq(connection_ending(connection), CONNECTION_HALF_CLOSE);
}
END_TEST

/* ---- HTTP ---- */

static void expect_answer(const char *head, const char *says) {
    connection_free(connection);
    connection = connection_new(&host.connection, NULL, now_ms);
    athena_buf_clear(&sent);
    receive(head, strlen(head));
    produce(ROOM);
    ck_assert_msg(said(says), "it does not say \"%s\": %.*s", says, (int)sent.len, sent.at);
    ck_assert_int_eq(connection_ending(connection), CONNECTION_HALF_CLOSE);
    receive("GET", 3); /* drained, not answered */
    size_t len = sent.len;
    produce(ROOM);
    ck_assert_uint_eq(sent.len, len);
}

START_TEST(answers_http) {
    char head[HTTP_HEAD_BYTES_MAX + 2] = "GET /healthz HTTP/1.1\r\nX: ";
    size_t len = strlen(head);
    expect_answer("GET /healthz HTTP/1.1\r\n\r\n", "200 OK");
    expect_answer("GET /healthz HTTP/1.0\r\n\r\n", "200 OK");
    expect_answer("HEAD /healthz HTTP/1.1\r\n\r\n", "405 Method");
    expect_answer("GET / HTTP/1.1\r\n\r\n", "400 Bad");
    expect_answer("nonsense\r\n\r\n", "400 Bad");
    expect_answer("\r\n\r\n", "400 Bad");
    memset(head + len, 'x', sizeof head - len);
    memcpy(head + HTTP_HEAD_BYTES_MAX - 4, "\r\n\r\n", 5);
    expect_answer(head, "200 OK"); /* as large as it may be */
    memset(head + len, 'x', sizeof head - len);
    memcpy(head + HTTP_HEAD_BYTES_MAX - 3, "\r\n\r\n", 5);
    expect_answer(head, "431 Request");
    memset(head + len, 'x', sizeof head - len);
    head[HTTP_HEAD_BYTES_MAX + 1] = '\0'; /* without an end in sight */
    expect_answer(head, "431 Request");
}
END_TEST

/* [ASP-ABUSE-8] */
START_TEST(bounds_connections) {
    struct connection *first = connection;
    upgrade();
    connection = connection_new(&host.connection, NULL, 0);
    upgrade();
    struct connection *second = connection;
    connection = NULL;
    expect_answer(HANDSHAKE, "503 Service");
    expect_answer("GET /healthz HTTP/1.1\r\n\r\n", "200 OK"); /* the operator still sees it */
    connection_free(first);
    connection_free(connection);
    connection = connection_new(&host.connection, NULL, 0);
    athena_buf_clear(&sent);
    upgrade();
    connection_free(second);
}
END_TEST

/* ---- Time ---- */

/* [ASP-ABUSE-9] */
START_TEST(ends_slow_handshakes) {
    receive("GET", 3);
    connection_tick(connection, 499);
    ck_assert_int_eq(connection_ending(connection), CONNECTION_GOES_ON);
    now_ms = 400; /* bytes do not help */
    receive(" /", 2);
    connection_tick(connection, 500);
    ck_assert_int_eq(connection_ending(connection), CONNECTION_DROP);
}
END_TEST

/* [ASP-WS-28] [ASP-WS-30] */
START_TEST(pings_the_silent) {
    upgrade();
    connection_tick(connection, 999);
    produce(ROOM);
    ck_assert_uint_eq(sent.len, 0);
    for (now_ms = 1000; now_ms < 3000; now_ms += 500) {
        connection_tick(connection, now_ms);
        produce(ROOM);
    }
    ck_assert_uint_eq(sent.len, 2); /* one ping */
    ck_assert_mem_eq(sent.at, "\x89\x00", 2);
    connection_tick(connection, 2999);
    ck_assert_int_eq(connection_ending(connection), CONNECTION_GOES_ON);
    now_ms = 2999;
    receive("\x8A\x80" MASK, 6); /* a pong is life */
    connection_tick(connection, 5998);
    ck_assert_int_eq(connection_ending(connection), CONNECTION_GOES_ON);
    connection_tick(connection, 5999);
    ck_assert_int_eq(connection_ending(connection), CONNECTION_DROP);
}
END_TEST

/* Opens a document and pushes a change, which the store does not confirm yet. */
static void open_and_push(void) {
    static const uint8_t secret[ATHENA_SECRET_BYTES] = {1};
    struct athena_keys keys;
    struct peer peer = {0};
    athena_keys_derive(&keys, secret);
    memset(peer.challenge, 'c', sizeof peer.challenge);
    struct athena_message open = peer_open_request(&peer, &keys);
    struct athena_message push = peer_request(ATHENA_PUSH, &keys);
    struct athena_change_view change = {.id =
                                            support_text("ab:7d444840-9dc0-41d1-b245-5ffdce74fad2"),
                                        .data = {(const uint8_t *)"data", 4}};
    open.has_req = push.has_req = true;
    push.changes = &change;
    push.changes_len = 1;
    struct athena_buf json = {0};
    struct athena_buf bytes = {0};
    athena_message_encode(&json, &open);
    put_frame(&bytes, 0x81, json.at, json.len);
    athena_buf_clear(&json);
    athena_message_encode(&json, &push);
    put_frame(&bytes, 0x81, json.at, json.len);
    receive(bytes.at, bytes.len);
    produce(ROOM);
    ck_assert(said("opened"));
    ck_assert(!said("pushed"));
    athena_buf_fini(&json);
    athena_buf_fini(&bytes);
}

/* [ASP-WS-32]: whose change waits for a slow disk is not dead, however long that takes. */
START_TEST(outlives_a_slow_disk) {
    upgrade();
    open_and_push();
    for (now_ms = 1000; now_ms < 20000; now_ms += 1000)
        connection_tick(connection, now_ms);
    ck_assert_int_eq(connection_ending(connection), CONNECTION_GOES_ON);
    host_commit(&host);
    connection_tick(connection, 19000 + 2999);
    ck_assert_int_eq(connection_ending(connection), CONNECTION_GOES_ON);
    connection_tick(connection, 19000 + 3000);
    ck_assert_int_eq(connection_ending(connection), CONNECTION_DROP);
}
END_TEST

/* [ASP-WS-46] */
START_TEST(does_not_wait_forever_for_a_close) {
    struct athena_buf bytes = {0};
    put_text(&bytes, "{");
    upgrade();
    receive(bytes.at, bytes.len);
    produce(ROOM);
    ck_assert_uint_eq(close_code(), 4000);
    ck_assert(said("bad-message"));
    ck_assert_int_eq(connection_ending(connection), CONNECTION_GOES_ON);
    connection_tick(connection, 9999);
    ck_assert_int_eq(connection_ending(connection), CONNECTION_GOES_ON);
    connection_tick(connection, 10000);
    ck_assert_int_eq(connection_ending(connection), CONNECTION_DROP);
    athena_buf_fini(&bytes);
}
END_TEST

/* ---- Flow and stopping ---- */

/* [ASP-FLOW-1] [ASP-FLOW-2]: requests that came before a pause are answered after it, all of them,
 * although nothing more comes in. */
START_TEST(pauses_and_goes_on) {
    enum { REQUESTS = 500 };
    struct athena_buf bytes = {0};
    size_t answers = 0;
    upgrade();
    for (size_t i = 0; i < REQUESTS; i++)
        put_text(&bytes, UNKNOWN(1));
    receive(bytes.at, bytes.len);
    ck_assert(!connection_takes_input(connection));
    produce(1000);
    ck_assert(connection_takes_input(connection));
    for (const char *at = sent.at, *end = at + sent.len;
         (at = memmem(at, (size_t)(end - at), "\"req\":1", 7)); at++)
        answers++;
    ck_assert_uint_eq(answers, REQUESTS);
    athena_buf_fini(&bytes);
}
END_TEST

/* Pongs nobody reads are bounded as well. */
START_TEST(pauses_for_unread_pongs) {
    struct athena_buf bytes = {0};
    char payload[125] = {0};
    size_t pings = 0;
    put_frame(&bytes, 0x89, payload, sizeof payload);
    upgrade();
    for (; connection_takes_input(connection); pings++) {
        ck_assert_uint_lt(pings, 1000);
        receive(bytes.at, bytes.len);
    }
    produce(ROOM);
    ck_assert(connection_takes_input(connection));
    ck_assert_uint_eq(sent.len, pings * (2 + sizeof payload));
    athena_buf_fini(&bytes);
}
END_TEST

/* [ASP-STOP-2] */
START_TEST(stops) {
    upgrade();
    connection_stop(connection, 0);
    produce(ROOM);
    ck_assert(said("shutting-down"));
    ck_assert_uint_eq(close_code(), 1001);
    receive("\x88\x82" MASK "\x03\xE9", 8);
    ck_assert_int_eq(connection_ending(connection), CONNECTION_HALF_CLOSE);
    connection_free(connection);
    connection = connection_new(&host.connection, NULL, 0);
    receive("GET", 3);
    connection_stop(connection, 0);
    ck_assert_int_eq(connection_ending(connection), CONNECTION_DROP);
}
END_TEST

static void add(Suite *suite, const char *name, const TTest *test) {
    TCase *tcase = tcase_create(name);
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test);
    suite_add_tcase(suite, tcase);
}

int main(void) {
    Suite *suite = suite_create("connection");
    add(suite, "pieces", does_not_care_about_pieces);
    add(suite, "broken", ends_at_broken_frames);
    add(suite, "large", bounds_messages);
    add(suite, "fragments", bounds_fragments);
    add(suite, "empty close", answers_an_empty_close);
    add(suite, "http", answers_http);
    add(suite, "connections", bounds_connections);
    add(suite, "slow handshake", ends_slow_handshakes);
    add(suite, "ping", pings_the_silent);
    add(suite, "slow disk", outlives_a_slow_disk);
    add(suite, "close", does_not_wait_forever_for_a_close);
    add(suite, "pause", pauses_and_goes_on);
    add(suite, "pongs", pauses_for_unread_pongs);
    add(suite, "stop", stops);
    return support_main(suite);
}
