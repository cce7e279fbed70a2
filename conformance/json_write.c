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
