/*
 * Reading JSON that athena_json_check has accepted. Values are spans of the text; nothing is
 * allocated. Because the text is known to be well formed, reading cannot fail, only end.
 */
#ifndef ATHENA_PROTOCOL_JSON_H
#define ATHENA_PROTOCOL_JSON_H

#include "protocol/athena_protocol.h"

enum json_kind {
    JSON_OBJECT,
    JSON_ARRAY,
    JSON_STRING,
    JSON_INTEGER,
    JSON_TRUE,
    JSON_FALSE,
    JSON_NULL
};

/* Span of one value, quotation marks and brackets included. */
struct json_value {
    enum json_kind kind;
    struct athena_text_view span;
};

/* A place inside an object or array. */
struct json_reader {
    const char *at;
};

struct json_value json_root(struct athena_text_view json);
struct json_reader json_enter(struct json_value container);
/* False at the end of the container. `name` is the member's string as written, quotation marks
 * included. */
bool json_next_member(struct json_reader *reader, struct athena_text_view *name,
                      struct json_value *value);
bool json_next_element(struct json_reader *reader, struct json_value *value);

/* Bytes of a string value after escapes are resolved, never more than span.len. */
size_t json_unescape(char *out, struct athena_text_view quoted);
/* One character: reads one escape or byte at *at and moves behind it; bytes written. */
size_t json_unescape_one(char out[static 4], const char **at);
/* `text` is ASCII or UTF-8, NUL-terminated. */
bool json_string_equals(struct athena_text_view quoted, const char *text);
/* Four hexadecimal digits, checked before. */
uint32_t json_hex4(const char *at);
uint64_t json_integer(struct json_value value);

#endif
