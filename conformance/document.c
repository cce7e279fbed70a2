#include "conformance/document.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { SUITE = 0x01, NONCE_BYTES = 24, TAG_BYTES = 16, PADDED_BYTES_MIN = 128 };

static void derive(uint8_t out[static 32], const uint8_t secret[static DOCUMENT_SECRET_BYTES],
                   const char *purpose) {
    crypto_generichash(out, 32, (const uint8_t *)purpose, strlen(purpose), secret,
                       DOCUMENT_SECRET_BYTES);
}

void document_derive(struct document *document,
                     const uint8_t secret[static DOCUMENT_SECRET_BYTES]) {
    uint8_t seed[crypto_sign_SEEDBYTES];
    derive(seed, secret, "athena-sync/1 document key");
    crypto_sign_seed_keypair(document->id, document->sign_key, seed);
    derive(document->content_key, secret, "athena-sync/1 content key");
    derive(document->nonce_key, secret, "athena-sync/1 nonce key");
    sodium_memzero(seed, sizeof seed);
}

static void append_label(struct bytes *out, const char *label) {
    bytes_append(out, label, strlen(label) + 1); /* with its 0x00 */
}

static struct bytes state(const uint8_t *challenge, size_t challenge_len,
                          const uint8_t named[static DOCUMENT_ID_BYTES], const char *authority) {
    struct bytes statement = {0};
    append_label(&statement, "athena-sync/1 open");
    bytes_append(&statement, challenge, challenge_len);
    bytes_append(&statement, named, DOCUMENT_ID_BYTES);
    bytes_append(&statement, authority, strlen(authority));
    return statement;
}

void document_prove(const struct document *document, const uint8_t *challenge, size_t challenge_len,
                    const uint8_t named[static DOCUMENT_ID_BYTES], const char *authority,
                    uint8_t proof[static DOCUMENT_PROOF_BYTES]) {
    struct bytes statement = state(challenge, challenge_len, named, authority);
    crypto_sign_detached(proof, NULL, statement.at, statement.len, document->sign_key);
    bytes_fini(&statement);
}

/* With A = [a]B, [S]B = R + [k]A holds for the neutral R when S = k a. */
void document_prove_by_neutral(const struct document *document, const uint8_t *challenge,
                               size_t challenge_len, const char *authority,
                               const uint8_t r[static 32],
                               uint8_t proof[static DOCUMENT_PROOF_BYTES]) {
    struct bytes statement = state(challenge, challenge_len, document->id, authority);
    uint8_t wide[crypto_core_ed25519_NONREDUCEDSCALARBYTES] = {0};
    uint8_t a[crypto_core_ed25519_SCALARBYTES];
    uint8_t k[crypto_core_ed25519_SCALARBYTES];
    crypto_hash_sha512_state hash;
    crypto_sign_ed25519_sk_to_curve25519(wide, document->sign_key); /* a, clamped */
    crypto_core_ed25519_scalar_reduce(a, wide);
    crypto_hash_sha512_init(&hash);
    crypto_hash_sha512_update(&hash, r, 32);
    crypto_hash_sha512_update(&hash, document->id, DOCUMENT_ID_BYTES);
    crypto_hash_sha512_update(&hash, statement.at, statement.len);
    crypto_hash_sha512_final(&hash, wide);
    crypto_core_ed25519_scalar_reduce(k, wide);
    memcpy(proof, r, 32);
    crypto_core_ed25519_scalar_mul(proof + 32, k, a);
    bytes_fini(&statement);
}

/* PADME keeps as many leading bits of the length as its exponent has bits, and rounds up. */
static size_t padme(size_t len) {
    unsigned exponent = 0;
    while (len >> (exponent + 1) != 0)
        exponent++;
    unsigned exponent_bits = 0;
    while (exponent >> exponent_bits != 0)
        exponent_bits++;
    size_t mask = ((size_t)1 << (exponent - exponent_bits)) - 1;
    return (len + mask) & ~mask;
}

size_t document_padded_bytes(size_t plain_bytes) {
    size_t least = plain_bytes + 1;
    return least <= PADDED_BYTES_MIN ? PADDED_BYTES_MIN : padme(least);
}

static void bind(const struct document *document, const char *change_id, struct bytes *out) {
    const uint8_t suite = SUITE;
    append_label(out, "athena-sync/1 change");
    bytes_append(out, &suite, 1);
    bytes_append(out, document->id, sizeof document->id);
    bytes_append(out, change_id, strlen(change_id));
}

static void derive_nonce(const struct document *document, const struct bytes *binding,
                         const uint8_t *padded, size_t padded_len,
                         uint8_t nonce[static NONCE_BYTES]) {
    uint8_t hash[32];
    crypto_generichash_state state;
    crypto_generichash_init(&state, document->nonce_key, sizeof document->nonce_key, sizeof hash);
    crypto_generichash_update(&state, binding->at, binding->len);
    crypto_generichash_update(&state, (const uint8_t *)"", 1);
    crypto_generichash_update(&state, padded, padded_len);
    crypto_generichash_final(&state, hash, sizeof hash);
    memcpy(nonce, hash, NONCE_BYTES);
}

void document_seal_flawed(const struct document *document, const char *change_id,
                          const uint8_t *plain, size_t plain_len, enum document_flaw flaw,
                          struct bytes *out) {
    size_t padded_len = document_padded_bytes(plain_len) + (flaw == DOCUMENT_LONG_PADDING ? 16 : 0);
    uint8_t *padded = memory_take(padded_len);
    uint8_t *sealed = memory_take(padded_len + TAG_BYTES);
    uint8_t head[1 + NONCE_BYTES] = {SUITE};
    struct bytes binding = {0};
    if (plain_len > 0)
        memcpy(padded, plain, plain_len);
    padded[plain_len] = flaw == DOCUMENT_NO_MARKER ? 0x40 : 0x80;
    bind(document, change_id, &binding);
    derive_nonce(document, &binding, padded, padded_len, head + 1);
    head[1] ^= flaw == DOCUMENT_OTHER_NONCE;
    crypto_aead_xchacha20poly1305_ietf_encrypt(sealed, NULL, padded, padded_len, binding.at,
                                               binding.len, NULL, head + 1, document->content_key);
    bytes_append(out, head, sizeof head);
    bytes_append(out, sealed, padded_len + TAG_BYTES);
    bytes_fini(&binding);
    free(padded);
    free(sealed);
}

void document_seal(const struct document *document, const char *change_id, const uint8_t *plain,
                   size_t plain_len, struct bytes *out) {
    document_seal_flawed(document, change_id, plain, plain_len, DOCUMENT_SOUND, out);
}

void document_digest_add(uint8_t digest[static DOCUMENT_DIGEST_BYTES], const char *change_id,
                         const uint8_t *data, size_t data_len) {
    struct bytes item = {0};
    uint8_t hash[DOCUMENT_DIGEST_BYTES];
    append_label(&item, "athena-sync/1 item");
    append_label(&item, change_id);
    bytes_append(&item, data, data_len);
    crypto_generichash(hash, sizeof hash, item.at, item.len, NULL, 0);
    sodium_add(digest, hash, sizeof hash);
    bytes_fini(&item);
}
