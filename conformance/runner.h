/*
 * Runs the selected scenarios, each in a process of its own: a crash there is one harness error,
 * not the end of the run. Scenarios that leave the server alone share one server, since their
 * documents are fresh; those that need `exec` start their own.
 */
#ifndef CONFORM_RUNNER_H
#define CONFORM_RUNNER_H

#include "conformance/catalog.h"
#include "conformance/report.h"

/* Returns the exit status of the program. */
int runner_run(const struct catalog *catalog, const struct spec *spec, struct options *options,
               const char *program);

#endif
