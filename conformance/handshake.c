#include "conformance/handshake.h"

#include "conformance/duty.h"

#include <openssl/sha.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static const char ACCEPT_GUID[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* RFC 6455, 1.3 */
#define TOKEN_SUBPROTOCOL "athena-token."

static void append_text(struct bytes *out, const char *text) {
    bytes_append(out, text, strlen(text));
}

/* What a request says for itself unless it is told to say it otherwise. */
static void append_own(const struct handshake_request *request, struct bytes *out) {
    const char *const own[] = {
        "Host",    request->host,           "Upgrade", "websocket", "Connection",
        "Upgrade", "Sec-WebSocket-Version", "13"};
    char *text = memory_format("\r\n%s", request->headers != NULL ? request->headers : "");
    const struct bytes given = {.at = (uint8_t *)text, .len = strlen(text)};
    for (size_t i = 0; i < sizeof own / sizeof *own; i += 2) {
        struct bytes ignored = {0};
        if (!handshake_header(&given, given.len, own[i], &ignored)) {
            char *line = memory_format("%s: %s\r\n", own[i], own[i + 1]);
            append_text(out, line);
            free(line);
        }
        bytes_fini(&ignored);
    }
    free(text);
}

void handshake_write_request(const struct handshake_request *request,
                             const uint8_t nonce[static HANDSHAKE_KEY_BYTES], struct bytes *out) {
    char key[25];
    sodium_bin2base64(key, sizeof key, nonce, HANDSHAKE_KEY_BYTES, sodium_base64_VARIANT_ORIGINAL);
    char *head = memory_format("GET %s HTTP/1.1\r\nSec-WebSocket-Key: %s\r\n", request->path, key);
    append_text(out, head);
    free(head);
    append_own(request, out);
    if (request->subprotocols != NULL) {
        append_text(out, "Sec-WebSocket-Protocol: ");
        append_text(out, request->subprotocols);
        append_text(out, "\r\n");
    }
    if (request->headers != NULL)
        append_text(out, request->headers);
    append_text(out, "\r\n");
}

size_t handshake_head_len(const struct bytes *text) {
    const uint8_t *end = text->len >= 4 ? memmem(text->at, text->len, "\r\n\r\n", 4) : NULL;
    return end != NULL ? (size_t)(end - text->at) + 4 : 0;
}

int handshake_status(const struct bytes *head) {
    static const char version[] = "HTTP/1.";
    const size_t code_at = sizeof version + 1; /* one digit and a space later */
    if (head->len < code_at + 3 || memcmp(head->at, version, sizeof version - 1) != 0)
        return 0;
    int status = 0;
    for (size_t i = code_at; i < code_at + 3; i++) {
        if (head->at[i] < '0' || head->at[i] > '9')
            return 0;
        status = status * 10 + (head->at[i] - '0');
    }
    return status;
}

static void trim(const char **from, const char **to) {
    while (*from < *to && (**from == ' ' || **from == '\t'))
        ++*from;
    while (*to > *from && ((*to)[-1] == ' ' || (*to)[-1] == '\t'))
        --*to;
}

/* The value of the next line with that name, from `*at` on, where the one after it is looked for;
 * false when there is none. */
static bool next_value(const struct bytes *head, size_t head_len, const char *name, const char **at,
                       const char **value, size_t *value_len) {
    const char *end = (const char *)head->at + head_len;
    size_t name_len = strlen(name);
    while ((*at = memmem(*at, (size_t)(end - *at), "\r\n", 2)) != NULL) {
        *at += 2;
        if ((size_t)(end - *at) <= name_len || strncasecmp(*at, name, name_len) != 0 ||
            (*at)[name_len] != ':')
            continue;
        const char *from = *at + name_len + 1;
        const char *to = memmem(from, (size_t)(end - from), "\r\n", 2);
        if (to == NULL)
            return false;
        trim(&from, &to);
        *value = from;
        *value_len = (size_t)(to - from);
        return true;
    }
    return false;
}

bool handshake_header(const struct bytes *head, size_t head_len, const char *name,
                      struct bytes *value) {
    const char *at = (const char *)head->at;
    const char *text;
    size_t len;
    if (!next_value(head, head_len, name, &at, &text, &len))
        return false;
    bytes_append(value, text, len);
    bytes_append(value, "", 1);
    return true;
}

/* Whether a list, separated by commas, has the token. */
static bool lists(const char *list, size_t list_len, const char *token, bool ignore_case) {
    int (*compare)(const char *, const char *, size_t) = ignore_case ? strncasecmp : strncmp;
    const char *end = list + list_len;
    for (const char *next = list; next <= end;) {
        const char *at = next;
        const char *to = memchr(at, ',', (size_t)(end - at));
        to = to != NULL ? to : end;
        next = to + 1;
        trim(&at, &to);
        if ((size_t)(to - at) == strlen(token) && compare(at, token, strlen(token)) == 0)
            return true;
    }
    return false;
}

bool handshake_lists(const struct bytes *head, size_t head_len, const char *name, const char *token,
                     bool ignore_case) {
    const char *at = (const char *)head->at;
    const char *list;
    size_t len;
    while (next_value(head, head_len, name, &at, &list, &len))
        if (lists(list, len, token, ignore_case))
            return true;
    return false;
}

static void compute_accept(const char *key, char accept[static 29]) {
    uint8_t hash[SHA_DIGEST_LENGTH];
    char *text = memory_format("%s%s", key, ACCEPT_GUID);
    SHA1((const uint8_t *)text, strlen(text), hash);
    free(text);
    sodium_bin2base64(accept, 29, hash, sizeof hash, sodium_base64_VARIANT_ORIGINAL);
}

static bool header_is(const struct bytes *head, size_t head_len, const char *name,
                      const char *expected, bool ignore_case) {
    struct bytes value = {0};
    bool same = handshake_header(head, head_len, name, &value) &&
                (ignore_case ? strcasecmp((char *)value.at, expected)
                             : strcmp((char *)value.at, expected)) == 0;
    bytes_fini(&value);
    return same;
}

/* A handshake that offers no subprotocol of ours is judged by its status alone. */
static const char *subprotocol_fault(const struct bytes *head, size_t head_len,
                                     const struct bytes *request, const char **requirement) {
    struct bytes selected = {0};
    bool offered = handshake_lists(request, request->len, "Sec-WebSocket-Protocol",
                                   HANDSHAKE_SUBPROTOCOL, false);
    bool selects = handshake_header(head, head_len, "Sec-WebSocket-Protocol", &selected);
    bool right = selects && strcmp((char *)selected.at, HANDSHAKE_SUBPROTOCOL) == 0;
    bool echoes = selects && strstr((char *)selected.at, TOKEN_SUBPROTOCOL) != NULL;
    bytes_fini(&selected);
    *requirement = echoes ? DUTY("ASP-WS-16") : DUTY("ASP-WS-3");
    if (echoes)
        return "the answer echoes the token";
    return right || !offered ? NULL
                             : "the answer does not select the subprotocol " HANDSHAKE_SUBPROTOCOL;
}

const char *handshake_fault(const struct bytes *head, size_t head_len, const struct bytes *request,
                            const char **requirement) {
    struct bytes key = {0};
    char accept[29];
    handshake_header(request, request->len, "Sec-WebSocket-Key", &key);
    compute_accept((char *)key.at, accept);
    bytes_fini(&key);
    *requirement = DUTY("ASP-WS-1");
    if (!header_is(head, head_len, "Upgrade", "websocket", true))
        return "the answer has no 'Upgrade: websocket'";
    if (!handshake_lists(head, head_len, "Connection", "upgrade", true))
        return "the answer has no 'Connection: Upgrade'";
    if (!header_is(head, head_len, "Sec-WebSocket-Accept", accept, false))
        return "Sec-WebSocket-Accept does not fit the key that was sent";
    const char *wrong = subprotocol_fault(head, head_len, request, requirement);
    if (wrong != NULL)
        return wrong;
    struct bytes extensions = {0};
    bool extended = handshake_header(head, head_len, "Sec-WebSocket-Extensions", &extensions);
    bytes_fini(&extensions);
    *requirement = DUTY("ASP-WS-8");
    return extended ? "the answer selects a WebSocket extension" : NULL;
}

bool handshake_write_answer(const struct bytes *head, size_t head_len, const char *subprotocol,
                            struct bytes *out) {
    struct bytes key = {0};
    char accept[29];
    bool ok = handshake_header(head, head_len, "Sec-WebSocket-Key", &key);
    if (ok) {
        compute_accept((char *)key.at, accept);
        char *answer = memory_format("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                                     "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n"
                                     "%s%s%s\r\n",
                                     accept, *subprotocol != '\0' ? "Sec-WebSocket-Protocol: " : "",
                                     subprotocol, *subprotocol != '\0' ? "\r\n" : "");
        append_text(out, answer);
        free(answer);
    }
    bytes_fini(&key);
    return ok;
}
