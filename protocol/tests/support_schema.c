#include "protocol/tests/support_schema.h"
#include "protocol/message.h"
#include "protocol/tests/support.h"

#include <check.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cJSON *schemas[ATHENA_TYPE_COUNT];
static cJSON *common;

/* ---- Loading ---- */

static cJSON *load(const char *name) {
    char path[128];
    snprintf(path, sizeof path, "spec/schemas/%s.schema.json", name);
    struct bytes text = source_read(path);
    cJSON *schema = cJSON_ParseWithLength((const char *)text.at, text.len);
    ck_assert_msg(schema != NULL, "%s is not JSON", path);
    free(text.at);
    return schema;
}

void schemas_load(void) {
    common = load("common");
    for (size_t type = 0; type < ATHENA_TYPE_COUNT; type++)
        if (message_layouts[type].name)
            schemas[type] = load(message_layouts[type].name);
}

void schemas_free(void) {
    cJSON_Delete(common);
    for (size_t type = 0; type < ATHENA_TYPE_COUNT; type++)
        cJSON_Delete(schemas[type]);
}

const cJSON *schema_of(const char *type) {
    for (size_t i = 0; i < ATHENA_TYPE_COUNT; i++)
        if (message_layouts[i].name && strcmp(message_layouts[i].name, type) == 0)
            return schemas[i];
    ck_abort_msg("no schema of %s", type);
    return NULL;
}

const cJSON *schema_of_definition(const char *name) {
    return member(member(common, "$defs"), name);
}

/* ---- Keywords ---- */

/* A value to judge, and where it stands. */
struct place {
    const cJSON *value;
    char pointer[POINTER_MAX];
};

static bool judge(const cJSON *schema, struct place *place);

static bool judge_at(const cJSON *schema, const cJSON *value, struct place *place,
                     const char *step) {
    struct place inner = {.value = value};
    snprintf(inner.pointer, sizeof inner.pointer, "%.200s/%.50s", place->pointer, step);
    if (judge(schema, &inner))
        return true;
    memcpy(place->pointer, inner.pointer, sizeof place->pointer);
    return false;
}

static bool is_integer(const cJSON *value) {
    return cJSON_IsNumber(value) && value->valuedouble == (double)(int64_t)value->valuedouble;
}

static bool has_type(const cJSON *keyword, const cJSON *value) {
    const char *type = keyword->valuestring;
    return strcmp(type, "object") == 0    ? cJSON_IsObject(value)
           : strcmp(type, "array") == 0   ? cJSON_IsArray(value)
           : strcmp(type, "string") == 0  ? cJSON_IsString(value)
           : strcmp(type, "boolean") == 0 ? cJSON_IsBool(value)
                                          : strcmp(type, "integer") == 0 && is_integer(value);
}

static bool is_one_of(const cJSON *list, const cJSON *value) {
    const cJSON *each;
    cJSON_ArrayForEach(each, list) if (cJSON_Compare(each, value, true)) return true;
    return false;
}

static bool matches(const char *expression, const char *text) {
    regex_t compiled;
    ck_assert_int_eq(regcomp(&compiled, expression, REG_EXTENDED | REG_NOSUB), 0);
    bool is_match = regexec(&compiled, text, 0, NULL, 0) == 0;
    regfree(&compiled);
    return is_match;
}

/* JSON Schema counts characters. */
static double length_of(const cJSON *value) {
    double count = 0;
    for (const char *at = value->valuestring; *at; at++)
        count += ((unsigned char)*at & 0xc0) != 0x80;
    return count;
}

static bool has_required(const cJSON *names, struct place *place) {
    const cJSON *name;
    cJSON_ArrayForEach(name, names) {
        if (cJSON_GetObjectItemCaseSensitive(place->value, name->valuestring))
            continue;
        size_t len = strlen(place->pointer);
        snprintf(place->pointer + len, POINTER_MAX - len, "/%s", name->valuestring);
        return false;
    }
    return true;
}

static bool judge_properties(const cJSON *properties, struct place *place) {
    const cJSON *schema;
    cJSON_ArrayForEach(schema, properties) {
        const cJSON *value = cJSON_GetObjectItemCaseSensitive(place->value, schema->string);
        if (value && !judge_at(schema, value, place, schema->string))
            return false;
    }
    return true;
}

static bool judge_items(const cJSON *schema, struct place *place) {
    const cJSON *value;
    int i = 0;
    cJSON_ArrayForEach(value, place->value) {
        char step[16];
        snprintf(step, sizeof step, "%d", i++);
        if (!judge_at(schema, value, place, step))
            return false;
    }
    return true;
}

static bool judge_one_of(const cJSON *list, struct place *place) {
    const cJSON *schema;
    int count = 0;
    cJSON_ArrayForEach(schema, list) {
        struct place same = *place;
        count += judge(schema, &same);
    }
    return count == 1;
}

/* Keywords for values of one type say nothing about others. */
static bool judge_keyword(const cJSON *keyword, struct place *place) {
    const char *name = keyword->string;
    const cJSON *value = place->value;
    double limit = keyword->valuedouble;
    if (strcmp(name, "type") == 0)
        return has_type(keyword, value);
    if (strcmp(name, "const") == 0)
        return cJSON_Compare(keyword, value, true);
    if (strcmp(name, "enum") == 0)
        return is_one_of(keyword, value);
    if (strcmp(name, "oneOf") == 0)
        return judge_one_of(keyword, place);
    if (strcmp(name, "$ref") == 0)
        return judge(schema_of_definition(strrchr(keyword->valuestring, '/') + 1), place);
    if (strcmp(name, "required") == 0)
        return !cJSON_IsObject(value) || has_required(keyword, place);
    if (strcmp(name, "properties") == 0)
        return !cJSON_IsObject(value) || judge_properties(keyword, place);
    if (strcmp(name, "items") == 0)
        return !cJSON_IsArray(value) || judge_items(keyword, place);
    if (strcmp(name, "minItems") == 0)
        return !cJSON_IsArray(value) || cJSON_GetArraySize(value) >= limit;
    if (strcmp(name, "maxItems") == 0)
        return !cJSON_IsArray(value) || cJSON_GetArraySize(value) <= limit;
    if (strcmp(name, "pattern") == 0)
        return !cJSON_IsString(value) || matches(keyword->valuestring, value->valuestring);
    if (strcmp(name, "minLength") == 0)
        return !cJSON_IsString(value) || length_of(value) >= limit;
    if (strcmp(name, "maxLength") == 0)
        return !cJSON_IsString(value) || length_of(value) <= limit;
    if (strcmp(name, "minimum") == 0)
        return !cJSON_IsNumber(value) || value->valuedouble >= limit;
    if (strcmp(name, "maximum") == 0)
        return !cJSON_IsNumber(value) || value->valuedouble <= limit;
    ck_assert_msg(strcmp(name, "title") == 0 || name[0] == '$', "a schema uses %s", name);
    return true;
}

static bool judge(const cJSON *schema, struct place *place) {
    const cJSON *keyword;
    cJSON_ArrayForEach(keyword, schema) if (!judge_keyword(keyword, place)) return false;
    return true;
}

bool schema_accepts(const cJSON *schema, const cJSON *value, char pointer[static POINTER_MAX]) {
    struct place place = {.value = value};
    bool is_accepted = judge(schema, &place);
    memcpy(pointer, place.pointer, POINTER_MAX);
    return is_accepted;
}
