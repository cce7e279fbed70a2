/* TAP 14: one test point a scenario, with a YAML block where it is not green. */
#include "conformance/format.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* '#' would begin a directive; a line stays one line. */
static void write_description(FILE *out, const char *text) {
    for (; *text != '\0'; text++) {
        if (*text == '#' || *text == '\\')
            fputc('\\', out);
        fputc(*text == '\n' || *text == '\r' ? ' ' : *text, out);
    }
}

/* JSON texts are YAML texts. */
static void write_member(FILE *out, const char *name, const cJSON *value) {
    char *text = value != NULL ? cJSON_PrintUnformatted(value) : NULL;
    if (text != NULL)
        fprintf(out, "  %s: %s\n", name, text);
    free(text);
}

static void write_block(FILE *out, const cJSON *scenario) {
    static const char *const members[] = {
        "status", "message", "reason", "requirement", "sentence", "expected",   "received",
        "path",   "line",    "step",   "replay",      "omitted",  "transcript", "server_log"};
    fputs("  ---\n", out);
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        write_member(out, members[i], cJSON_GetObjectItemCaseSensitive(scenario, members[i]));
    fputs("  ...\n", out);
}

static void write_point(FILE *out, const cJSON *scenario, unsigned number) {
    const char *status = format_text(scenario, "status");
    bool passed = strcmp(status, "pass") == 0;
    bool unsupported = strcmp(status, "unsupported") == 0;
    fprintf(out, "%s %u - ", passed || unsupported ? "ok" : "not ok", number);
    write_description(out, format_text(scenario, "name"));
    if (unsupported) {
        fputs(" # SKIP ", out);
        write_description(out, format_text(scenario, "message"));
    } else if (strcmp(status, "expected fail") == 0) {
        fputs(" # TODO ", out);
        write_description(out, format_text(scenario, "reason"));
    }
    fputc('\n', out);
    if (!passed && !unsupported)
        write_block(out, scenario);
}

void format_write_tap(const cJSON *run, FILE *out) {
    const cJSON *scenarios = cJSON_GetObjectItemCaseSensitive(run, "scenarios");
    const cJSON *scenario;
    const cJSON *trouble;
    unsigned number = 0;
    int skipped = (int)format_number(run, "skipped");
    fprintf(out, "TAP version 14\n1..%d\n", cJSON_GetArraySize(scenarios) + skipped);
    cJSON_ArrayForEach(scenario, scenarios) {
        write_point(out, scenario, ++number);
    }
    cJSON_ArrayForEach(trouble, cJSON_GetObjectItemCaseSensitive(run, "troubles")) {
        fputs("Bail out! ", out);
        write_description(out, trouble->valuestring);
        fputc('\n', out);
    }
    if (skipped > 0)
        fprintf(out, "Bail out! %d scenarios were not run\n", skipped);
}
