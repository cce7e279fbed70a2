/* Where in a JSON text a value stands, for people who have to mend it. */
#ifndef CONFORM_JSON_PLACE_H
#define CONFORM_JSON_PLACE_H

#include <cjson/cJSON.h>

struct json_place {
    unsigned line; /* from 1, like the column, which counts bytes */
    unsigned column;
};

/* `root` was parsed from `text` and holds `value`, or is it. */
struct json_place json_place(const char *text, const cJSON *root, const cJSON *value);

/* What a JSON Pointer without escapes leads to, or as far as it leads. */
const cJSON *json_at(const cJSON *root, const char *pointer);

#endif
