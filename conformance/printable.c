#include "conformance/printable.h"

#include "conformance/json_strict.h"
#include "conformance/memory.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { UTF8_BYTES_MAX = 4 };

/* Bytes of the printable character at `text`, 0 when it is none. */
static size_t character_len(const char *text, size_t left) {
    unsigned char first = (unsigned char)*text;
    bool control = (first < 0x20 && first != '\n') || first == 0x7F;
    /* U+0080 to U+009F are control characters as well */
    bool high_control = first == 0xC2 && left > 1 && (unsigned char)text[1] < 0xA0;
    for (size_t len = 1; len <= UTF8_BYTES_MAX && len <= left && !control && !high_control; len++)
        if (json_utf8_is_valid(text, len))
            return len;
    return 0;
}

char *printable_copy(const char *text) {
    struct bytes out = {0};
    size_t left = strlen(text);
    while (left > 0) {
        char hex[5];
        size_t len = character_len(text, left);
        if (len == 0)
            snprintf(hex, sizeof hex, "\\x%02x", (unsigned char)*text);
        bytes_append(&out, len > 0 ? text : hex, len > 0 ? len : strlen(hex));
        text += len > 0 ? len : 1;
        left -= len > 0 ? len : 1;
    }
    bytes_append(&out, "", 1);
    return (char *)out.at;
}
