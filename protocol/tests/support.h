/* Reading the fixtures: files, JSON members and the ways they write bytes. Whatever is missing or
 * malformed fails the running test with its place. */
#ifndef ATHENA_PROTOCOL_TESTS_SUPPORT_H
#define ATHENA_PROTOCOL_TESTS_SUPPORT_H

#include "protocol/athena_protocol.h"

#include <cjson/cJSON.h>

/* A heap copy; free `at`. */
struct bytes {
    uint8_t *at;
    size_t len;
};

/* The whole of $ATHENA_SOURCE/`path`, with a NUL behind it that `len` does not count. */
struct bytes source_read(const char *path);
/* The same below fixtures/. */
struct bytes fixture_read(const char *path);
/* A fixture, parsed. cJSON_Delete frees. */
cJSON *fixture_load(const char *path);

/* Members of an object; the text is borrowed. */
const cJSON *member(const cJSON *object, const char *name);
const char *member_text(const cJSON *object, const char *name);
uint64_t member_integer(const cJSON *object, const char *name);
bool member_boolean(const cJSON *object, const char *name);
/* NULL when the member is absent. */
const char *member_text_or_null(const cJSON *object, const char *name);

/* Bytes written as hexadecimal, or as {"repeat": hexadecimal, "times": n}. */
struct bytes bytes_of(const cJSON *value);
struct bytes member_bytes(const cJSON *object, const char *name);
/* The same for a known length, into the caller's array. */
void member_bytes_into(uint8_t *out, size_t len, const cJSON *object, const char *name);

struct athena_text_view view_text(const char *text);
struct athena_bytes_view view_bytes(struct bytes bytes);
struct athena_text_view view_bytes_as_text(struct bytes bytes);

/* Fails when the bytes are not those of the member, printing the vector's name. */
void expect_member_bytes(const cJSON *vector, const char *name, const uint8_t *at, size_t len);

#endif
