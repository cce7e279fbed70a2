/*
 * The library against fixtures/vectors/, which an implementation made that shares nothing with it.
 * fixtures/vectors/README.md explains the members.
 */
#include "protocol/tests/support.h"

#include <check.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static const char *name_of(const cJSON *vector) {
    return member_text(vector, "name");
}

/* Runs `judge` on each vector of a list of a file, and fails on an empty list. */
static void for_each(const char *path, const char *list, void (*judge)(const cJSON *vector)) {
    cJSON *file = fixture_load(path);
    const cJSON *vector;
    int count = 0;
    cJSON_ArrayForEach(vector, member(file, list)) {
        judge(vector);
        count++;
    }
    ck_assert_msg(count > 0, "%s: no %s", path, list);
    cJSON_Delete(file);
}

static struct athena_keys keys_of(const cJSON *vector) {
    uint8_t secret[ATHENA_SECRET_BYTES];
    struct athena_keys keys;
    member_bytes_into(secret, sizeof secret, vector, "secret");
    athena_keys_derive(&keys, secret);
    return keys;
}

/* ---- keys.json ---- */

static void judge_keys(const cJSON *vector) {
    struct athena_keys keys = keys_of(vector);
    expect_member_bytes(vector, "sign_seed", keys.sign_key, 32);
    expect_member_bytes(vector, "content_key", keys.content_key, sizeof keys.content_key);
    expect_member_bytes(vector, "nonce_key", keys.nonce_key, sizeof keys.nonce_key);
    expect_member_bytes(vector, "doc", keys.doc, sizeof keys.doc);
    char text[ATHENA_DOC_TEXT_LEN + 1];
    athena_doc_format(text, keys.doc);
    ck_assert_str_eq(text, member_text(vector, "doc_text"));
    uint8_t secret[ATHENA_SECRET_BYTES];
    size_t len;
    ck_assert(athena_base64url_decode(secret, sizeof secret, &len,
                                      view_text(member_text(vector, "secret_text"))));
    expect_member_bytes(vector, "secret", secret, len);
}

START_TEST(keys_match) {
    for_each("vectors/keys.json", "vectors", judge_keys);
}
END_TEST

/* ---- ids.json ---- */

/* `text`, or `text_hex` where JSON cannot hold it. Free `at`. */
static struct bytes text_of(const cJSON *vector) {
    const char *text = member_text_or_null(vector, "text");
    if (!text)
        return member_bytes(vector, "text_hex");
    return (struct bytes){(uint8_t *)strdup(text), strlen(text)};
}

static void expect_validity(const cJSON *vector, bool is_valid) {
    ck_assert_msg(is_valid == member_boolean(vector, "valid"), "%s is %s", name_of(vector),
                  is_valid ? "accepted" : "refused");
}

static void judge_document_id(const cJSON *vector) {
    struct bytes text = text_of(vector);
    uint8_t doc[ATHENA_DOC_BYTES];
    struct athena_error error = {0};
    enum athena_code code = athena_doc_parse(doc, view_bytes_as_text(text), &error);
    expect_validity(vector, code == ATHENA_OK);
    if (code == ATHENA_OK) {
        expect_member_bytes(vector, "bytes", doc, sizeof doc);
        char again[ATHENA_DOC_TEXT_LEN + 1];
        athena_doc_format(again, doc);
        ck_assert_str_eq(again, (const char *)text.at);
    } else {
        ck_assert_int_eq(code, ATHENA_BAD_ID);
        ck_assert_uint_gt(strlen(error.text), 0);
    }
    free(text.at);
}

static void judge_change_id(const cJSON *vector) {
    struct bytes text = text_of(vector);
    struct athena_error error = {0};
    enum athena_code code = athena_change_id_check(view_bytes_as_text(text), &error);
    expect_validity(vector, code == ATHENA_OK);
    ck_assert_msg(code == ATHENA_OK || (code == ATHENA_BAD_ID && error.text[0]), "%s",
                  name_of(vector));
    free(text.at);
}

static void judge_cursor(const cJSON *vector) {
    struct bytes text = text_of(vector);
    expect_validity(vector, athena_cursor_is_valid(view_bytes_as_text(text)));
    free(text.at);
}

static void judge_base64url(const cJSON *vector) {
    struct bytes text = text_of(vector);
    uint8_t decoded[512];
    size_t len = 0;
    bool is_valid =
        athena_base64url_decode(decoded, sizeof decoded, &len, view_bytes_as_text(text));
    expect_validity(vector, is_valid);
    if (is_valid) {
        expect_member_bytes(vector, "bytes", decoded, len);
        char again[1024];
        ck_assert_uint_eq(athena_base64url_len(len), text.len);
        athena_base64url_encode(again, decoded, len);
        ck_assert_mem_eq(again, text.at, text.len);
        ck_assert_msg(
            len == 0 || !athena_base64url_decode(decoded, len - 1, &len, view_bytes_as_text(text)),
            "%s: decoded beyond the capacity", name_of(vector));
    }
    free(text.at);
}

static void judge_uuid(const cJSON *vector) {
    uint8_t random[ATHENA_UUID_BYTES];
    member_bytes_into(random, sizeof random, vector, "random");
    static const char actor[] = "c0ffee";
    char id[ATHENA_CHANGE_ID_TEXT_MAX + 1];
    ck_assert_int_eq(athena_change_id_make(id, view_text(actor), random, NULL), ATHENA_OK);
    ck_assert_msg(strcmp(id + strlen(actor) + 1, member_text(vector, "uuid")) == 0, "%s: made %s",
                  name_of(vector), id);
    ck_assert_int_eq(athena_change_id_check(view_text(id), NULL), ATHENA_OK);
}

START_TEST(ids_match) {
    for_each("vectors/ids.json", "document_ids", judge_document_id);
    for_each("vectors/ids.json", "change_ids", judge_change_id);
    for_each("vectors/ids.json", "cursors", judge_cursor);
    for_each("vectors/ids.json", "base64url", judge_base64url);
    for_each("vectors/ids.json", "uuids", judge_uuid);
}
END_TEST

/* ---- authority.json ---- */

static void judge_authority(const cJSON *vector) {
    const char *url = member_text(vector, "url");
    const char *expected = member_text_or_null(vector, "authority");
    bool may_refuse = member_text_or_null(vector, "may_refuse") != NULL;
    struct athena_url parsed;
    struct athena_error error = {0};
    enum athena_code code = athena_url_parse(&parsed, view_text(url), &error);
    if (code) {
        ck_assert_msg(!expected || may_refuse, "%s: %s is refused: %s", name_of(vector), url,
                      error.text);
        ck_assert_int_eq(code, ATHENA_BAD_URL);
        ck_assert_uint_gt(strlen(error.text), 0);
        return;
    }
    ck_assert_msg(expected != NULL, "%s: %s is accepted as %s", name_of(vector), url,
                  parsed.authority);
    ck_assert_msg(strcmp(parsed.authority, expected) == 0, "%s: %s gives %s", name_of(vector), url,
                  parsed.authority);
}

START_TEST(authority_match) {
    for_each("vectors/authority.json", "vectors", judge_authority);
}
END_TEST

/* ---- padding.json ---- */

static void judge_padding(const cJSON *vector) {
    size_t plain_len = member_integer(vector, "plain");
    ck_assert_msg(athena_padded_len(plain_len) == member_integer(vector, "padded") &&
                      athena_envelope_len(plain_len) == member_integer(vector, "envelope"),
                  "%s: padded to %zu", name_of(vector), athena_padded_len(plain_len));
}

START_TEST(padding_match) {
    for_each("vectors/padding.json", "vectors", judge_padding);
}
END_TEST

/* ---- envelope.json ---- */

/* The envelope itself, or its length, hash and ends where it is long. */
static void expect_data(const cJSON *vector, const uint8_t *data, size_t len) {
    const cJSON *expected = member(vector, "data");
    if (cJSON_IsString(expected)) {
        expect_member_bytes(vector, "data", data, len);
        return;
    }
    uint8_t hash[32];
    crypto_generichash(hash, sizeof hash, data, len, NULL, 0);
    uint8_t expected_hash[32];
    member_bytes_into(expected_hash, sizeof expected_hash, expected, "blake2b_256");
    ck_assert_msg(len == member_integer(expected, "length") &&
                      memcmp(hash, expected_hash, sizeof hash) == 0,
                  "%s: data is not as expected", name_of(vector));
}

static void judge_sealing(const cJSON *vector) {
    struct athena_keys keys = keys_of(vector);
    struct athena_text_view id = view_text(member_text(vector, "id"));
    struct bytes plain = member_bytes(vector, "plain");
    size_t data_len = athena_envelope_len(plain.len);
    uint8_t *data = malloc(data_len);
    ck_assert_int_eq(athena_envelope_seal(data, &keys, id, view_bytes(plain)), ATHENA_OK);
    expect_member_bytes(vector, "nonce", data + 1, 24);
    expect_data(vector, data, data_len);

    uint8_t *opened = malloc(data_len);
    size_t opened_len = 0;
    struct athena_error error = {0};
    enum athena_code code = athena_envelope_open(
        opened, &opened_len, &keys, id, (struct athena_bytes_view){data, data_len}, &error);
    ck_assert_msg(code == ATHENA_OK, "%s does not open: %s", name_of(vector), error.text);
    ck_assert_uint_eq(opened_len, plain.len);
    ck_assert(memcmp(opened, plain.at, plain.len) == 0);
    free(opened);
    free(data);
    free(plain.at);
}

/* No plaintext of a refused envelope may be seen [ASP-ENV-9]. */
static void judge_refusal(const cJSON *vector) {
    struct athena_keys keys = keys_of(vector);
    struct athena_text_view id = view_text(member_text(vector, "id"));
    struct bytes data = member_bytes(vector, "data");
    uint8_t *opened = calloc(1, data.len + 1);
    size_t opened_len = SIZE_MAX;
    struct athena_error error = {0};
    enum athena_code code =
        athena_envelope_open(opened, &opened_len, &keys, id, view_bytes(data), &error);
    ck_assert_msg(code == ATHENA_BAD_ENVELOPE, "%s is not refused", name_of(vector));
    ck_assert_uint_gt(strlen(error.text), 0);
    ck_assert_uint_eq(opened_len, SIZE_MAX);
    ck_assert_msg(sodium_is_zero(opened, data.len), "%s leaves plaintext behind", name_of(vector));
    free(opened);
    free(data.at);
}

START_TEST(envelope_match) {
    for_each("vectors/envelope.json", "valid", judge_sealing);
    for_each("vectors/envelope.json", "refused", judge_refusal);
}
END_TEST

/* ---- proof.json ---- */

static void judge_proof(const cJSON *vector) {
    uint8_t doc[ATHENA_DOC_BYTES];
    uint8_t challenge[ATHENA_CHALLENGE_BYTES];
    uint8_t proof[ATHENA_PROOF_BYTES];
    member_bytes_into(doc, sizeof doc, vector, "doc");
    member_bytes_into(challenge, sizeof challenge, vector, "challenge");
    member_bytes_into(proof, sizeof proof, vector, "proof");
    struct athena_text_view authority = view_text(member_text(vector, "authority"));
    expect_validity(vector, athena_proof_verify(proof, doc, challenge, authority));
    if (!cJSON_HasObjectItem(vector, "secret"))
        return;
    struct athena_keys keys = keys_of(vector);
    uint8_t made[ATHENA_PROOF_BYTES];
    athena_proof_sign(made, &keys, challenge, authority);
    expect_member_bytes(vector, "proof", made, sizeof made);
}

START_TEST(proof_match) {
    for_each("vectors/proof.json", "vectors", judge_proof);
}
END_TEST

/* ---- digest.json ---- */

static void judge_item(const cJSON *vector) {
    struct bytes data = member_bytes(vector, "data");
    uint8_t hash[ATHENA_HASH_BYTES];
    athena_item_hash(hash, view_text(member_text(vector, "id")), view_bytes(data));
    expect_member_bytes(vector, "item_hash", hash, sizeof hash);
    free(data.at);
}

/* Adds the hashes, compares, and removes them again in the order they came. */
static void judge_sum(const cJSON *vector) {
    struct athena_digest digest = {0};
    const struct athena_digest empty = {0};
    const cJSON *hash;
    cJSON_ArrayForEach(hash, member(vector, "item_hashes")) {
        struct bytes bytes = bytes_of(hash);
        athena_digest_add(&digest, bytes.at);
        free(bytes.at);
    }
    ck_assert_uint_eq(digest.count, member_integer(vector, "count"));
    expect_member_bytes(vector, "digest", digest.sum, sizeof digest.sum);
    char text[ATHENA_DOC_TEXT_LEN + 1] = "";
    athena_base64url_encode(text, digest.sum, sizeof digest.sum);
    ck_assert_str_eq(text, member_text(vector, "digest_text"));
    cJSON_ArrayForEach(hash, member(vector, "item_hashes")) {
        ck_assert(!athena_digest_equal(&digest, &empty)); /* the count differs in any case */
        struct bytes bytes = bytes_of(hash);
        athena_digest_remove(&digest, bytes.at);
        free(bytes.at);
    }
    ck_assert(athena_digest_equal(&digest, &empty));
}

START_TEST(digest_match) {
    for_each("vectors/digest.json", "items", judge_item);
    for_each("vectors/digest.json", "sums", judge_sum);
}
END_TEST

static void set_up(void) {
    ck_assert_int_ge(sodium_init(), 0);
}

int main(void) {
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, set_up, NULL);
    tcase_add_test(all, keys_match);
    tcase_add_test(all, ids_match);
    tcase_add_test(all, authority_match);
    tcase_add_test(all, padding_match);
    tcase_add_test(all, envelope_match);
    tcase_add_test(all, proof_match);
    tcase_add_test(all, digest_match);
    Suite *suite = suite_create("vectors");
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
