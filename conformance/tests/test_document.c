/* Keys, proof, envelope, digest and base64url against fixtures/vectors; and seeded entropy. */
#include "conformance/base64url.h"
#include "conformance/document.h"
#include "conformance/entropy.h"
#include "conformance/file.h"
#include "conformance/tests/support_main.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static cJSON *load_vectors(const char *name) {
    char *error = NULL;
    char *relative = memory_format("fixtures/vectors/%s.json", name);
    char *path = support_source(relative);
    cJSON *vectors = file_read_json(path, &error);
    ck_assert_msg(vectors != NULL, "%s", error);
    free(relative);
    free(path);
    return vectors;
}

static const char *text_of(const cJSON *vector, const char *name) {
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(vector, name));
}

/* Bytes of a member in hexadecimal, or by the rule {"repeat", "times"}. */
static struct bytes bytes_of(const cJSON *vector, const char *name) {
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(vector, name);
    bool rule = cJSON_IsObject(member);
    const char *hex = rule ? text_of(member, "repeat") : cJSON_GetStringValue(member);
    int times = rule ? cJSON_GetObjectItem(member, "times")->valueint : 1;
    struct bytes out = {0};
    size_t len = 0;
    ck_assert_msg(hex != NULL, "%s: %s", text_of(vector, "name"), name);
    uint8_t *once = memory_take(strlen(hex) / 2);
    ck_assert_int_eq(sodium_hex2bin(once, strlen(hex) / 2, hex, strlen(hex), NULL, &len, NULL), 0);
    for (int i = 0; i < times; i++)
        bytes_append(&out, once, len);
    free(once);
    return out;
}

static void expect_bytes(const cJSON *vector, const char *name, const void *bytes, size_t len) {
    struct bytes expected = bytes_of(vector, name);
    ck_assert_msg(len == expected.len && (len == 0 || memcmp(bytes, expected.at, len) == 0),
                  "%s: %s differs", text_of(vector, "name"), name);
    bytes_fini(&expected);
}

/* Long results are given by their length, hash and ends. */
static void expect_summary(const cJSON *vector, const char *name, const struct bytes *bytes) {
    const cJSON *summary = cJSON_GetObjectItemCaseSensitive(vector, name);
    uint8_t hash[32];
    if (!cJSON_IsObject(summary)) {
        expect_bytes(vector, name, bytes->at, bytes->len);
        return;
    }
    crypto_generichash(hash, sizeof hash, bytes->at, bytes->len, NULL, 0);
    ck_assert_int_eq(cJSON_GetObjectItem(summary, "length")->valueint, (int)bytes->len);
    expect_bytes(summary, "blake2b_256", hash, sizeof hash);
}

static void derive(const cJSON *vector, struct document *document) {
    struct bytes secret = bytes_of(vector, "secret");
    ck_assert_uint_eq(secret.len, DOCUMENT_SECRET_BYTES);
    document_derive(document, secret.at);
    bytes_fini(&secret);
}

START_TEST(keys_fit_the_vectors) {
    cJSON *file = load_vectors("keys");
    const cJSON *vector;
    cJSON_ArrayForEach(vector, cJSON_GetObjectItem(file, "vectors")) {
        struct document document;
        derive(vector, &document);
        expect_bytes(vector, "doc", document.id, sizeof document.id);
        expect_bytes(vector, "sign_seed", document.sign_key, 32);
        expect_bytes(vector, "content_key", document.content_key, sizeof document.content_key);
        expect_bytes(vector, "nonce_key", document.nonce_key, sizeof document.nonce_key);
        char *text = base64url_encode(document.id, sizeof document.id);
        ck_assert_str_eq(text, text_of(vector, "doc_text"));
        free(text);
    }
    cJSON_Delete(file);
}
END_TEST

START_TEST(envelopes_fit_the_vectors) {
    cJSON *file = load_vectors("envelope");
    const cJSON *vector;
    cJSON_ArrayForEach(vector, cJSON_GetObjectItem(file, "valid")) {
        struct document document;
        struct bytes plain = bytes_of(vector, "plain");
        struct bytes data = {0};
        derive(vector, &document);
        document_seal(&document, text_of(vector, "id"), plain.at, plain.len, &data);
        expect_summary(vector, "data", &data);
        bytes_fini(&plain);
        bytes_fini(&data);
    }
    cJSON_Delete(file);
}
END_TEST

START_TEST(proofs_fit_the_vectors) {
    cJSON *file = load_vectors("proof");
    const cJSON *vector;
    unsigned made = 0;
    cJSON_ArrayForEach(vector, cJSON_GetObjectItem(file, "vectors")) {
        struct document document;
        uint8_t proof[DOCUMENT_PROOF_BYTES];
        if (text_of(vector, "secret") == NULL)
            continue;
        struct bytes challenge = bytes_of(vector, "challenge");
        derive(vector, &document);
        document_prove(&document, challenge.at, challenge.len, document.id,
                       text_of(vector, "authority"), proof);
        expect_bytes(vector, "proof", proof, sizeof proof);
        bytes_fini(&challenge);
        made++;
    }
    ck_assert_uint_gt(made, 0);
    cJSON_Delete(file);
}
END_TEST

/* The equation of RFC 8032 holds: only what the point is forbids it. */
START_TEST(proof_by_the_neutral_element_is_a_trap) {
    static const uint8_t secret[DOCUMENT_SECRET_BYTES] = {1, 2, 3};
    static const uint8_t challenge[32] = {4};
    static const uint8_t neutral[32] = {1};
    uint8_t proof[DOCUMENT_PROOF_BYTES];
    uint8_t left[32];
    uint8_t right[32];
    uint8_t k[64];
    struct document document;
    document_derive(&document, secret);
    document_prove_by_neutral(&document, challenge, sizeof challenge, "a", neutral, proof);
    uint8_t message[19 + 32 + 32 + 1] = "athena-sync/1 open";
    memcpy(message + 19, challenge, 32);
    memcpy(message + 51, document.id, 32);
    message[83] = 'a';
    uint8_t hashed[64 + sizeof message];
    memcpy(hashed, neutral, 32);
    memcpy(hashed + 32, document.id, 32);
    memcpy(hashed + 64, message, sizeof message);
    crypto_hash_sha512(k, hashed, sizeof hashed);
    crypto_core_ed25519_scalar_reduce(k, k);
    ck_assert_int_eq(crypto_scalarmult_ed25519_base_noclamp(left, proof + 32), 0);
    ck_assert_int_eq(crypto_scalarmult_ed25519_noclamp(right, k, document.id), 0);
    ck_assert_mem_eq(left, right, sizeof left); /* [S]B = [k]A, and R adds nothing */
    ck_assert_mem_eq(proof, neutral, sizeof neutral);
    ck_assert_int_ne(crypto_sign_verify_detached(proof, message, sizeof message, document.id), 0);
}
END_TEST

START_TEST(digests_fit_the_vectors) {
    cJSON *file = load_vectors("digest");
    const cJSON *vector;
    cJSON_ArrayForEach(vector, cJSON_GetObjectItem(file, "items")) {
        uint8_t digest[DOCUMENT_DIGEST_BYTES] = {0};
        struct bytes data = bytes_of(vector, "data");
        document_digest_add(digest, text_of(vector, "id"), data.at, data.len);
        expect_bytes(vector, "item_hash", digest, sizeof digest);
        bytes_fini(&data);
    }
    cJSON_Delete(file);
}
END_TEST

/* The sum of the first two items is in the specification's appendix A.4. */
START_TEST(digests_add_up) {
    cJSON *file = load_vectors("digest");
    const cJSON *items = cJSON_GetObjectItem(file, "items");
    uint8_t digest[DOCUMENT_DIGEST_BYTES] = {0};
    for (int i = 0; i < 2; i++) {
        struct bytes data = bytes_of(cJSON_GetArrayItem(items, i), "data");
        document_digest_add(digest, text_of(cJSON_GetArrayItem(items, i), "id"), data.at, data.len);
        bytes_fini(&data);
    }
    char *text = base64url_encode(digest, sizeof digest);
    ck_assert_str_eq(text, "DC-F3RqR1G9VGud_tfgpJmuaOFtB6NBlLO8p6tZZfIc");
    free(text);
    cJSON_Delete(file);
}
END_TEST

START_TEST(padded_lengths_fit_the_vectors) {
    cJSON *file = load_vectors("padding");
    const cJSON *vector;
    cJSON_ArrayForEach(vector, cJSON_GetObjectItem(file, "vectors")) {
        size_t plain = (size_t)cJSON_GetObjectItem(vector, "plain")->valuedouble;
        size_t padded = (size_t)cJSON_GetObjectItem(vector, "padded")->valuedouble;
        ck_assert_uint_eq(document_padded_bytes(plain), padded);
    }
    cJSON_Delete(file);
}
END_TEST

START_TEST(base64url_fits_the_vectors) {
    cJSON *file = load_vectors("ids");
    const cJSON *vector;
    cJSON_ArrayForEach(vector, cJSON_GetObjectItem(file, "base64url")) {
        struct bytes bytes = {0};
        const char *text = text_of(vector, "text");
        if (text == NULL)
            continue; /* holds a NUL: no text of ours can */
        bool valid = cJSON_IsTrue(cJSON_GetObjectItem(vector, "valid"));
        ck_assert_msg(base64url_decode(text, &bytes) == valid, "%s", text_of(vector, "name"));
        if (valid)
            expect_bytes(vector, "bytes", bytes.at, bytes.len);
        bytes_fini(&bytes);
    }
    cJSON_Delete(file);
}
END_TEST

static void draw(uint64_t seed, const char *label, uint8_t out[static 64]) {
    struct entropy entropy;
    entropy_init(&entropy, seed, label);
    entropy_fill(&entropy, out, 64);
}

START_TEST(entropy_repeats_with_its_seed) {
    struct entropy entropy;
    uint8_t first[64];
    uint8_t other[64];
    draw(7, "live/relay", first);
    draw(7, "live/relay", other);
    ck_assert_mem_eq(first, other, sizeof first);
    draw(8, "live/relay", other);
    ck_assert_mem_ne(first, other, sizeof first);
    draw(7, "live/other", other);
    ck_assert_mem_ne(first, other, sizeof first);
    entropy_init(&entropy, 7, "live/relay");
    entropy_fill(&entropy, other, sizeof other);
    entropy_fill(&entropy, other, sizeof other);
    ck_assert_mem_ne(first, other, sizeof first);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("document");
    support_add(suite, "keys", keys_fit_the_vectors);
    support_add(suite, "envelopes", envelopes_fit_the_vectors);
    support_add(suite, "proofs", proofs_fit_the_vectors);
    support_add(suite, "neutral", proof_by_the_neutral_element_is_a_trap);
    support_add(suite, "digests", digests_fit_the_vectors);
    support_add(suite, "sums", digests_add_up);
    support_add(suite, "padding", padded_lengths_fit_the_vectors);
    support_add(suite, "base64url", base64url_fits_the_vectors);
    support_add(suite, "entropy", entropy_repeats_with_its_seed);
    return support_main(suite);
}
