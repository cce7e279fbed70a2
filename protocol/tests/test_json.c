/*
 * The strict reading of section 8.2 of the specification, rule by rule [ASP-JSON-4]. Reading what
 * it has accepted is in test_json_read.c.
 */
#include "protocol/tests/support.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A text that may hold NULs. */
#define TEXT(literal)                                                                              \
    { literal, sizeof(literal) - 1 }
#define INTEGER   "a number that is not an integer from 0 to 2^53-1"
#define SURROGATE "a lone surrogate"
#define NO_UTF8   "invalid UTF-8"
#define NO_VALUE  "not a JSON value"

/* Checks a copy that ends where it does, for the sanitizers to watch. */
static enum athena_code check(struct athena_text_view json, struct athena_error *error) {
    *error = (struct athena_error){0};
    char *copy = malloc(json.len ? json.len : 1);
    memcpy(copy, json.at, json.len);
    enum athena_code code = athena_json_check((struct athena_text_view){copy, json.len}, error);
    ck_assert_int_eq(athena_json_check((struct athena_text_view){copy, json.len}, NULL), code);
    ck_assert_int_eq(error->code, code);
    free(copy);
    return code;
}

static void expect_taken(struct athena_text_view json) {
    struct athena_error error;
    enum athena_code code = check(json, &error);
    ck_assert_msg(code == ATHENA_OK, "%.*s: %s: %s", (int)json.len, json.at, error.where,
                  error.text);
}

static void expect_refused(struct athena_text_view json, const char *where, const char *text) {
    struct athena_error error;
    ck_assert_msg(check(json, &error) == ATHENA_NOT_STRICT_JSON, "%.*s is taken", (int)json.len,
                  json.at);
    if (where)
        ck_assert_msg(strcmp(error.where, where) == 0, "%.*s: \"%s\" is named, not \"%s\"",
                      (int)json.len, json.at, error.where, where);
    if (text)
        ck_assert_msg(strcmp(error.text, text) == 0, "%.*s: %s", (int)json.len, json.at,
                      error.text);
}

static struct athena_text_view view(const struct athena_buf *buf) {
    ck_assert(!buf->failed);
    return (struct athena_text_view){buf->at, buf->len};
}

static void append(struct athena_buf *buf, const char *text) {
    athena_buf_append(buf, text, strlen(text));
}

/* ---- Tables of texts ---- */

static const struct athena_text_view taken[] = {
    TEXT("{}"),
    TEXT(" \t\r\n{ \t\r\n} \t\r\n"),
    TEXT("{\"\":\"\"}"),
    TEXT("{\"a\":1,\"A\":2,\"a \":3,\"aa\":4}"), /* [ASP-JSON-7] */
    TEXT("{\"a\":[],\"b\":{},\"c\":true,\"d\":false,\"e\":null}"),
    TEXT("{\"a\":{\"a\":{\"a\":1}}}"), /* one name, three objects */
    TEXT("{\"a\":[{\"a\":1},{\"a\":1}]}"),
    TEXT("{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u20AC\\ud83d\\uDE00\"}"),
    TEXT("{\"a\":\"\\uD800\\uDC00\\uDBFF\\uDFFF\\uffff\\u0001\"}"),
    TEXT("{\"a\":\"\x7f\"}"),                         /* DEL is no control character to JSON */
    TEXT("{\"a\":\"\xef\xbf\xbf\xf4\x8f\xbf\xbf\"}"), /* noncharacters are no violation */
    TEXT("{\"\xef\xbb\xbf\":1}"),                     /* a byte order mark, but inside */
    TEXT("{\"a\":\"]}\\\"\",\"b\":\"[{\"}"),
    TEXT("{\"a\":\"\\\\\",\"b\\\\\":[\"\\\\\\\\\",\"\\\\\\\"\"]}"), /* ends after even runs */
    TEXT("{\"a\":0,\"b\":9007199254740991,\"c\":[10,1000000000000000]}"),
    TEXT("{\"a\":1\n}"),
    TEXT("{\"a\":1\t,\"b\":[1 ,2\r]}"),
};

static const struct refused {
    struct athena_text_view json;
    const char *where;
    const char *text;
} refused[] = {
    /* 1: not exactly one value */
    {TEXT(""), "", "not a JSON object"},
    {TEXT(" \t\r\n"), "", "not a JSON object"},
    {TEXT("{}x"), "", "bytes after the object"},
    {TEXT("{}{}"), "", "bytes after the object"},
    {TEXT("{} ,"), "", "bytes after the object"},
    {TEXT("{}}"), "", "bytes after the object"},
    {TEXT("{}\0"), "", "bytes after the object"},
    {TEXT("{\"a\":1}\v"), "", "bytes after the object"},
    {TEXT("\0{}"), "", "not a JSON object"},
    /* 2: byte order mark */
    {TEXT("\xef\xbb\xbf{}"), "", "not a JSON object"},
    {TEXT("\xfe\xff\0{\0}"), "", "not a JSON object"},
    /* 3: no object */
    {TEXT("[]"), "", "not a JSON object"},
    {TEXT("\"a\""), "", "not a JSON object"},
    {TEXT("1"), "", "not a JSON object"},
    {TEXT("null"), "", "not a JSON object"},
    {TEXT("// a\n{}"), "", "not a JSON object"},
    /* what JSON itself has not */
    {TEXT("{,}"), "", "a member's name is expected"},
    {TEXT("{a:1}"), "", "a member's name is expected"},
    {TEXT("{'a':1}"), "", "a member's name is expected"},
    {TEXT("{1:1}"), "", "a member's name is expected"},
    {TEXT("{\"a\":1,}"), "", "a member's name is expected"},
    {TEXT("{\"a\":{\"b\":1,,\"c\":2}}"), "/a", "a member's name is expected"},
    {TEXT("{\"a\"1}"), "/a", "a colon is expected"},
    {TEXT("{\"a\"}"), "/a", "a colon is expected"},
    {TEXT("{\"a\",\"b\":1}"), "/a", "a colon is expected"},
    {TEXT("{\"a\"::1}"), "/a", NO_VALUE},
    {TEXT("{\"a\":}"), "/a", NO_VALUE},
    {TEXT("{\"a\":,\"b\":1}"), "/a", NO_VALUE},
    {TEXT("{\"a\":\0}"), "/a", NO_VALUE},
    {TEXT("{\"a\":1 \"b\":2}"), "/a", "a comma or the end is expected"},
    {TEXT("{\"a\":1]"), "/a", "a comma or the end is expected"},
    {TEXT("{\"a\":[1}"), "/a/0", "a comma or the end is expected"},
    {TEXT("{\"a\":[1 2]}"), "/a/0", "a comma or the end is expected"},
    {TEXT("{\"a\":[1,]}"), "/a/1", NO_VALUE},
    {TEXT("{\"a\":[,1]}"), "/a/0", NO_VALUE},
    {TEXT("{\"a\":[}"), "/a/0", NO_VALUE},
    {TEXT("{\"a\":{]}"), "/a", "a member's name is expected"},
    {TEXT("{\"a\":/**/1}"), "/a", NO_VALUE},
    {TEXT("{\"a\":True}"), "/a", NO_VALUE},
    {TEXT("{\"a\":tru}"), "/a", NO_VALUE},
    {TEXT("{\"a\":nul"), "/a", NO_VALUE},
    {TEXT("{\"a\":truex}"), "/a", "a comma or the end is expected"},
    {TEXT("{\"a\":nullnull}"), "/a", "a comma or the end is expected"},
    {TEXT("{\"a\":undefined}"), "/a", NO_VALUE},
    {TEXT("{\"a\":NaN}"), "/a", NO_VALUE},
    {TEXT("{\"a\":\"\t\"}"), "/a", "a control character in a string"},
    {TEXT("{\"a\":\"\0\"}"), "/a", "a control character in a string"},
    {TEXT("{\"a\":\"\x1f\"}"), "/a", "a control character in a string"},
    {TEXT("{\"a\nb\":1}"), "", "a control character in a string"},
    {TEXT("{\"a\":\"\\x\"}"), "/a", "an escape that JSON does not have"},
    {TEXT("{\"a\":\"\\\0\"}"), "/a", "an escape that JSON does not have"},
    {TEXT("{\"a\":\"\\U0041\"}"), "/a", "an escape that JSON does not have"},
    {TEXT("{\"a\":\"\\'\"}"), "/a", "an escape that JSON does not have"},
    {TEXT("{\"a\":\"\\u12g4\"}"), "/a", "a \\u escape without four hexadecimal digits"},
    {TEXT("{\"a\":\"\\u123\"}"), "/a", "a \\u escape without four hexadecimal digits"},
    {TEXT("{\"a\":\"\\u 123\"}"), "/a", "a \\u escape without four hexadecimal digits"},
    /* 5: twice the same name */
    {TEXT("{\"a\":1,\"a\":1}"), "/a", "a member that is there twice"},
    {TEXT("{\"a\":1,\"b\":2,\"\\u0061\":3}"), "/a", "a member that is there twice"},
    {TEXT("{\"\\u0061\":1,\"a\":2}"), "/a", "a member that is there twice"},
    {TEXT("{\"\\n\":1,\"\\u000A\":2}"), "/\n", "a member that is there twice"},
    {TEXT("{\"/\":1,\"\\/\":2}"), "/~1", "a member that is there twice"},
    {TEXT("{\"\":1,\"\":2}"), "/", "a member that is there twice"},
    {TEXT("{\"\xc3\xa9\":1,\"\\u00e9\":2}"), "/\xc3\xa9", "a member that is there twice"},
    {TEXT("{\"\xf0\x9f\x98\x80\":1,\"\\ud83d\\ude00\":2}"), "/\xf0\x9f\x98\x80",
     "a member that is there twice"},
    {TEXT("{\"a\":[0,{\"b\":1,\"b\":1}]}"), "/a/1/b", "a member that is there twice"},
    /* 6: surrogates and U+0000 */
    {TEXT("{\"a\":\"\\u0000\"}"), "/a", "\\u0000 in a string"},
    {TEXT("{\"a\\u0000\":1}"), "", "\\u0000 in a string"},
    {TEXT("{\"a\":\"\\ud800\"}"), "/a", SURROGATE},
    {TEXT("{\"a\":\"\\udbff x\"}"), "/a", SURROGATE},
    {TEXT("{\"a\":\"\\udc00\"}"), "/a", SURROGATE},
    {TEXT("{\"a\":\"\\udfff\\ud800\"}"), "/a", SURROGATE},
    {TEXT("{\"a\":\"\\ud800\\ud800\"}"), "/a", SURROGATE},
    {TEXT("{\"a\":\"\\ud800\\n\"}"), "/a", SURROGATE},
    {TEXT("{\"a\":\"\\ud800\\u0041\"}"), "/a", SURROGATE},
    {TEXT("{\"a\":\"\\ud800\\ue000\"}"), "/a", SURROGATE},
    {TEXT("{\"a\":\"\\ud83d\\ude0\"}"), "/a", "a \\u escape without four hexadecimal digits"},
    {TEXT("{\"a\":1,\"\\ud800\":1}"), "", SURROGATE},
    {TEXT("{\"a\":\"\xed\xa0\x80\"}"), "/a", NO_UTF8},
    /* 9: numbers, also where nobody reads them */
    {TEXT("{\"a\":9007199254740992}"), "/a", INTEGER},
    {TEXT("{\"a\":18446744073709551616}"), "/a", INTEGER}, /* 0 modulo 2^64 */
    {TEXT("{\"a\":18446744073709551617}"), "/a", INTEGER},
    {TEXT("{\"a\":99999999999999999999999999999999999999999999}"), "/a", INTEGER},
    {TEXT("{\"a\":01}"), "/a", INTEGER},
    {TEXT("{\"a\":00}"), "/a", INTEGER},
    {TEXT("{\"a\":-1}"), "/a", INTEGER},
    {TEXT("{\"a\":-}"), "/a", INTEGER},
    {TEXT("{\"a\":+1}"), "/a", NO_VALUE},
    {TEXT("{\"a\":.5}"), "/a", NO_VALUE},
    {TEXT("{\"a\":1.5}"), "/a", INTEGER},
    {TEXT("{\"a\":1.}"), "/a", INTEGER},
    {TEXT("{\"a\":1e400}"), "/a", INTEGER},
    {TEXT("{\"a\":1e-1}"), "/a", INTEGER},
    {TEXT("{\"a\":0x10}"), "/a", INTEGER},
    {TEXT("{\"a\":1_0}"), "/a", INTEGER},
    {TEXT("{\"a\":[0,{\"b\":[1,2,3.5]}]}"), "/a/1/b/2", INTEGER},
    /* other notations of an integer, which a receiver may refuse [ASP-JSON-3] */
    {TEXT("{\"a\":-0}"), "/a", INTEGER},
    {TEXT("{\"a\":1.0}"), "/a", INTEGER},
    {TEXT("{\"a\":1e2}"), "/a", INTEGER},
    {TEXT("{\"a\":1E0}"), "/a", INTEGER},
    /* pointers [RFC 6901] */
    {TEXT("{\"~\":-1}"), "/~0", INTEGER},
    {TEXT("{\"a/b\":{\"c~d\":{\"~1\":-1}}}"), "/a~1b/c~0d/~01", INTEGER},
    {TEXT("{\"\\u007e\\u002F\":-1}"), "/~0~1", INTEGER},
    {TEXT("{\"\":{\"\":-1}}"), "//", INTEGER},
    {TEXT("{\"a\":{},\"b\":[[],[[0,0],[0,-1]]]}"), "/b/1/1/1", INTEGER},
};
enum {
    TAKEN = sizeof taken / sizeof taken[0],
    REFUSED = sizeof refused / sizeof refused[0],
};

START_TEST(strict_texts_are_taken) {
    for (size_t i = 0; i < TAKEN; i++)
        expect_taken(taken[i]);
}
END_TEST

START_TEST(other_texts_are_refused_with_their_place) {
    for (size_t i = 0; i < REFUSED; i++)
        expect_refused(refused[i].json, refused[i].where, refused[i].text);
}
END_TEST

/* What was taken cannot be taken when it is cut, at any byte. */
START_TEST(no_beginning_is_taken) {
    for (size_t i = 0; i < TAKEN; i++) {
        size_t len = taken[i].len;
        while (taken[i].at[len - 1] != '}')
            len--;
        while (len-- > 0)
            expect_refused((struct athena_text_view){taken[i].at, len}, NULL, NULL);
    }
}
END_TEST

/* ---- White space ---- */

static const char *const tokens[] = {"{",     "\"a\"", ":", "[",     "1", ",", "true", ",",
                                     "\"b\"", "]",     ",", "\"c\"", ":", "{", "}",    "}"};
enum { TOKENS = sizeof tokens / sizeof tokens[0] };

/* The tokens with `space` before the one of that index, and behind the last. */
static struct athena_buf spaced(const char *space, size_t at) {
    struct athena_buf json = {0};
    for (size_t i = 0; i <= TOKENS; i++) {
        if (i == at)
            append(&json, space);
        if (i < TOKENS)
            append(&json, tokens[i]);
    }
    return json;
}

START_TEST(white_space_is_what_json_says) {
    static const char *const spaces[] = {" ", "\t", "\n", "\r", " \t\r\n \t\r\n"};
    static const char *const others[] = {"\v",           "\f",           "\x1c", "\x7f", "\xc2\xa0",
                                         "\xe2\x80\xa8", "\xef\xbb\xbf", "/**/", "#\n"};
    for (size_t at = 0; at <= TOKENS; at++) {
        for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++) {
            struct athena_buf json = spaced(spaces[i], at);
            expect_taken(view(&json));
            athena_buf_fini(&json);
        }
        for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
            struct athena_buf json = spaced(others[i], at);
            expect_refused(view(&json), NULL, NULL);
            athena_buf_fini(&json);
        }
    }
}
END_TEST

/* ---- UTF-8 ---- */

/* The scalar value that a sequence of this length encodes, if it is the shortest one for it. */
static bool encodes_scalar(const uint8_t *at, size_t len) {
    static const uint8_t marks[] = {0, 0, 0xc0, 0xe0, 0xf0};
    static const uint32_t firsts[] = {0, 0, 0x80, 0x800, 0x10000};
    uint32_t point = at[0] ^ marks[len];
    for (size_t i = 1; i < len; i++) {
        if (at[i] >> 6 != 2)
            return false;
        point = point << 6 | (at[i] & 63);
    }
    return point >= firsts[len] && point <= 0x10ffff && point >> 11 != 0x1b;
}

/* Whether the bytes may stand in a JSON string: no control character, quotation mark, backslash. */
static bool is_string_content(const uint8_t *at, size_t len) {
    size_t used = 0;
    while (used < len) {
        uint8_t lead = at[used];
        size_t step = lead < 0x80 ? 1 : lead >> 5 == 6 ? 2 : lead >> 4 == 14 ? 3 : 4;
        if (step == 1 && (lead < 0x20 || lead == '"' || lead == '\\'))
            return false;
        if (step > 1 && (lead >> 3 > 30 || lead < 0xc0 || used + step > len ||
                         !encodes_scalar(at + used, step)))
            return false;
        used += step;
    }
    return true;
}

/* The bytes as a string that ends, and as one with which the text ends. */
static void judge_string(const uint8_t *at, size_t len) {
    char json[32] = "{\"a\":\"";
    size_t start = strlen(json);
    memcpy(json + start, at, len);
    memcpy(json + start + len, "\"}", 2);
    struct athena_text_view whole = {json, start + len + 2};
    if (memchr(at, '\\', len))
        return; /* an escape: in the tables above */
    bool is_taken = athena_json_check(whole, NULL) == ATHENA_OK;
    if (is_taken != is_string_content(at, len)) /* an assertion each would take seconds */
        ck_abort_msg("%02x %02x %02x %02x, %zu bytes, %s", at[0], at[1], at[2], at[3], len,
                     is_taken ? "taken" : "refused");
    if (is_taken && athena_json_check((struct athena_text_view){json, start + len}, NULL) == 0)
        ck_abort_msg("a string without its end is taken");
}

START_TEST(strings_hold_well_formed_utf8_and_nothing_else) {
    static const uint8_t edges[] = {0x41, 0x7f, 0x80, 0xbf, 0xc0, 0xff};
    enum { EDGES = sizeof edges, PAIRS = EDGES * EDGES };
    for (unsigned first = 0; first < 256; first++)
        for (unsigned second = 0; second < 256; second++) {
            uint8_t bytes[4] = {(uint8_t)first, (uint8_t)second, 0, 0};
            judge_string(bytes, 1);
            judge_string(bytes, 2);
            for (size_t i = 0; first >= 0xc0 && i < PAIRS; i++) {
                bytes[2] = edges[i / EDGES];
                bytes[3] = edges[i % EDGES];
                judge_string(bytes, 3);
                judge_string(bytes, 4);
            }
        }
}
END_TEST

/* No byte of a character may be missing, wherever the text is cut. */
START_TEST(cut_characters_are_refused_in_names_too) {
    static const char *const characters[] = {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    for (size_t i = 0; i < sizeof characters / sizeof *characters; i++)
        for (size_t len = 1; len < strlen(characters[i]); len++) {
            char json[64];
            int written = snprintf(json, sizeof json, "{\"%.*s\":1}", (int)len, characters[i]);
            expect_refused((struct athena_text_view){json, (size_t)written}, "", NO_UTF8);
            expect_refused((struct athena_text_view){json, 2 + len}, "", NO_UTF8);
            written = snprintf(json, sizeof json, "{\"a\":[\"%.*s\"]}", (int)len, characters[i]);
            expect_refused((struct athena_text_view){json, (size_t)written}, "/a/0", NO_UTF8);
        }
}
END_TEST

/* ---- Bounds ---- */

/* The message itself is depth 1; each level below it an array or, by its bit, an object. */
static struct athena_buf nested(size_t depth, uint64_t objects, bool closes) {
    struct athena_buf json = {0};
    append(&json, "{\"a\":");
    for (size_t level = 1; level < depth; level++) {
        bool is_object = level < 64 && objects >> level & 1;
        append(&json, !is_object ? "[" : level + 1 < depth ? "{\"a\":" : "{");
    }
    for (size_t level = depth; closes && level-- > 1;)
        append(&json, level < 64 && objects >> level & 1 ? "}" : "]");
    append(&json, closes ? "}" : "");
    return json;
}

START_TEST(depth_is_at_most_8) {
    for (uint64_t objects = 0; objects < 1u << 9; objects += 2) {
        struct athena_buf deep = nested(8, objects, true);
        expect_taken(view(&deep));
        struct athena_buf deeper = nested(9, objects, true);
        expect_refused(view(&deeper), NULL, "nested deeper than 8");
        athena_buf_fini(&deep);
        athena_buf_fini(&deeper);
    }
    struct athena_buf arrays = nested(9, 0, true);
    expect_refused(view(&arrays), "/a/0/0/0/0/0/0/0", "nested deeper than 8");
    athena_buf_fini(&arrays);
    struct athena_buf endless = nested(100000, 0, false);
    expect_refused(view(&endless), "/a/0/0/0/0/0/0/0", "nested deeper than 8");
    athena_buf_fini(&endless);
}
END_TEST

static void append_members(struct athena_buf *json, size_t count, const char *first_value) {
    append(json, "{");
    for (size_t i = 0; i < count; i++) {
        char member_text[32];
        snprintf(member_text, sizeof member_text, "%s\"m%zu\":", i ? "," : "", i);
        append(json, member_text);
        append(json, i == 0 ? first_value : "0");
    }
    append(json, "}");
}

START_TEST(an_object_has_at_most_64_members) {
    struct athena_buf inner = {0};
    append_members(&inner, 64, "0");
    expect_taken(view(&inner));
    athena_buf_append(&inner, "", 1); /* as a C string */
    struct athena_buf both = {0};
    append_members(&both, 64, inner.at);
    expect_taken(view(&both));

    struct athena_buf many = {0};
    append_members(&many, 65, "0");
    expect_refused(view(&many), "", "an object of more than 64 members");
    athena_buf_append(&many, "", 1);
    struct athena_buf holder = {0};
    append_members(&holder, 2, many.at);
    expect_refused(view(&holder), "/m0", "an object of more than 64 members");
    athena_buf_fini(&inner);
    athena_buf_fini(&both);
    athena_buf_fini(&many);
    athena_buf_fini(&holder);
}
END_TEST

/* The 64th member is compared with the first, and the names may be long. */
START_TEST(the_last_member_is_compared_with_the_first) {
    struct athena_buf json = {0};
    append_members(&json, 63, "0");
    json.len--;
    append(&json, ",\"\\u006d0\":0}");
    expect_refused(view(&json), "/m0", "a member that is there twice");
    athena_buf_fini(&json);
}
END_TEST

/* Names that are beginnings of each other, or sort about the quotation mark that ends them, each
 * written in two ways: two of them are one name exactly when they stand in one line. */
static const char *const alike[][2] = {
    {"", ""},
    {"a", "\\u0061"},
    {"a ", "a\\u0020"},
    {"a!", "\\u0061!"},
    {"a\\\"", "a\\u0022"},
    {"a#", "\\u0061\\u0023"},
    {"aa", "a\\u0061"},
    {"a\\\\", "\\u0061\\u005c"},
    {"a\\n", "a\\u000A"},
    {"a\\/", "a/"},
    {"\xc3\xa9", "\\u00e9"},
    {"\xc3\xa9!", "\\u00e9!"},
    {"\xf0\x9f\x98\x80", "\\ud83d\\ude00"},
};
enum { ALIKE = sizeof alike / sizeof alike[0] };

/* All of these names in an order that `seed` decides, then the one of `twice` the other way; none
 * for ALIKE. */
static struct athena_buf names_in_some_order(unsigned seed, size_t twice) {
    size_t order[ALIKE] = {0};
    for (size_t i = 0; i < ALIKE; i++) {
        seed = seed * 1103515245u + 12345u;
        size_t at = (seed >> 16) % (i + 1);
        order[i] = order[at];
        order[at] = i;
    }
    struct athena_buf json = {0};
    for (size_t i = 0; i < ALIKE + (twice < ALIKE); i++) {
        size_t name = i < ALIKE ? order[i] : twice;
        append(&json, i ? ",\"" : "{\"");
        append(&json, alike[name][i < ALIKE ? seed >> i & 1 : ~seed >> 16 & 1]);
        append(&json, "\":0");
    }
    append(&json, "}");
    return json;
}

START_TEST(names_are_told_apart_in_any_order) {
    for (unsigned seed = 0; seed < 200; seed++)
        for (size_t twice = 0; twice <= ALIKE; twice++) {
            struct athena_buf json = names_in_some_order(seed, twice);
            if (twice == ALIKE)
                expect_taken(view(&json));
            else
                expect_refused(view(&json), NULL, "a member that is there twice");
            athena_buf_fini(&json);
        }
}
END_TEST

/* 61 names of 68 kB: all of `filling` but for a number behind it. */
static struct athena_buf long_names(const char *filling) {
    enum { NAMES = 61, NAME_BYTES = 68000 };
    struct athena_buf json = {0};
    for (int i = 0; i < NAMES; i++) {
        char number[8];
        snprintf(number, sizeof number, "%02d", i);
        append(&json, i ? ",\"" : "{\"");
        for (size_t len = 0; len < NAME_BYTES; len += strlen(filling))
            append(&json, filling);
        append(&json, number);
        append(&json, "\":0");
    }
    append(&json, "}");
    return json;
}

/* What comparing names costs: bytes of names without escapes, and of escapes, counted where the
 * library asks for them (the linker's --wrap). */
static size_t looked_at;
int __real_memcmp(const void *a, const void *b, size_t len);
int __wrap_memcmp(const void *a, const void *b, size_t len);
size_t __real_json_unescape_one(char out[static 4], const char **at);
size_t __wrap_json_unescape_one(char out[static 4], const char **at);

int __wrap_memcmp(const void *a, const void *b, size_t len) {
    looked_at += len;
    return __real_memcmp(a, b, len);
}

size_t __wrap_json_unescape_one(char out[static 4], const char **at) {
    const char *start = *at;
    size_t len = __real_json_unescape_one(out, at);
    looked_at += (size_t)(*at - start);
    return len;
}

/* Names that differ at their ends only are looked through six times each, twice where escapes are
 * in both, and not once for each other name [ASP-SEC-6]. */
START_TEST(names_that_differ_late_are_not_costly) {
    static const char *const fillings[] = {"a", "\\n"};
    for (size_t i = 0; i < sizeof fillings / sizeof *fillings; i++) {
        struct athena_buf json = long_names(fillings[i]);
        looked_at = 0;
        ck_assert_int_eq(athena_json_check(view(&json), NULL), ATHENA_OK);
        ck_assert_uint_ge(looked_at, json.len);
        ck_assert_uint_le(looked_at, 12 * json.len);
        athena_buf_fini(&json);
    }
}
END_TEST

START_TEST(an_array_has_as_many_elements_as_it_likes) {
    struct athena_buf json = {0};
    append(&json, "{\"a\":[0");
    for (size_t i = 1; i < 100000; i++)
        append(&json, ",0");
    append(&json, "]}");
    expect_taken(view(&json));
    json.len -= 2;
    append(&json, ",-0]}");
    expect_refused(view(&json), "/a/100000", INTEGER);
    athena_buf_fini(&json);
}
END_TEST

/* ---- Pointers that do not fit ---- */

/* A pointer goes into `message` of an `error`: it must be UTF-8 [ASP-WS-20], so it ends at the
 * deepest member that it can name whole. */
START_TEST(a_pointer_never_ends_inside_a_name) {
    for (size_t len = 1; len < 200; len++) {
        struct athena_buf json = {0};
        append(&json, "{\"a\":{\"");
        for (size_t i = 0; i < len; i++)
            append(&json, "\xc3\xa9");
        append(&json, "\":{\"~/~/~/~/~/\":-1}}}");
        struct athena_error error;
        ck_assert_int_eq(check(view(&json), &error), ATHENA_NOT_STRICT_JSON);
        struct athena_buf outer = {0};
        append(&outer, "/a/");
        athena_buf_append(&outer, json.at + strlen("{\"a\":{\""), 2 * len);
        bool names_outer = strncmp(error.where, outer.at, outer.len) == 0;
        const char *rest = names_outer ? error.where + outer.len : error.where;
        bool is_whole = strcmp(rest, names_outer ? "/~0~1~0~1~0~1~0~1~0~1" : "/a") == 0;
        ck_assert_msg(is_whole || (names_outer && !*rest), "%s is named", error.where);
        ck_assert_msg(names_outer || len > 55, "%zu bytes have room", outer.len);
        athena_buf_fini(&outer);
        athena_buf_fini(&json);
    }
}
END_TEST

int main(void) {
    TCase *all = tcase_create("all");
    tcase_add_test(all, strict_texts_are_taken);
    tcase_add_test(all, other_texts_are_refused_with_their_place);
    tcase_add_test(all, no_beginning_is_taken);
    tcase_add_test(all, white_space_is_what_json_says);
    tcase_add_test(all, strings_hold_well_formed_utf8_and_nothing_else);
    tcase_add_test(all, cut_characters_are_refused_in_names_too);
    tcase_add_test(all, depth_is_at_most_8);
    tcase_add_test(all, an_object_has_at_most_64_members);
    tcase_add_test(all, the_last_member_is_compared_with_the_first);
    tcase_add_test(all, names_are_told_apart_in_any_order);
    tcase_add_test(all, names_that_differ_late_are_not_costly);
    tcase_add_test(all, an_array_has_as_many_elements_as_it_likes);
    tcase_add_test(all, a_pointer_never_ends_inside_a_name);
    Suite *suite = suite_create("json");
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
