/* Keys derived from a document secret [ASP-KEY-2]. */
#include "protocol/athena_protocol.h"

#include <sodium.h>
#include <string.h>

static void derive(uint8_t *key, size_t key_len, const uint8_t *secret, const char *purpose) {
    crypto_generichash(key, key_len, (const uint8_t *)purpose, strlen(purpose), secret,
                       ATHENA_SECRET_BYTES);
}

void athena_keys_derive(struct athena_keys *keys,
                        const uint8_t secret[static ATHENA_SECRET_BYTES]) {
    uint8_t sign_seed[crypto_sign_SEEDBYTES];
    derive(sign_seed, sizeof sign_seed, secret, "athena-sync/1 document key");
    crypto_sign_seed_keypair(keys->doc, keys->sign_key, sign_seed);
    sodium_memzero(sign_seed, sizeof sign_seed);
    derive(keys->content_key, sizeof keys->content_key, secret, "athena-sync/1 content key");
    derive(keys->nonce_key, sizeof keys->nonce_key, secret, "athena-sync/1 nonce key");
}

/* [ASP-SEC-3] */
void athena_keys_wipe(struct athena_keys *keys) {
    sodium_memzero(keys, sizeof *keys);
}
