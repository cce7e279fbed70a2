#include "conformance/base64url.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define VARIANT sodium_base64_VARIANT_URLSAFE_NO_PADDING

static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

char *base64url_encode(const void *bytes, size_t len) {
    size_t capacity = sodium_base64_encoded_len(len, VARIANT);
    return sodium_bin2base64(memory_take(capacity), capacity, bytes, len, VARIANT);
}

bool base64url_decode(const char *text, struct bytes *out) {
    size_t text_len = strlen(text);
    if (strspn(text, ALPHABET) != text_len) /* libsodium 1.0.18 takes some bytes above 0x7F */
        return false;
    size_t capacity = text_len / 4 * 3 + 3;
    uint8_t *bytes = memory_take(capacity);
    size_t len = 0;
    const char *end = NULL;
    bool ok = sodium_base642bin(bytes, capacity, text, text_len, NULL, &len, &end, VARIANT) == 0 &&
              end == text + text_len;
    if (ok)
        bytes_append(out, bytes, len);
    free(bytes);
    return ok;
}

bool base64url_decode_exactly(const char *text, void *out, size_t len) {
    struct bytes bytes = {0};
    bool ok = base64url_decode(text, &bytes) && bytes.len == len;
    if (ok && len > 0)
        memcpy(out, bytes.at, len);
    bytes_fini(&bytes);
    return ok;
}
