/* Cursors: what this server gives, and that it takes nothing else. */
#include "reference-server/cursor.h"
#include "reference-server/store.h"
#include "reference-server/tests/support_main.h"

#include <sodium.h>
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

/* The cursors of the specification's appendix C, for the document and digests of its appendix A. */
START_TEST(is_that_of_the_specification) {
    static const struct {
        const char *digest;
        const char *cursor;
    } positions[] = {
        {"0000000000000000000000000000000000000000000000000000000000000000",
         "AAAAAAAAAABsJCpKPTyTGw"},
        {"dcd340f1ed30f4ffa65436b5caa26e8b5ba9be5b90a9e7c2e0b5c26d7915d716",
         "AAAAAAAAAAFsGFs4Ln1m9w"},
        {"0c2f85dd1a91d46f551ae77fb5f829266b9a385b41e8d0652cef29ead6597c87",
         "AAAAAAAAAALb-LtlGsHCJw"},
    };
    uint8_t doc[ATHENA_DOC_BYTES];
    ck_assert_int_eq(
        athena_doc_parse(doc, support_text("G5M8PUoqJGxKDJWr_JXtK_rDcpUvX6Xfyf5FoMlScfI"), NULL),
        ATHENA_OK);
    for (size_t i = 0; i < sizeof positions / sizeof positions[0]; i++) {
        char text[CURSOR_TEXT_LEN + 1];
        struct athena_digest digest = {.count = i};
        ck_assert_int_eq(sodium_hex2bin(digest.sum, sizeof digest.sum, positions[i].digest, 64,
                                        NULL, NULL, NULL),
                         0);
        cursor_format(text, (struct cursor){i, store_tag(doc, &digest)});
        ck_assert_str_eq(text, positions[i].cursor);
    }
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
    support_add(suite, "specification", is_that_of_the_specification);
    support_add(suite, "others", refuses_other_texts);
    return support_main(suite);
}
