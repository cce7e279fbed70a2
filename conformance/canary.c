#include "conformance/canary.h"

#include "conformance/base64url.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { BASE64_GROUP = 3 };

static void add_needle(struct canary *canary, const char *what, const char *form, const void *at,
                       size_t len) {
    canary->needles = memory_grow(canary->needles, (canary->len + 1) * sizeof *canary->needles);
    struct needle *needle = &canary->needles[canary->len++];
    *needle = (struct needle){.what = memory_format("%s, %s", what, form)};
    bytes_append(&needle->bytes, at, len);
}

/* The groups that do not depend on what stands around. */
static void add_base64(struct canary *canary, const char *what, const uint8_t *secret, size_t len,
                       size_t shift) {
    size_t whole = (len - shift) / BASE64_GROUP * BASE64_GROUP;
    char *url = base64url_encode(secret + shift, whole);
    size_t text_len = strlen(url);
    add_needle(canary, what, "base64url", url, text_len);
    for (char *at = url; *at != '\0'; at++)
        *at = (char)(*at == '-' ? '+' : *at == '_' ? '/' : *at);
    add_needle(canary, what, "base64", url, text_len);
    free(url);
}

void canary_add(struct canary *canary, const char *what, const void *secret, size_t len) {
    if (len < CANARY_BYTES_LEAST)
        return;
    char *hex = memory_take(len * 2 + 1);
    sodium_bin2hex(hex, len * 2 + 1, secret, len);
    add_needle(canary, what, "raw", secret, len);
    add_needle(canary, what, "hexadecimal", hex, len * 2);
    for (char *at = hex; *at != '\0'; at++)
        *at = (char)(*at >= 'a' ? *at - 'a' + 'A' : *at);
    add_needle(canary, what, "hexadecimal", hex, len * 2);
    for (size_t shift = 0; shift < BASE64_GROUP; shift++)
        add_base64(canary, what, secret, len, shift);
    free(hex);
}

void canary_fini(struct canary *canary) {
    for (size_t i = 0; i < canary->len; i++) {
        free(canary->needles[i].what);
        bytes_fini(&canary->needles[i].bytes);
    }
    free(canary->needles);
    *canary = (struct canary){0};
}

const char *canary_find(const struct canary *canary, const void *text, size_t len) {
    for (size_t i = 0; i < canary->len; i++) {
        const struct needle *needle = &canary->needles[i];
        if (memmem(text, len, needle->bytes.at, needle->bytes.len) != NULL)
            return needle->what;
    }
    return NULL;
}
