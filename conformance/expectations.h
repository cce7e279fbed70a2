/*
 * Failures that are known: a file of lines
 *
 *   # scenario            requirement   why
 *   limits/quota          ASP-ABUSE-5   We have no quotas yet.
 *
 * turns such a failure into an expected one, and its absence into a failure, so that the file never
 * says more than is true.
 */
#ifndef CONFORM_EXPECTATIONS_H
#define CONFORM_EXPECTATIONS_H

#include "conformance/catalog.h"
#include "conformance/verdict.h"

struct expectations;

/* `path` NULL gives none. NULL with *error (free it) set: unreadable, a line without a reason, or
 * twice the same scenario. */
struct expectations *expectations_load(const char *path, char **error);
void expectations_free(struct expectations *expectations);

/* Judges a verdict anew. */
void expectations_apply(const struct expectations *expectations, const char *scenario,
                        struct verdict *verdict);
/* The first scenario named in the file that is not among these; NULL when all are. */
const char *expectations_find_unknown(const struct expectations *expectations,
                                      const struct catalog *catalog);

#endif
