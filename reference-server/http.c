#include "reference-server/http.h"

#include <openssl/sha.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char websocket_guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* RFC 6455 */

/* ---- Text ---- */

static bool equals(struct athena_text_view text, const char *literal, bool ignore_case) {
    if (text.len != strlen(literal))
        return false;
    return ignore_case ? strncasecmp(text.at, literal, text.len) == 0
                       : memcmp(text.at, literal, text.len) == 0;
}

static struct athena_text_view trim(const char *at, const char *end) {
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    while (end > at && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    return (struct athena_text_view){at, (size_t)(end - at)};
}

static const char *find(const char *at, const char *end, char wanted) {
    const char *found = memchr(at, wanted, (size_t)(end - at));
    return found ? found : end;
}

/* The next item of a comma-separated list; false at its end. */
static bool next_item(struct athena_text_view *list, struct athena_text_view *item) {
    if (list->len == 0)
        return false;
    const char *end = list->at + list->len;
    const char *comma = find(list->at, end, ',');
    *item = trim(list->at, comma);
    const char *rest = comma < end ? comma + 1 : end;
    *list = (struct athena_text_view){rest, (size_t)(end - rest)};
    return true;
}

bool http_list_has(struct athena_text_view list, const char *token, bool ignore_case) {
    struct athena_text_view item;
    while (next_item(&list, &item))
        if (equals(item, token, ignore_case))
            return true;
    return false;
}

bool http_list_find_prefix(struct athena_text_view list, const char *prefix,
                           struct athena_text_view *rest) {
    struct athena_text_view item;
    size_t len = strlen(prefix);
    while (next_item(&list, &item)) {
        if (item.len >= len && memcmp(item.at, prefix, len) == 0) {
            *rest = (struct athena_text_view){item.at + len, item.len - len};
            return true;
        }
    }
    return false;
}

/* ---- The head ---- */

size_t http_head_len(const char *bytes, size_t len) {
    const char *end = len > 0 ? memmem(bytes, len, "\r\n\r\n", 4) : NULL;
    return end ? (size_t)(end - bytes) + 4 : 0;
}

/* What HTTP calls a token: a method, the name of a header. RFC 9110, section 5.6.2. */
static bool is_token(struct athena_text_view text) {
    static const char others[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        bool is_alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!is_alnum && !memchr(others, c, sizeof others - 1))
            return false;
    }
    return text.len > 0;
}

static bool has_control(const char *at, const char *end) {
    for (; at < end; at++)
        if (((unsigned char)*at < 0x20 && *at != '\t') || *at == 0x7F)
            return true;
    return false;
}

static bool parse_request_line(struct http_request *request, const char *at, const char *end) {
    const char *method_end = find(at, end, ' ');
    request->method = (struct athena_text_view){at, (size_t)(method_end - at)};
    if (method_end == end || !is_token(request->method))
        return false;
    const char *target = method_end + 1;
    const char *target_end = find(target, end, ' ');
    if (target_end == end || *target != '/')
        return false;
    const char *query = find(target, target_end, '?');
    request->path = (struct athena_text_view){target, (size_t)(query - target)};
    struct athena_text_view version = {target_end + 1, (size_t)(end - target_end - 1)};
    request->is_http_1_1 = equals(version, "HTTP/1.1", false);
    return request->is_http_1_1 || equals(version, "HTTP/1.0", false);
}

static void add_protocols(struct http_request *request, struct athena_text_view value) {
    if (request->protocols_len)
        request->protocols[request->protocols_len++] = ',';
    memcpy(request->protocols + request->protocols_len, value.at, value.len);
    request->protocols_len += value.len;
}

/* Joined values never outgrow the head: each line is longer than its value and a comma. */
static bool parse_header(struct http_request *request, const char *at, const char *end) {
    const struct {
        const char *name;
        struct athena_text_view *value;
    } known[] = {
        {"Host", &request->host},
        {"Sec-WebSocket-Key", &request->key},
        {"Sec-WebSocket-Version", &request->version},
        {"Authorization", &request->authorization},
    };
    const char *colon = find(at, end, ':');
    struct athena_text_view name = {at, (size_t)(colon - at)};
    if (colon == end || !is_token(name))
        return false;
    struct athena_text_view value = trim(colon + 1, end);
    if (equals(name, "Sec-WebSocket-Protocol", true))
        add_protocols(request, value);
    if (equals(name, "Upgrade", true))
        request->asks_websocket |= http_list_has(value, "websocket", true);
    if (equals(name, "Connection", true))
        request->asks_upgrade |= http_list_has(value, "upgrade", true);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (equals(name, known[i].name, true)) {
            if (known[i].value->at)
                return false; /* one of the two, but nobody can tell which */
            *known[i].value = value;
        }
    return true;
}

bool http_request_parse(struct http_request *request, const char *head, size_t len) {
    *request = (struct http_request){0};
    const char *end = head + len - 2; /* without the empty line */
    for (const char *at = head, *line_end; at < end; at = line_end + 2) {
        line_end = find(at, end, '\r');
        bool is_line = line_end[1] == '\n' && !has_control(at, line_end);
        if (!is_line || !(at == head ? parse_request_line : parse_header)(request, at, line_end))
            return false;
    }
    return request->method.len > 0;
}

/* ---- Answers ---- */

static bool is_key(struct athena_text_view key) {
    uint8_t bytes[18];
    size_t len;
    for (size_t i = 0; i < key.len; i++)
        if ((unsigned char)key.at[i] > 0x7F) /* libsodium 1.0.18 takes some of these */
            return false;
    return key.len == 24 &&
           sodium_base642bin(bytes, sizeof bytes, key.at, key.len, NULL, &len, NULL,
                             sodium_base64_VARIANT_ORIGINAL) == 0 &&
           len == 16;
}

/* [ASP-WS-3] */
int http_check_upgrade(const struct http_request *request) {
    if (!equals(request->method, "GET", false))
        return 405;
    if (!request->is_http_1_1 || request->host.len == 0 || !request->asks_websocket ||
        !request->asks_upgrade)
        return 400;
    if (!equals(request->version, "13", false))
        return 426;
    if (!is_key(request->key))
        return 400;
    struct athena_text_view protocols = {request->protocols, request->protocols_len};
    return http_list_has(protocols, ATHENA_SUBPROTOCOL, false) ? 101 : 400; /* [ASP-WS-4] */
}

static void append(struct athena_buf *out, const char *text) {
    athena_buf_append(out, text, strlen(text));
}

/* [ASP-WS-8] [ASP-WS-16] */
void http_accept_upgrade(struct athena_buf *out, const struct http_request *request) {
    uint8_t hash[SHA_DIGEST_LENGTH];
    char concatenated[24 + sizeof websocket_guid];
    memcpy(concatenated, request->key.at, 24);
    memcpy(concatenated + 24, websocket_guid, sizeof websocket_guid);
    SHA1((const uint8_t *)concatenated, sizeof concatenated - 1, hash);
    char accept[sodium_base64_ENCODED_LEN(SHA_DIGEST_LENGTH, sodium_base64_VARIANT_ORIGINAL)];
    sodium_bin2base64(accept, sizeof accept, hash, sizeof hash, sodium_base64_VARIANT_ORIGINAL);
    append(out, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Protocol: " ATHENA_SUBPROTOCOL "\r\nSec-WebSocket-Accept: ");
    append(out, accept);
    append(out, "\r\n\r\n");
}

static const char *reason(int status) {
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {
        {200, "OK"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {426, "Upgrade Required"},
        {431, "Request Header Fields Too Large"},
        {503, "Service Unavailable"},
    };
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Error";
}

void http_answer(struct athena_buf *out, int status, const char *content_type, const char *body) {
    char head[512];
    const char *extra = status == 401   ? "WWW-Authenticate: Bearer\r\n"
                        : status == 405 ? "Allow: GET\r\n"
                        : status == 426 ? "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                                        : "";
    snprintf(head, sizeof head,
             "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s"
             "Cache-Control: no-store\r\nConnection: close\r\n\r\n",
             status, reason(status), content_type, strlen(body), extra);
    append(out, head);
    append(out, body);
}
