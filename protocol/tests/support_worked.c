#include "protocol/tests/support_worked.h"
#include "protocol/tests/support.h"

#include <check.h>
#include <string.h>

struct worked worked = {
    .changes =
        {
            {.id = "a8f5f167f44f4964e6c998dee827110c:7d444840-9dc0-41d1-b245-5ffdce74fad2",
             .word = "hello"},
            {.id = "3f1c2a9b5d7e4c608a91b2c3d4e5f607:1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed",
             .word = "world"},
            {.id = "a8f5f167f44f4964e6c998dee827110c:0e37df36-f698-4f34-8a2e-9c0d1f2b3a4c",
             .word = "third"},
            {.id = "3f1c2a9b5d7e4c608a91b2c3d4e5f607:6ba7b814-9dad-41d1-80b4-00c04fd430c8",
             .word = "fourth"},
        },
};

struct athena_bytes_view worked_data(const struct worked_change *change) {
    return (struct athena_bytes_view){change->data, sizeof change->data};
}

uint64_t worked_first_8(const uint8_t *bytes) {
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--)
        value = value << 8 | bytes[i];
    return value;
}

/* Appendix C: the position and its tag, both big-endian. */
static void make_cursor(char text[static WORKED_CURSOR_LEN + 1], uint64_t position,
                        const uint8_t *sum) {
    uint64_t parts[] = {position, worked_first_8(sum) + worked_first_8(worked.keys.doc)};
    uint8_t bytes[16];
    for (int i = 0; i < 16; i++)
        bytes[i] = (uint8_t)(parts[i / 8] >> (56 - i % 8 * 8));
    athena_base64url_encode(text, bytes, sizeof bytes);
}

void worked_make(void) {
    for (size_t i = 0; i < sizeof worked.secret; i++) {
        worked.secret[i] = (uint8_t)i;
        worked.challenge[i] = (uint8_t)(0x20 + i);
    }
    athena_keys_derive(&worked.keys, worked.secret);
    athena_proof_sign(worked.proof, &worked.keys, worked.challenge, view_text(WORKED_AUTHORITY));
    struct athena_digest digest = {0};
    make_cursor(worked.cursors[0], 0, digest.sum);
    for (size_t i = 0; i < WORKED_CHANGES; i++) {
        struct worked_change *change = &worked.changes[i];
        const struct athena_bytes_view plain = {(const uint8_t *)change->word,
                                                strlen(change->word)};
        ck_assert_uint_eq(athena_envelope_len(plain.len), WORKED_ENVELOPE_BYTES);
        ck_assert_int_eq(
            athena_envelope_seal(change->data, &worked.keys, view_text(change->id), plain),
            ATHENA_OK);
        athena_item_hash(change->hash, view_text(change->id), worked_data(change));
        athena_digest_add(&digest, change->hash);
        change->digest = digest;
        make_cursor(worked.cursors[i + 1], i + 1, digest.sum);
    }
}
