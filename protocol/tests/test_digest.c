/*
 * Item hashes and digests [ASP-DIG-1] [ASP-DIG-2] [ASP-DIG-3], computed a second time: the input
 * of the hash put together as section 5 says, the sum digit by digit as on paper.
 */
#include "protocol/tests/support.h"

#include <check.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { ITEMS = 200, HASH = ATHENA_HASH_BYTES };

static void set_up(void) {
    ck_assert_int_ge(sodium_init(), 0);
}

static void randomize(uint8_t *at, size_t len, uint32_t number) {
    uint8_t seed[randombytes_SEEDBYTES] = {(uint8_t)number, (uint8_t)(number >> 8), 1};
    randombytes_buf_deterministic(at, len, seed);
}

/* The sum of `count` hashes, the last digit first, in base 256; what is carried out is lost. */
static void sum_on_paper(uint8_t sum[static HASH], const uint8_t (*hashes)[HASH], size_t count) {
    size_t carry = 0;
    for (size_t digit = 0; digit < HASH; digit++) {
        size_t column = carry;
        for (size_t i = 0; i < count; i++)
            column += hashes[i][digit];
        sum[digit] = (uint8_t)(column % 256);
        carry = column / 256;
    }
}

static void expect_sum(const struct athena_digest *digest, const uint8_t (*hashes)[HASH],
                       size_t count) {
    uint8_t sum[HASH];
    sum_on_paper(sum, hashes, count);
    ck_assert_uint_eq(digest->count, count);
    ck_assert_mem_eq(digest->sum, sum, HASH);
}

static struct athena_digest digest_of(const uint8_t (*hashes)[HASH], size_t count) {
    struct athena_digest digest = {0};
    for (size_t i = 0; i < count; i++)
        athena_digest_add(&digest, hashes[i]);
    return digest;
}

/* ---- Item hashes ---- */

static void hash_by_hand(uint8_t hash[static HASH], struct athena_text_view id,
                         struct athena_bytes_view data) {
    struct athena_buf input = {0};
    athena_buf_append(&input, "athena-sync/1 item\0", 19);
    athena_buf_append(&input, id.at, id.len);
    athena_buf_append(&input, "\0", 1);
    athena_buf_append(&input, data.at, data.len);
    ck_assert(!input.failed);
    crypto_generichash(hash, HASH, (const uint8_t *)input.at, input.len, NULL, 0);
    athena_buf_fini(&input);
}

START_TEST(an_item_hash_covers_id_and_bytes) {
    static const char *const ids[] = {"00:7d444840-9dc0-41d1-b245-5ffdce74fad2",
                                      "00ff:7d444840-9dc0-41d1-b245-5ffdce74fad2"};
    static uint8_t bytes[100000];
    static const size_t lens[] = {1, 2, 63, 64, 127, 128, 129, 169, 1065, sizeof bytes};
    randomize(bytes, sizeof bytes, 0);
    for (size_t which = 0; which < 2; which++)
        for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
            struct athena_bytes_view data = {bytes, lens[i]};
            uint8_t expected[HASH];
            uint8_t hash[HASH];
            hash_by_hand(expected, view_text(ids[which]), data);
            athena_item_hash(hash, view_text(ids[which]), data);
            ck_assert_mem_eq(hash, expected, HASH);
            athena_item_hash(hash, view_text(ids[!which]), data);
            ck_assert(memcmp(hash, expected, HASH) != 0);
            bytes[lens[i] - 1] ^= 1;
            athena_item_hash(hash, view_text(ids[which]), data);
            ck_assert(memcmp(hash, expected, HASH) != 0);
            bytes[lens[i] - 1] ^= 1;
        }
}
END_TEST

/* ---- Sums ---- */

START_TEST(a_digest_is_the_sum_and_the_count) {
    static uint8_t hashes[ITEMS][HASH];
    struct athena_digest digest = {0};
    randomize(hashes[0], sizeof hashes, 1);
    expect_sum(&digest, hashes, 0);
    for (size_t i = 0; i < ITEMS; i++) {
        athena_digest_add(&digest, hashes[i]);
        expect_sum(&digest, hashes, i + 1);
    }
    for (size_t i = ITEMS; i-- > 0;) {
        athena_digest_remove(&digest, hashes[i]);
        expect_sum(&digest, hashes, i);
    }
}
END_TEST

static void shuffle(uint8_t (*hashes)[HASH], uint32_t number) {
    uint32_t random[ITEMS];
    randomize((uint8_t *)random, sizeof random, number);
    for (size_t i = ITEMS - 1; i > 0; i--) {
        size_t other = random[i] % (i + 1);
        uint8_t kept[HASH];
        memcpy(kept, hashes[i], HASH);
        memcpy(hashes[i], hashes[other], HASH);
        memcpy(hashes[other], kept, HASH);
    }
}

/* Any order of adding, and of removing some of them again. */
START_TEST(the_order_does_not_matter) {
    static uint8_t hashes[ITEMS][HASH];
    randomize(hashes[0], sizeof hashes, 2);
    struct athena_digest expected = digest_of(hashes, ITEMS);
    for (uint32_t round = 3; round < 100; round++) {
        shuffle(hashes, round);
        struct athena_digest digest = digest_of(hashes, ITEMS);
        ck_assert(athena_digest_equal(&digest, &expected));
        for (size_t i = 0; i < ITEMS / 2; i++)
            athena_digest_remove(&digest, hashes[i]);
        expect_sum(&digest, hashes + ITEMS / 2, ITEMS / 2);
    }
}
END_TEST

START_TEST(sums_wrap_at_2_to_the_256) {
    uint8_t hashes[3][HASH];
    memset(hashes[0], 0xff, HASH);
    memset(hashes[1], 0, sizeof hashes[1]);
    hashes[1][0] = 1;
    memset(hashes[2], 0xff, HASH);
    struct athena_digest digest = digest_of(hashes, 2);
    ck_assert(sodium_is_zero(digest.sum, HASH)); /* -1 + 1 */
    expect_sum(&digest, hashes, 2);
    athena_digest_add(&digest, hashes[2]);
    expect_sum(&digest, hashes, 3);
    athena_digest_remove(&digest, hashes[0]); /* -1 - -1 */
    athena_digest_remove(&digest, hashes[1]); /* 0 - 1: what it borrows is not there */
    ck_assert_mem_eq(digest.sum, hashes[2], HASH);
    athena_digest_remove(&digest, hashes[2]);
    ck_assert(sodium_is_zero(digest.sum, HASH));
    ck_assert_uint_eq(digest.count, 0);
}
END_TEST

/* A carry from each digit into the next, and through all above it. */
START_TEST(carries_go_as_far_as_they_must) {
    for (size_t from = 0; from < HASH; from++)
        for (size_t to = from; to < HASH; to++) {
            uint8_t hashes[2][HASH] = {{0}, {0}};
            memset(hashes[0] + from, 0xff, to - from + 1);
            hashes[1][from] = 1;
            struct athena_digest digest = digest_of(hashes, 2);
            expect_sum(&digest, hashes, 2);
            ck_assert(to == HASH - 1 || digest.sum[to + 1] == 1);
            athena_digest_remove(&digest, hashes[1]);
            ck_assert_mem_eq(digest.sum, hashes[0], HASH);
        }
}
END_TEST

/* [ASP-DIG-3]: the sum alone says nothing about a hash of zero. */
START_TEST(equal_is_equal_in_sum_and_count) {
    uint8_t hashes[2][HASH] = {{0}, {0}};
    randomize(hashes[0], HASH, 4);
    struct athena_digest one = digest_of(hashes, 1);
    struct athena_digest two = digest_of(hashes, 2);
    ck_assert_mem_eq(one.sum, two.sum, HASH);
    ck_assert(!athena_digest_equal(&one, &two));
    athena_digest_remove(&two, hashes[1]);
    ck_assert(athena_digest_equal(&one, &two));
    for (size_t bit = 0; bit / 8 < HASH; bit++) {
        two.sum[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert(!athena_digest_equal(&one, &two));
        two.sum[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}
END_TEST

int main(void) {
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, set_up, NULL);
    tcase_add_test(all, an_item_hash_covers_id_and_bytes);
    tcase_add_test(all, a_digest_is_the_sum_and_the_count);
    tcase_add_test(all, the_order_does_not_matter);
    tcase_add_test(all, sums_wrap_at_2_to_the_256);
    tcase_add_test(all, carries_go_as_far_as_they_must);
    tcase_add_test(all, equal_is_equal_in_sum_and_count);
    Suite *suite = suite_create("digest");
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
