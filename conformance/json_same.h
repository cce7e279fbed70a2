/* Whether two JSON values are equal. cJSON_Compare takes neighbouring large integers for one. */
#ifndef CONFORM_JSON_SAME_H
#define CONFORM_JSON_SAME_H

#include <cjson/cJSON.h>
#include <stdbool.h>

/* Numbers by their value, objects whatever the order of their members; NULL equals nothing. */
bool json_same(const cJSON *a, const cJSON *b);

#endif
