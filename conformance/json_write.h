/* JSON on one line, with integers up to 2^53 written out in digits (cJSON rounds to 15 of them). */
#ifndef CONFORM_JSON_WRITE_H
#define CONFORM_JSON_WRITE_H

#include <cjson/cJSON.h>

/* free() it. */
char *json_write(const cJSON *value);

#endif
