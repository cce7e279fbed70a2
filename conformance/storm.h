/*
 * athena-conform storm: random clients that do everything a client may do, in rounds, until enough
 * operations went well or the history of a round shows that the server broke a promise. That round
 * is then shrunk to a scenario.
 */
#ifndef CONFORM_STORM_H
#define CONFORM_STORM_H

#include "conformance/options.h"
#include "conformance/spec.h"

/* Returns the exit status of the program. `schemas` are those of scenarios. */
int storm_run(const struct options *options, const struct spec *spec, struct schema_set *schemas,
              const char *program);

#endif
