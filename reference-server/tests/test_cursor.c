/* Cursors: what this server gives, and that it takes nothing else. */
#include "reference-server/cursor.h"
#include "reference-server/tests/support_main.h"

#include <string.h>

static bool parses(const char *text, size_t len) {
    struct cursor cursor;
    char exact[64];
    ck_assert_uint_le(len, sizeof exact);
    for (size_t i = 0; i < len; i++)
        exact[i] = text[i];
    return cursor_parse(&cursor, (struct athena_text_view){exact, len});
}

/* [ASP-CUR-1] [ASP-CUR-2] */
START_TEST(comes_back) {
    static const struct cursor cursors[] = {
        {0, 0}, {0, UINT64_MAX}, {1, 2}, {255, 256}, {INT64_MAX, 0x0123456789ABCDEF}};
    for (size_t i = 0; i < sizeof cursors / sizeof cursors[0]; i++) {
        char text[CURSOR_TEXT_LEN + 1];
        struct cursor parsed;
        cursor_format(text, cursors[i]);
        ck_assert_uint_eq(strlen(text), CURSOR_TEXT_LEN);
        ck_assert(athena_cursor_is_valid(support_text(text)));
        ck_assert(cursor_parse(&parsed, support_text(text)));
        ck_assert_uint_eq(parsed.position, cursors[i].position);
        ck_assert_uint_eq(parsed.tag, cursors[i].tag);
    }
}
END_TEST

/* The layout: position and tag, 8 bytes each, the highest first. */
START_TEST(has_its_layout) {
    char text[CURSOR_TEXT_LEN + 1];
    cursor_format(text, (struct cursor){1, 0x0202020202020202});
    ck_assert_str_eq(text, "AAAAAAAAAAECAgICAgICAg");
}
END_TEST

/* [ASP-CUR-4] */
START_TEST(refuses_other_texts) {
    static const char *const others[] = {
        "",
        "A",
        "AAAAAAAAAAAAAAAAAAAAA",    /* 21 characters */
        "AAAAAAAAAAAAAAAAAAAAAAA",  /* 23 */
        "AAAAAAAAAAAAAAAAAAAAAA==", /* padded */
        "AAAAAAAAAAAAAAAAAAAAAB",   /* bits that belong to no byte */
        "AAAAAAAAAAAAAAAAAAAAA=",   /* padding within the length */
        "AAAAAAAAAA+AAAAAAAAAAA",   /* the other alphabet */
        "AAAAAAAAAA/AAAAAAAAAAA",
        "AAAAAAAAAA AAAAAAAAAAA",
        "AAAAAAAAAA\303\251AAAAAAAAAA",
        "gAAAAAAAAAAAAAAAAAAAAA", /* a position beyond INT64_MAX */
        "_____________________w",
    };
    ck_assert(parses("AAAAAAAAAAAAAAAAAAAAAA", 22));
    ck_assert(parses("f____________________w", 22));
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        ck_assert_msg(!parses(others[i], strlen(others[i])), "%s", others[i]);
    ck_assert(!parses("AAAAAAAAAA\0AAAAAAAAAAA", 22));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("cursor");
    support_add(suite, "round trip", comes_back);
    support_add(suite, "layout", has_its_layout);
    support_add(suite, "others", refuses_other_texts);
    return support_main(suite);
}
