#include "conformance/tests/support_envelope.h"

#include "conformance/base64url.h"
#include "conformance/memory.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD_BYTES = 25, TAG_BYTES = 16 };

char *envelope_seal(const struct document *keys, const char *id, const char *plain,
                    enum document_flaw flaw) {
    struct bytes bytes = {0};
    struct bytes sealed = {0};
    base64url_decode(plain, &bytes);
    document_seal_flawed(keys, id, bytes.at, bytes.len, flaw, &sealed);
    char *text = base64url_encode(sealed.at, sealed.len);
    bytes_fini(&bytes);
    bytes_fini(&sealed);
    return text;
}

static char *decrypt(const struct document *keys, const char *id, const struct bytes *envelope) {
    static const char label[] = "athena-sync/1 change";
    struct bytes binding = {0};
    unsigned long long len = 0;
    char *plain = NULL;
    if (envelope->len <= HEAD_BYTES + TAG_BYTES || envelope->at[0] != 1)
        return NULL;
    bytes_append(&binding, label, sizeof label);
    bytes_append(&binding, envelope->at, 1);
    bytes_append(&binding, keys->id, sizeof keys->id);
    bytes_append(&binding, id, strlen(id));
    uint8_t *padded = memory_take(envelope->len);
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(
            padded, &len, NULL, envelope->at + HEAD_BYTES, envelope->len - HEAD_BYTES, binding.at,
            binding.len, envelope->at + 1, keys->content_key) == 0) {
        while (len > 0 && padded[len - 1] == 0)
            len--;
        plain = base64url_encode(padded, len > 0 ? len - 1 : 0);
    }
    free(padded);
    bytes_fini(&binding);
    return plain;
}

char *envelope_open(const struct document *keys, const char *id, const char *data, bool takes_any) {
    struct bytes envelope = {0};
    base64url_decode(data, &envelope);
    char *plain = decrypt(keys, id, &envelope);
    char *again = plain != NULL ? envelope_seal(keys, id, plain, DOCUMENT_SOUND) : NULL;
    if (again != NULL && strcmp(again, data) != 0 && !takes_any) {
        free(plain);
        plain = NULL;
    }
    free(again);
    bytes_fini(&envelope);
    return plain;
}
