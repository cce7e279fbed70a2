/* Reading JSON that the check has accepted: spans, names, escapes; and writing strings. */
#include "protocol/json.h"
#include "protocol/tests/support.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* A text that may hold NULs. */
#define TEXT(literal)                                                                              \
    { literal, sizeof(literal) - 1 }

static struct athena_text_view view(const struct athena_buf *buf) {
    ck_assert(!buf->failed);
    return (struct athena_text_view){buf->at, buf->len};
}

static void append(struct athena_buf *buf, const char *text) {
    athena_buf_append(buf, text, strlen(text));
}

static void expect_span(struct athena_text_view span, const char *text) {
    ck_assert_msg(span.len == strlen(text) && memcmp(span.at, text, span.len) == 0, "%.*s, not %s",
                  (int)span.len, span.at, text);
}

START_TEST(members_and_elements_are_read_in_order) {
    static const struct athena_text_view json =
        TEXT(" { \"a\" : [ 1 ,\t\"]\\\\\\\"}\", [[],{\"]\":\"}\"}] ,null ] ,\n\"\\u0062\":{ } , "
             "\"c\":9007199254740991,\"d\":true ,\"e\":false} ");
    static const struct {
        const char *name;
        enum json_kind kind;
        const char *span;
    } members[] = {{"a", JSON_ARRAY, "[ 1 ,\t\"]\\\\\\\"}\", [[],{\"]\":\"}\"}] ,null ]"},
                   {"b", JSON_OBJECT, "{ }"},
                   {"c", JSON_INTEGER, "9007199254740991"},
                   {"d", JSON_TRUE, "true"},
                   {"e", JSON_FALSE, "false"}};
    static const struct {
        enum json_kind kind;
        const char *span;
    } elements[] = {{JSON_INTEGER, "1"},
                    {JSON_STRING, "\"]\\\\\\\"}\""},
                    {JSON_ARRAY, "[[],{\"]\":\"}\"}]"},
                    {JSON_NULL, "null"}};
    ck_assert_int_eq(athena_json_check(json, NULL), ATHENA_OK);
    struct json_reader reader = json_enter(json_root(json));
    struct athena_text_view name;
    struct json_value value;
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        ck_assert(json_next_member(&reader, &name, &value));
        ck_assert(json_string_equals(name, members[i].name));
        ck_assert_int_eq(value.kind, members[i].kind);
        expect_span(value.span, members[i].span);
        struct json_reader inner = json_enter(value);
        struct json_value element;
        for (size_t k = 0; i == 0 && k < sizeof elements / sizeof *elements; k++) {
            ck_assert(json_next_element(&inner, &element));
            ck_assert_int_eq(element.kind, elements[k].kind);
            expect_span(element.span, elements[k].span);
        }
        if (i < 2)
            ck_assert(!json_next_element(&inner, &element));
        if (value.kind == JSON_INTEGER)
            ck_assert_uint_eq(json_integer(value), ATHENA_INTEGER_MAX);
    }
    ck_assert(!json_next_member(&reader, &name, &value));
}
END_TEST

/* A quotation mark ends its string behind an even number of backslashes, and only then: in a value,
 * in a name, and inside what is passed over. */
START_TEST(backslashes_before_the_end_are_counted) {
    static const char *const strings[] = {"\"\\\\\"", "\"\\\\\\\\\"", "\"\\\"\"", "\"a\\\\\\\"\"",
                                          "\"\\\"\\\\\""};
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) {
        struct athena_buf json = {0};
        append(&json, "{");
        append(&json, strings[i]);
        append(&json, ":[");
        append(&json, strings[i]);
        append(&json, "],\"next\":\"\"}");
        ck_assert_int_eq(athena_json_check(view(&json), NULL), ATHENA_OK);
        struct json_reader reader = json_enter(json_root(view(&json)));
        struct athena_text_view name;
        struct json_value value;
        struct json_value element;
        ck_assert(json_next_member(&reader, &name, &value));
        expect_span(name, strings[i]);
        struct json_reader inner = json_enter(value);
        ck_assert(json_next_element(&inner, &element));
        expect_span(element.span, strings[i]);
        ck_assert(!json_next_element(&inner, &element));
        ck_assert(json_next_member(&reader, &name, &value));
        expect_span(name, "\"next\"");
        expect_span(value.span, "\"\"");
        ck_assert(!json_next_member(&reader, &name, &value));
        athena_buf_fini(&json);
    }
}
END_TEST

START_TEST(names_equal_after_escapes_only) {
    static const struct {
        struct athena_text_view quoted;
        const char *text;
        bool equal;
    } table[] = {
        {TEXT("\"type\""), "type", true},
        {TEXT("\"\\u0074ype\""), "type", true},
        {TEXT("\"Type\""), "type", false},
        {TEXT("\"typ\""), "type", false},
        {TEXT("\"types\""), "type", false},
        {TEXT("\"\""), "", true},
        {TEXT("\"\""), "t", false},
        {TEXT("\"t\""), "", false},
        {TEXT("\"\\u00e9\""), "\xc3\xa9", true},
        {TEXT("\"\xc3\xa9\""), "\xc3\xa9", true},
        {TEXT("\"\\u00e9\""), "\xc3", false},
        {TEXT("\"\\\"\\\\\""), "\"\\", true},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        ck_assert_msg(json_string_equals(table[i].quoted, table[i].text) == table[i].equal,
                      "%.*s and %s", (int)table[i].quoted.len, table[i].quoted.at, table[i].text);
}
END_TEST

/* [ASP-JSON-9]: every escape is taken for its character. */
START_TEST(escapes_become_their_characters) {
    static const struct athena_text_view quoted = TEXT(
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u20AC\\ud83d\\uDE00\\uffff\\u007f\\u0080\"");
    static const char meant[] =
        "\"\\/\b\f\n\r\tA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xef\xbf\xbf\x7f\xc2\x80";
    char out[128];
    ck_assert_uint_le(sizeof meant - 1, quoted.len);
    ck_assert_uint_eq(json_unescape(out, quoted), sizeof meant - 1);
    ck_assert_mem_eq(out, meant, sizeof meant - 1);
}
END_TEST

/* Whatever text is written reads as itself. */
START_TEST(written_strings_are_strict_and_read_back) {
    static const char beyond[] = "\xc3\xa9\xf0\x9f\x98\x80\"\\";
    char text[0x80 + sizeof beyond];
    size_t len = 0;
    for (int ch = 1; ch <= 0x7f; ch++)
        text[len++] = (char)ch;
    for (size_t i = 0; beyond[i]; i++)
        text[len++] = beyond[i];
    for (size_t from = 0; from < len; from++) {
        if (((unsigned char)text[from] & 0xc0) == 0x80)
            continue; /* inside a character */
        struct athena_buf json = {0};
        append(&json, "{\"a\":");
        athena_json_append_string(&json, (struct athena_text_view){text + from, len - from});
        append(&json, "}");
        ck_assert_int_eq(athena_json_check(view(&json), NULL), ATHENA_OK);
        char again[6 * sizeof text];
        struct athena_text_view quoted = {json.at + 5, json.len - 6};
        ck_assert_uint_eq(json_unescape(again, quoted), len - from);
        ck_assert_mem_eq(again, text + from, len - from);
        athena_buf_fini(&json);
    }
}
END_TEST

int main(void) {
    TCase *all = tcase_create("all");
    tcase_add_test(all, members_and_elements_are_read_in_order);
    tcase_add_test(all, backslashes_before_the_end_are_counted);
    tcase_add_test(all, names_equal_after_escapes_only);
    tcase_add_test(all, escapes_become_their_characters);
    tcase_add_test(all, written_strings_are_strict_and_read_back);
    Suite *suite = suite_create("json_read");
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
