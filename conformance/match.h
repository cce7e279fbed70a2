/*
 * Compares what came with what was expected. In an expected object only the members it names are
 * compared, since receivers must ignore unknown ones; arrays are compared element by element.
 * Matchers are objects with one member:
 *
 *   {"$any": true}              anything               {"$absent": true}     no such member
 *   {"$type": "integer"}        by type                {"$base64": 32}       bytes, so many
 *   {"$one_of": [a, b]}         any of these           {"$not": a}           anything else
 *   {"$set": [a, b]}            these, in any order    {"$contains": [a]}    these among others
 *   {"$range": [1, 9]}          a number, inclusive    {"$pattern": "^x"}    POSIX extended
 *   {"$save": "name"}           keep it                {"$save": "name", "as": m}  if m matches
 */
#ifndef CONFORM_MATCH_H
#define CONFORM_MATCH_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

struct match_fault {
    char *pointer; /* JSON Pointer of the first difference */
    char *text;    /* "expected ..., received ..." */
};

/* True when `operator` (with its `$`) is a matcher. */
bool match_knows(const char *operator);
/* The names of all of them; NULL past the last. */
const char *match_name(size_t index);

/* On success adds what `$save` kept to the object `saved` (NULL: dropped). On failure fills *fault
 * (NULL allowed); give it to match_fault_fini. */
bool match_value(const cJSON *expected, const cJSON *value, cJSON *saved,
                 struct match_fault *fault);
void match_fault_fini(struct match_fault *fault);

/* JSON on one line for people: printable, with long texts and arrays shortened, and never much of
 * it. free() it. */
char *match_brief(const cJSON *value);

#endif
