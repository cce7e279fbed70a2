/* The registry of codes: the wire form of each, and whether the same request may succeed later. */
#include "protocol/athena_protocol.h"
#include "protocol/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *text;
    bool on_wire;
    bool retryable;
} codes[] = {
    [ATHENA_OK] = {"ok", false, false},
    [ATHENA_BAD_MESSAGE] = {"bad-message", true, false},
    [ATHENA_UNKNOWN_TYPE] = {"unknown-type", true, false},
    [ATHENA_NOT_OPEN] = {"not-open", true, false},
    [ATHENA_ALREADY_OPEN] = {"already-open", true, false},
    [ATHENA_FORBIDDEN] = {"forbidden", true, false},
    [ATHENA_WRONG_AUTHORITY] = {"wrong-authority", true, false},
    [ATHENA_UNKNOWN_CURSOR] = {"unknown-cursor", true, false},
    [ATHENA_LIMIT] = {"limit", true, false},
    [ATHENA_RATE] = {"rate", true, true},
    [ATHENA_UNAVAILABLE] = {"unavailable", true, true},
    [ATHENA_INTERNAL] = {"internal", true, true},
    [ATHENA_SHUTTING_DOWN] = {"shutting-down", true, true},
    [ATHENA_BAD_CHANGE] = {"bad-change", true, false},
    [ATHENA_TOO_LARGE] = {"too-large", true, false},
    [ATHENA_CONFLICT] = {"conflict", true, false},
    [ATHENA_QUOTA] = {"quota", true, true},
    [ATHENA_NOT_STRICT_JSON] = {"not-strict-json", false, false},
    [ATHENA_NO_MEMORY] = {"no-memory", false, true},
    [ATHENA_BAD_ENVELOPE] = {"bad-envelope", false, false},
    [ATHENA_BAD_ID] = {"bad-id", false, false},
    [ATHENA_BAD_URL] = {"bad-url", false, false},
    [ATHENA_BAD_TOKEN] = {"bad-token", false, false},
    [ATHENA_UNKNOWN_CODE] = {"unknown-code", false, false},
};
enum { CODE_COUNT = sizeof codes / sizeof codes[0] };

const char *athena_code_text(enum athena_code code) {
    return (size_t)code < CODE_COUNT ? codes[code].text : codes[ATHENA_UNKNOWN_CODE].text;
}

enum athena_code athena_code_parse(struct athena_text_view text) {
    for (size_t i = 0; i < CODE_COUNT; i++)
        if (codes[i].on_wire && text_equals(text, codes[i].text))
            return (enum athena_code)i;
    return ATHENA_UNKNOWN_CODE;
}

bool athena_code_is_retryable(enum athena_code code) {
    return (size_t)code < CODE_COUNT && codes[code].retryable;
}

bool text_equals(struct athena_text_view text, const char *literal) {
    return text.len == strlen(literal) && memcmp(text.at, literal, text.len) == 0;
}

enum athena_code refuse(struct athena_error *error, enum athena_code code, const char *where,
                        const char *format, ...) {
    if (error) {
        error->code = code;
        snprintf(error->where, sizeof error->where, "%s", where);
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(error->text, sizeof error->text, format, arguments);
        va_end(arguments);
    }
    return code;
}
