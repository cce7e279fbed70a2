/*
 * The table of codes against the registry of section 14.1 [ASP-ERR-1]: every code of the registry
 * is known, no other is, and what may be tried again is what the text says.
 */
#include "protocol/tests/support.h"
#include "protocol/tests/support_spec.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CODES_MAX = ATHENA_UNKNOWN_CODE + 1 };

static char *spec;

static void set_up(void) {
    spec = (char *)source_read("spec/athena-sync-1.md").at;
}

static void tear_down(void) {
    free(spec);
}

static bool begins_with(struct athena_text_view cell, const char *text) {
    return cell.len >= strlen(text) && memcmp(cell.at, text, strlen(text)) == 0;
}

/* What the last cell of a row tells a client to do. */
static bool may_be_repeated(const struct spec_row *row) {
    struct athena_text_view advice = row->cells[row->len - 1];
    return begins_with(advice, "again later") || begins_with(advice, "connect again");
}

START_TEST(the_registry_is_the_table) {
    struct athena_text_view section = spec_section(spec, "### 14.1. ");
    struct spec_row row;
    bool seen[CODES_MAX] = {false};
    size_t count = 0;
    while (spec_next_row(&section, &row)) {
        struct athena_text_view text = row.cells[0];
        enum athena_code code = athena_code_parse(text);
        ck_assert_msg(code != ATHENA_UNKNOWN_CODE, "%.*s is not known", (int)text.len, text.at);
        ck_assert_msg(cell_is(text, athena_code_text(code)), "%.*s is written %s", (int)text.len,
                      text.at, athena_code_text(code));
        ck_assert_msg(athena_code_is_retryable(code) == may_be_repeated(&row), "%.*s: %.*s",
                      (int)text.len, text.at, (int)row.cells[row.len - 1].len,
                      row.cells[row.len - 1].at);
        ck_assert_msg(!seen[code], "%.*s is there twice", (int)text.len, text.at);
        seen[code] = true;
        count++;
    }
    ck_assert_uint_eq(count, ATHENA_QUOTA); /* those that travel come first */
    for (int code = ATHENA_BAD_MESSAGE; code <= ATHENA_QUOTA; code++)
        ck_assert_msg(seen[code], "%s is not in the registry",
                      athena_code_text((enum athena_code)code));
}
END_TEST

/* Local codes have a name for logs, and no place on the wire. */
START_TEST(local_codes_do_not_travel) {
    for (int code = ATHENA_OK; code < CODES_MAX; code++) {
        const char *text = athena_code_text((enum athena_code)code);
        bool travels = code >= ATHENA_BAD_MESSAGE && code <= ATHENA_QUOTA;
        ck_assert(text && *text && strspn(text, "abcdefghijklmnopqrstuvwxyz-") == strlen(text));
        ck_assert_int_eq(athena_code_parse(view_text(text)), travels ? code : ATHENA_UNKNOWN_CODE);
        for (int other = ATHENA_OK; other < code; other++)
            ck_assert_str_ne(text, athena_code_text((enum athena_code)other));
    }
    ck_assert_str_eq(athena_code_text((enum athena_code)CODES_MAX), "unknown-code");
    ck_assert_str_eq(athena_code_text((enum athena_code) - 1), "unknown-code");
    ck_assert(!athena_code_is_retryable((enum athena_code)CODES_MAX));
    ck_assert(!athena_code_is_retryable((enum athena_code) - 1));
}
END_TEST

START_TEST(codes_are_compared_byte_by_byte) {
    static const struct athena_text_view others[] = {
        {"", 0},       {"Quota", 5},   {"quota ", 6},      {" quota", 6},      {"quot", 4},
        {"quotas", 6}, {"quota\0", 6}, {"bad_change", 10}, {"badmessage", 10}, {"ok", 2}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        ck_assert_int_eq(athena_code_parse(others[i]), ATHENA_UNKNOWN_CODE);
}
END_TEST

int main(void) {
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_test(all, the_registry_is_the_table);
    tcase_add_test(all, local_codes_do_not_travel);
    tcase_add_test(all, codes_are_compared_byte_by_byte);
    Suite *suite = suite_create("error");
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
