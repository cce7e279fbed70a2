/*
 * The envelope of a change [ASP-ENV-1]: deterministic, bound to document and id.
 *
 *   data   = suite (1) | nonce (24) | ciphertext of padded | tag (16)
 *   padded = plaintext | 0x80 | zeros
 *   AD     = "athena-sync/1 change" | 0x00 | suite | document id (32) | change id
 *   nonce  = first 24 bytes of BLAKE2b-256(nonce_key, AD | 0x00 | padded)
 */
#include "protocol/internal.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

enum {
    SUITE = 0x01,
    NONCE_AT = 1,
    NONCE_BYTES = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
    CIPHER_AT = NONCE_AT + NONCE_BYTES,
    TAG_BYTES = crypto_aead_xchacha20poly1305_ietf_ABYTES,
};
static const char purpose[] = "athena-sync/1 change"; /* its NUL is the 0x00 of the layout */

struct associated_data {
    uint8_t at[sizeof purpose + 1 + ATHENA_DOC_BYTES + ATHENA_CHANGE_ID_TEXT_MAX];
    size_t len;
};

static void associate(struct associated_data *ad, const struct athena_keys *keys,
                      struct athena_text_view id) {
    assert(id.len <= ATHENA_CHANGE_ID_TEXT_MAX);
    uint8_t *out = ad->at;
    memcpy(out, purpose, sizeof purpose);
    out += sizeof purpose;
    *out++ = SUITE;
    memcpy(out, keys->doc, ATHENA_DOC_BYTES);
    out += ATHENA_DOC_BYTES;
    memcpy(out, id.at, id.len);
    ad->len = (size_t)(out - ad->at) + id.len;
}

static void make_nonce(uint8_t nonce[static NONCE_BYTES], const struct athena_keys *keys,
                       const struct associated_data *ad, const uint8_t *padded, size_t padded_len) {
    static const uint8_t zero = 0;
    uint8_t hash[ATHENA_HASH_BYTES];
    crypto_generichash_state state;
    crypto_generichash_init(&state, keys->nonce_key, sizeof keys->nonce_key, sizeof hash);
    crypto_generichash_update(&state, ad->at, ad->len);
    crypto_generichash_update(&state, &zero, 1);
    crypto_generichash_update(&state, padded, padded_len);
    crypto_generichash_final(&state, hash, sizeof hash);
    memcpy(nonce, hash, NONCE_BYTES);
    sodium_memzero(&state, sizeof state);
}

static size_t floor_log2(size_t value) {
    size_t log = 0;
    while (value >>= 1)
        log++;
    return log;
}

size_t athena_padded_len(size_t plain_len) {
    size_t len = plain_len + 1;
    if (len <= ATHENA_PADDED_BYTES_MIN)
        return ATHENA_PADDED_BYTES_MIN;
    size_t exponent = floor_log2(len);
    size_t kept_bits = floor_log2(exponent) + 1;
    assert(exponent > kept_bits);
    size_t mask = ((size_t)1 << (exponent - kept_bits)) - 1;
    return (len + mask) & ~mask;
}

size_t athena_envelope_len(size_t plain_len) {
    return ATHENA_ENVELOPE_OVERHEAD_BYTES + athena_padded_len(plain_len);
}

enum athena_code athena_envelope_seal(uint8_t *data, const struct athena_keys *keys,
                                      struct athena_text_view id, struct athena_bytes_view plain) {
    struct associated_data ad;
    associate(&ad, keys, id);
    size_t padded_len = athena_padded_len(plain.len);
    uint8_t *padded = data + CIPHER_AT; /* encrypted in place */
    if (plain.len)
        memmove(padded, plain.at, plain.len);
    padded[plain.len] = 0x80;
    memset(padded + plain.len + 1, 0, padded_len - plain.len - 1);
    data[0] = SUITE;
    make_nonce(data + NONCE_AT, keys, &ad, padded, padded_len);
    crypto_aead_xchacha20poly1305_ietf_encrypt(padded, NULL, padded, padded_len, ad.at, ad.len,
                                               NULL, data + NONCE_AT, keys->content_key);
    return ATHENA_OK;
}

/* Length before 0x80 and zeros, or SIZE_MAX when they are not there. */
static size_t unpadded_len(const uint8_t *padded, size_t padded_len) {
    size_t len = padded_len;
    while (len > 0 && padded[len - 1] == 0)
        len--;
    return len > 0 && padded[len - 1] == 0x80 ? len - 1 : SIZE_MAX;
}

/* What has to hold of a decrypted text besides its tag [ASP-ENV-6] [ASP-ENV-7] [ASP-ENV-8]. */
static const char *fault_in(const uint8_t *padded, size_t padded_len, const uint8_t *nonce,
                            const struct athena_keys *keys, const struct associated_data *ad) {
    uint8_t expected[NONCE_BYTES];
    make_nonce(expected, keys, ad, padded, padded_len);
    if (sodium_memcmp(expected, nonce, NONCE_BYTES) != 0)
        return "the nonce is not the one this content has";
    size_t len = unpadded_len(padded, padded_len);
    if (len == SIZE_MAX)
        return "the padding does not end in 0x80 and zeros";
    if (athena_padded_len(len) != padded_len)
        return "the padded length is not the one this content has";
    return NULL;
}

/* [ASP-ENV-3] [ASP-ENV-4] [ASP-ENV-5] */
enum athena_code athena_envelope_open(uint8_t *plain, size_t *plain_len,
                                      const struct athena_keys *keys, struct athena_text_view id,
                                      struct athena_bytes_view data, struct athena_error *error) {
    if (data.len > 0 && data.at[0] != SUITE)
        return refuse(error, ATHENA_BAD_ENVELOPE, "", "unknown suite %u", (unsigned)data.at[0]);
    if (data.len < ATHENA_ENVELOPE_OVERHEAD_BYTES + ATHENA_PADDED_BYTES_MIN)
        return refuse(error, ATHENA_BAD_ENVELOPE, "", "shorter than any envelope");
    struct associated_data ad;
    associate(&ad, keys, id);
    const uint8_t *nonce = data.at + NONCE_AT;
    size_t padded_len = data.len - ATHENA_ENVELOPE_OVERHEAD_BYTES;
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(plain, NULL, NULL, data.at + CIPHER_AT,
                                                   padded_len + TAG_BYTES, ad.at, ad.len, nonce,
                                                   keys->content_key) != 0)
        return refuse(error, ATHENA_BAD_ENVELOPE, "",
                      "does not authenticate: another key, document or id, or altered bytes");
    const char *fault = fault_in(plain, padded_len, nonce, keys, &ad);
    if (fault) {
        sodium_memzero(plain, padded_len);
        return refuse(error, ATHENA_BAD_ENVELOPE, "", "%s", fault);
    }
    *plain_len = unpadded_len(plain, padded_len);
    return ATHENA_OK;
}
