/*
 * JSON Schema 2020-12, as far as the protocol's schemas use it: type, const, enum, required,
 * properties, additionalProperties, items, minItems, maxItems, uniqueItems, minLength, maxLength,
 * minimum, maximum, pattern (POSIX extended), oneOf, anyOf, allOf, not, $ref (within the file, or
 * to another loaded file by its name or $id), $defs. Any other keyword refuses the file when it is
 * loaded: a rule that is not understood must not pass silently.
 */
#ifndef CONFORM_SCHEMA_H
#define CONFORM_SCHEMA_H

#include <cjson/cJSON.h>
#include <stdbool.h>

enum { SCHEMA_DEPTH_MAX = 64 };

struct schema_set;

struct schema_fault {
    char *pointer; /* JSON Pointer into the value */
    char *text;    /* what was expected there */
};

struct schema_set *schema_set_new(void);
void schema_set_free(struct schema_set *set);
/* Loads one file, or each *.schema.json of a folder. False with *error (free it) set. */
bool schema_set_load(struct schema_set *set, const char *path, char **error);
/* The root of the file called `name` (without folder), NULL when it is not there. Borrowed. */
const cJSON *schema_set_find(const struct schema_set *set, const char *name);
/* Checks that every $ref of every loaded file resolves and every pattern compiles. */
bool schema_set_resolves(struct schema_set *set, char **error);

/* Checks `value` against `schema`, a part of the file whose root is `root`. On false fills *fault;
 * give it to schema_fault_fini. */
bool schema_check(struct schema_set *set, const cJSON *root, const cJSON *schema,
                  const cJSON *value, struct schema_fault *fault);
void schema_fault_fini(struct schema_fault *fault);

#endif
