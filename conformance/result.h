/* The one result model of a run, from which every format is made; its shape is in format.h. */
#ifndef CONFORM_RESULT_H
#define CONFORM_RESULT_H

#include "conformance/options.h"
#include "conformance/scenario.h"
#include "conformance/verdict.h"

/* Takes the object of all requirements over. cJSON_Delete what it returns. */
cJSON *result_begin(const struct options *options, cJSON *requirements);
/* `round` counts the repetitions from 0; `sentence` is that of the verdict's requirement, or NULL.
 */
void result_add(cJSON *run, const struct scenario *scenario, size_t round,
                const struct verdict *verdict, const char *sentence, const char *replay);
void result_add_trouble(cJSON *run, const char *text);
void result_end(cJSON *run, size_t skipped, size_t left_out, double seconds, const char *verdict,
                int exit_status);
/* Writes what the options ask for. False, having said why on standard error, when one cannot be
 * written. */
bool result_write(const cJSON *run, const struct options *options, FILE *const *files);

#endif
