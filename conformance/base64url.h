/* Base64url without padding (RFC 4648, section 5), canonical. */
#ifndef CONFORM_BASE64URL_H
#define CONFORM_BASE64URL_H

#include "conformance/memory.h"

#include <stdbool.h>

/* NUL-terminated text; free() it. */
char *base64url_encode(const void *bytes, size_t len);
/* Appends the bytes to `out`. False, and nothing appended, when `text` is not canonical. */
bool base64url_decode(const char *text, struct bytes *out);
/* The same for exactly `len` bytes. */
bool base64url_decode_exactly(const char *text, void *out, size_t len);

#endif
