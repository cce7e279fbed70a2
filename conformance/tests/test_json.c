/* The strict reading of what a server sends: every rule refuses, nothing else does; and writing. */
#include "conformance/json_place.h"
#include "conformance/json_same.h"
#include "conformance/json_strict.h"
#include "conformance/json_write.h"
#include "conformance/match.h"
#include "conformance/memory.h"
#include "conformance/printable.h"
#include "conformance/tests/support_main.h"

#include <stdlib.h>
#include <string.h>

static const char *fault_of(const char *text) {
    size_t at = 0;
    const char *fault = json_strict_fault(text, strlen(text), &at);
    ck_assert_uint_le(at, strlen(text));
    return fault;
}

START_TEST(valid_texts_pass) {
    static const char *const texts[] = {
        "{}",
        " \t\r\n{ \"a\" : [ ] , \"b\" : { } } \n",
        "{\"a\":9007199254740991,\"b\":0,\"c\":[true,false,null,\"\"]}",
        "{\"a\":\"\\u00e9\\ud83d\\ude00\\n\\\\\\/\\\"\"}",
        "{\"a\":\"\xc3\xa9\xf0\x9f\x98\x80\xef\xbf\xbf\"}",
        "{\"a\":{\"a\":1},\"b\":{\"a\":2}}",
        "{\"1\":[[[[[[[]]]]]]]}", /* depth 8 */
        "{\"ab\":1,\"a\":{\"b\":1},\"b\":2,\"Ab\":3}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        ck_assert_msg(fault_of(texts[i]) == NULL, "%s: %s", texts[i], fault_of(texts[i]));
}
END_TEST

START_TEST(violations_are_refused) {
    static const char *const texts[][2] = {
        {"", "not a JSON object"},
        {"[]", "not a JSON object"},
        {"\xef\xbb\xbf{}", "not a JSON object"},
        {"{}x", "bytes after"},
        {"{} {}", "bytes after"},
        {"{\"a\":1", "end of an array or object"},
        {"{\"a\"", "':'"},
        {"{\"a\":}", "a value was expected"},
        {"{\"a\":1,}", "a string was expected"},
        {"{\"a\":[1,]}", "a value was expected"},
        {"{\"a\":[1 2]}", "','"},
        {"{\"a\":tru}", "unknown word"},
        {"{'a':1}", "a string was expected"},
        {"{\"a\":1,\"a\":2}", "duplicate"},
        {"{\"a\":1,\"\\u0061\":2}", "duplicate"},
        {"{\"x\":{\"\xc3\xa9\":1,\"\\u00e9\":2}}", "duplicate"},
        {"{\"a\":\"\\ud800\"}", "surrogate"},
        {"{\"a\":\"\\ud800\\u0041\"}", "surrogate"},
        {"{\"\\udc00\":1}", "surrogate"},
        {"{\"a\":\"\\u0000\"}", "u0000"},
        {"{\"a\":\"\\x\"}", "unknown escape"},
        {"{\"a\":\"\\u12g4\"}", "four hexadecimal"},
        {"{\"a\":\"\t\"}", "control character"},
        {"{\"a\":\"\xc3\"}", "UTF-8"},
        {"{\"a\":\"\xc0\x80\"}", "UTF-8"},
        {"{\"a\":\"\xed\xa0\x80\"}", "UTF-8"},
        {"{\"a\":\"\xf4\x90\x80\x80\"}", "UTF-8"},
        {"{\"a\":\"x", "not closed"},
        {"{\"a\":-1}", "without a sign"},
        {"{\"a\":1.0}", "fraction"},
        {"{\"a\":1e3}", "exponent"},
        {"{\"a\":01}", "leading zero"},
        {"{\"a\":9007199254740992}", "2^53-1"},
        {"{\"a\":99999999999999999999999999}", "2^53-1"},
        {"{\"1\":[[[[[[[[]]]]]]]]}", "deeper than 8"},
        {"{\"a\":]}", "a value was expected"},
        {"{\"a\":[}]", "a value was expected"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const char *fault = fault_of(texts[i][0]);
        ck_assert_msg(fault != NULL, "%s was accepted", texts[i][0]);
        ck_assert_msg(strstr(fault, texts[i][1]) != NULL, "%s: %s", texts[i][0], fault);
    }
}
END_TEST

static char *object_of(unsigned members) {
    struct bytes text = {0};
    for (unsigned i = 0; i < members; i++) {
        char *member = memory_format("%c\"m%u\":%u", i == 0 ? '{' : ',', i, i);
        bytes_append(&text, member, strlen(member));
        free(member);
    }
    bytes_append(&text, "}", 2);
    return (char *)text.at;
}

START_TEST(members_are_bounded) {
    char *most = object_of(JSON_STRICT_MEMBERS_MAX);
    char *more = object_of(JSON_STRICT_MEMBERS_MAX + 1);
    ck_assert_ptr_null(fault_of(most));
    ck_assert_ptr_nonnull(fault_of(more));
    free(most);
    free(more);
}
END_TEST

/* Cut anywhere, a text is refused and read no further than its end. */
START_TEST(every_prefix_is_refused) {
    static const char text[] = "{\"a\":[1,\"\\ud83d\\ude00\xf0\x9f\x98\x80\"],\"b\":{\"c\":null}}";
    for (size_t len = 0; len < strlen(text); len++) {
        size_t at = 0;
        char *cut = memory_take(len);
        memcpy(cut, text, len);
        ck_assert_ptr_nonnull(json_strict_fault(cut, len, &at));
        ck_assert_uint_le(at, len);
        free(cut);
    }
    ck_assert_ptr_null(fault_of(text));
}
END_TEST

START_TEST(integers_are_written_in_digits) {
    static const char text[] = "{\"a\":[9007199254740991,0,-1,0.5,true,null],\"\\\"b\":{\"\":"
                               "\"\\u0001\xc3\xa9\"},\"c\":{}}";
    cJSON *value = cJSON_Parse(text);
    char *written = json_write(value);
    ck_assert_str_eq(written, text);
    free(written);
    cJSON_Delete(value);
}
END_TEST

START_TEST(values_are_found_by_pointer) {
    static const char text[] = "{\"a\":[1,{\"b,]\":\"}\\\"\"},[]],\"ab\":null,\"a\":7}";
    static const char *const rows[][2] = {
        {"/a", "[1,{\"b,]\":\"}\\\"\"},[]]"},
        {"/a/0", "1"},
        {"/a/1/b,]", "\"}\\\"\""},
        {"/a/2", "[]"},
        {"/ab", "null"},
        {"", NULL},
        {"/b", NULL},
        {"/a/3", NULL},
        {"/a/2/0", NULL},
        {"/ab/0", NULL},
        {"/a/1/b", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t from = 0;
        size_t len = 0;
        bool found = json_find(text, rows[i][0], &from, &len);
        ck_assert_msg(found == (rows[i][1] != NULL), "%s", rows[i][0]);
        ck_assert_msg(!found ||
                          (len == strlen(rows[i][1]) && memcmp(text + from, rows[i][1], len) == 0),
                      "%s: %.*s", rows[i][0], (int)len, text + from);
    }
}
END_TEST

START_TEST(printable_texts_have_no_control) {
    static const char *const rows[][2] = {
        {"", ""},
        {"plain\ntext \xc3\xa9 \xf0\x9f\x98\x80", "plain\ntext \xc3\xa9 \xf0\x9f\x98\x80"},
        {"\033[31m\r\x7f", "\\x1b[31m\\x0d\\x7f"},
        {"\xc3(\xff", "\\xc3(\\xff"},
        {"\xc2\x9b", "\\xc2\\x9b"},
        {"\xf0\x9f\x98", "\\xf0\\x9f\\x98"},
        /* an override of the direction, a zero width space, a mark of the byte order */
        {"a\xe2\x80\xae" // NOLINT(misc-misleading-bidirectional)
         "b\xe2\x80\x8b\xef\xbb\xbf",
         "a\\xe2\\x80\\xaeb\\xe2\\x80\\x8b\\xef\\xbb\\xbf"},
        {"\xef\xbf\xbf \xef\xbf\xbd", "\\xef\\xbf\\xbf \xef\xbf\xbd"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *text = printable_copy(rows[i][0]);
        ck_assert_str_eq(text, rows[i][1]);
        free(text);
    }
}
END_TEST

/* However much a message has: of it a report gets some lines. */
START_TEST(briefs_are_bounded) {
    static char long_text[1 << 16];
    memset(long_text, 'x', sizeof long_text - 1);
    cJSON *value = cJSON_CreateObject();
    for (int i = 0; i < 1000; i++) {
        cJSON *inner = cJSON_AddArrayToObject(value, i == 0 ? long_text : "a");
        for (int j = 0; j < 10; j++)
            cJSON_AddItemToArray(inner, cJSON_CreateString(j == 0 ? long_text : "b"));
    }
    char *brief = match_brief(value);
    ck_assert_uint_lt(strlen(brief), 4096);
    ck_assert_ptr_nonnull(strstr(brief, "x… (65535 bytes)\":[\"x"));
    ck_assert_ptr_nonnull(strstr(brief, "… 4 more"));
    ck_assert_ptr_nonnull(strstr(brief, "\"…\":\"… 9"));
    free(brief);
    cJSON_Delete(value);
    value = cJSON_CreateString("\xe2\x80\xae" // NOLINT(misc-misleading-bidirectional)
                               "evil");
    brief = match_brief(value);
    ck_assert_str_eq(brief, "\"\\xe2\\x80\\xaeevil\"");
    free(brief);
    cJSON_Delete(value);
}
END_TEST

START_TEST(same_values) {
    static const struct {
        const char *a, *b;
        bool same;
    } rows[] = {
        {"9007199254740991", "9007199254740990", false},
        {"4503599627370496", "4503599627370497", false},
        {"1", "1.0", true},
        {"1", "\"1\"", false},
        {"\"a\"", "\"A\"", false},
        {"null", "false", false},
        {"true", "true", true},
        {"[1,2]", "[1,2]", true},
        {"[1,2]", "[1]", false},
        {"[1]", "[1,2]", false},
        {"{\"a\":1,\"b\":[{}]}", "{\"b\":[{}],\"a\":1}", true},
        {"{\"a\":1}", "{\"A\":1}", false},
        {"{\"a\":1}", "{\"a\":1,\"b\":1}", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cJSON *a = cJSON_Parse(rows[i].a);
        cJSON *b = cJSON_Parse(rows[i].b);
        ck_assert_msg(json_same(a, b) == rows[i].same, "%s %s", rows[i].a, rows[i].b);
        ck_assert(json_same(a, a) && !json_same(a, NULL) && !json_same(NULL, a));
        cJSON_Delete(a);
        cJSON_Delete(b);
    }
}
END_TEST

START_TEST(places) {
    static const char text[] =
        "\xef\xbb\xbf{ \"a\" : [1, -2.5e3 ,\n\t{\"b\\\"c\": \"}]\"}, null],\r\n"
        "\"a/\":{} , \"d\":true}";
    static const struct {
        const char *pointer;
        unsigned line, column;
    } rows[] = {
        {"", 1, 4},           {"/a", 1, 12},   {"/a/1", 1, 16}, {"/a/2", 2, 2},
        {"/a/2/b\"c", 2, 11}, {"/a/3", 2, 18}, {"/d", 3, 15},   {"/a/2/none", 2, 2},
    };
    cJSON *root = cJSON_Parse(text);
    ck_assert_ptr_nonnull(root);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct json_place place = json_place(text, root, json_at(root, rows[i].pointer));
        ck_assert_msg(place.line == rows[i].line && place.column == rows[i].column, "%s: %u:%u",
                      rows[i].pointer, place.line, place.column);
    }
    cJSON_Delete(root);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("JSON");
    support_add(suite, "valid", valid_texts_pass);
    support_add(suite, "violations", violations_are_refused);
    support_add(suite, "members", members_are_bounded);
    support_add(suite, "prefixes", every_prefix_is_refused);
    support_add(suite, "writing", integers_are_written_in_digits);
    support_add(suite, "finding", values_are_found_by_pointer);
    support_add(suite, "printable", printable_texts_have_no_control);
    support_add(suite, "brief", briefs_are_bounded);
    support_add(suite, "same", same_values);
    support_add(suite, "places", places);
    return support_main(suite);
}
