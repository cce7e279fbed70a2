/* One scenario file: read, checked against scenario.schema.json, and what is said about it. */
#ifndef CONFORM_SCENARIO_H
#define CONFORM_SCENARIO_H

#include "conformance/schema.h"
#include "conformance/spec.h"

struct scenario {
    char *path;
    char *name;   /* "family/name" */
    char *family; /* the folder */
    char *text;
    cJSON *json;       /* made of it */
    const char *title; /* the next three are borrowed from json */
    const char *profile;
    const cJSON *requirements;
};

/* NULL with *error (free it) set: unreadable, not JSON, or against the schema, with the place.
 * `path` gives the name; scenario_parse does not read it, and without `schemas` takes what this
 * program itself has written as it is. */
struct scenario *scenario_parse(const char *path, const char *text, struct schema_set *schemas,
                                char **error);
struct scenario *scenario_load(const char *path, struct schema_set *schemas, char **error);
void scenario_free(struct scenario *scenario);

/* The line in which a part of its JSON begins. */
unsigned scenario_line(const struct scenario *scenario, const cJSON *part);
/* Whether all that it cites is in the specification. False with *error (free it) set. */
bool scenario_check_citations(const struct scenario *scenario, const struct spec *spec,
                              char **error);
bool scenario_needs(const struct scenario *scenario, const char *what);
/* True when the scenario or one of its steps cites the requirement. */
bool scenario_cites(const struct scenario *scenario, const char *requirement);

#endif
