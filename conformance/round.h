/* One round of a storm: a plan played against the server as a scenario. */
#ifndef CONFORM_ROUND_H
#define CONFORM_ROUND_H

#include "conformance/options.h"
#include "conformance/plan.h"
#include "conformance/scenario.h"
#include "conformance/spec.h"
#include "conformance/verdict.h"

/* What all rounds of a storm share; borrowed. */
struct round_setting {
    const struct options *options;
    const struct spec *spec;
    struct schema_set *schemas;
};

/* The plan of the round that this seed makes. */
struct plan round_plan(const struct options *options, uint64_t seed);

/* Plays it, on a server of its own if there is a command to start one. `seed` makes documents and
 * changes, so that another one is needed for each time the same server is asked. The verdict is the
 * caller's; `operations` gets how many were carried out, when it passes. */
struct verdict round_play(const struct round_setting *setting, const struct plan *plan,
                          uint64_t seed, int timeout_ms, unsigned *operations);
/* The same for a scenario. */
struct verdict round_play_scenario(const struct round_setting *setting,
                                   const struct scenario *scenario, uint64_t seed, int timeout_ms);

/* Writes the plan as a scenario that fails with the verdict. False with *error (free it) set. */
bool round_write(const struct plan *plan, const struct verdict *verdict, const char *path,
                 char **error);

#endif
