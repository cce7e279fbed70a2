/* Item hashes and their sum modulo 2^256, little-endian. */
#include "protocol/athena_protocol.h"

#include <sodium.h>
#include <string.h>

static const char purpose[] = "athena-sync/1 item"; /* its NUL is the 0x00 of the layout */

void athena_item_hash(uint8_t hash[static ATHENA_HASH_BYTES], struct athena_text_view id,
                      struct athena_bytes_view data) {
    static const uint8_t zero = 0;
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, ATHENA_HASH_BYTES);
    crypto_generichash_update(&state, (const uint8_t *)purpose, sizeof purpose);
    crypto_generichash_update(&state, (const uint8_t *)id.at, id.len);
    crypto_generichash_update(&state, &zero, 1);
    crypto_generichash_update(&state, data.at, data.len);
    crypto_generichash_final(&state, hash, ATHENA_HASH_BYTES);
}

void athena_digest_add(struct athena_digest *digest, const uint8_t hash[static ATHENA_HASH_BYTES]) {
    sodium_add(digest->sum, hash, ATHENA_HASH_BYTES);
    digest->count++;
}

void athena_digest_remove(struct athena_digest *digest,
                          const uint8_t hash[static ATHENA_HASH_BYTES]) {
    sodium_sub(digest->sum, hash, ATHENA_HASH_BYTES);
    digest->count--;
}

bool athena_digest_equal(const struct athena_digest *a, const struct athena_digest *b) {
    return a->count == b->count && memcmp(a->sum, b->sum, ATHENA_HASH_BYTES) == 0;
}
