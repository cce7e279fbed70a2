/*
 * Sealing and opening [ASP-ENV-1] to [ASP-ENV-9], beside the vectors: every bit, every length,
 * every border of the padding, and envelopes of valid tag that were not made by the rules.
 */
#include "protocol/tests/support.h"

#include <check.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define UUID      "7d444840-9dc0-41d1-b245-5ffdce74fad2"
#define HEX32     "0123456789abcdef0123456789abcdef"
#define SHORT     "shorter than any envelope"
#define TAG       "does not authenticate: another key, document or id, or altered bytes"
#define NONCE     "the nonce is not the one this content has"
#define PADDING   "the padding does not end in 0x80 and zeros"
#define PADDED    "the padded length is not the one this content has"
#define UNTOUCHED 0xa5

static struct athena_keys keys;
static struct athena_text_view id;

static struct athena_keys keys_of(uint8_t seed) {
    uint8_t secret[ATHENA_SECRET_BYTES] = {seed};
    struct athena_keys derived;
    athena_keys_derive(&derived, secret);
    return derived;
}

static void set_up(void) {
    ck_assert_int_ge(sodium_init(), 0);
    keys = keys_of(1);
    id = view_text("00ff:" UUID);
}

static struct bytes allocate(size_t len) {
    struct bytes bytes = {malloc(len ? len : 1), len};
    ck_assert_ptr_nonnull(bytes.at);
    return bytes;
}

/* So many bytes of a plaintext, the same each time; the last is zero, like padding. */
static struct bytes plain_of(size_t len) {
    struct bytes plain = allocate(len);
    randombytes_buf_deterministic(plain.at, len, (uint8_t[randombytes_SEEDBYTES]){7});
    if (len)
        plain.at[len - 1] = 0;
    return plain;
}

static struct bytes seal(struct bytes plain) {
    struct bytes data = allocate(athena_envelope_len(plain.len));
    ck_assert_int_eq(athena_envelope_seal(data.at, &keys, id, view_bytes(plain)), ATHENA_OK);
    return data;
}

static void expect_opens(struct bytes data, struct bytes plain) {
    struct bytes opened = allocate(data.len);
    size_t len = SIZE_MAX;
    struct athena_error error = {0};
    enum athena_code code =
        athena_envelope_open(opened.at, &len, &keys, id, view_bytes(data), &error);
    ck_assert_msg(code == ATHENA_OK, "%zu bytes: %s", plain.len, error.text);
    ck_assert_uint_eq(len, plain.len);
    ck_assert(memcmp(opened.at, plain.at, len) == 0);
    free(opened.at);
}

/* Refused for this reason, with nothing of the plaintext to be seen [ASP-ENV-9]. */
static void expect_refused_as(const struct athena_keys *with, struct athena_text_view as,
                              struct bytes data, const char *reason) {
    struct bytes opened = allocate(data.len);
    memset(opened.at, UNTOUCHED, opened.len);
    size_t len = SIZE_MAX;
    struct athena_error error = {0};
    struct athena_bytes_view view = view_bytes(data);
    enum athena_code code = athena_envelope_open(opened.at, &len, with, as, view, &error);
    if (code != ATHENA_BAD_ENVELOPE || error.code != code || len != SIZE_MAX)
        ck_abort_msg("%zu bytes are not refused: %s", data.len, reason);
    if (strcmp(error.text, reason) != 0)
        ck_abort_msg("%s, not %s", error.text, reason);
    for (size_t i = 0; i < opened.len; i++)
        if (opened.at[i] != 0 && opened.at[i] != UNTOUCHED)
            ck_abort_msg("%s: plaintext is left", reason);
    ck_assert_int_eq(athena_envelope_open(opened.at, &len, with, as, view, NULL), code);
    free(opened.at);
}

static void expect_refused(struct bytes data, const char *reason) {
    expect_refused_as(&keys, id, data, reason);
}

/* ---- By hand: sections 4.2 and 4.3 in libsodium's words ---- */

static void append(struct athena_buf *buf, const void *bytes, size_t len) {
    athena_buf_append(buf, bytes, len);
    ck_assert(!buf->failed);
}

static struct athena_buf associated_data(void) {
    struct athena_buf ad = {0};
    append(&ad, "athena-sync/1 change\0\x01", 22);
    append(&ad, keys.doc, sizeof keys.doc);
    append(&ad, id.at, id.len);
    return ad;
}

static void make_nonce(uint8_t nonce[static 24], const struct athena_buf *ad, struct bytes padded) {
    struct athena_buf input = {0};
    uint8_t hash[32];
    append(&input, ad->at, ad->len);
    append(&input, "", 1);
    append(&input, padded.at, padded.len);
    crypto_generichash(hash, sizeof hash, (const uint8_t *)input.at, input.len, keys.nonce_key,
                       sizeof keys.nonce_key);
    memcpy(nonce, hash, 24);
    athena_buf_fini(&input);
}

/* An envelope of valid tag around any padded bytes; `nonce` NULL for the right one. */
static struct bytes forge(struct bytes padded, const uint8_t *nonce) {
    struct athena_buf ad = associated_data();
    struct bytes data = allocate(1 + 24 + padded.len + 16);
    data.at[0] = 1;
    make_nonce(data.at + 1, &ad, padded);
    if (nonce)
        memcpy(data.at + 1, nonce, 24);
    crypto_aead_xchacha20poly1305_ietf_encrypt(data.at + 25, NULL, padded.at, padded.len,
                                               (const uint8_t *)ad.at, ad.len, NULL, data.at + 1,
                                               keys.content_key);
    athena_buf_fini(&ad);
    return data;
}

static size_t log2_of(size_t value) {
    return 63 - (size_t)__builtin_clzll(value);
}

static size_t padded_length(size_t plain_len) {
    size_t unit = (size_t)1 << (log2_of(plain_len + 1) - log2_of(log2_of(plain_len + 1)) - 1);
    size_t padme = (plain_len + unit) / unit * unit;
    return padme < 128 ? 128 : padme;
}

static struct bytes pad(struct bytes plain, size_t padded_len) {
    struct bytes padded = allocate(padded_len);
    memset(padded.at, 0, padded_len);
    memcpy(padded.at, plain.at, plain.len);
    padded.at[plain.len] = 0x80;
    return padded;
}

/* ---- What is made ---- */

START_TEST(padded_lengths_are_those_of_the_formula) {
    for (size_t len = 3; len < 300000; len++)
        if (athena_padded_len(len) != padded_length(len))
            ck_abort_msg("%zu bytes are padded to %zu", len, athena_padded_len(len));
    for (size_t power = 20; power < 48; power++)
        for (size_t off = 0; off < 5; off++) {
            size_t len = ((size_t)1 << power) + off - 2;
            ck_assert_uint_eq(athena_padded_len(len), padded_length(len));
            ck_assert_uint_le(athena_padded_len(len) - len, len / 8); /* "about 12 %" */
        }
}
END_TEST

/* Around each border of the padding, with the shortest and the longest id. */
START_TEST(envelopes_are_as_made_by_hand) {
    static const char *const ids[] = {"00:" UUID, HEX32 HEX32 HEX32 HEX32 ":" UUID};
    for (size_t which = 0; which < 2; which++) {
        id = view_text(ids[which]);
        for (size_t len = 0; len < 600; len++) {
            struct bytes plain = plain_of(len);
            struct bytes padded = pad(plain, len < 3 ? 128 : padded_length(len));
            struct bytes expected = forge(padded, NULL);
            struct bytes data = seal(plain);
            if (data.len != expected.len || memcmp(data.at, expected.at, data.len) != 0)
                ck_abort_msg("the envelope of %zu bytes", len);
            expect_opens(data, plain);
            free(plain.at);
            free(padded.at);
            free(expected.at);
            free(data.at);
        }
    }
}
END_TEST

/* A crash, a retry or another device give the same bytes; another id, others altogether. */
START_TEST(sealing_is_deterministic) {
    struct bytes plain = plain_of(300);
    struct bytes once = seal(plain);
    struct bytes twice = seal(plain);
    ck_assert_mem_eq(once.at, twice.at, once.len);
    id = view_text("00fe:" UUID);
    struct bytes other = seal(plain);
    ck_assert(memcmp(once.at + 1, other.at + 1, 24) != 0);
    ck_assert(memcmp(once.at + 25, other.at + 25, 24) != 0);
    free(plain.at);
    free(once.at);
    free(twice.at);
    free(other.at);
}
END_TEST

/* The largest plaintext of the reference server's `limits.change`, whole. */
START_TEST(a_mebibyte_is_sealed_and_opened) {
    struct bytes plain = plain_of((size_t)1 << 20);
    struct bytes data = seal(plain);
    ck_assert_uint_eq(data.len, 1081385);
    expect_opens(data, plain);
    data.at[data.len - 17] ^= 1; /* the last byte of the padding */
    expect_refused(data, TAG);
    free(data.at);
    free(plain.at);
}
END_TEST

/* ---- What is altered ---- */

START_TEST(no_bit_may_flip) {
    struct bytes plain = plain_of(5);
    struct bytes data = seal(plain);
    for (size_t bit = 0; bit / 8 < data.len; bit++) {
        data.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
        char suite[32];
        snprintf(suite, sizeof suite, "unknown suite %u", (unsigned)data.at[0]);
        expect_refused(data, bit < 8 ? suite : TAG);
        data.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    expect_opens(data, plain);
    free(data.at);
    free(plain.at);
}
END_TEST

/* [ASP-ENV-3] [ASP-ENV-4] */
START_TEST(no_byte_may_be_cut_or_added) {
    struct bytes plain = plain_of(300);
    struct bytes data = seal(plain);
    for (size_t len = 0; len < data.len; len++) {
        struct bytes cut = allocate(len);
        memcpy(cut.at, data.at, len);
        expect_refused(cut, len < 169 ? SHORT : TAG);
        free(cut.at);
    }
    for (size_t more = 1; more < 40; more++) {
        struct bytes longer = allocate(data.len + more);
        memset(longer.at, 0, longer.len);
        memcpy(longer.at, data.at, data.len);
        expect_refused(longer, TAG);
        free(longer.at);
    }
    free(data.at);
    free(plain.at);
}
END_TEST

/* [ASP-ENV-2] [ASP-ENV-5]: the same bytes in another place. */
START_TEST(an_envelope_opens_in_its_place_only) {
    struct bytes plain = plain_of(5);
    struct bytes data = seal(plain);
    struct athena_keys others = keys_of(2);
    expect_refused_as(&others, id, data, TAG);
    struct athena_keys other_document = keys;
    other_document.doc[31] ^= 1;
    expect_refused_as(&other_document, id, data, TAG);
    for (size_t at = 0; at < id.len; at++) {
        char other[64];
        memcpy(other, id.at, id.len);
        other[at] ^= 1;
        expect_refused_as(&keys, (struct athena_text_view){other, id.len}, data, TAG);
    }
    expect_refused_as(&keys, (struct athena_text_view){id.at + 2, id.len - 2}, data, TAG);
    expect_refused_as(&keys, view_text("00ff00:" UUID), data, TAG);
    expect_opens(data, plain);
    free(data.at);
    free(plain.at);
}
END_TEST

/* ---- What has a valid tag and was not made by the rules ---- */

static void expect_forgery_refused(struct bytes padded, const uint8_t *nonce, const char *reason) {
    struct bytes data = forge(padded, nonce);
    expect_refused(data, reason);
    free(data.at);
}

/* [ASP-ENV-6], also before the padding is looked at. */
START_TEST(the_nonce_is_that_of_the_content) {
    struct bytes plain = plain_of(5);
    struct bytes padded = pad(plain, 128);
    struct athena_buf ad = associated_data();
    uint8_t nonce[24];
    make_nonce(nonce, &ad, padded);
    for (size_t bit = 0; bit / 8 < sizeof nonce; bit++) {
        nonce[bit / 8] ^= (uint8_t)(1u << bit % 8);
        expect_forgery_refused(padded, nonce, NONCE);
        nonce[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    padded.at[plain.len] = 0;
    expect_forgery_refused(padded, nonce, NONCE);
    athena_buf_fini(&ad);
    free(padded.at);
    free(plain.at);
}
END_TEST

/* [ASP-ENV-7] */
START_TEST(the_padding_begins_with_0x80) {
    struct bytes padded = allocate(128);
    memset(padded.at, 0, padded.len);
    expect_forgery_refused(padded, NULL, PADDING);
    for (unsigned value = 1; value < 256; value++) {
        if (value == 0x80)
            continue;
        padded.at[5] = (uint8_t)value;
        expect_forgery_refused(padded, NULL, PADDING);
    }
    padded.at[5] = 0x80;
    padded.at[127] = 1; /* not all zeros behind it */
    expect_forgery_refused(padded, NULL, PADDING);
    free(padded.at);
}
END_TEST

/* [ASP-ENV-8]: of all lengths, one. */
START_TEST(the_padded_length_is_that_of_the_content) {
    for (size_t plain_len = 0; plain_len < 300; plain_len += 11) {
        struct bytes plain = plain_of(plain_len);
        size_t right = athena_padded_len(plain_len);
        size_t first = plain_len < 128 ? 128 : plain_len + 1;
        for (size_t padded_len = first; padded_len < 420; padded_len++) {
            struct bytes padded = pad(plain, padded_len);
            struct bytes data = forge(padded, NULL);
            if (padded_len == right)
                expect_opens(data, plain);
            else
                expect_refused(data, PADDED);
            free(data.at);
            free(padded.at);
        }
        free(plain.at);
    }
}
END_TEST

int main(void) {
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, set_up, NULL);
    tcase_add_test(all, padded_lengths_are_those_of_the_formula);
    tcase_add_test(all, envelopes_are_as_made_by_hand);
    tcase_add_test(all, sealing_is_deterministic);
    tcase_add_test(all, a_mebibyte_is_sealed_and_opened);
    tcase_add_test(all, no_bit_may_flip);
    tcase_add_test(all, no_byte_may_be_cut_or_added);
    tcase_add_test(all, an_envelope_opens_in_its_place_only);
    tcase_add_test(all, the_nonce_is_that_of_the_content);
    tcase_add_test(all, the_padding_begins_with_0x80);
    tcase_add_test(all, the_padded_length_is_that_of_the_content);
    Suite *suite = suite_create("envelope");
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
