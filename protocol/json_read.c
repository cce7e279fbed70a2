/* Reading and writing the pieces of JSON texts that are already known to be well formed. */
#include "protocol/json.h"

#include <string.h>

static const char *skip_space(const char *at) {
    while (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')
        at++;
    return at;
}

/* Behind the closing quotation mark: the first that no odd run of backslashes escapes. The string
 * is known to be closed, and envelopes are long, so the search is left to the C library. */
static const char *string_end(const char *at) {
    for (;;) {
        at = rawmemchr(at + 1, '"');
        const char *escape = at;
        while (escape[-1] == '\\')
            escape--;
        if ((at - escape) % 2 == 0)
            return at + 1;
    }
}

/* Behind the bracket that closes the one at `at`. */
static const char *container_end(const char *at) {
    size_t depth = 0;
    do {
        if (*at == '"') {
            at = string_end(at);
            continue;
        }
        if (*at == '{' || *at == '[')
            depth++;
        else if (*at == '}' || *at == ']')
            depth--;
        at++;
    } while (depth > 0);
    return at;
}

static const char *digits_end(const char *at) {
    while (*at >= '0' && *at <= '9')
        at++;
    return at;
}

static struct json_value value_at(const char *at) {
    switch (*at) {
    case '{':
    case '[': {
        enum json_kind kind = *at == '{' ? JSON_OBJECT : JSON_ARRAY;
        return (struct json_value){kind, {at, (size_t)(container_end(at) - at)}};
    }
    case '"':
        return (struct json_value){JSON_STRING, {at, (size_t)(string_end(at) - at)}};
    case 't':
        return (struct json_value){JSON_TRUE, {at, 4}};
    case 'f':
        return (struct json_value){JSON_FALSE, {at, 5}};
    case 'n':
        return (struct json_value){JSON_NULL, {at, 4}};
    default:
        return (struct json_value){JSON_INTEGER, {at, (size_t)(digits_end(at) - at)}};
    }
}

struct json_value json_root(struct athena_text_view json) {
    const char *at = skip_space(json.at);
    return (struct json_value){JSON_OBJECT, {at, json.len - (size_t)(at - json.at)}};
}

struct json_reader json_enter(struct json_value container) {
    return (struct json_reader){container.span.at + 1};
}

/* To the next value or name; false at the closing bracket. */
static bool advance(struct json_reader *reader) {
    reader->at = skip_space(reader->at);
    if (*reader->at == ',')
        reader->at = skip_space(reader->at + 1);
    return *reader->at != '}' && *reader->at != ']';
}

bool json_next_member(struct json_reader *reader, struct athena_text_view *name,
                      struct json_value *value) {
    if (!advance(reader))
        return false;
    *name = (struct athena_text_view){reader->at, (size_t)(string_end(reader->at) - reader->at)};
    const char *colon = skip_space(reader->at + name->len);
    *value = value_at(skip_space(colon + 1));
    reader->at = value->span.at + value->span.len;
    return true;
}

bool json_next_element(struct json_reader *reader, struct json_value *value) {
    if (!advance(reader))
        return false;
    *value = value_at(reader->at);
    reader->at = value->span.at + value->span.len;
    return true;
}

uint64_t json_integer(struct json_value value) {
    uint64_t integer = 0;
    for (size_t i = 0; i < value.span.len; i++)
        integer = integer * 10 + (uint64_t)(value.span.at[i] - '0');
    return integer;
}

/* ---- Strings ---- */

uint32_t json_hex4(const char *at) {
    uint32_t unit = 0;
    for (int i = 0; i < 4; i++) {
        char ch = at[i];
        uint32_t digit = ch <= '9' ? (uint32_t)(ch - '0') : (uint32_t)((ch | 0x20) - 'a' + 10);
        unit = unit << 4 | digit;
    }
    return unit;
}

static size_t put_utf8(char *out, uint32_t point) {
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    if (point < 0x800) {
        out[0] = (char)(0xc0 | point >> 6);
        out[1] = (char)(0x80 | (point & 63));
        return 2;
    }
    if (point < 0x10000) {
        out[0] = (char)(0xe0 | point >> 12);
        out[1] = (char)(0x80 | (point >> 6 & 63));
        out[2] = (char)(0x80 | (point & 63));
        return 3;
    }
    out[0] = (char)(0xf0 | point >> 18);
    out[1] = (char)(0x80 | (point >> 12 & 63));
    out[2] = (char)(0x80 | (point >> 6 & 63));
    out[3] = (char)(0x80 | (point & 63));
    return 4;
}

static size_t unescape_unicode(char *out, const char **at) {
    uint32_t point = json_hex4(*at + 2);
    *at += 6;
    if (point >= 0xd800 && point <= 0xdbff) {
        point = 0x10000 + ((point - 0xd800) << 10) + (json_hex4(*at + 2) - 0xdc00);
        *at += 6;
    }
    return put_utf8(out, point);
}

/* [ASP-JSON-9] */
size_t json_unescape_one(char out[static 4], const char **at) {
    if (**at != '\\') {
        out[0] = *(*at)++;
        return 1;
    }
    static const char escapes[] = "bfnrt";
    static const char meanings[] = "\b\f\n\r\t";
    char ch = (*at)[1];
    if (ch == 'u')
        return unescape_unicode(out, at);
    const char *escape = strchr(escapes, ch);
    out[0] = escape ? meanings[escape - escapes] : ch;
    *at += 2;
    return 1;
}

size_t json_unescape(char *out, struct athena_text_view quoted) {
    const char *at = quoted.at + 1;
    const char *end = quoted.at + quoted.len - 1;
    size_t len = quoted.len - 2;
    if (!memchr(at, '\\', len)) {
        memcpy(out, at, len);
        return len;
    }
    char *start = out;
    while (at < end) {
        char character[4];
        size_t used = json_unescape_one(character, &at);
        memcpy(out, character, used);
        out += used;
    }
    return (size_t)(out - start);
}

/* [ASP-JSON-7] */
bool json_string_equals(struct athena_text_view quoted, const char *text) {
    const char *at = quoted.at + 1;
    const char *end = quoted.at + quoted.len - 1;
    while (at < end) {
        char character[4];
        size_t len = json_unescape_one(character, &at);
        if (strncmp(text, character, len) != 0)
            return false;
        text += len;
    }
    return *text == '\0';
}

void athena_json_append_string(struct athena_buf *out, struct athena_text_view text) {
    static const char digits[] = "0123456789abcdef";
    athena_buf_append(out, "\"", 1);
    size_t plain = 0; /* characters before i that need no escape and are not written yet */
    for (size_t i = 0; i < text.len; i++) {
        unsigned char ch = (unsigned char)text.at[i];
        if (ch >= 0x20 && ch != '"' && ch != '\\') {
            plain++;
            continue;
        }
        athena_buf_append(out, text.at + i - plain, plain);
        plain = 0;
        if (ch < 0x20) {
            char escape[6] = {'\\', 'u', '0', '0', digits[ch >> 4], digits[ch & 15]};
            athena_buf_append(out, escape, sizeof escape);
        } else {
            char escape[2] = {'\\', (char)ch};
            athena_buf_append(out, escape, sizeof escape);
        }
    }
    athena_buf_append(out, text.at + text.len - plain, plain);
    athena_buf_append(out, "\"", 1);
}

void athena_json_append_bytes(struct athena_buf *out, const uint8_t *bytes, size_t len) {
    size_t text_len = athena_base64url_len(len);
    char *at = athena_buf_extend(out, text_len + 2);
    if (!at)
        return;
    at[0] = '"';
    athena_base64url_encode(at + 1, bytes, len);
    at[text_len + 1] = '"';
}
