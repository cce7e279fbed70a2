/* The scenario files of a run: found, read, checked and selected. */
#ifndef CONFORM_CATALOG_H
#define CONFORM_CATALOG_H

#include "conformance/options.h"
#include "conformance/scenario.h"

struct catalog {
    struct scenario **scenarios; /* by name */
    size_t len;
    size_t left_out; /* selected, but for what the run is without */
    char **faults;   /* files that could not be used, and why */
    size_t faults_len;
    struct schema_set *schemas;
};

/* The folders to read, found from where the program is unless the options name them: those of the
 * source tree it was built in, or of the prefix it was installed in. free() them. */
char *catalog_find_folder(const char *given, const char *in_tree, char **error);

/* Reads what the options select. False with *error (free it) set when the folder or a selector
 * gives nothing. */
bool catalog_load(struct catalog *catalog, const struct options *options, const struct spec *spec,
                  char **error);
void catalog_fini(struct catalog *catalog);

#endif
