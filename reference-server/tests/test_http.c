/* Request heads, the handshake's answer, and the tokens that admit to it. */
#include "reference-server/admission.h"
#include "reference-server/http.h"
#include "reference-server/tests/support_main.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEY       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define VERSION   "Sec-WebSocket-Version: 13\r\n"
#define PROTOCOL  "Sec-WebSocket-Protocol: athena-sync.v1\r\n"
#define UPGRADE   "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define HOST      "Host: localhost\r\n"
#define HANDSHAKE "GET / HTTP/1.1\r\n" HOST UPGRADE KEY VERSION PROTOCOL "\r\n"

static struct http_request request;

/* The status a head is answered with; 0 when it is none. The head is copied, so that the checker
 * of memory sees a byte too far. */
static int status_of(const char *head) {
    size_t len = strlen(head);
    char *copy = malloc(len);
    ck_assert_ptr_nonnull(copy);
    for (size_t i = 0; i < len; i++)
        copy[i] = head[i];
    ck_assert_msg(http_head_len(copy, len) == len, "%s", head);
    bool is_request = http_request_parse(&request, copy, len);
    int status = is_request ? http_check_upgrade(&request) : 0;
    free(copy);
    return status;
}

static bool is(struct athena_text_view text, const char *expected) {
    return text.len == strlen(expected) &&
           (text.len == 0 || memcmp(text.at, expected, text.len) == 0);
}

/* ---- Heads ---- */

START_TEST(finds_the_end_of_a_head) {
    size_t len = strlen(HANDSHAKE);
    for (size_t i = 0; i <= len; i++) /* at every byte */
        ck_assert_uint_eq(http_head_len(HANDSHAKE, i), i == len ? len : 0);
    ck_assert_uint_eq(http_head_len(HANDSHAKE "\x81\x80", len + 2), len);
    ck_assert_uint_eq(http_head_len("", 0), 0);
}
END_TEST

START_TEST(reads_a_head) {
    const char *head = "GET /path?query HTTP/1.1\r\nhOST:\t localhost:80 \r\nAuthorization:\r\n"
                       "Sec-WebSocket-Protocol: a,athena-sync.v1 ,\r\nX-Other: 1: 2\r\n"
                       "sec-websocket-protocol: b\r\n\r\n";
    ck_assert(http_request_parse(&request, head, strlen(head)));
    ck_assert(is(request.method, "GET"));
    ck_assert(is(request.path, "/path"));
    ck_assert(request.is_http_1_1);
    ck_assert(is(request.host, "localhost:80"));
    ck_assert(is(request.authorization, ""));
    ck_assert(is(request.key, ""));
    ck_assert(is((struct athena_text_view){request.protocols, request.protocols_len},
                 "a,athena-sync.v1 ,,b"));
}
END_TEST

/* [ASP-WS-1] [ASP-WS-4]: with one thing missing or wrong, in the order of the checks. */
START_TEST(refuses_what_is_no_handshake) {
    static const struct {
        const char *head;
        int status;
    } heads[] = {
        {HANDSHAKE, 101},
        {"GET /any/path?x=y HTTP/1.1\r\n" HOST UPGRADE KEY VERSION PROTOCOL "\r\n", 101},
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" HOST UPGRADE KEY VERSION PROTOCOL "\r\n", 405},
        {"get / HTTP/1.1\r\n" HOST UPGRADE KEY VERSION PROTOCOL "\r\n", 405},
        {"GET / HTTP/1.0\r\n" HOST UPGRADE KEY VERSION PROTOCOL "\r\n", 400},
        {"GET / HTTP/1.1\r\n" UPGRADE KEY VERSION PROTOCOL "\r\n", 400},
        {"GET / HTTP/1.1\r\n" HOST "Connection: Upgrade\r\n" KEY VERSION PROTOCOL "\r\n", 400},
        {"GET / HTTP/1.1\r\n" HOST "Upgrade: websocket\r\n" KEY VERSION PROTOCOL "\r\n", 400},
        {"GET / HTTP/1.1\r\n" HOST "Upgrade: h2c\r\nConnection: Upgrade\r\n" KEY VERSION PROTOCOL
         "\r\n",
         400},
        {"GET / HTTP/1.1\r\n" HOST UPGRADE KEY PROTOCOL "\r\n", 426},
        {"GET / HTTP/1.1\r\n" HOST UPGRADE KEY "Sec-WebSocket-Version: 8\r\n" PROTOCOL "\r\n", 426},
        {"GET / HTTP/1.1\r\n" HOST UPGRADE KEY "Sec-WebSocket-Version: 130\r\n" PROTOCOL "\r\n",
         426},
        {"GET / HTTP/1.1\r\n" HOST UPGRADE VERSION PROTOCOL "\r\n", 400},
        {"GET / HTTP/1.1\r\n" HOST UPGRADE VERSION PROTOCOL "Sec-WebSocket-Key: short\r\n\r\n",
         400},
        {"GET / HTTP/1.1\r\n" HOST UPGRADE VERSION PROTOCOL
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQAA\r\n\r\n",
         400}, /* 18 bytes */
        {"GET / HTTP/1.1\r\n" HOST UPGRADE VERSION PROTOCOL
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j*Q==\r\n\r\n",
         400},
        {"GET / HTTP/1.1\r\n" HOST UPGRADE KEY VERSION "\r\n", 400},
        {"GET / HTTP/1.1\r\n" HOST UPGRADE KEY VERSION
         "Sec-WebSocket-Protocol: Athena-Sync.v1\r\n\r\n",
         400}, /* names of subprotocols have a case */
        {"GET / HTTP/1.1\r\n" HOST UPGRADE KEY VERSION
         "Sec-WebSocket-Protocol: athena-sync.v10, athena-sync.v\r\n\r\n",
         400},
        {"GET / HTTP/1.1\r\n" HOST UPGRADE KEY VERSION
         "Sec-WebSocket-Protocol: other\r\nSec-WebSocket-Protocol: more ,athena-sync.v1\r\n\r\n",
         101},
        {"GET / HTTP/1.1\r\n" HOST KEY VERSION PROTOCOL "upgrade: h2c\r\nUPGRADE: WebSocket\r\n"
         "Connection: keep-alive, upgrade\r\nConnection: close\r\n\r\n",
         101},
    };
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++)
        ck_assert_msg(status_of(heads[i].head) == heads[i].status, "not %d: %s", heads[i].status,
                      heads[i].head);
}
END_TEST

/* libsodium 1.0.18 alone would take some bytes above 0x7F, too. */
START_TEST(a_key_has_characters_of_base64_only) {
    static const char head[] =
        "GET / HTTP/1.1\r\n" HOST UPGRADE VERSION PROTOCOL "Sec-WebSocket-Key: %sQ==\r\n\r\n";
    for (int byte = 1; byte < 256; byte++) {
        char key[] = "dGhlIHNhbXBsZSBub25jZ";
        char text[512];
        key[19] = (char)byte;
        snprintf(text, sizeof text, head, key);
        bool is_base64 = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
                         (byte >= 'a' && byte <= 'z') || byte == '+' || byte == '/';
        ck_assert_msg((status_of(text) == 101) == is_base64, "byte 0x%02x", byte);
    }
}
END_TEST

START_TEST(refuses_what_is_no_head) {
    /* NOLINTBEGIN(bugprone-suspicious-missing-comma): macros of one header line each */
    static const char *const heads[] = {
        "\r\n\r\n",
        "GET\r\n\r\n",
        "GET /\r\n\r\n",
        " GET / HTTP/1.1\r\n\r\n",
        "GET  / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1 \r\n\r\n",
        "GET / HTTP/2.0\r\n\r\n",
        "GET / http/1.1\r\n\r\n",
        "G(T / HTTP/1.1\r\n\r\n",
        "GET x HTTP/1.1\r\n\r\n",
        "GET ws://localhost/ HTTP/1.1\r\n\r\n",
        "GET /\x01 HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\rHost: x\r\n\r\n",
        "GET / HTTP/1.1\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost\r\n\r\n",
        "GET / HTTP/1.1\r\n: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : x\r\n\r\n",
        "GET / HTTP/1.1\r\n Host: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\n\tfolded: y\r\n\r\n",
        "GET / HTTP/1.1\r\nHo st: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\nUpgrade: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\rUpgrade: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\x7F\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost:\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\n" KEY KEY "\r\n",
        "GET / HTTP/1.1\r\n" VERSION VERSION "\r\n",
        "GET / HTTP/1.1\r\nAuthorization: Bearer a\r\nauthorization: Bearer b\r\n\r\n",
    };
    /* NOLINTEND(bugprone-suspicious-missing-comma) */
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++)
        ck_assert_msg(status_of(heads[i]) == 0, "taken for a head: %s", heads[i]);
    static const char with_nul[] = "GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n";
    ck_assert(!http_request_parse(&request, with_nul, sizeof with_nul - 1));
}
END_TEST

/* As many subprotocols as a head can hold. */
START_TEST(holds_a_head_full_of_protocols) {
    char head[HTTP_HEAD_BYTES_MAX + 1] = "GET / HTTP/1.1\r\n";
    size_t len = strlen(head);
    static const char line[] = "Sec-WebSocket-Protocol:athena\r\n";
    while (len + sizeof line + 2 < sizeof head) {
        memcpy(head + len, line, sizeof line);
        len += sizeof line - 1;
    }
    memcpy(head + len, "\r\n", 3);
    ck_assert(http_request_parse(&request, head, len + 2));
    ck_assert(http_list_has((struct athena_text_view){request.protocols, request.protocols_len},
                            "athena", false));
}
END_TEST

START_TEST(reads_lists) {
    struct athena_text_view rest;
    ck_assert(http_list_has(support_text("a, b ,\tc"), "b", false));
    ck_assert(http_list_has(support_text("a,,c"), "", false));
    ck_assert(!http_list_has(support_text(""), "", false));
    ck_assert(!http_list_has(support_text("a b"), "a", false));
    ck_assert(!http_list_has(support_text("A"), "a", false));
    ck_assert(http_list_has(support_text("A"), "a", true));
    ck_assert(http_list_find_prefix(support_text("x, athena-token.abc, athena-token.def"),
                                    "athena-token.", &rest));
    ck_assert(is(rest, "abc"));
    ck_assert(!http_list_find_prefix(support_text("athena-token"), "athena-token.", &rest));
}
END_TEST

/* ---- Answers ---- */

/* The key and its answer are those of RFC 6455, section 1.3. */
START_TEST(accepts) {
    struct athena_buf out = {0};
    ck_assert(http_request_parse(&request, HANDSHAKE, strlen(HANDSHAKE)));
    http_accept_upgrade(&out, &request);
    athena_buf_append(&out, "", 1);
    ck_assert_str_eq(out.at, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                             "Connection: Upgrade\r\nSec-WebSocket-Protocol: athena-sync.v1\r\n"
                             "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
    athena_buf_fini(&out);
}
END_TEST

START_TEST(refuses_with_a_status) {
    static const struct {
        int status;
        const char *says;
    } answers[] = {
        {200, "HTTP/1.1 200 OK\r\n"},
        {400, "HTTP/1.1 400 Bad Request\r\n"},
        {401, "\r\nWWW-Authenticate: Bearer\r\n"},
        {405, "\r\nAllow: GET\r\n"},
        {426, "\r\nSec-WebSocket-Version: 13\r\n"},
        {431, "HTTP/1.1 431 Request Header Fields Too Large\r\n"},
        {503, "HTTP/1.1 503 Service Unavailable\r\n"},
    };
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        struct athena_buf out = {0};
        http_answer(&out, answers[i].status, "text/plain", "body\n");
        athena_buf_append(&out, "", 1);
        ck_assert_ptr_nonnull(strstr(out.at, answers[i].says));
        ck_assert_ptr_nonnull(strstr(out.at, "\r\nContent-Length: 5\r\n"));
        ck_assert_ptr_nonnull(strstr(out.at, "\r\nConnection: close\r\n\r\nbody\n"));
        athena_buf_fini(&out);
    }
}
END_TEST

/* ---- Admission ---- */

static struct admission *load(const char *text, struct athena_error *error) {
    char path[SUPPORT_PATH_MAX];
    support_path(path, support_folder, "tokens");
    support_write_file(path, text);
    return admission_load(path, error);
}

static bool admits(const struct admission *admission, const char *headers) {
    char head[2048];
    int len = snprintf(head, sizeof head, "GET / HTTP/1.1\r\n%s\r\n", headers);
    ck_assert(http_request_parse(&request, head, (size_t)len));
    return admission_check(admission, &request);
}

/* [ASP-WS-11] [ASP-WS-13] [ASP-WS-15] */
START_TEST(admits_by_token) {
    struct athena_error error;
    char longest[513];
    char text[2048];
    char header[1024];
    memset(longest, 'x', 512);
    longest[512] = '\0';
    snprintf(text, sizeof text, "# %s %s\n\r\none\r\ntwo~/+=\n%s", longest, longest, longest);
    struct admission *admission = load(text, &error);
    ck_assert_msg(admission, "%s", error.text);
    ck_assert(admits(admission, "Authorization: Bearer one\r\n"));
    ck_assert(admits(admission, "Authorization: bEARER two~/+=\r\n"));
    snprintf(header, sizeof header, "Authorization: Bearer %s\r\n", longest);
    ck_assert(admits(admission, header));
    snprintf(header, sizeof header, "Authorization: Bearer %sx\r\n", longest);
    ck_assert(!admits(admission, header));
    ck_assert(!admits(admission, ""));
    ck_assert(!admits(admission, "Authorization: one\r\n"));
    ck_assert(!admits(admission, "Authorization: Bearer One\r\n"));
    ck_assert(!admits(admission, "Authorization: Bearer\r\n"));
    ck_assert(!admits(admission, "Authorization: Bearerone\r\n"));
    ck_assert(!admits(admission, "Authorization: Bearer one, one\r\n"));
    ck_assert(admits(admission, "Sec-WebSocket-Protocol: athena-sync.v1, athena-token.b25l\r\n"));
    ck_assert(!admits(admission, "Sec-WebSocket-Protocol: athena-token.b25m\r\n"));
    ck_assert(!admits(admission, "Sec-WebSocket-Protocol: athena-token.b25l=\r\n"));
    ck_assert(!admits(admission, "Sec-WebSocket-Protocol: athena-token.\r\n"));
    ck_assert(!admits(admission, "Sec-WebSocket-Protocol: athena-token.one\r\n"));
    ck_assert(!admits(admission, "Authorization: Bearer x\r\n"
                                 "Sec-WebSocket-Protocol: athena-token.b25l\r\n"));
    admission_free(admission);
    ck_assert(admits(NULL, ""));
    ck_assert(admits(NULL, "Authorization: Bearer any\r\n"));
    admission_free(NULL);
}
END_TEST

START_TEST(refuses_wrong_token_files) {
    static const struct {
        const char *text;
        const char *says;
    } files[] = {
        {"", "no token in it"},
        {"\n\n# only this\n", "no token in it"},
        {"one\ntwo words\n", "line 2 is not a token"},
        {" one\n", "line 1 is not a token"},
        {"\xC3\xA9\n", "line 1 is not a token"},
        {"one,two\n", "line 1 is not a token"},
    };
    struct athena_error error;
    char text[600];
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        ck_assert_ptr_null(load(files[i].text, &error));
        ck_assert_msg(strstr(error.text, files[i].says), "%s", error.text);
    }
    memset(text, 'x', sizeof text);
    text[513] = '\0';
    ck_assert_ptr_null(load(text, &error));
    ck_assert_ptr_nonnull(strstr(error.text, "line 1 is not a token"));
    ck_assert_ptr_null(strstr(error.text, "xxx")); /* [ASP-WS-17] */
    ck_assert_ptr_null(admission_load("/nowhere", &error));
    ck_assert_ptr_nonnull(strstr(error.text, "No such file"));
}
END_TEST

START_TEST(refuses_a_nul_in_a_token) {
    struct athena_error error;
    char path[SUPPORT_PATH_MAX];
    support_path(path, support_folder, "tokens");
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite("one\0two\n", 1, 8, file), 8);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_ptr_null(admission_load(path, &error));
    ck_assert_ptr_nonnull(strstr(error.text, "line 1 is not a token"));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("http");
    support_add(suite, "end of head", finds_the_end_of_a_head);
    support_add(suite, "head", reads_a_head);
    support_add(suite, "handshake", refuses_what_is_no_handshake);
    support_add(suite, "no head", refuses_what_is_no_head);
    support_add(suite, "key", a_key_has_characters_of_base64_only);
    support_add(suite, "protocols", holds_a_head_full_of_protocols);
    support_add(suite, "lists", reads_lists);
    support_add(suite, "accept", accepts);
    support_add(suite, "answers", refuses_with_a_status);
    support_add(suite, "admission", admits_by_token);
    support_add(suite, "token files", refuses_wrong_token_files);
    support_add(suite, "nul", refuses_a_nul_in_a_token);
    return support_main(suite);
}
