#include "conformance/entropy.h"

#include <sodium.h>
#include <string.h>

static void store64(uint8_t out[static 8], uint64_t value) {
    for (size_t i = 0; i < 8; i++)
        out[i] = (uint8_t)(value >> (8 * i));
}

void entropy_init(struct entropy *entropy, uint64_t seed, const char *label) {
    uint8_t seed_bytes[8];
    crypto_generichash_state state;
    store64(seed_bytes, seed);
    crypto_generichash_init(&state, NULL, 0, sizeof entropy->key);
    crypto_generichash_update(&state, seed_bytes, sizeof seed_bytes);
    crypto_generichash_update(&state, (const uint8_t *)label, strlen(label));
    crypto_generichash_final(&state, entropy->key, sizeof entropy->key);
    entropy->drawn = 0;
}

void entropy_fill(struct entropy *entropy, void *out, size_t len) {
    uint8_t counter[8];
    uint8_t seed[randombytes_SEEDBYTES];
    store64(counter, entropy->drawn++);
    crypto_generichash(seed, sizeof seed, counter, sizeof counter, entropy->key,
                       sizeof entropy->key);
    randombytes_buf_deterministic(out, len, seed);
}
