#include "conformance/discretion.h"

#include "conformance/base64url.h"
#include "conformance/document.h"
#include "conformance/duty.h"

void discretion_fini(struct discretion *discretion) {
    canary_fini(&discretion->plains);
    canary_fini(&discretion->keys);
    canary_fini(&discretion->secrets);
}

void discretion_add_plain(struct discretion *discretion, const void *plain, size_t len) {
    canary_add_parts(&discretion->plains, "the plaintext of a change", plain, len);
}

void discretion_add_secret(struct discretion *discretion, const char *secret) {
    uint8_t bytes[DOCUMENT_SECRET_BYTES];
    struct document made;
    struct canary *keys = &discretion->keys;
    if (!base64url_decode_exactly(secret, bytes, sizeof bytes))
        return;
    document_derive(&made, bytes);
    canary_add_parts(&discretion->secrets, "the document secret", bytes, sizeof bytes);
    canary_add_parts(keys, "the document secret", bytes, sizeof bytes);
    canary_add_parts(keys, "the seed of the document's key", made.sign_key, 32);
    canary_add_parts(keys, "the content key", made.content_key, sizeof made.content_key);
    canary_add_parts(keys, "the nonce key", made.nonce_key, sizeof made.nonce_key);
}

const char *discretion_find(const struct discretion *discretion, const void *text, size_t len,
                            const char **requirement) {
    const char *found = canary_find(&discretion->keys, text, len);
    *requirement = DUTY("ASP-KEY-4");
    if (found != NULL)
        return found;
    *requirement = DUTY("ASP-SEC-7");
    return canary_find(&discretion->plains, text, len);
}
