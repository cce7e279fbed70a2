#include "protocol/tests/support.h"

#include <check.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint8_t *allocate(size_t len) {
    uint8_t *at = calloc(1, len ? len : 1);
    if (!at)
        abort();
    return at;
}

struct bytes source_read(const char *path) {
    const char *source = getenv("ATHENA_SOURCE");
    char full[4096];
    snprintf(full, sizeof full, "%s/%s", source ? source : ".", path);
    FILE *file = fopen(full, "rb");
    ck_assert_msg(file != NULL, "cannot open %s", full);
    ck_assert_int_eq(fseek(file, 0, SEEK_END), 0);
    long len = ftell(file);
    ck_assert_int_ge(len, 0);
    rewind(file);
    struct bytes bytes = {allocate((size_t)len + 1), (size_t)len};
    ck_assert_uint_eq(fread(bytes.at, 1, bytes.len, file), bytes.len);
    fclose(file);
    return bytes;
}

struct bytes fixture_read(const char *path) {
    char full[4096];
    snprintf(full, sizeof full, "fixtures/%s", path);
    return source_read(full);
}

cJSON *fixture_load(const char *path) {
    struct bytes text = fixture_read(path);
    cJSON *json = cJSON_ParseWithLength((const char *)text.at, text.len);
    ck_assert_msg(json != NULL, "%s is not JSON", path);
    free(text.at);
    return json;
}

const cJSON *member(const cJSON *object, const char *name) {
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, name);
    ck_assert_msg(value != NULL, "a fixture has no member %s", name);
    return value;
}

const char *member_text(const cJSON *object, const char *name) {
    const cJSON *value = member(object, name);
    ck_assert_msg(cJSON_IsString(value), "a fixture's %s is no string", name);
    return value->valuestring;
}

const char *member_text_or_null(const cJSON *object, const char *name) {
    return cJSON_HasObjectItem(object, name) ? member_text(object, name) : NULL;
}

uint64_t member_integer(const cJSON *object, const char *name) {
    const cJSON *value = member(object, name);
    ck_assert_msg(cJSON_IsNumber(value) && value->valuedouble >= 0, "a fixture's %s is no integer",
                  name);
    return (uint64_t)value->valuedouble;
}

bool member_boolean(const cJSON *object, const char *name) {
    const cJSON *value = member(object, name);
    ck_assert_msg(cJSON_IsBool(value), "a fixture's %s is no boolean", name);
    return cJSON_IsTrue(value);
}

static struct bytes from_hex(const char *text) {
    size_t text_len = strlen(text);
    ck_assert_msg(text_len % 2 == 0 && strspn(text, "0123456789abcdef") == text_len,
                  "a fixture's %s is not hexadecimal", text);
    struct bytes bytes = {allocate(text_len / 2), text_len / 2};
    sodium_hex2bin(bytes.at, bytes.len, text, text_len, NULL, NULL, NULL);
    return bytes;
}

struct bytes bytes_of(const cJSON *value) {
    if (cJSON_IsString(value))
        return from_hex(value->valuestring);
    struct bytes unit = from_hex(member_text(value, "repeat"));
    uint64_t times = member_integer(value, "times");
    struct bytes bytes = {allocate(unit.len * times), unit.len * times};
    for (uint64_t i = 0; i < times; i++)
        memcpy(bytes.at + i * unit.len, unit.at, unit.len);
    free(unit.at);
    return bytes;
}

struct bytes member_bytes(const cJSON *object, const char *name) {
    return bytes_of(member(object, name));
}

void member_bytes_into(uint8_t *out, size_t len, const cJSON *object, const char *name) {
    struct bytes bytes = member_bytes(object, name);
    ck_assert_msg(bytes.len == len, "a fixture's %s has %zu bytes", name, bytes.len);
    memcpy(out, bytes.at, len);
    free(bytes.at);
}

struct athena_text_view view_text(const char *text) {
    return (struct athena_text_view){text, strlen(text)};
}

struct athena_bytes_view view_bytes(struct bytes bytes) {
    return (struct athena_bytes_view){bytes.at, bytes.len};
}

struct athena_text_view view_bytes_as_text(struct bytes bytes) {
    return (struct athena_text_view){(const char *)bytes.at, bytes.len};
}

void expect_member_bytes(const cJSON *vector, const char *name, const uint8_t *at, size_t len) {
    struct bytes expected = member_bytes(vector, name);
    ck_assert_msg(expected.len == len && memcmp(expected.at, at, len) == 0,
                  "%s: %s is not as expected", member_text(vector, "name"), name);
    free(expected.at);
}
