/* Keys, proof, envelope and digest against the worked example of the specification. */
#include "conformance/base64url.h"
#include "conformance/document.h"
#include "conformance/entropy.h"
#include "conformance/tests/support_main.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static const char CHANGE_ID[] =
    "a8f5f167f44f4964e6c998dee827110c:7d444840-9dc0-41d1-b245-5ffdce74fad2";
static const char DATA[] =
    "AfscS6gmHMQKAB64-BxXhE0BccqisVVyfNyf13LpNI51PRFB_-DKzfzoqAExQI4sYsiz96bj3R9TTtpPOp-"
    "8DsdfZRTOGb_ZdIMp7UgZQMY0CS5y0XiK6C0zEtrJtICFhARg91xwRQLy-kCkSRNFT2xmftHN4tFpHPeGNO"
    "EzKLZLWQFX1Bvre0ZmNR215mhgnW2cmHGFTxX4IgXg7a1qj2GTjgA1OurqRA";
static const char PROOF[] =
    "3zy2yMHY-MpljV9LCkTDC7sQhYomhcv9kRt8a6Gsc_8F_lHnyMrWf4sCqkJJzICepsw8Hu3ZzPEnpfQsgpSyCw";

static void derive_example(struct document *document) {
    uint8_t secret[DOCUMENT_SECRET_BYTES];
    for (size_t i = 0; i < sizeof secret; i++)
        secret[i] = (uint8_t)i;
    document_derive(document, secret);
}

static void assert_text(const void *bytes, size_t len, const char *expected) {
    char *text = base64url_encode(bytes, len);
    ck_assert_str_eq(text, expected);
    free(text);
}

START_TEST(keys_of_the_example) {
    struct document document;
    derive_example(&document);
    assert_text(document.id, sizeof document.id, "G5M8PUoqJGxKDJWr_JXtK_rDcpUvX6Xfyf5FoMlScfI");
}
END_TEST

START_TEST(envelope_of_the_example) {
    struct document document;
    struct bytes data = {0};
    derive_example(&document);
    document_seal(&document, CHANGE_ID, (const uint8_t *)"hello", 5, &data);
    assert_text(data.at, data.len, DATA);
    bytes_fini(&data);
}
END_TEST

START_TEST(proof_of_the_example) {
    struct document document;
    uint8_t challenge[32];
    uint8_t proof[DOCUMENT_PROOF_BYTES];
    derive_example(&document);
    for (size_t i = 0; i < sizeof challenge; i++)
        challenge[i] = (uint8_t)(0x20 + i);
    document_prove(&document, challenge, sizeof challenge, document.id, "sync.example.org", proof);
    assert_text(proof, sizeof proof, PROOF);
}
END_TEST

START_TEST(digest_of_the_example) {
    uint8_t digest[DOCUMENT_DIGEST_BYTES] = {0};
    struct bytes data = {0};
    ck_assert(base64url_decode(DATA, &data));
    document_digest_add(digest, CHANGE_ID, data.at, data.len);
    assert_text(digest, sizeof digest, "3NNA8e0w9P-mVDa1yqJui1upvluQqefC4LXCbXkV1xY");
    bytes_fini(&data);
}
END_TEST

START_TEST(padded_lengths_of_the_table) {
    static const size_t table[][2] = {
        {0, 128},     {1, 128},     {126, 128},     {127, 128},         {128, 144},
        {143, 144},   {144, 160},   {255, 256},     {256, 272},         {1000, 1024},
        {1023, 1024}, {1024, 1088}, {65535, 65536}, {1048575, 1048576}, {1048576, 1081344}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        ck_assert_uint_eq(document_padded_bytes(table[i][0]), table[i][1]);
}
END_TEST

START_TEST(base64url_is_canonical) {
    static const char *const refused[] = {
        "A", "AB", "AAB", "AA==", "AA+A", "AA/A", "AA A", "AAAAA"};
    struct bytes bytes = {0};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        ck_assert_msg(!base64url_decode(refused[i], &bytes), "%s", refused[i]);
    ck_assert_uint_eq(bytes.len, 0);
    ck_assert(base64url_decode("AA", &bytes) && base64url_decode("AAA", &bytes));
    ck_assert(base64url_decode("", &bytes) && base64url_decode("-_-_", &bytes));
    ck_assert_uint_eq(bytes.len, 1 + 2 + 0 + 3);
    bytes_fini(&bytes);
}
END_TEST

START_TEST(entropy_repeats_with_its_seed) {
    struct entropy a;
    struct entropy b;
    uint8_t from_a[64];
    uint8_t from_b[64];
    entropy_init(&a, 7, "live/relay");
    entropy_init(&b, 7, "live/relay");
    entropy_fill(&a, from_a, sizeof from_a);
    entropy_fill(&b, from_b, sizeof from_b);
    ck_assert_mem_eq(from_a, from_b, sizeof from_a);
    entropy_fill(&a, from_a, sizeof from_a);
    ck_assert_mem_ne(from_a, from_b, sizeof from_a);
    entropy_init(&b, 8, "live/relay");
    entropy_fill(&b, from_a, sizeof from_a);
    ck_assert_mem_ne(from_a, from_b, sizeof from_a);
    entropy_init(&b, 7, "live/other");
    entropy_fill(&b, from_a, sizeof from_a);
    ck_assert_mem_ne(from_a, from_b, sizeof from_a);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("document");
    support_add(suite, "keys", keys_of_the_example);
    support_add(suite, "envelope", envelope_of_the_example);
    support_add(suite, "proof", proof_of_the_example);
    support_add(suite, "digest", digest_of_the_example);
    support_add(suite, "padding", padded_lengths_of_the_table);
    support_add(suite, "base64url", base64url_is_canonical);
    support_add(suite, "entropy", entropy_repeats_with_its_seed);
    return support_main(suite);
}
