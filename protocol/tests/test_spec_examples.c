/*
 * What the specification shows is what the code does: every message example decodes, encodes to
 * the same JSON, and every value of the worked example is computed again and found in the text.
 */
#include "protocol/tests/support.h"

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

/* ---- The worked example ---------------------------------------------------------------------- */

enum { HEX_LINE_BYTES = 32 };
static const char change_id[] =
    "a8f5f167f44f4964e6c998dee827110c:7d444840-9dc0-41d1-b245-5ffdce74fad2";
static const struct athena_text_view id = {change_id, sizeof change_id - 1};

static void expect_text(const char *what, const char *text) {
    ck_assert_msg(strstr(spec, text) != NULL, "%s: the specification does not have %s", what, text);
}

/* Expects the bytes as the appendix prints them: hexadecimal, 32 bytes a line. */
static void expect_hex(const char *what, const uint8_t *bytes, size_t len) {
    char text[1024] = "", *at = text;
    ck_assert_uint_lt(len * 2 + len / HEX_LINE_BYTES + 1, sizeof text);
    for (size_t i = 0; i < len; i++)
        at += snprintf(at, 4, "%s%02x", i && i % HEX_LINE_BYTES == 0 ? "\n" : "", bytes[i]);
    expect_text(what, text);
}

static void expect_base64url(const char *what, const uint8_t *bytes, size_t len) {
    char text[512] = "";
    ck_assert_uint_lt(athena_base64url_len(len), sizeof text);
    athena_base64url_encode(text, bytes, len);
    expect_text(what, text);
}

static void count_up(uint8_t *bytes, size_t len, uint8_t first) {
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(first + i);
}

static struct athena_keys example_keys(void) {
    uint8_t secret[ATHENA_SECRET_BYTES];
    struct athena_keys keys;
    count_up(secret, sizeof secret, 0x00);
    athena_keys_derive(&keys, secret);
    return keys;
}

START_TEST(the_keys_are_as_shown) {
    struct athena_keys keys = example_keys();
    expect_hex("sign_seed", keys.sign_key, 32);
    expect_hex("content_key", keys.content_key, 32);
    expect_hex("nonce_key", keys.nonce_key, 32);
    expect_hex("doc", keys.doc, sizeof keys.doc);
    expect_base64url("doc", keys.doc, sizeof keys.doc);
}
END_TEST

START_TEST(the_envelope_and_its_hash_are_as_shown) {
    struct athena_keys keys = example_keys();
    const struct athena_bytes_view plain = {(const uint8_t *)"hello", 5};
    uint8_t data[169], hash[ATHENA_HASH_BYTES];
    ck_assert_uint_eq(athena_envelope_len(plain.len), sizeof data);
    ck_assert_int_eq(athena_envelope_seal(data, &keys, id, plain), ATHENA_OK);
    expect_hex("nonce", data + 1, 24);
    expect_hex("C", data + 25, sizeof data - 25);
    expect_hex("data", data, sizeof data);
    expect_base64url("data", data, sizeof data);
    athena_item_hash(hash, id, (struct athena_bytes_view){data, sizeof data});
    expect_hex("h1", hash, sizeof hash);
}
END_TEST

START_TEST(the_digest_is_as_shown) {
    struct athena_keys keys = example_keys();
    static const char second_id[] =
        "3f1c2a9b5d7e4c608a91b2c3d4e5f607:1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed";
    const struct athena_text_view ids[] = {id, {second_id, sizeof second_id - 1}};
    const char *const words[] = {"hello", "world"};
    struct athena_digest digest = {0};
    for (size_t i = 0; i < 2; i++) {
        uint8_t data[169], hash[ATHENA_HASH_BYTES];
        const struct athena_bytes_view plain = {(const uint8_t *)words[i], 5};
        ck_assert_int_eq(athena_envelope_seal(data, &keys, ids[i], plain), ATHENA_OK);
        athena_item_hash(hash, ids[i], (struct athena_bytes_view){data, sizeof data});
        expect_hex("item hash", hash, sizeof hash);
        athena_digest_add(&digest, hash);
        expect_hex("digest", digest.sum, sizeof digest.sum);
    }
    ck_assert_uint_eq(digest.count, 2);
    expect_base64url("digest", digest.sum, sizeof digest.sum);
}
END_TEST

START_TEST(the_proof_is_as_shown) {
    struct athena_keys keys = example_keys();
    static const char authority[] = "sync.example.org";
    uint8_t challenge[ATHENA_CHALLENGE_BYTES], proof[ATHENA_PROOF_BYTES];
    count_up(challenge, sizeof challenge, 0x20);
    athena_proof_sign(proof, &keys, challenge,
                      (struct athena_text_view){authority, sizeof authority - 1});
    expect_hex("proof", proof, sizeof proof);
    expect_base64url("proof", proof, sizeof proof);
}
END_TEST

/* The number in a cell of a table row, cells counted from 1. */
static unsigned long cell(const char *row, int number) {
    const char *at = row;
    for (int i = 0; i < number; i++) {
        at = strchr(at, '|');
        ck_assert_ptr_nonnull(at);
        at++;
    }
    char *end;
    unsigned long value = strtoul(at, &end, 10);
    ck_assert_ptr_ne(at, end);
    return value;
}

/* Each row of the table of section 4.3: n, PADME, padded length, envelope length. */
START_TEST(the_padded_lengths_are_as_shown) {
    const char *row = strstr(spec, "| ---: | ---: | ---: | ---: |\n");
    ck_assert_ptr_nonnull(row);
    int rows = 0;
    for (row = strchr(row, '\n') + 1; *row == '|'; row = strchr(row, '\n') + 1, rows++) {
        unsigned long plain_len = cell(row, 1);
        ck_assert_uint_eq(athena_padded_len(plain_len), cell(row, 3));
        ck_assert_uint_eq(athena_envelope_len(plain_len), cell(row, 4));
    }
    ck_assert_int_gt(rows, 10);
}
END_TEST

/* Each row of the table of section 7.5: a URL and its authority, both in backquotes. Hosts that are
 * not ASCII may be refused instead. */
START_TEST(the_authorities_are_as_shown) {
    const char *at = strstr(spec, "| URL | authority |\n| --- | --- |\n");
    ck_assert_ptr_nonnull(at);
    char text[256], authority[256];
    int rows = 0;
    for (at = strstr(at, "| `");
         at && sscanf(at, "| `%255[^`]` | `%255[^`]` |", text, authority) == 2;
         at = strchr(at, '\n') + 1, rows++) {
        struct athena_url url;
        struct athena_error error;
        enum athena_code code =
            athena_url_parse(&url, (struct athena_text_view){text, strlen(text)}, &error);
        if (code == ATHENA_BAD_URL && strpbrk(text, "\xc3"))
            continue;
        ck_assert_msg(code == ATHENA_OK, "%s is refused: %s", text, error.text);
        ck_assert_str_eq(url.authority, authority);
    }
    ck_assert_int_gt(rows, 10);
}
END_TEST

int main(void) {
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_test(all, examples_survive_the_codec);
    tcase_add_test(all, the_keys_are_as_shown);
    tcase_add_test(all, the_envelope_and_its_hash_are_as_shown);
    tcase_add_test(all, the_digest_is_as_shown);
    tcase_add_test(all, the_proof_is_as_shown);
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
