/* JUnit XML, as CI servers read it: a suite for each family, a case for each scenario. */
#include "conformance/format.h"

#include <stdbool.h>
#include <string.h>

static void write_attribute(FILE *out, const char *name, const char *value) {
    fprintf(out, " %s=\"", name);
    format_write_escaped(out, value);
    fputc('"', out);
}

static void write_line(FILE *out, const char *name, const char *text) {
    if (*text == '\0')
        return;
    fprintf(out, "%s: ", name);
    format_write_escaped(out, text);
    fputc('\n', out);
}

static void write_details(FILE *out, const cJSON *scenario) {
    const cJSON *line;
    write_line(out, "requirement", format_text(scenario, "sentence"));
    write_line(out, "expected", format_text(scenario, "expected"));
    write_line(out, "received", format_text(scenario, "received"));
    write_line(out, "step", format_text(scenario, "step"));
    write_line(out, "replay", format_text(scenario, "replay"));
    if (format_number(scenario, "omitted") > 0)
        fprintf(out, "(%.0f lines before)\n", format_number(scenario, "omitted"));
    cJSON_ArrayForEach(line, cJSON_GetObjectItemCaseSensitive(scenario, "transcript")) {
        format_write_escaped(out, line->valuestring);
        fputc('\n', out);
    }
}

/* failure, error or skipped; NULL for what passed. Untestable is an error: it is not green. JUnit
 * knows no expected failure: skipped comes nearest. */
static const char *element_of(const char *status) {
    if (strcmp(status, "pass") == 0)
        return NULL;
    if (strcmp(status, "fail") == 0)
        return "failure";
    bool is_skipped = strcmp(status, "unsupported") == 0 || strcmp(status, "expected fail") == 0;
    return is_skipped ? "skipped" : "error";
}

static void write_case(FILE *out, const cJSON *scenario) {
    const char *status = format_text(scenario, "status");
    const char *element = element_of(status);
    const char *type = format_text(scenario, "requirement");
    fputs("    <testcase", out);
    write_attribute(out, "classname", format_text(scenario, "family"));
    write_attribute(out, "name", format_text(scenario, "name"));
    fprintf(out, " time=\"%.4f\">\n", format_number(scenario, "ms") / 1000);
    if (element != NULL) {
        fprintf(out, "      <%s", element);
        const char *reason = format_text(scenario, "reason");
        write_attribute(out, "message",
                        *reason != '\0' ? reason : format_text(scenario, "message"));
        if (strcmp(element, "skipped") != 0)
            write_attribute(out, "type", *type != '\0' ? type : status);
        fputc('>', out);
        if (strcmp(element, "skipped") != 0)
            write_details(out, scenario);
        fprintf(out, "</%s>\n", element);
    }
    fputs("    </testcase>\n", out);
}

struct totals {
    unsigned tests;
    unsigned failures;
    unsigned errors;
    unsigned skipped;
    double seconds;
};

static void count(struct totals *totals, const cJSON *scenario) {
    const char *element = element_of(format_text(scenario, "status"));
    totals->tests++;
    totals->seconds += format_number(scenario, "ms") / 1000;
    totals->failures += element != NULL && strcmp(element, "failure") == 0;
    totals->errors += element != NULL && strcmp(element, "error") == 0;
    totals->skipped += element != NULL && strcmp(element, "skipped") == 0;
}

static void write_totals(FILE *out, const struct totals *totals, double seconds) {
    fprintf(out, " tests=\"%u\" failures=\"%u\" errors=\"%u\" skipped=\"%u\" time=\"%.4f\">\n",
            totals->tests, totals->failures, totals->errors, totals->skipped, seconds);
}

/* The scenarios of one family, which stand together; returns the first of the next. */
static const cJSON *write_suite(FILE *out, const cJSON *first) {
    const char *family = format_text(first, "family");
    struct totals totals = {0};
    const cJSON *end = first;
    for (; end != NULL && strcmp(format_text(end, "family"), family) == 0; end = end->next)
        count(&totals, end);
    fputs("  <testsuite", out);
    write_attribute(out, "name", family);
    write_totals(out, &totals, totals.seconds);
    for (const cJSON *scenario = first; scenario != end; scenario = scenario->next)
        write_case(out, scenario);
    fputs("  </testsuite>\n", out);
    return end;
}

/* What went wrong beside the scenarios. */
static void write_troubles(FILE *out, const cJSON *troubles) {
    const cJSON *trouble;
    int len = cJSON_GetArraySize(troubles);
    if (len == 0)
        return;
    fprintf(out, "  <testsuite name=\"harness\" tests=\"%d\" errors=\"%d\">\n", len, len);
    cJSON_ArrayForEach(trouble, troubles) {
        fputs("    <testcase classname=\"harness\" name=\"run\"><error", out);
        write_attribute(out, "message", trouble->valuestring);
        fputs("/></testcase>\n", out);
    }
    fputs("  </testsuite>\n", out);
}

void format_write_junit(const cJSON *run, FILE *out) {
    const cJSON *scenarios = cJSON_GetObjectItemCaseSensitive(run, "scenarios");
    const cJSON *troubles = cJSON_GetObjectItemCaseSensitive(run, "troubles");
    const cJSON *scenario;
    struct totals totals = {0};
    cJSON_ArrayForEach(scenario, scenarios) {
        count(&totals, scenario);
    }
    totals.tests += (unsigned)cJSON_GetArraySize(troubles);
    totals.errors += (unsigned)cJSON_GetArraySize(troubles);
    fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites", out);
    write_attribute(out, "name", "athena-conform");
    write_totals(out, &totals, format_number(run, "seconds"));
    for (const cJSON *first = scenarios != NULL ? scenarios->child : NULL; first != NULL;)
        first = write_suite(out, first);
    write_troubles(out, troubles);
    fputs("</testsuites>\n", out);
}
