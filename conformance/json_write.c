#include "conformance/json_write.h"

#include "conformance/memory.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const double EXACT_MAX = 9007199254740992.0; /* 2^53 */

static void append_text(struct bytes *out, const char *text) {
    bytes_append(out, text, strlen(text));
}

static void append_scalar(struct bytes *out, const cJSON *value) {
    double number = cJSON_IsNumber(value) ? value->valuedouble : 0.5;
    bool exact = number >= -EXACT_MAX && number <= EXACT_MAX && (double)(int64_t)number == number;
    char *text = exact ? memory_format("%.0f", number) : cJSON_PrintUnformatted(value);
    append_text(out, text);
    free(text);
}

static void append_name(struct bytes *out, const char *name) {
    cJSON *text = cJSON_CreateStringReference(name);
    append_scalar(out, text);
    append_text(out, ":");
    cJSON_Delete(text);
}

static void append_value(struct bytes *out, const cJSON *value) {
    bool object = cJSON_IsObject(value);
    if (!object && !cJSON_IsArray(value)) {
        append_scalar(out, value);
        return;
    }
    append_text(out, object ? "{" : "[");
    for (const cJSON *item = value->child; item != NULL; item = item->next) {
        if (item != value->child)
            append_text(out, ",");
        if (object)
            append_name(out, item->string);
        append_value(out, item);
    }
    append_text(out, object ? "}" : "]");
}

char *json_write(const cJSON *value) {
    struct bytes out = {0};
    append_value(&out, value);
    bytes_append(&out, "", 1);
    return (char *)out.at;
}

/* ---- Finding --------------------------------------------------------------------------------- */

static const char *skip_text(const char *at) {
    for (at++; *at != '"'; at++)
        at += *at == '\\';
    return at + 1;
}

static const char *skip_value(const char *at) {
    unsigned depth = 0;
    do {
        depth += *at == '{' || *at == '[';
        depth -= *at == '}' || *at == ']';
        at = *at == '"' ? skip_text(at) : at + 1;
    } while (*at != '\0' && (depth > 0 || strchr(",]}", *at) == NULL));
    return at;
}

/* The member or element that a token of a pointer names; NULL when there is none. */
static const char *descend(const char *at, const char *token, size_t token_len) {
    bool object = *at == '{';
    if (!object && *at != '[')
        return NULL;
    unsigned long index = strtoul(token, NULL, 10);
    at++;
    for (unsigned long i = 0; *at != '\0' && *at != '}' && *at != ']'; i++) {
        const char *name = at;
        if (object)
            at = skip_text(at) + 1;
        if (object ? (size_t)(at - name) == token_len + 3 && memcmp(name + 1, token, token_len) == 0
                   : i == index)
            return at;
        at = skip_value(at);
        at += *at == ',';
    }
    return NULL;
}

bool json_find(const char *text, const char *pointer, size_t *from, size_t *len) {
    const char *at = *pointer == '/' ? text : NULL;
    while (at != NULL && *pointer == '/') {
        size_t token_len = strcspn(++pointer, "/");
        at = descend(at, pointer, token_len);
        pointer += token_len;
    }
    if (at == NULL)
        return false;
    *from = (size_t)(at - text);
    *len = (size_t)(skip_value(at) - at);
    return true;
}
