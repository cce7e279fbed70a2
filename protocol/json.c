/*
 * Strict JSON [ASP-JSON-4]: one pass over the text with a stack of bounded depth, no allocation.
 *
 *   check ── value ──▶ open a frame at { or [ ──▶ member or element ──▶ value ...
 *              ▲                                                          │
 *              └──────────────── close the frame at } or ] ◀──────────────┘
 */
#include "protocol/json.h"
#include "protocol/internal.h"

#include <stdio.h>
#include <string.h>

struct member_name {
    struct athena_text_view quoted;
    bool is_plain; /* no escape in it */
};

struct frame {
    bool is_object;
    size_t count;                                      /* members or elements so far */
    struct member_name names[ATHENA_JSON_MEMBERS_MAX]; /* of an object, as they came */
    uint8_t sorted[ATHENA_JSON_MEMBERS_MAX];           /* their indexes, by the names' bytes */
};

struct checker {
    const char *at;
    const char *end;
    size_t depth;
    bool in_name; /* reading the name of a member that is not in its frame yet */
    struct athena_error *error;
    struct frame stack[ATHENA_JSON_DEPTH_MAX];
};

/* ---- The pointer of a fault ---- */

/* Writes '/' and the name; 0 when it has no room, so that no pointer ends inside a name. */
static size_t append_name(char *out, size_t room, struct athena_text_view quoted) {
    const char *at = quoted.at + 1;
    const char *end = quoted.at + quoted.len - 1;
    size_t used = 0;
    out[used++] = '/';
    while (at < end) {
        char character[4];
        size_t len = json_unescape_one(character, &at);
        if (used + sizeof character > room)
            return 0;
        bool is_escaped = *character == '~' || *character == '/';
        memcpy(out + used, is_escaped ? *character == '~' ? "~0" : "~1" : character,
               is_escaped ? 2 : len);
        used += is_escaped ? 2 : len;
    }
    return used;
}

/* JSON Pointer of the member or element being read, or of what holds it when that is too long, or
 * when its name is what is being read. */
static void point(const struct checker *c, char *out, size_t room) {
    enum { STEP_BYTES_MAX = 24 }; /* of an index */
    size_t used = 0;
    for (size_t level = 0; level < c->depth && used + STEP_BYTES_MAX < room; level++) {
        const struct frame *frame = &c->stack[level];
        if (frame->count == 0 || (c->in_name && level + 1 == c->depth))
            break;
        size_t step =
            frame->is_object
                ? append_name(out + used, room - used - 1, frame->names[frame->count - 1].quoted)
                : (size_t)snprintf(out + used, room - used, "/%zu", frame->count - 1);
        if (step == 0)
            break;
        used += step;
    }
    out[used] = '\0';
}

static bool fault(struct checker *c, const char *what) {
    char where[sizeof c->error->where];
    point(c, where, sizeof where);
    refuse(c->error, ATHENA_NOT_STRICT_JSON, where, "%s", what);
    return false;
}

/* ---- Strings ---- */

static bool is_hex(char ch) {
    return (ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'f') || (ch >= 'A' && ch <= 'F');
}

static bool is_high_surrogate(uint32_t unit) {
    return unit >= 0xd800 && unit <= 0xdbff;
}

static bool is_low_surrogate(uint32_t unit) {
    return unit >= 0xdc00 && unit <= 0xdfff;
}

/* At the `u` of an escape; leaves `at` behind its digits. */
static bool check_unit(struct checker *c, uint32_t *unit) {
    for (int i = 1; i <= 4; i++)
        if (c->end - c->at <= i || !is_hex(c->at[i]))
            return fault(c, "a \\u escape without four hexadecimal digits");
    *unit = json_hex4(c->at + 1);
    c->at += 5;
    return true;
}

static bool check_unicode_escape(struct checker *c) {
    uint32_t unit;
    if (!check_unit(c, &unit))
        return false;
    if (unit == 0)
        return fault(c, "\\u0000 in a string");
    if (is_low_surrogate(unit))
        return fault(c, "a lone surrogate");
    if (!is_high_surrogate(unit))
        return true;
    if (c->end - c->at < 2 || c->at[0] != '\\' || c->at[1] != 'u')
        return fault(c, "a lone surrogate");
    c->at++;
    if (!check_unit(c, &unit))
        return false;
    return is_low_surrogate(unit) || fault(c, "a lone surrogate");
}

/* At the backslash. */
static bool check_escape(struct checker *c) {
    c->at++;
    if (c->at == c->end)
        return fault(c, "the text ends in a string");
    if (*c->at == 'u')
        return check_unicode_escape(c);
    if (!strchr("\"\\/bfnrt", *c->at) || *c->at == '\0')
        return fault(c, "an escape that JSON does not have");
    c->at++;
    return true;
}

/* At a lead byte above 0x7f: well-formed UTF-8 as the Unicode standard's table 3-7 has it. */
static bool check_utf8(struct checker *c) {
    const uint8_t *at = (const uint8_t *)c->at;
    size_t left = (size_t)(c->end - c->at);
    size_t len = at[0] >= 0xc2 && at[0] <= 0xdf   ? 2
                 : at[0] >= 0xe0 && at[0] <= 0xef ? 3
                 : at[0] >= 0xf0 && at[0] <= 0xf4 ? 4
                                                  : 0;
    if (len == 0 || len > left)
        return fault(c, "invalid UTF-8");
    uint8_t low = at[0] == 0xe0 ? 0xa0 : at[0] == 0xf0 ? 0x90 : 0x80;
    uint8_t high = at[0] == 0xed ? 0x9f : at[0] == 0xf4 ? 0x8f : 0xbf;
    if (at[1] < low || at[1] > high)
        return fault(c, "invalid UTF-8");
    for (size_t i = 2; i < len; i++)
        if (at[i] < 0x80 || at[i] > 0xbf)
            return fault(c, "invalid UTF-8");
    c->at += len;
    return true;
}

/* ASCII that stands for itself in a string. */
static bool is_plain(unsigned char ch) {
    static const bool special[256] = {
        [0 ... 0x1f] = true, ['"'] = true, ['\\'] = true, [0x80 ... 0xff] = true};
    return !special[ch];
}

/* At the opening quotation mark; leaves `at` behind the closing one. */
static bool check_string(struct checker *c) {
    const char *at = c->at + 1;
    for (;;) {
        while (at < c->end && is_plain((unsigned char)*at))
            at++;
        c->at = at;
        if (at == c->end)
            return fault(c, "the text ends in a string");
        if (*at == '"') {
            c->at++;
            return true;
        }
        if ((unsigned char)*at < 0x20)
            return fault(c, "a control character in a string");
        if (!(*at == '\\' ? check_escape(c) : check_utf8(c)))
            return false;
        at = c->at;
    }
}

/* ---- Numbers and literals ---- */

static bool is_delimiter(char ch) {
    return strchr(" \t\r\n,]}", ch) != NULL; /* its NUL is no text that JSON allows either */
}

static bool check_integer(struct checker *c) {
    static const char what[] = "a number that is not an integer from 0 to 2^53-1";
    const char *start = c->at;
    uint64_t value = 0;
    while (c->at < c->end && *c->at >= '0' && *c->at <= '9') {
        value = value * 10 + (uint64_t)(*c->at++ - '0');
        if (value > ATHENA_INTEGER_MAX)
            return fault(c, what);
    }
    if (c->at == start || (*start == '0' && c->at - start > 1))
        return fault(c, what);
    if (c->at < c->end && !is_delimiter(*c->at))
        return fault(c, what);
    return true;
}

static bool check_literal(struct checker *c, const char *literal) {
    size_t len = strlen(literal);
    if ((size_t)(c->end - c->at) < len || memcmp(c->at, literal, len) != 0)
        return fault(c, "not a JSON value");
    c->at += len;
    return true;
}

/* ---- Structure ---- */

static void skip_space(struct checker *c) {
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\n' || *c->at == '\r'))
        c->at++;
}

static bool push_frame(struct checker *c) {
    if (c->depth == ATHENA_JSON_DEPTH_MAX)
        return fault(c, "nested deeper than 8");
    struct frame *frame = &c->stack[c->depth++];
    frame->is_object = *c->at == '{';
    frame->count = 0;
    c->at++;
    return true;
}

/* The bytes of a quoted name with escapes resolved, one after the other. */
struct name_bytes {
    const char *at;
    const char *end;
    char character[4];
    size_t len;
    size_t used;
};

static struct name_bytes bytes_of(const struct member_name *name) {
    struct athena_text_view quoted = name->quoted;
    return (struct name_bytes){.at = quoted.at + 1, .end = quoted.at + quoted.len - 1};
}

static int next_byte(struct name_bytes *name) {
    if (name->used == name->len) {
        if (name->at == name->end)
            return -1;
        if (*name->at != '\\')
            return (unsigned char)*name->at++;
        name->len = json_unescape_one(name->character, &name->at);
        name->used = 0;
    }
    return (unsigned char)name->character[name->used++];
}

/* Below 0, 0 or above as `a` stands before, at or behind `b` in the order of their bytes, escapes
 * resolved, a beginning before what goes on [ASP-JSON-7]. */
static int compare_names(const struct member_name *a, const struct member_name *b) {
    if (a->is_plain && b->is_plain) {
        size_t a_len = a->quoted.len;
        size_t b_len = b->quoted.len;
        size_t len = (a_len < b_len ? a_len : b_len) - 1; /* without the closing mark */
        int order = memcmp(a->quoted.at, b->quoted.at, len);
        return order ? order : (a_len > b_len) - (a_len < b_len);
    }
    struct name_bytes in_a = bytes_of(a);
    struct name_bytes in_b = bytes_of(b);
    int byte_a;
    int byte_b;
    do {
        byte_a = next_byte(&in_a);
        byte_b = next_byte(&in_b);
    } while (byte_a == byte_b && byte_a >= 0);
    return byte_a - byte_b;
}

/* Takes a name into the object; false when it has that name already. Each byte of a name is
 * compared six times at most, whatever the others are: they are looked through in their order. */
static bool add_name(struct frame *frame, struct athena_text_view quoted) {
    size_t index = frame->count++;
    struct member_name *name = &frame->names[index];
    *name = (struct member_name){quoted, !memchr(quoted.at, '\\', quoted.len)};
    size_t low = 0;
    size_t high = index;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = compare_names(name, &frame->names[frame->sorted[middle]]);
        if (order == 0)
            return false;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    memmove(frame->sorted + low + 1, frame->sorted + low, index - low);
    frame->sorted[low] = (uint8_t)index;
    return true;
}

/* A member's name and its colon. */
static bool check_name(struct checker *c, struct frame *frame) {
    c->in_name = true;
    if (c->at == c->end || *c->at != '"')
        return fault(c, "a member's name is expected");
    if (frame->count == ATHENA_JSON_MEMBERS_MAX)
        return fault(c, "an object of more than 64 members");
    const char *start = c->at;
    if (!check_string(c))
        return false;
    c->in_name = false;
    if (!add_name(frame, (struct athena_text_view){start, (size_t)(c->at - start)}))
        return fault(c, "a member that is there twice");
    skip_space(c);
    if (c->at == c->end || *c->at != ':')
        return fault(c, "a colon is expected");
    c->at++;
    skip_space(c);
    return true;
}

/* One scalar, or the start of a container. */
static bool check_value(struct checker *c) {
    if (c->at == c->end)
        return fault(c, "the text ends where a value is expected");
    switch (*c->at) {
    case '{':
    case '[':
        return push_frame(c);
    case '"':
        return check_string(c);
    case 't':
        return check_literal(c, "true");
    case 'f':
        return check_literal(c, "false");
    case 'n':
        return check_literal(c, "null");
    case '-':
    case '0' ... '9':
        return check_integer(c);
    default:
        return fault(c, "not a JSON value");
    }
}

/* Inside a container: its end, or its next member or element with the comma before it. */
static bool check_next(struct checker *c) {
    struct frame *frame = &c->stack[c->depth - 1];
    skip_space(c);
    if (c->at == c->end)
        return fault(c, "the text ends inside an object or array");
    if (*c->at == (frame->is_object ? '}' : ']')) {
        c->at++;
        c->depth--;
        return true;
    }
    if (frame->count > 0) {
        if (*c->at != ',')
            return fault(c, "a comma or the end is expected");
        c->at++;
        skip_space(c);
    }
    if (frame->is_object)
        return check_name(c, frame) && check_value(c);
    frame->count++;
    return check_value(c);
}

/* [ASP-JSON-5] [ASP-SEC-6] */
enum athena_code athena_json_check(struct athena_text_view json, struct athena_error *error) {
    struct checker c;
    if (json.len == 0) /* `at` may be NULL then */
        return refuse(error, ATHENA_NOT_STRICT_JSON, "", "not a JSON object");
    c.at = json.at;
    c.end = json.at + json.len;
    c.depth = 0;
    c.in_name = false;
    c.error = error;
    skip_space(&c);
    if (c.at == c.end || *c.at != '{')
        return refuse(error, ATHENA_NOT_STRICT_JSON, "", "not a JSON object");
    push_frame(&c);
    while (c.depth > 0)
        if (!check_next(&c))
            return ATHENA_NOT_STRICT_JSON;
    skip_space(&c);
    if (c.at != c.end)
        return refuse(error, ATHENA_NOT_STRICT_JSON, "", "bytes after the object");
    return ATHENA_OK;
}
