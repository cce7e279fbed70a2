/*
 * Envelopes: no bytes but those of sealing open, and what is sealed opens again. The first byte
 * chooses: an envelope as it is; padded bytes of any content under a right tag; a plaintext.
 */
#include "protocol/athena_protocol.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct athena_keys keys;
static const char id_text[] =
    "a8f5f167f44f4964e6c998dee827110c:7d444840-9dc0-41d1-b245-5ffdce74fad2";
static const struct athena_text_view id = {id_text, sizeof id_text - 1};

static bool is_set_up;
static void set_up(void) {
    static const uint8_t secret[ATHENA_SECRET_BYTES] = {0};
    if (sodium_init() < 0)
        abort();
    athena_keys_derive(&keys, secret);
    is_set_up = true;
}

/* Opens; what opens has to be what sealing its plaintext gives [ASP-ENV-1]. */
static bool open_and_seal(struct athena_bytes_view data) {
    uint8_t *plain = malloc(data.len + 1);
    size_t plain_len = 0;
    struct athena_error error = {0};
    enum athena_code code = athena_envelope_open(plain, &plain_len, &keys, id, data, &error);
    if (code == ATHENA_OK) {
        uint8_t *again = malloc(athena_envelope_len(plain_len));
        struct athena_bytes_view view = {plain, plain_len};
        if (athena_envelope_len(plain_len) != data.len ||
            athena_envelope_seal(again, &keys, id, view) != ATHENA_OK ||
            memcmp(again, data.at, data.len) != 0)
            abort();
        free(again);
    } else if (code != ATHENA_BAD_ENVELOPE || !error.text[0]) {
        abort();
    }
    free(plain);
    return code == ATHENA_OK;
}

static void associate(uint8_t ad[static 256], size_t *ad_len) {
    static const char purpose[] = "athena-sync/1 change";
    memcpy(ad, purpose, sizeof purpose);
    ad[sizeof purpose] = 0x01;
    memcpy(ad + sizeof purpose + 1, keys.doc, sizeof keys.doc);
    memcpy(ad + sizeof purpose + 1 + sizeof keys.doc, id.at, id.len);
    *ad_len = sizeof purpose + 1 + sizeof keys.doc + id.len;
}

/* An envelope around any padded bytes, with the nonce and the tag that they have. */
static void open_padded(struct athena_bytes_view padded) {
    uint8_t ad[256];
    uint8_t hash[32];
    size_t ad_len;
    associate(ad, &ad_len);
    crypto_generichash_state state;
    crypto_generichash_init(&state, keys.nonce_key, sizeof keys.nonce_key, sizeof hash);
    crypto_generichash_update(&state, ad, ad_len);
    crypto_generichash_update(&state, (const uint8_t[]){0}, 1);
    crypto_generichash_update(&state, padded.at, padded.len);
    crypto_generichash_final(&state, hash, sizeof hash);
    size_t data_len = padded.len + ATHENA_ENVELOPE_OVERHEAD_BYTES;
    uint8_t *data = malloc(data_len);
    data[0] = 0x01;
    memcpy(data + 1, hash, 24);
    crypto_aead_xchacha20poly1305_ietf_encrypt(data + 25, NULL, padded.at, padded.len, ad, ad_len,
                                               NULL, hash, keys.content_key);
    open_and_seal((struct athena_bytes_view){data, data_len});
    free(data);
}

static void seal_and_open(struct athena_bytes_view plain) {
    size_t data_len = athena_envelope_len(plain.len);
    uint8_t *data = malloc(data_len);
    if (athena_envelope_seal(data, &keys, id, plain) != ATHENA_OK ||
        !open_and_seal((struct athena_bytes_view){data, data_len}))
        abort();
    free(data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!is_set_up)
        set_up();
    if (size == 0)
        return 0;
    struct athena_bytes_view rest = {data + 1, size - 1};
    if (data[0] % 4 == 1)
        open_and_seal((struct athena_bytes_view){data, size}); /* its suite byte, too */
    else if (data[0] % 4 == 2)
        open_padded(rest);
    else
        seal_and_open(rest);
    return 0;
}
