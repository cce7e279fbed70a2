#include "conformance/result.h"

#include "conformance/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void add_text(cJSON *object, const char *name, const char *text) {
    if (text != NULL && *text != '\0')
        cJSON_AddStringToObject(object, name, text);
}

static cJSON *member(cJSON *run, const char *name) {
    return cJSON_GetObjectItemCaseSensitive(run, name);
}

cJSON *result_begin(const struct options *options, cJSON *requirements) {
    const struct target_options *target = &options->target;
    char seed[24];
    cJSON *run = cJSON_CreateObject();
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)options->seed);
    cJSON_AddStringToObject(run, "suite", "athena-conform");
    cJSON_AddStringToObject(run, "version", ATHENA_VERSION);
    cJSON_AddStringToObject(run, "protocol", "athena-sync.v1");
    add_text(run, options->role, options->driver != NULL ? options->driver : target_name(target));
    cJSON_AddStringToObject(run, "seed", seed); /* a text: it may be above 2^53 */
    cJSON_AddObjectToObject(run, "counts");
    cJSON_AddItemToObject(run, "without",
                          cJSON_CreateStringArray(options->without, (int)options->without_len));
    cJSON_AddArrayToObject(run, "troubles");
    cJSON_AddArrayToObject(run, "scenarios");
    cJSON_AddItemToObject(run, "requirements", requirements);
    return run;
}

static void count(cJSON *run, const char *status) {
    cJSON *counts = member(run, "counts");
    cJSON *number = cJSON_GetObjectItemCaseSensitive(counts, status);
    if (number != NULL)
        cJSON_SetNumberValue(number, number->valuedouble + 1);
    else
        cJSON_AddNumberToObject(counts, status, 1);
}

static void add_verdict(cJSON *entry, const struct verdict *verdict, const char *sentence) {
    cJSON_AddStringToObject(entry, "status", verdict_status_text(verdict->status));
    cJSON_AddNumberToObject(entry, "checks", verdict->checks);
    cJSON_AddNumberToObject(entry, "ms", verdict->ms);
    cJSON_AddNumberToObject(entry, "line", verdict->line);
    add_text(entry, "requirement", verdict->requirement);
    add_text(entry, "sentence", sentence);
    add_text(entry, "message", verdict->message);
    add_text(entry, "expected", verdict->expected);
    add_text(entry, "received", verdict->received);
    add_text(entry, "pointer", verdict->pointer);
    add_text(entry, "step", verdict->step);
    add_text(entry, "server_log", verdict->server_log);
    add_text(entry, "reason", verdict->reason);
    if (verdict->transcript == NULL)
        return;
    cJSON_AddItemToObject(entry, "transcript", cJSON_Duplicate(verdict->transcript, true));
    cJSON_AddNumberToObject(entry, "omitted", verdict->omitted);
}

/* A repetition is a case of its own. */
static void add_name(cJSON *entry, const char *name, size_t round) {
    char *text = round > 0 ? memory_format("%s (%zu)", name, round + 1) : memory_copy_text(name);
    cJSON_AddStringToObject(entry, "name", text);
    free(text);
}

void result_add(cJSON *run, const struct scenario *scenario, size_t round,
                const struct verdict *verdict, const char *sentence, const char *replay) {
    cJSON *entry = cJSON_CreateObject();
    add_name(entry, scenario->name, round);
    if (round > 0)
        cJSON_AddNumberToObject(entry, "round", (double)round);
    cJSON_AddStringToObject(entry, "family", scenario->family);
    cJSON_AddStringToObject(entry, "tested",
                            cJSON_HasObjectItem(run, "client") ? "client" : "server");
    cJSON_AddStringToObject(entry, "title", scenario->title);
    add_text(entry, "why", cJSON_GetStringValue(cJSON_GetObjectItem(scenario->json, "why")));
    cJSON_AddStringToObject(entry, "path", scenario->path);
    cJSON_AddItemToObject(entry, "requirements", cJSON_Duplicate(scenario->requirements, true));
    add_verdict(entry, verdict, sentence);
    if (round > 0 && verdict->status == VERDICT_PASS) /* one such transcript is enough */
        cJSON_DeleteItemFromObject(entry, "transcript");
    cJSON_AddStringToObject(entry, "replay", replay);
    count(run, verdict_status_text(verdict->status));
    cJSON_AddItemToArray(member(run, "scenarios"), entry);
}

void result_add_trouble(cJSON *run, const char *text) {
    cJSON_AddItemToArray(member(run, "troubles"), cJSON_CreateString(text));
}

void result_end(cJSON *run, size_t skipped, size_t left_out, double seconds, const char *verdict,
                int exit_status) {
    const cJSON *scenario;
    double checks = 0;
    cJSON_ArrayForEach(scenario, member(run, "scenarios")) {
        checks += format_number(scenario, "checks");
    }
    cJSON_AddNumberToObject(run, "checks", checks);
    cJSON_AddNumberToObject(run, "skipped", (double)skipped);
    cJSON_AddNumberToObject(run, "left_out", (double)left_out);
    cJSON_AddNumberToObject(run, "seconds", seconds);
    cJSON_AddStringToObject(run, "verdict", verdict);
    cJSON_AddNumberToObject(run, "exit", exit_status);
}

bool result_write(const cJSON *run, const struct options *options, FILE *const *files) {
    bool all = true;
    for (size_t i = 0; i < options->reports_len; i++) {
        if (files[i] == NULL)
            continue; /* which was told */
        errno = 0;
        format_write(options->reports[i].format, run, files[i]);
        bool failed = ferror(files[i]) != 0;
        if (fclose(files[i]) != 0 || failed) {
            fprintf(stderr, "athena-conform: %s: %s\n", options->reports[i].file, strerror(errno));
            all = false;
        }
    }
    return all;
}
