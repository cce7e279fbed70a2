#include "reference-server/cursor.h"

static void store64_be(uint8_t *at, uint64_t value) {
    for (int i = 7; i >= 0; i--, value >>= 8)
        at[i] = (uint8_t)value;
}

static uint64_t load64_be(const uint8_t *at) {
    uint64_t value = 0;
    for (int i = 0; i < 8; i++)
        value = value << 8 | at[i];
    return value;
}

void cursor_format(char text[static CURSOR_TEXT_LEN + 1], struct cursor cursor) {
    uint8_t bytes[CURSOR_BYTES];
    store64_be(bytes, cursor.position);
    store64_be(bytes + 8, cursor.tag);
    athena_base64url_encode(text, bytes, sizeof bytes);
    text[CURSOR_TEXT_LEN] = '\0';
}

bool cursor_parse(struct cursor *cursor, struct athena_text_view text) {
    uint8_t bytes[CURSOR_BYTES];
    size_t len;
    if (text.len != CURSOR_TEXT_LEN || !athena_base64url_decode(bytes, sizeof bytes, &len, text))
        return false;
    cursor->position = load64_be(bytes);
    cursor->tag = load64_be(bytes + 8);
    return cursor->position <= INT64_MAX; /* what the store can hold */
}
