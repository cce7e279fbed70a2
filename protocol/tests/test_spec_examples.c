/*
 * What the specification shows is what the code does: every message example decodes and encodes to
 * the same JSON, and every row of its tables of lengths and of authorities is so. The values of the
 * appendices are in test_spec_values.c.
 */
#include "protocol/tests/support.h"
#include "protocol/tests/support_spec.h"

#include <check.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *spec;

static void set_up(void) {
    ck_assert_int_ge(sodium_init(), 0);
    spec = (char *)source_read("spec/athena-sync-1.md").at;
}

static void tear_down(void) {
    free(spec);
    spec = NULL;
}

/* ---- Message examples ------------------------------------------------------------------------ */

struct example {
    struct athena_text_view json;
    enum athena_sender from;
};

/* The next ```json block at or after *at, and who sends it: the arrow in the line before. Moves
 * *at behind it; false at the end. */
static bool next_example(struct example *example, const char **at) {
    static const char open[] = "\n```json\n", close[] = "\n```\n";
    const char *fence = strstr(*at, open);
    if (!fence)
        return false;
    const char *json = fence + strlen(open), *end = strstr(json, close);
    ck_assert_ptr_nonnull(end);
    const char *lead = fence; /* back over the empty line to the start of the line before */
    while (lead > spec && lead[-1] == '\n')
        lead--;
    const char *lead_end = lead;
    while (lead > spec && lead[-1] != '\n')
        lead--;
    size_t lead_len = (size_t)(lead_end - lead);
    bool from_server = memmem(lead, lead_len, "(S→C)", strlen("(S→C)")) != NULL;
    ck_assert_msg(from_server || memmem(lead, lead_len, "(C→S)", strlen("(C→S)")),
                  "an example without a direction: %.*s", (int)lead_len, lead);
    example->from = from_server ? ATHENA_FROM_SERVER : ATHENA_FROM_CLIENT;
    example->json = (struct athena_text_view){json, (size_t)(end - json)};
    *at = end;
    return true;
}

static void check_round_trip(struct athena_decoder *decoder, struct example example, bool *seen) {
    struct athena_message message;
    struct athena_error error = {0};
    enum athena_code code =
        athena_message_decode(&message, decoder, example.from, example.json, &error);
    ck_assert_msg(code == ATHENA_OK, "%s: %s in %.*s", error.where, error.text,
                  (int)example.json.len, example.json.at);
    seen[message.type] = true;
    struct athena_buf out = {0};
    athena_message_encode(&out, &message);
    ck_assert(!out.failed);
    cJSON *given = cJSON_ParseWithLength(example.json.at, example.json.len);
    cJSON *made = cJSON_ParseWithLength(out.at, out.len);
    ck_assert_msg(cJSON_Compare(given, made, true), "%.*s became %.*s", (int)example.json.len,
                  example.json.at, (int)out.len, out.at);
    cJSON_Delete(given);
    cJSON_Delete(made);
    athena_buf_fini(&out);
}

START_TEST(examples_survive_the_codec) {
    struct athena_decoder *decoder = athena_decoder_new();
    bool seen[ATHENA_TYPE_COUNT] = {false};
    const char *at = spec;
    struct example example;
    while (next_example(&example, &at))
        check_round_trip(decoder, example, seen);
    athena_decoder_free(decoder);
    for (int type = ATHENA_TYPE_NONE + 1; type < ATHENA_TYPE_COUNT; type++)
        ck_assert_msg(seen[type], "no example of message type %d", type);
}
END_TEST

/* ---- Tables ---- */

static unsigned long number_in(struct athena_text_view cell) {
    char *end;
    unsigned long value = strtoul(cell.at, &end, 10);
    ck_assert_msg(end == cell.at + cell.len, "%.*s is no number", (int)cell.len, cell.at);
    return value;
}

/* PADME(m) by the very steps of section 4.3. */
static unsigned long padme(unsigned long m) {
    unsigned e = 0;
    unsigned s = 1;
    while (m >> e > 1)
        e++;
    while (e >> s > 0)
        s++;
    unsigned long unit = 1ul << (e > s ? e - s : 0);
    return (m + unit - 1) / unit * unit;
}

/* Each row of the table of section 4.3: n, PADME(n + 1), padded length, envelope length. */
START_TEST(the_padded_lengths_are_as_shown) {
    struct athena_text_view section = spec_section(spec, "### 4.3. ");
    struct spec_row row;
    int rows = 0;
    for (; spec_next_row(&section, &row); rows++) {
        ck_assert_uint_eq(row.len, 4);
        unsigned long plain_len = number_in(row.cells[0]);
        if (plain_len == 0)
            ck_assert(cell_is(row.cells[1], "-")); /* PADME begins at 2 */
        else
            ck_assert_uint_eq(number_in(row.cells[1]), padme(plain_len + 1));
        ck_assert_uint_eq(number_in(row.cells[2]), athena_padded_len(plain_len));
        ck_assert_uint_eq(number_in(row.cells[3]), athena_envelope_len(plain_len));
    }
    ck_assert_int_gt(rows, 10);
}
END_TEST

static bool is_ascii(struct athena_text_view text) {
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.at[i] > 0x7f)
            return false;
    return true;
}

/* Each row of the table of section 7.5: a URL and its authority. One that is not ASCII is refused
 * here, and stands behind its ASCII form. */
START_TEST(the_authorities_are_as_shown) {
    struct athena_text_view section = spec_section(spec, "### 7.5. ");
    struct athena_url url = {.authority = ""};
    struct spec_row row;
    int rows = 0;
    for (; spec_next_row(&section, &row); rows++) {
        struct athena_error error;
        ck_assert_uint_eq(row.len, 2);
        enum athena_code code = athena_url_parse(&url, row.cells[0], &error);
        ck_assert_msg(code == ATHENA_OK || !is_ascii(row.cells[0]), "%.*s is refused: %s",
                      (int)row.cells[0].len, row.cells[0].at, error.text);
        ck_assert_msg(cell_is(row.cells[1], url.authority), "%.*s has %s", (int)row.cells[0].len,
                      row.cells[0].at, url.authority);
    }
    ck_assert_int_gt(rows, 10);
}
END_TEST

int main(void) {
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_test(all, examples_survive_the_codec);
    tcase_add_test(all, the_padded_lengths_are_as_shown);
    tcase_add_test(all, the_authorities_are_as_shown);
    Suite *suite = suite_create("spec examples");
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
