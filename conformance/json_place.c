#include "conformance/json_place.h"

#include <stdlib.h>
#include <string.h>

/* What cJSON takes for space. */
static const char *skip_space(const char *at) {
    while (*at != '\0' && (unsigned char)*at <= ' ')
        at++;
    return at;
}

static const char *skip_string(const char *at) {
    for (at++; *at != '"'; at++)
        at += *at == '\\';
    return at + 1;
}

/* Walks the text of `value` along with the value itself; returns its end. Sets *found to where
 * `wanted` begins. */
static const char *walk(const char *at, const cJSON *value, const cJSON *wanted,
                        const char **found) {
    at = skip_space(at);
    if (value == wanted)
        *found = at;
    if (cJSON_IsString(value))
        return skip_string(at);
    if (!cJSON_IsArray(value) && !cJSON_IsObject(value))
        return at + strcspn(at, ",]} \t\r\n");
    at = skip_space(at + 1);
    for (const cJSON *item = value->child; item != NULL && *found == NULL; item = item->next) {
        if (cJSON_IsObject(value))
            at = skip_space(skip_string(at)) + 1; /* the name and its colon */
        at = skip_space(walk(at, item, wanted, found));
        at = skip_space(at + (*at == ','));
    }
    return at + 1;
}

struct json_place json_place(const char *text, const cJSON *root, const cJSON *value) {
    static const char mark[] = "\xEF\xBB\xBF"; /* which cJSON passes over */
    struct json_place place = {1, 1};
    const char *found = NULL;
    walk(strncmp(text, mark, strlen(mark)) == 0 ? text + strlen(mark) : text, root, value, &found);
    for (const char *at = text; found != NULL && at < found; at++) {
        place.column = *at == '\n' ? 1 : place.column + 1;
        place.line += *at == '\n';
    }
    return place;
}

const cJSON *json_at(const cJSON *root, const char *pointer) {
    const cJSON *at = root;
    while (*pointer == '/') {
        size_t len = strcspn(++pointer, "/");
        const cJSON *inner = at->child;
        if (cJSON_IsArray(at))
            inner = cJSON_GetArrayItem(at, (int)strtol(pointer, NULL, 10));
        else
            while (inner != NULL &&
                   (strlen(inner->string) != len || strncmp(inner->string, pointer, len) != 0))
                inner = inner->next;
        if (inner == NULL)
            return at;
        at = inner;
        pointer += len;
    }
    return at;
}
