/* The proof of an `open` [ASP-KEY-6] [ASP-KEY-7]. libsodium's verification is as strict as the
 * specification: S < L, key canonical and of large order, R of large order; the recomputed R is
 * compared byte for byte, so that a non-canonical one fails as well. */
#include "protocol/athena_protocol.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

static const char purpose[] = "athena-sync/1 open"; /* its NUL is the 0x00 of the layout */

struct proof_message {
    uint8_t
        at[sizeof purpose + ATHENA_CHALLENGE_BYTES + ATHENA_DOC_BYTES + ATHENA_AUTHORITY_TEXT_MAX];
    size_t len;
};

static void compose(struct proof_message *message, const uint8_t *challenge, const uint8_t *doc,
                    struct athena_text_view authority) {
    assert(authority.len <= ATHENA_AUTHORITY_TEXT_MAX);
    uint8_t *out = message->at;
    memcpy(out, purpose, sizeof purpose);
    out += sizeof purpose;
    memcpy(out, challenge, ATHENA_CHALLENGE_BYTES);
    out += ATHENA_CHALLENGE_BYTES;
    memcpy(out, doc, ATHENA_DOC_BYTES);
    out += ATHENA_DOC_BYTES;
    memcpy(out, authority.at, authority.len);
    message->len = (size_t)(out - message->at) + authority.len;
}

/* [ASP-KEY-5] */
void athena_proof_sign(uint8_t proof[static ATHENA_PROOF_BYTES], const struct athena_keys *keys,
                       const uint8_t challenge[static ATHENA_CHALLENGE_BYTES],
                       struct athena_text_view authority) {
    struct proof_message message;
    compose(&message, challenge, keys->doc, authority);
    crypto_sign_detached(proof, NULL, message.at, message.len, keys->sign_key);
}

/* [ASP-KEY-8] */
bool athena_proof_verify(const uint8_t proof[static ATHENA_PROOF_BYTES],
                         const uint8_t doc[static ATHENA_DOC_BYTES],
                         const uint8_t challenge[static ATHENA_CHALLENGE_BYTES],
                         struct athena_text_view authority) {
    struct proof_message message;
    compose(&message, challenge, doc, authority);
    return crypto_sign_verify_detached(proof, message.at, message.len, doc) == 0;
}
