/*
 * What a client computes for one document: keys, proof of possession, sealed changes and the digest
 * of a set of changes. Written from the specification alone; shares nothing with protocol/.
 */
#ifndef CONFORM_DOCUMENT_H
#define CONFORM_DOCUMENT_H

#include "conformance/memory.h"

enum {
    DOCUMENT_SECRET_BYTES = 32,
    DOCUMENT_ID_BYTES = 32,
    DOCUMENT_PROOF_BYTES = 64,
    DOCUMENT_DIGEST_BYTES = 32,
};

struct document {
    uint8_t id[DOCUMENT_ID_BYTES]; /* Ed25519 public key */
    uint8_t sign_key[64];
    uint8_t content_key[32];
    uint8_t nonce_key[32];
};

/* Derives everything from the document secret [ASP-KEY-2]. */
void document_derive(struct document *document, const uint8_t secret[static DOCUMENT_SECRET_BYTES]);

/* The signature an `open` carries, over challenge, document id and authority. `named` is the
 * document the signature speaks of: normally the document's own id. */
void document_prove(const struct document *document, const uint8_t *challenge, size_t challenge_len,
                    const uint8_t named[static DOCUMENT_ID_BYTES], const char *authority,
                    uint8_t proof[static DOCUMENT_PROOF_BYTES]);

/* The same with the neutral element, encoded as `r`, for its R: the equation of a signature holds,
 * and a strict verifier refuses it all the same, since that point is of small order [ASP-KEY-7]. */
void document_prove_by_neutral(const struct document *document, const uint8_t *challenge,
                               size_t challenge_len, const char *authority,
                               const uint8_t r[static 32],
                               uint8_t proof[static DOCUMENT_PROOF_BYTES]);

/* Appends the deterministic envelope of `plain` under `change_id` to `out`. */
void document_seal(const struct document *document, const char *change_id, const uint8_t *plain,
                   size_t plain_len, struct bytes *out);

/* Envelopes whose tag verifies and that must be refused all the same. */
enum document_flaw {
    DOCUMENT_SOUND,
    DOCUMENT_OTHER_NONCE,  /* not the one that follows from what it holds */
    DOCUMENT_NO_MARKER,    /* 0x40 where 0x80 ends the plaintext */
    DOCUMENT_LONG_PADDING, /* 16 zeros too many */
};
void document_seal_flawed(const struct document *document, const char *change_id,
                          const uint8_t *plain, size_t plain_len, enum document_flaw flaw,
                          struct bytes *out);

/* Bytes of the padded form of `plain_bytes` bytes. */
size_t document_padded_bytes(size_t plain_bytes);

/* Adds the item hash of one change to a running digest (32 bytes, little-endian, modulo 2^256). */
void document_digest_add(uint8_t digest[static DOCUMENT_DIGEST_BYTES], const char *change_id,
                         const uint8_t *data, size_t data_len);

#endif
