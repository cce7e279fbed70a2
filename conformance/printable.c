#include "conformance/printable.h"

#include "conformance/json_strict.h"
#include "conformance/memory.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { UTF8_BYTES_MAX = 4 };

/* Control characters, and what shows nothing itself but changes what is around it: marks and
 * overrides of direction, joiners, separators; and what XML cannot hold. */
static const struct {
    uint32_t first;
    uint32_t last;
} UNSEEN[] = {{0x00, 0x09},     {0x0B, 0x1F},     {0x7F, 0x9F},     {0x61C, 0x61C},
              {0x200B, 0x200F}, {0x2028, 0x202E}, {0x2060, 0x206F}, {0xFEFF, 0xFEFF},
              {0xFFF9, 0xFFFB}, {0xFFFE, 0xFFFF}};

/* The code point of one valid character. */
static uint32_t decode(const char *text, size_t len) {
    uint32_t code = (unsigned char)*text & (len == 1 ? 0x7FU : 0x7FU >> len);
    for (size_t i = 1; i < len; i++)
        code = code << 6 | ((unsigned char)text[i] & 0x3F);
    return code;
}

static bool is_seen(uint32_t code) {
    for (size_t i = 0; i < sizeof UNSEEN / sizeof *UNSEEN; i++)
        if (code >= UNSEEN[i].first && code <= UNSEEN[i].last)
            return false;
    return true;
}

/* Bytes of the printable character at `text`, 0 when it is none. */
static size_t character_len(const char *text, size_t left) {
    for (size_t len = 1; len <= UTF8_BYTES_MAX && len <= left; len++)
        if (json_utf8_is_valid(text, len))
            return is_seen(decode(text, len)) ? len : 0;
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
