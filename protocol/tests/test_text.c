/*
 * The small grammars: base64url and identifiers, byte by byte. What is right is said by others:
 * libsodium's base64, and the regular expressions that section 3 of the specification gives.
 */
#include "protocol/tests/support.h"
#include "protocol/tests/support_spec.h"

#include <check.h>
#include <regex.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 300 };

/* A copy that ends where it does, for the sanitizers to watch. Free `at`. */
static struct athena_text_view exact(const char *text, size_t len) {
    char *at = malloc(len ? len : 1);
    memcpy(at, text, len);
    return (struct athena_text_view){at, len};
}

/* ---- Base64url [ASP-JSON-11] [ASP-JSON-12] ---- */

/* libsodium 1.0.18 takes some bytes above 0x7f for characters of the alphabet. */
static bool sodium_takes(uint8_t *bytes, size_t *len, struct athena_text_view text) {
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.at[i] > 0x7f)
            return false;
    return sodium_base642bin(bytes, TEXT_MAX, text.at, text.len, NULL, len, NULL,
                             sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0;
}

static void judge_base64url(const char *text, size_t text_len) {
    uint8_t expected[TEXT_MAX];
    uint8_t bytes[TEXT_MAX];
    size_t expected_len = 0;
    size_t len = SIZE_MAX;
    struct athena_text_view view = exact(text, text_len);
    bool is_valid = sodium_takes(expected, &expected_len, view);
    bool is_taken = athena_base64url_decode(bytes, sizeof bytes, &len, view);
    if (is_taken != is_valid)
        ck_abort_msg("%.*s is %s", (int)text_len, text, is_taken ? "taken" : "refused");
    if (!is_taken && len != SIZE_MAX)
        ck_abort_msg("%.*s is refused with a length", (int)text_len, text);
    if (is_taken && (len != expected_len || memcmp(bytes, expected, len) != 0))
        ck_abort_msg("%.*s is read as something else", (int)text_len, text);
    free((char *)view.at);
}

START_TEST(base64url_of_each_length_is_what_sodium_makes) {
    for (size_t len = 0; len <= 200; len++) {
        uint8_t bytes[200];
        char expected[TEXT_MAX];
        randombytes_buf_deterministic(bytes, sizeof bytes,
                                      (uint8_t[randombytes_SEEDBYTES]){(uint8_t)len});
        sodium_bin2base64(expected, sizeof expected, bytes, len,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING);
        size_t text_len = athena_base64url_len(len);
        ck_assert_uint_eq(text_len, strlen(expected));
        char *text = malloc(text_len ? text_len : 1);
        athena_base64url_encode(text, bytes, len);
        ck_assert(memcmp(text, expected, text_len) == 0);
        judge_base64url(text, text_len);
        free(text);
    }
}
END_TEST

START_TEST(each_character_at_each_place_is_judged_as_sodium_does) {
    static const char text[] = "AAAABBBBz0_-w";
    for (size_t len = 0; len <= strlen(text); len++)
        for (size_t at = 0; at < len; at++)
            for (int ch = 0; ch < 256; ch++) {
                char changed[sizeof text];
                memcpy(changed, text, sizeof text);
                changed[at] = (char)ch;
                judge_base64url(changed, len);
            }
}
END_TEST

/* The bits behind the last byte: of all last characters, only those without them are canonical. */
START_TEST(one_byte_and_two_have_one_text_each) {
    char text[4] = "";
    size_t taken[4] = {0};
    uint8_t bytes[3];
    size_t len;
    for (unsigned ch = 0; ch < 256 * 256; ch++) {
        text[0] = (char)(ch >> 8);
        text[1] = (char)ch;
        text[2] = 'A';
        taken[2] += athena_base64url_decode(bytes, 1, &len, (struct athena_text_view){text, 2});
        text[0] = 'A';
        text[1] = (char)(ch >> 8);
        text[2] = (char)ch;
        taken[3] += athena_base64url_decode(bytes, 2, &len, (struct athena_text_view){text, 3});
    }
    ck_assert_uint_eq(taken[2], 256);
    ck_assert_uint_eq(taken[3], 1024); /* 64 * 16 */
}
END_TEST

START_TEST(base64url_stays_within_its_capacity) {
    for (size_t len = 1; len <= 40; len++) {
        char text[64];
        uint8_t zeros[40] = {0};
        athena_base64url_encode(text, zeros, len);
        struct athena_text_view view = {text, athena_base64url_len(len)};
        for (size_t capacity = 0; capacity <= len; capacity++) {
            uint8_t *bytes = malloc(capacity ? capacity : 1);
            size_t decoded = SIZE_MAX;
            ck_assert(athena_base64url_decode(bytes, capacity, &decoded, view) ==
                      (capacity == len));
            ck_assert_uint_eq(decoded, capacity == len ? len : SIZE_MAX);
            free(bytes);
        }
        uint8_t in_place[64];
        memcpy(in_place, text, view.len);
        size_t decoded;
        struct athena_text_view same = {(const char *)in_place, view.len};
        ck_assert(athena_base64url_decode(in_place, view.len, &decoded, same));
        ck_assert(decoded == len && memcmp(in_place, zeros, len) == 0);
    }
}
END_TEST

/* ---- Identifiers [ASP-ID-1] [ASP-ID-2] [ASP-CUR-1] ---- */

static bool takes_doc(struct athena_text_view text) {
    uint8_t doc[ATHENA_DOC_BYTES];
    memset(doc, 0xa5, sizeof doc);
    struct athena_error error = {0};
    if (athena_doc_parse(doc, text, &error) == ATHENA_OK) {
        char again[ATHENA_DOC_TEXT_LEN + 1];
        athena_doc_format(again, doc);
        ck_assert_mem_eq(again, text.at, text.len);
        return true;
    }
    ck_assert(error.code == ATHENA_BAD_ID && error.text[0]);
    for (size_t i = 0; i < sizeof doc; i++)
        ck_assert_msg(doc[i] == 0xa5, "a refused document id is written");
    return false;
}

static bool takes_change_id(struct athena_text_view text) {
    struct athena_error error = {0};
    enum athena_code code = athena_change_id_check(text, &error);
    ck_assert(code == error.code && (code == ATHENA_OK || error.text[0]));
    ck_assert(code == ATHENA_OK || code == ATHENA_BAD_ID);
    return code == ATHENA_OK;
}

/* One identifier, its expression in section 3, and texts around which to look. */
struct grammar {
    const char *name;
    bool (*takes)(struct athena_text_view text);
    const char *texts[4];
    regex_t expression;
};

#define UUID  "7d444840-9dc0-41d1-b245-5ffdce74fad2"
#define HEX32 "0123456789abcdef0123456789abcdef"
#define B64   "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
static struct grammar grammars[] = {
    {.name = "document id",
     .takes = takes_doc,
     .texts = {"G5M8PUoqJGxKDJWr_JXtK_rDcpUvX6Xfyf5FoMlScfI",
               "-_09azAZaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa8"}},
    {.name = "change id",
     .takes = takes_change_id,
     .texts = {"a0:" UUID, "00f9:00000000-0000-4000-8000-000000000000",
               HEX32 HEX32 HEX32 HEX32 ":" UUID}},
    {.name = "cursor",
     .takes = athena_cursor_is_valid,
     .texts = {"A", "AAAAAAAAAALb-LtlGsHCJw", B64}},
};
enum { GRAMMARS = sizeof grammars / sizeof grammars[0] };

static void set_up(void) {
    ck_assert_int_ge(sodium_init(), 0);
    struct bytes spec = source_read("spec/athena-sync-1.md");
    struct athena_text_view section = spec_section((const char *)spec.at, "## 3. Identifiers");
    struct spec_row row;
    size_t found = 0;
    while (spec_next_row(&section, &row))
        for (size_t i = 0; i < GRAMMARS; i++)
            if (cell_is(row.cells[0], grammars[i].name)) {
                char *expression = strndup(row.cells[1].at, row.cells[1].len);
                ck_assert_int_eq(regcomp(&grammars[i].expression, expression, REG_EXTENDED), 0);
                free(expression);
                found++;
            }
    ck_assert_uint_eq(found, GRAMMARS);
    free(spec.at);
}

static void tear_down(void) {
    for (size_t i = 0; i < GRAMMARS; i++)
        regfree(&grammars[i].expression);
}

/* A text that may hold NULs, which no identifier has. */
static void judge_identifier(const struct grammar *grammar, const char *text, size_t len) {
    char terminated[TEXT_MAX];
    memcpy(terminated, text, len);
    terminated[len] = '\0';
    bool is_valid =
        strlen(terminated) == len && regexec(&grammar->expression, terminated, 0, NULL, 0) == 0;
    struct athena_text_view view = exact(text, len);
    if (grammar->takes(view) != is_valid)
        ck_abort_msg("%s: %s is %s", grammar->name, terminated, is_valid ? "refused" : "taken");
    free((char *)view.at);
}

/* Each character exchanged for every other, at every place. */
static void exchange_characters(const struct grammar *grammar, const char *text) {
    size_t len = strlen(text);
    char changed[TEXT_MAX];
    for (size_t at = 0; at < len; at++)
        for (int ch = 0; ch < 256; ch++) {
            memcpy(changed, text, len + 1);
            changed[at] = (char)ch;
            judge_identifier(grammar, changed, len);
        }
}

/* Each run of characters left out, and each character put in twice. */
static void change_lengths(const struct grammar *grammar, const char *text) {
    size_t len = strlen(text);
    char changed[TEXT_MAX];
    for (size_t at = 0; at <= len; at++) {
        for (size_t gap = 0; at + gap <= len; gap++) {
            memcpy(changed, text, at);
            memcpy(changed + at, text + at + gap, len - at - gap);
            judge_identifier(grammar, changed, len - gap);
        }
        for (size_t more = 1; more <= 2; more++) {
            memcpy(changed, text, at);
            memset(changed + at, text[at ? at - 1 : 0], more);
            memcpy(changed + at + more, text + at, len - at);
            judge_identifier(grammar, changed, len + more);
        }
    }
}

/* [ASP-WS-19] */
START_TEST(a_token_is_1_to_512_characters_of_its_alphabet) {
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/=";
    char text[513];
    memset(text, 'x', sizeof text);
    for (size_t len = 0; len <= sizeof text; len++)
        ck_assert(athena_token_is_valid((struct athena_text_view){text, len}) ==
                  (len >= 1 && len <= 512));
    for (int c = 0; c < 256; c++) {
        text[1] = (char)c;
        ck_assert(athena_token_is_valid((struct athena_text_view){text, 3}) ==
                  (memchr(alphabet, c, sizeof alphabet - 1) != NULL));
    }
}
END_TEST

START_TEST(identifiers_are_what_the_expressions_say) {
    struct grammar *grammar = &grammars[_i];
    for (size_t i = 0; grammar->texts[i]; i++) {
        const char *text = grammar->texts[i];
        ck_assert(grammar->takes(view_text(text)));
        exchange_characters(grammar, text);
        change_lengths(grammar, text);
    }
}
END_TEST

START_TEST(an_actor_is_1_to_64_bytes) {
    char actor[TEXT_MAX];
    memset(actor, 'f', sizeof actor);
    for (size_t len = 0; len < 140; len++) {
        struct athena_text_view view = exact(actor, len);
        bool is_valid = len >= 2 && len <= 128 && len % 2 == 0;
        struct athena_error error = {0};
        ck_assert(athena_actor_check(view, &error) == (is_valid ? ATHENA_OK : ATHENA_BAD_ID));
        ck_assert(is_valid || error.text[0]);
        free((char *)view.at);
    }
    struct athena_error error;
    ck_assert_int_eq(athena_actor_check(view_text("00112G"), &error), ATHENA_BAD_ID);
    ck_assert_str_eq(error.text, "not an actor: character 5 is not lower-case hexadecimal");
}
END_TEST

/* [ASP-ID-6] [ASP-ID-7]: whatever the random bytes, the id is one, and holds 122 bits of them. */
START_TEST(ids_are_made_of_actor_and_random_bytes) {
    char all[ATHENA_CHANGE_ID_TEXT_MAX + 1];
    char one[ATHENA_CHANGE_ID_TEXT_MAX + 1];
    size_t fixed = 0;
    for (size_t bit = 0; bit / 8 < ATHENA_UUID_BYTES; bit++) {
        uint8_t random[ATHENA_UUID_BYTES] = {0};
        ck_assert_int_eq(athena_change_id_make(all, view_text("00ff"), random, NULL), ATHENA_OK);
        random[bit / 8] = (uint8_t)(1u << bit % 8);
        ck_assert_int_eq(athena_change_id_make(one, view_text("00ff"), random, NULL), ATHENA_OK);
        ck_assert_int_eq(athena_change_id_check(view_text(one), NULL), ATHENA_OK);
        ck_assert_int_eq(strncmp(one, "00ff:", 5), 0);
        fixed += strcmp(all, one) == 0;
    }
    ck_assert_uint_eq(fixed, 6);
    char longest[] = HEX32 HEX32 HEX32 HEX32;
    uint8_t random[ATHENA_UUID_BYTES] = {0};
    ck_assert_int_eq(athena_change_id_make(one, view_text(longest), random, NULL), ATHENA_OK);
    ck_assert_uint_eq(strlen(one), ATHENA_CHANGE_ID_TEXT_MAX);
    memcpy(one, "as before", sizeof "as before");
    ck_assert_int_eq(athena_change_id_make(one, view_text("F0"), random, NULL), ATHENA_BAD_ID);
    ck_assert_str_eq(one, "as before");
}
END_TEST

int main(void) {
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_test(all, base64url_of_each_length_is_what_sodium_makes);
    tcase_add_test(all, each_character_at_each_place_is_judged_as_sodium_does);
    tcase_add_test(all, one_byte_and_two_have_one_text_each);
    tcase_add_test(all, base64url_stays_within_its_capacity);
    tcase_add_loop_test(all, identifiers_are_what_the_expressions_say, 0, GRAMMARS);
    tcase_add_test(all, a_token_is_1_to_512_characters_of_its_alphabet);
    tcase_add_test(all, an_actor_is_1_to_64_bytes);
    tcase_add_test(all, ids_are_made_of_actor_and_random_bytes);
    Suite *suite = suite_create("text");
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
