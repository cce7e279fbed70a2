/* Judging a message by spec/schemas, with as much of JSON Schema as those use. */
#ifndef ATHENA_PROTOCOL_TESTS_SUPPORT_SCHEMA_H
#define ATHENA_PROTOCOL_TESTS_SUPPORT_SCHEMA_H

#include "protocol/athena_protocol.h"

#include <cjson/cJSON.h>

/* Loads the schemas of all messages. A keyword that is not known here fails the test that uses it.
 */
void schemas_load(void);
void schemas_free(void);
/* The schema of one type, such as "open". */
const cJSON *schema_of(const char *type);
/* One of `$defs` of the common schema, such as "change". */
const cJSON *schema_of_definition(const char *name);

enum { POINTER_MAX = 256 };

/* Whether a value is as its schema says. If not, `pointer` is where the first fault is: for a
 * member that is missing, where it would be. */
bool schema_accepts(const cJSON *schema, const cJSON *value, char pointer[static POINTER_MAX]);

#endif
