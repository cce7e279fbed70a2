/* The wire endpoint: two of them talk through buffers, cut anywhere, legal and not. */
#include "conformance/endpoint.h"
#include "conformance/tests/support_main.h"
#include "conformance/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pair {
    struct entropy entropy;
    struct endpoint *client;
    struct endpoint *server;
};

/* Carries everything that waits, `piece` bytes at a time. */
static void carry(struct pair *pair, size_t piece) {
    bool moved = true;
    while (moved) {
        struct endpoint *ends[] = {pair->client, pair->server};
        moved = false;
        for (int i = 0; i < 2; i++) {
            struct bytes *output = endpoint_output(ends[i]);
            size_t len = output->len < piece ? output->len : piece;
            uint8_t *copy = memory_take(len);
            if (len > 0)
                memcpy(copy, output->at, len);
            bytes_drop(output, len);
            endpoint_feed(ends[1 - i], copy, len);
            moved = moved || len > 0;
            free(copy);
        }
    }
}

static void expect_event(struct endpoint *endpoint, enum endpoint_event_kind kind,
                         const char *text) {
    struct endpoint_event event;
    ck_assert(endpoint_next(endpoint, &event));
    ck_assert_int_eq(event.kind, kind);
    if (text != NULL)
        ck_assert_str_eq((char *)event.bytes.at, text);
    bytes_fini(&event.bytes);
}

static void connect_pair(struct pair *pair, size_t piece) {
    const struct handshake_request request = {"host:1", "/x?y", "other, " HANDSHAKE_SUBPROTOCOL,
                                              "X-More: 1\r\n"};
    entropy_init(&pair->entropy, 1, "pair");
    pair->client = endpoint_new_client(&pair->entropy, &request);
    pair->server = endpoint_new_server();
    carry(pair, piece);
    expect_event(pair->client, ENDPOINT_EVENT_UPGRADED, NULL);
    expect_event(pair->server, ENDPOINT_EVENT_UPGRADED, NULL);
}

static void free_pair(struct pair *pair) {
    endpoint_free(pair->client);
    endpoint_free(pair->server);
}

/* Of what the server has heard, whether or not anything came of it. */
static void expect_heard(struct pair *pair, const char *text) {
    const struct bytes *heard = endpoint_heard(pair->server);
    ck_assert_msg(memmem(heard->at, heard->len, text, strlen(text)) != NULL, "%s", text);
}

START_TEST(all_that_a_client_says_is_heard) {
    static const struct endpoint_frame said[] = {
        {true, 0, ENDPOINT_PING, true, "in a ping", 9},
        {true, 0, ENDPOINT_PONG, true, "in a pong", 9},
        {false, 0, ENDPOINT_TEXT, true, "in no end", 9},
        {true, 0, ENDPOINT_CLOSE, true, "\003\350in a close", 12},
        {true, 0, ENDPOINT_PING, true, "behind it", 9},
    };
    struct pair pair;
    connect_pair(&pair, SIZE_MAX);
    for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
        endpoint_send_frame(pair.client, &said[i]);
        carry(&pair, SIZE_MAX);
    }
    endpoint_send_bytes(pair.client, "\x81\x0bunmasked it", 13);
    carry(&pair, SIZE_MAX);
    endpoint_send_bytes(pair.client, "when all is over", 16);
    carry(&pair, SIZE_MAX);
    expect_heard(&pair, "X-More: 1");
    for (size_t i = 0; i < sizeof said / sizeof *said; i++)
        expect_heard(&pair, (const char *)said[i].payload + (i == 3 ? 2 : 0));
    expect_heard(&pair, "unmasked it");
    expect_heard(&pair, "when all is over");
    free_pair(&pair);
}
END_TEST

static void talk(size_t piece) {
    static char large[70000];
    struct pair pair;
    memset(large, 'x', sizeof large - 1);
    connect_pair(&pair, piece);
    endpoint_send_text(pair.client, "", 0);
    endpoint_send_text(pair.client, large, 126);
    endpoint_send_text(pair.server, large, strlen(large));
    carry(&pair, piece);
    expect_event(pair.server, ENDPOINT_EVENT_TEXT, "");
    expect_event(pair.server, ENDPOINT_EVENT_TEXT, large + strlen(large) - 126);
    expect_event(pair.client, ENDPOINT_EVENT_TEXT, large);
    endpoint_send_close(pair.server, 4000, "why");
    carry(&pair, piece);
    expect_event(pair.client, ENDPOINT_EVENT_CLOSE, "why");
    expect_event(pair.server, ENDPOINT_EVENT_CLOSE, "");
    free_pair(&pair);
}

START_TEST(given_headers_take_the_place_of_own) {
    const struct handshake_request request = {"host:1", "/", NULL, "connection: keep-alive\r\n"};
    const uint8_t nonce[HANDSHAKE_KEY_BYTES] = {0};
    struct bytes text = {0};
    handshake_write_request(&request, nonce, &text);
    bytes_append(&text, "", 1);
    ck_assert_ptr_nonnull(strstr((char *)text.at, "\r\nconnection: keep-alive\r\n"));
    ck_assert_ptr_null(strstr((char *)text.at, "Connection: Upgrade"));
    ck_assert_ptr_nonnull(strstr((char *)text.at, "\r\nHost: host:1\r\nUpgrade: websocket\r\n"));
    bytes_fini(&text);
}
END_TEST

START_TEST(messages_survive_any_cut) {
    talk(1);
    talk(7);
    talk(100000);
}
END_TEST

START_TEST(fragments_and_control_frames_mix) {
    struct pair pair;
    connect_pair(&pair, 100);
    endpoint_send_frame(pair.client,
                        &(struct endpoint_frame){false, 0, ENDPOINT_TEXT, true, "a", 1});
    endpoint_send_frame(pair.client,
                        &(struct endpoint_frame){true, 0, ENDPOINT_PING, true, "p", 1});
    endpoint_send_frame(pair.client,
                        &(struct endpoint_frame){false, 0, ENDPOINT_CONTINUATION, true, "", 0});
    endpoint_send_frame(pair.client,
                        &(struct endpoint_frame){true, 0, ENDPOINT_CONTINUATION, true, "b", 1});
    carry(&pair, 3);
    expect_event(pair.server, ENDPOINT_EVENT_PING, "p");
    expect_event(pair.server, ENDPOINT_EVENT_TEXT, "ab");
    expect_event(pair.client, ENDPOINT_EVENT_PONG, "p");
    free_pair(&pair);
}
END_TEST

static void expect_fault(const struct endpoint_frame *frame, const char *says) {
    struct pair pair;
    struct endpoint_event event;
    connect_pair(&pair, 100);
    endpoint_send_frame(pair.client, frame);
    carry(&pair, 100);
    ck_assert(endpoint_next(pair.server, &event));
    ck_assert_int_eq(event.kind, ENDPOINT_EVENT_FAULT);
    ck_assert_msg(strstr((char *)event.bytes.at, says) != NULL, "%s", (char *)event.bytes.at);
    bytes_fini(&event.bytes);
    endpoint_send_text(pair.client, "more", 4);
    carry(&pair, 100);
    ck_assert(!endpoint_next(pair.server, &event)); /* nothing follows a fault */
    free_pair(&pair);
}

START_TEST(faults_are_seen) {
    expect_fault(&(struct endpoint_frame){true, 0, ENDPOINT_TEXT, false, "a", 1}, "unmasked");
    expect_fault(&(struct endpoint_frame){true, 4, ENDPOINT_TEXT, true, "a", 1}, "reserved bits");
    expect_fault(&(struct endpoint_frame){true, 0, 0xB, true, "a", 1}, "unknown opcode");
    expect_fault(&(struct endpoint_frame){true, 0, 0x3, true, "a", 1}, "unknown opcode");
    expect_fault(&(struct endpoint_frame){true, 0, ENDPOINT_CONTINUATION, true, "a", 1},
                 "continuation");
    expect_fault(&(struct endpoint_frame){true, 0, ENDPOINT_TEXT, true, "\xff", 1}, "UTF-8");
    expect_fault(&(struct endpoint_frame){true, 0, ENDPOINT_CLOSE, true, "\x03", 1}, "one byte");
    expect_fault(&(struct endpoint_frame){false, 0, ENDPOINT_PING, true, "", 0}, "RFC 6455");
}
END_TEST

START_TEST(nothing_but_control_frames_follows_a_close) {
    struct pair pair;
    struct endpoint_event event;
    connect_pair(&pair, 100);
    endpoint_send_close(pair.client, 1000, "");
    endpoint_send_frame(pair.client,
                        &(struct endpoint_frame){true, 0, ENDPOINT_PING, true, "p", 1});
    carry(&pair, 3);
    expect_event(pair.server, ENDPOINT_EVENT_CLOSE, "");
    ck_assert(!endpoint_next(pair.server, &event));
    endpoint_send_text(pair.client, "late", 4);
    carry(&pair, 3);
    expect_event(pair.server, ENDPOINT_EVENT_FAULT, "a message after its Close frame");
    free_pair(&pair);
}
END_TEST

START_TEST(urls_are_taken_apart) {
    static const char *const good[][4] = {
        /* url, host, port, authority */
        {"ws://localhost:8080/", "localhost", "8080", "localhost:8080"},
        {"WS://Example.ORG", "example.org", "80", "example.org"},
        {"ws://example.org:80/a?b", "example.org", "80", "example.org"},
        {"ws://[::1]:9/", "::1", "9", "[::1]:9"},
        {"ws://[::1]", "::1", "80", "[::1]"},
    };
    static const char *const bad[] = {
        "",         "http://x/", "ws://",       "ws://:80/",  "ws://x:0/", "ws://x:65536",
        "ws://x:a", "ws://[::1", "ws://[::1]x", "ws://x:1:2/"};
    struct url url;
    const char *reason = NULL;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        ck_assert_msg(url_parse(good[i][0], &url, &reason), "%s: %s", good[i][0], reason);
        ck_assert_str_eq(url.host, good[i][1]);
        ck_assert_str_eq(url.port, good[i][2]);
        ck_assert_str_eq(url.authority, good[i][3]);
        ck_assert_int_eq(url.path[0], '/');
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(!url_parse(bad[i], &url, &reason), "%s was accepted", bad[i]);
}
END_TEST

START_TEST(the_path_of_a_url_is_kept_whole_or_refused) {
    char text[sizeof "ws://x/" + URL_TEXT_MAX];
    struct url url;
    const char *reason = NULL;
    int len = snprintf(text, sizeof text, "ws://x/");
    memset(text + len, 'a', URL_TEXT_MAX);
    text[len + URL_TEXT_MAX - 2] = '\0';
    ck_assert(url_parse(text, &url, &reason));
    ck_assert_str_eq(url.path, text + len - 1);
    text[len + URL_TEXT_MAX - 2] = 'a';
    text[len + URL_TEXT_MAX - 1] = '\0';
    ck_assert(!url_parse(text, &url, &reason));
    ck_assert_str_eq(reason, "its path is too long");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("endpoint");
    support_add(suite, "given headers", given_headers_take_the_place_of_own);
    support_add(suite, "messages", messages_survive_any_cut);
    support_add(suite, "fragments", fragments_and_control_frames_mix);
    support_add(suite, "faults", faults_are_seen);
    support_add(suite, "closed", nothing_but_control_frames_follows_a_close);
    support_add(suite, "urls", urls_are_taken_apart);
    support_add(suite, "long paths of urls", the_path_of_a_url_is_kept_whole_or_refused);
    support_add(suite, "heard", all_that_a_client_says_is_heard);
    return support_main(suite);
}
