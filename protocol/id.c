/* Grammar of identifiers [ASP-ID-1] [ASP-ID-2], and making change ids [ASP-ID-6]. */
#include "protocol/internal.h"

#include <string.h>

static bool is_lower_hex(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

static bool is_base64url(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

enum athena_code athena_doc_parse(uint8_t doc[static ATHENA_DOC_BYTES],
                                  struct athena_text_view text, struct athena_error *error) {
    uint8_t bytes[ATHENA_DOC_BYTES];
    size_t len;
    if (text.len != ATHENA_DOC_TEXT_LEN ||
        !athena_base64url_decode(bytes, sizeof bytes, &len, text))
        return refuse(error, ATHENA_BAD_ID, "",
                      "not a document id: 43 characters of canonical base64url");
    memcpy(doc, bytes, sizeof bytes);
    return ATHENA_OK;
}

void athena_doc_format(char text[static ATHENA_DOC_TEXT_LEN + 1],
                       const uint8_t doc[static ATHENA_DOC_BYTES]) {
    athena_base64url_encode(text, doc, ATHENA_DOC_BYTES);
    text[ATHENA_DOC_TEXT_LEN] = '\0';
}

enum athena_code athena_actor_check(struct athena_text_view actor, struct athena_error *error) {
    if (actor.len == 0 || actor.len > ATHENA_ACTOR_TEXT_MAX || actor.len % 2)
        return refuse(error, ATHENA_BAD_ID, "",
                      "not an actor: an even number of hexadecimal digits, 2 to 128");
    for (size_t i = 0; i < actor.len; i++)
        if (!is_lower_hex(actor.at[i]))
            return refuse(error, ATHENA_BAD_ID, "",
                          "not an actor: character %zu is not lower-case hexadecimal", i);
    return ATHENA_OK;
}

/* xxxxxxxx-xxxx-4xxx-Vxxx-xxxxxxxxxxxx with V one of 8 9 a b */
static bool is_uuid_v4(const char *at) {
    for (size_t i = 0; i < ATHENA_UUID_TEXT_LEN; i++) {
        bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (is_dash ? at[i] != '-' : !is_lower_hex(at[i]))
            return false;
    }
    return at[14] == '4' && (at[19] == '8' || at[19] == '9' || at[19] == 'a' || at[19] == 'b');
}

/* [ASP-ID-3] */
enum athena_code athena_change_id_check(struct athena_text_view id, struct athena_error *error) {
    if (id.len < 2 + 1 + ATHENA_UUID_TEXT_LEN || id.len > ATHENA_CHANGE_ID_TEXT_MAX)
        return refuse(error, ATHENA_BAD_ID, "", "not a change id: 39 to 165 characters");
    size_t actor_len = id.len - 1 - ATHENA_UUID_TEXT_LEN;
    if (athena_actor_check((struct athena_text_view){id.at, actor_len}, error))
        return ATHENA_BAD_ID;
    if (id.at[actor_len] != ':' || !is_uuid_v4(id.at + actor_len + 1))
        return refuse(error, ATHENA_BAD_ID, "",
                      "not a change id: an actor, ':' and a version 4 UUID in lower case");
    return ATHENA_OK;
}

/* [ASP-ID-8] [ASP-PRIV-3] */
enum athena_code athena_change_id_make(char id[static ATHENA_CHANGE_ID_TEXT_MAX + 1],
                                       struct athena_text_view actor,
                                       const uint8_t random[static ATHENA_UUID_BYTES],
                                       struct athena_error *error) {
    static const char digits[] = "0123456789abcdef";
    if (athena_actor_check(actor, error))
        return ATHENA_BAD_ID;
    memcpy(id, actor.at, actor.len);
    char *out = id + actor.len;
    *out++ = ':';
    for (size_t i = 0; i < ATHENA_UUID_BYTES; i++) {
        uint8_t byte = random[i];
        if (i == 6)
            byte = (uint8_t)((byte & 0x0f) | 0x40); /* version 4 */
        if (i == 8)
            byte = (uint8_t)((byte & 0x3f) | 0x80); /* the variant of RFC 9562 */
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *out++ = '-';
        *out++ = digits[byte >> 4];
        *out++ = digits[byte & 15];
    }
    *out = '\0';
    return ATHENA_OK;
}

bool athena_cursor_is_valid(struct athena_text_view cursor) {
    if (cursor.len == 0 || cursor.len > ATHENA_CURSOR_TEXT_MAX)
        return false;
    for (size_t i = 0; i < cursor.len; i++)
        if (!is_base64url(cursor.at[i]))
            return false;
    return true;
}

bool athena_token_is_valid(struct athena_text_view token) {
    static const char others[] = "-._~+/=";
    for (size_t i = 0; i < token.len; i++) {
        char c = token.at[i];
        bool is_alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!is_alnum && !memchr(others, c, sizeof others - 1))
            return false;
    }
    return token.len >= 1 && token.len <= ATHENA_TOKEN_TEXT_MAX;
}
