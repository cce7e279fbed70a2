#include "conformance/round.h"

#include "conformance/clock.h"
#include "conformance/duty.h"
#include "conformance/json_write.h"
#include "conformance/memory.h"
#include "conformance/run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct plan round_plan(const struct options *options, uint64_t seed) {
    const struct plan_size size = {.clients = (unsigned)options->clients,
                                   .documents = (unsigned)options->documents,
                                   .owns_server = options->target.command != NULL};
    struct entropy entropy;
    entropy_init(&entropy, seed, "plan of a storm");
    return plan_make(&size, &entropy);
}

/* ---- The scenario ---------------------------------------------------------------------------- */

static bool has_server_steps(const cJSON *steps) {
    const cJSON *step;
    cJSON_ArrayForEach(step, steps) {
        if (cJSON_HasObjectItem(step, "server"))
            return true;
    }
    return false;
}

static void write_text(FILE *out, const char *name, const char *text) {
    cJSON *value = cJSON_CreateString(text);
    char *json = json_write(value);
    fprintf(out, "  \"%s\": %s,\n", name, json);
    free(json);
    cJSON_Delete(value);
}

/* As people write it: a line for each step. `requirement` is that of steps which cite none. */
static void write_scenario(FILE *out, const struct plan *plan, const char *why,
                           const char *requirement, unsigned *operations) {
    cJSON *steps = plan_steps(plan, operations);
    const cJSON *step;
    fputs("{\n  \"title\": \"What clients do in a storm breaks nothing\",\n", out);
    write_text(out, "why", why);
    fprintf(out, "  \"requirements\": [\"%s\"],\n  \"profile\": \"core\",\n", requirement);
    if (has_server_steps(steps))
        fputs("  \"needs\": [\"exec\"],\n", out);
    fputs("  \"steps\": [\n", out);
    cJSON_ArrayForEach(step, steps) {
        char *json = json_write(step);
        fprintf(out, "    %s%s\n", json, step->next != NULL ? "," : "");
        free(json);
    }
    fputs("  ]\n}\n", out);
    cJSON_Delete(steps);
}

bool round_write(const struct plan *plan, const struct verdict *verdict, const char *path,
                 char **error) {
    unsigned operations;
    char *why = memory_format("A storm of clients found that it does: %s", verdict->message);
    FILE *out = fopen(path, "we");
    if (out != NULL)
        write_scenario(out, plan, why, verdict->requirement, &operations);
    bool ok = out != NULL && !ferror(out);
    ok = out != NULL && fclose(out) == 0 && ok;
    if (!ok)
        *error = memory_format("%s: %s", path, strerror(errno));
    free(why);
    return ok;
}

/* ---- Playing --------------------------------------------------------------------------------- */

static struct verdict fail_to_play(char *message) {
    return (struct verdict){.status = VERDICT_HARNESS_ERROR, .message = message};
}

struct verdict round_play_scenario(const struct round_setting *setting,
                                   const struct scenario *scenario, uint64_t seed, int timeout_ms) {
    char *error = NULL;
    bool owns_server = setting->options->target.command != NULL;
    struct target *target = target_new(&setting->options->target, &error);
    int64_t deadline_us = clock_now_us() + (int64_t)setting->options->timeout_ms * 1000;
    if (target == NULL || (owns_server && !target_start(target, deadline_us, &error))) {
        target_free(target);
        return fail_to_play(error);
    }
    const struct run_options options = {.spec = setting->spec,
                                        .target = target,
                                        .owns_server = owns_server,
                                        .seed = seed,
                                        .timeout_ms = timeout_ms};
    struct verdict verdict = run_scenario(scenario, &options);
    target_free(target);
    return verdict;
}

struct verdict round_play(const struct round_setting *setting, const struct plan *plan,
                          uint64_t seed, int timeout_ms, unsigned *operations) {
    char *text = NULL;
    char *error = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    if (out == NULL)
        return fail_to_play(memory_format("no memory: %s", strerror(errno)));
    write_scenario(out, plan, "It is what every client may do at any time.",
                   DUTY_IN_STORMS("ASP-MSG-9"), operations);
    fclose(out);
    struct scenario *scenario = scenario_parse("storm/round", text, NULL, &error);
    free(text);
    if (scenario == NULL)
        return fail_to_play(error);
    struct verdict verdict = round_play_scenario(setting, scenario, seed, timeout_ms);
    scenario_free(scenario);
    return verdict;
}
