/* JSON on one line, with integers up to 2^53 written out in digits (cJSON rounds to 15 of them),
 * and where in such a line a value stands. */
#ifndef CONFORM_JSON_WRITE_H
#define CONFORM_JSON_WRITE_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

/* free() it. */
char *json_write(const cJSON *value);

/* Where the value at `pointer`, a JSON Pointer, stands in `text`, which json_write has written.
 * False when there is none, or it is the whole. */
bool json_find(const char *text, const char *pointer, size_t *from, size_t *len);

#endif
