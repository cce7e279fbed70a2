#include "conformance/json_strict.h"

#include "conformance/memory.h"

#include <cjson/cJSON.h>
#include <stdint.h>
#include <string.h>

const char JSON_STRICT_NOTATION[] = "a number with a fraction or an exponent";

/* A pushdown reader: `open` remembers for each level whether it is an object, and where in `names`
 * its members' unescaped names begin, so that duplicates are found whatever their escapes. */
struct level {
    bool object;
    size_t names_start;
    size_t members;
    size_t name_at[JSON_STRICT_MEMBERS_MAX];
};

struct reader {
    const unsigned char *text;
    size_t len;
    size_t at;
    const char *fault;
    struct bytes names; /* NUL-terminated, one after another */
    struct level open[JSON_STRICT_DEPTH_MAX];
    size_t depth;
};

static bool refuse(struct reader *reader, const char *fault) {
    if (reader->fault == NULL)
        reader->fault = fault;
    return false;
}

static int peek(const struct reader *reader) {
    return reader->at < reader->len ? reader->text[reader->at] : -1;
}

static void skip_space(struct reader *reader) {
    while (peek(reader) == ' ' || peek(reader) == '\t' || peek(reader) == '\n' ||
           peek(reader) == '\r')
        reader->at++;
}

static bool take(struct reader *reader, int expected) {
    if (peek(reader) != expected)
        return false;
    reader->at++;
    return true;
}

/* Bytes of the UTF-8 sequence at `text`, 0 when it is not well-formed. */
static size_t utf8_len(const unsigned char *text, size_t len) {
    static const struct {
        unsigned char first, last, second_first, second_last;
        size_t len;
    } forms[] = {
        {0x00, 0x7F, 0, 0, 1},       {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3},
        {0xE1, 0xEC, 0x80, 0xBF, 3}, {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3},
        {0xF0, 0xF0, 0x90, 0xBF, 4}, {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (text[0] < forms[i].first || text[0] > forms[i].last)
            continue;
        if (forms[i].len > len)
            return 0;
        if (forms[i].len > 1 && (text[1] < forms[i].second_first || text[1] > forms[i].second_last))
            return 0;
        for (size_t k = 2; k < forms[i].len; k++)
            if ((text[k] & 0xC0) != 0x80)
                return 0;
        return forms[i].len;
    }
    return 0;
}

bool json_utf8_is_valid(const char *text, size_t len) {
    const unsigned char *bytes = (const unsigned char *)text;
    for (size_t at = 0; at < len;) {
        size_t step = utf8_len(bytes + at, len - at);
        if (step == 0)
            return false;
        at += step;
    }
    return true;
}

static bool read_hex4(struct reader *reader, uint32_t *unit) {
    *unit = 0;
    for (int i = 0; i < 4; i++) {
        int c = peek(reader);
        if (c >= '0' && c <= '9')
            *unit = *unit * 16 + (uint32_t)(c - '0');
        else if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
            *unit = *unit * 16 + (uint32_t)((c | 0x20) - 'a') + 10;
        else
            return refuse(reader, "\\u needs four hexadecimal digits");
        reader->at++;
    }
    return true;
}

static void append_utf8(struct bytes *out, uint32_t point) {
    unsigned char text[4];
    size_t len = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0x00, 0xC0, 0xE0, 0xF0};
    for (size_t i = len; i > 1; i--) {
        text[i - 1] = (unsigned char)(0x80 | (point & 0x3F));
        point >>= 6;
    }
    text[0] = (unsigned char)(lead[len] | point);
    bytes_append(out, text, len);
}

static bool read_unicode_escape(struct reader *reader, struct bytes *out) {
    uint32_t point;
    uint32_t low;
    if (!read_hex4(reader, &point))
        return false;
    if (point == 0)
        return refuse(reader, "\\u0000 is not allowed");
    if (point >= 0xDC00 && point <= 0xDFFF)
        return refuse(reader, "a lone surrogate");
    if (point >= 0xD800 && point <= 0xDBFF) {
        if (!take(reader, '\\') || !take(reader, 'u') || !read_hex4(reader, &low) || low < 0xDC00 ||
            low > 0xDFFF)
            return refuse(reader, "a lone surrogate");
        point = 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00);
    }
    if (out != NULL)
        append_utf8(out, point);
    return true;
}

static bool read_escape(struct reader *reader, struct bytes *out) {
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    if (take(reader, 'u'))
        return read_unicode_escape(reader, out);
    const char *found = peek(reader) > 0 ? strchr(from, peek(reader)) : NULL;
    if (found == NULL)
        return refuse(reader, "an unknown escape in a string");
    reader->at++;
    if (out != NULL)
        bytes_append(out, &to[found - from], 1);
    return true;
}

/* Reads a string; its unescaped text goes to `out` unless that is NULL. */
static bool read_string(struct reader *reader, struct bytes *out) {
    if (!take(reader, '"'))
        return refuse(reader, "a string was expected");
    while (reader->at < reader->len) {
        if (take(reader, '"'))
            return true;
        if (take(reader, '\\')) {
            if (!read_escape(reader, out))
                return false;
            continue;
        }
        if (peek(reader) < 0x20)
            return refuse(reader, "a control character in a string");
        size_t len = utf8_len(reader->text + reader->at, reader->len - reader->at);
        if (len == 0)
            return refuse(reader, "invalid UTF-8");
        if (out != NULL)
            bytes_append(out, reader->text + reader->at, len);
        reader->at += len;
    }
    return refuse(reader, "a string is not closed");
}

static bool read_number(struct reader *reader) {
    static const uint64_t max = (UINT64_C(1) << 53) - 1;
    uint64_t value = 0;
    size_t start = reader->at;
    while (peek(reader) >= '0' && peek(reader) <= '9') {
        value = value * 10 + (uint64_t)(peek(reader) - '0');
        if (value > max)
            return refuse(reader, "an integer above 2^53-1");
        reader->at++;
    }
    if (reader->at == start)
        return refuse(reader, "a value was expected (numbers are digits without a sign)");
    if (reader->text[start] == '0' && reader->at > start + 1)
        return refuse(reader, "a number with a leading zero");
    if (peek(reader) == '.' || peek(reader) == 'e' || peek(reader) == 'E')
        return refuse(reader, JSON_STRICT_NOTATION);
    return true;
}

static bool read_word(struct reader *reader, const char *word) {
    size_t len = strlen(word);
    if (reader->len - reader->at < len || memcmp(reader->text + reader->at, word, len) != 0)
        return refuse(reader, "an unknown word where a value was expected");
    reader->at += len;
    return true;
}

static bool enter(struct reader *reader, bool object) {
    if (reader->depth == JSON_STRICT_DEPTH_MAX)
        return refuse(reader, "nested deeper than 8");
    reader->at++;
    struct level *level = &reader->open[reader->depth++];
    level->object = object;
    level->members = 0;
    level->names_start = reader->names.len;
    return true;
}

static void leave(struct reader *reader) {
    reader->at++;
    reader->names.len = reader->open[--reader->depth].names_start;
}

static bool read_name(struct reader *reader, struct level *level) {
    size_t start = reader->names.len;
    if (!read_string(reader, &reader->names))
        return false;
    bytes_append(&reader->names, "", 1);
    for (size_t i = 0; i < level->members; i++)
        if (strcmp((const char *)reader->names.at + level->name_at[i],
                   (const char *)reader->names.at + start) == 0)
            return refuse(reader, "a duplicate member");
    if (level->members == JSON_STRICT_MEMBERS_MAX)
        return refuse(reader, "more than 64 members in one object");
    level->name_at[level->members++] = start;
    skip_space(reader);
    return take(reader, ':') || refuse(reader, "':' was expected after a member's name");
}

/* Reads a scalar, or enters an array or object. */
static bool read_value(struct reader *reader) {
    switch (peek(reader)) {
    case '{':
        return enter(reader, true);
    case '[':
        return enter(reader, false);
    case '"':
        return read_string(reader, NULL);
    case 't':
        return read_word(reader, "true");
    case 'f':
        return read_word(reader, "false");
    case 'n':
        return read_word(reader, "null");
    default:
        return read_number(reader);
    }
}

/* One element of the innermost level, or its end. `first` says that nothing was read in it yet. */
static bool read_element(struct reader *reader, bool first) {
    struct level *level = &reader->open[reader->depth - 1];
    skip_space(reader);
    if (peek(reader) == (level->object ? '}' : ']')) {
        leave(reader);
        return true;
    }
    if (!first) {
        if (!take(reader, ','))
            return refuse(reader, "',' or the end of an array or object was expected");
        skip_space(reader);
    }
    if (level->object && !read_name(reader, level))
        return false;
    skip_space(reader);
    return read_value(reader);
}

static bool read_all(struct reader *reader) {
    skip_space(reader);
    if (peek(reader) != '{')
        return refuse(reader, "not a JSON object");
    enter(reader, true);
    bool first = true;
    while (reader->depth > 0) {
        size_t depth = reader->depth;
        if (!read_element(reader, first))
            return false;
        first = reader->depth > depth;
    }
    skip_space(reader);
    return reader->at == reader->len || refuse(reader, "bytes after the end of the object");
}

const char *json_strict_fault(const char *text, size_t len, size_t *at) {
    struct reader reader = {.text = (const unsigned char *)text, .len = len};
    read_all(&reader);
    *at = reader.at;
    bytes_fini(&reader.names);
    return reader.fault;
}
