/*
 * Values of a scenario: JSON in which texts that begin with `$` name variables ("$c1.id",
 * "$alice.welcome.limits.batch") and objects with one member that begins with `$` are computed
 * ({"$digest": ["$c1", "$c2"]}). "$$" begins a text that really starts with a dollar.
 * Matchers ({"$type": "integer"}) pass through unchanged, their arguments evaluated; match.h
 * understands them. conformance/README.md lists all operators.
 */
#ifndef CONFORM_VALUE_H
#define CONFORM_VALUE_H

#include "conformance/entropy.h"

#include <cjson/cJSON.h>
#include <stdbool.h>

struct scope {
    cJSON *variables; /* an object */
    struct entropy *entropy;
    bool is_lasting; /* the server keeps what it was given: documents are new, whatever the seed */
};

/* A new value without variables or operators; cJSON_Delete() it. NULL with *error (free it) set. */
cJSON *value_evaluate(const struct scope *scope, const cJSON *expression, char **error);

/* Sets a variable; takes ownership of `value`. */
void value_set(const struct scope *scope, const char *name, cJSON *value);
/* Follows a path like "alice.welcome.limits.batch". Borrowed; NULL when it leads nowhere. */
const cJSON *value_find(const struct scope *scope, const char *path);

/* The one member of an object that begins with `$`; NULL when `value` is no operator. */
const cJSON *value_operator(const cJSON *value);

/* The names of those that are computed; NULL past the last. */
const char *value_name(size_t index);

/* A fresh document, {"id", "secret"}, and a fresh change id (free() it). */
cJSON *value_new_document(const struct scope *scope);
char *value_new_change_id(const struct scope *scope, const char *actor);

/* An array of all changes in `value` (a change, or arrays of them nested in any way). NULL with
 * *error set when something else is in it. */
cJSON *value_flatten_changes(const cJSON *value, char **error);

#endif
