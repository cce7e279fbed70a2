#include "conformance/json_same.h"

#include <string.h>

static bool same_elements(const cJSON *a, const cJSON *b) {
    const cJSON *other = b->child;
    const cJSON *element;
    cJSON_ArrayForEach(element, a) {
        if (!json_same(element, other))
            return false;
        other = other->next;
    }
    return other == NULL;
}

static bool same_members(const cJSON *a, const cJSON *b) {
    const cJSON *member;
    if (cJSON_GetArraySize(a) != cJSON_GetArraySize(b))
        return false;
    cJSON_ArrayForEach(member, a) {
        if (!json_same(member, cJSON_GetObjectItemCaseSensitive(b, member->string)))
            return false;
    }
    return true;
}

bool json_same(const cJSON *a, const cJSON *b) {
    if (a == NULL || b == NULL || (a->type & 0xFF) != (b->type & 0xFF))
        return false;
    if (cJSON_IsNumber(a))
        return a->valuedouble == b->valuedouble;
    if (cJSON_IsString(a))
        return strcmp(a->valuestring, b->valuestring) == 0;
    return cJSON_IsArray(a) ? same_elements(a, b) : !cJSON_IsObject(a) || same_members(a, b);
}
