#include "conformance/report.h"

#include "conformance/json_write.h"
#include "conformance/memory.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char GREEN[] = "\033[32m";
static const char RED[] = "\033[31m";
static const char YELLOW[] = "\033[33m";
static const char DIM[] = "\033[2m";
static const char MARKED[] = "\033[1;7m";
static const char PLAIN[] = "\033[0m";

static const char *const MARKS[VERDICT_STATUSES] = {"ok",          "FAIL",       "expected",
                                                    "unsupported", "untestable", "ERROR"};

static const char *status_colour(const struct verdict *verdict) {
    if (verdict->status == VERDICT_PASS)
        return GREEN;
    return verdict->status == VERDICT_FAIL || verdict->status == VERDICT_HARNESS_ERROR ? RED
                                                                                       : YELLOW;
}

static const char *paint(const struct report *report, const char *colour) {
    return report->colour ? colour : "";
}

void report_begin(struct report *report, const struct options *options, const struct spec *spec,
                  const char *program, size_t scenarios) {
    *report = (struct report){.out = stdout,
                              .run = result_begin(options, spec_sentences(spec)),
                              .is_terminal = isatty(STDOUT_FILENO),
                              .colour = isatty(STDOUT_FILENO) && getenv("NO_COLOR") == NULL,
                              .options = options,
                              .spec = spec,
                              .program = program,
                              .green = true};
    fprintf(report->out, "athena-conform %s: %zu scenarios, ", ATHENA_VERSION, scenarios);
    if (options->repeat > 1)
        fprintf(report->out, "%d times, ", options->repeat);
    fprintf(report->out, "seed %llu, %s %s\n", (unsigned long long)options->seed, options->role,
            options->driver != NULL ? options->driver : target_name(&options->target));
}

/* ---- One scenario ---------------------------------------------------------------------------- */

static void print_quoted(FILE *out, const char *text) {
    if (strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:@%+=") ==
        strlen(text)) {
        fprintf(out, " %s", text);
        return;
    }
    fputs(" '", out);
    for (; *text != '\0'; text++) {
        if (*text == '\'')
            fputs("'\\''", out);
        else
            fputc(*text, out);
    }
    fputc('\'', out);
}

static void print_option(FILE *out, const char *name, const char *value) {
    if (value == NULL)
        return;
    fprintf(out, " %s", name);
    print_quoted(out, value);
}

static bool is_in_catalog(const struct report *report, const struct scenario *scenario) {
    for (size_t i = 0; i < report->options->selectors_len; i++)
        if (strcmp(report->options->selectors[i], scenario->path) == 0)
            return false;
    return true;
}

/* The liveness check has no file and cannot be selected: it comes before whatever is. */
static void print_selector(FILE *out, const struct report *report,
                           const struct scenario *scenario) {
    if (strcmp(scenario->name, scenario->path) != 0)
        print_quoted(out, is_in_catalog(report, scenario) ? scenario->name : scenario->path);
}

/* Tokens are not repeated: a report may be shown to others. free() it. */
static char *replay_text(const struct report *report, const struct scenario *scenario,
                         size_t round) {
    const struct target_options *target = &report->options->target;
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    if (out == NULL)
        return memory_copy_text("");
    fprintf(out, "%s %s", report->program, report->options->role);
    print_option(out, "--driver", report->options->driver);
    print_option(out, "--url", target->url);
    print_option(out, "--exec", target->command);
    print_option(out, "--unix", target->unix_path);
    print_option(out, "--authority", target->authority);
    print_option(out, "--ca", target->tls.ca_file);
    if (target->tls.insecure)
        fputs(" --insecure", out);
    if (target->headers != NULL)
        fputs(" --header ...", out);
    print_option(out, "--scenarios", report->options->scenarios);
    print_option(out, "--spec", report->options->spec);
    const unsigned long long seed = report->options->seed + round;
    fprintf(out, " --seed %llu", seed);
    print_selector(out, report, scenario);
    fclose(out);
    return text;
}

static void print_part(const struct report *report, const char *name, const char *text) {
    if (text != NULL && *text != '\0')
        fprintf(report->out, "    %-9s %s\n", name, text);
}

/* What differs stands out. */
static void print_marked(const struct report *report, const char *name, const char *text,
                         const char *pointer) {
    size_t from;
    size_t len;
    if (text == NULL || pointer == NULL || !json_find(text, pointer, &from, &len)) {
        print_part(report, name, text);
        return;
    }
    fprintf(report->out, "    %-9s %.*s%s%.*s%s%s\n", name, (int)from, text, paint(report, MARKED),
            (int)len, text + from, paint(report, PLAIN), text + from + len);
}

static void print_indented(const struct report *report, const char *text) {
    for (const char *line = text; *line != '\0';) {
        size_t len = strcspn(line, "\n");
        fprintf(report->out, "      %.*s\n", (int)len, line);
        line += len + (line[len] == '\n');
    }
}

static void print_transcript(const struct report *report, const struct verdict *verdict) {
    const cJSON *line;
    if (verdict->transcript != NULL && verdict->transcript->child != NULL)
        fprintf(report->out, "    what happened (> sent, < received):\n%s", paint(report, DIM));
    cJSON_ArrayForEach(line, verdict->transcript) {
        fprintf(report->out, "      %s\n", line->valuestring);
    }
    fputs(paint(report, PLAIN), report->out);
    if (verdict->server_log != NULL && *verdict->server_log != '\0') {
        fprintf(report->out, "    the %s printed:\n", report->options->role);
        print_indented(report, verdict->server_log);
    }
}

static void print_requirement(const struct report *report, const struct verdict *verdict) {
    if (verdict->requirement == NULL)
        return;
    const char *sentence = spec_sentence(report->spec, verdict->requirement);
    fprintf(report->out, "    [%s] %s\n", verdict->requirement,
            sentence != NULL ? sentence : "(not in the specification)");
}

static void print_details(const struct report *report, const struct scenario *scenario,
                          const struct verdict *verdict, const char *replay) {
    print_requirement(report, verdict);
    print_part(report, "problem", verdict->message);
    print_marked(report, "expected", verdict->expected, verdict->pointer);
    print_marked(report, "received", verdict->received, verdict->pointer);
    if (verdict->line > 0)
        fprintf(report->out, "    %-9s %s:%u  %s\n", "step", scenario->path, verdict->line,
                verdict->step != NULL ? verdict->step : "");
    const char *why = cJSON_GetStringValue(cJSON_GetObjectItem(scenario->json, "why"));
    print_part(report, "why", why);
    print_transcript(report, verdict);
    fprintf(report->out, "    replay: %s\n", replay);
}

/* Where something is drawn again and again it must not stay. */
static void clear_progress(struct report *report) {
    if (report->has_progress)
        fputs("\r\033[K", report->out);
    report->has_progress = false;
}

void report_progress(struct report *report, size_t done, size_t all, const char *waits_for) {
    if (!report->is_terminal || waits_for == NULL)
        return;
    clear_progress(report);
    fprintf(report->out, "%zu of %zu, %s", done, all, waits_for);
    fflush(report->out);
    report->has_progress = true;
}

void report_scenario(struct report *report, const struct scenario *scenario, size_t round,
                     const struct verdict *verdict) {
    const char *sentence =
        verdict->requirement != NULL ? spec_sentence(report->spec, verdict->requirement) : NULL;
    char *replay = replay_text(report, scenario, round);
    result_add(report->run, scenario, round, verdict, sentence, replay);
    clear_progress(report);
    report->counts[verdict->status]++;
    report->checks += verdict->checks;
    report->green = report->green && verdict_is_green(verdict);
    fprintf(report->out, "%s%-11s%s %-38s %7.1f ms  %s\n", paint(report, status_colour(verdict)),
            MARKS[verdict->status], paint(report, PLAIN), scenario->name, verdict->ms,
            scenario->title);
    if (verdict->status == VERDICT_FAIL || verdict->status == VERDICT_HARNESS_ERROR)
        print_details(report, scenario, verdict, replay);
    else if (verdict->status == VERDICT_EXPECTED_FAIL)
        fprintf(report->out, "    [%s] %s\n    %-9s %s\n", verdict->requirement, verdict->message,
                "because", verdict->reason);
    else if (verdict->status != VERDICT_PASS)
        print_part(report, "because", verdict->message);
    fflush(report->out);
    free(replay);
}

/* ---- The run --------------------------------------------------------------------------------- */

void report_trouble(struct report *report, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    char *text = memory_format_list(format, arguments);
    va_end(arguments);
    report->green = false;
    clear_progress(report);
    result_add_trouble(report->run, text);
    fprintf(report->out, "%s%s%s\n", paint(report, RED), text, paint(report, PLAIN));
    free(text);
}

static const char *verdict_of_run(const struct report *report, size_t skipped) {
    if (report->counts[VERDICT_FAIL] > 0)
        return "not conformant";
    if (report->counts[VERDICT_HARNESS_ERROR] > 0)
        return "no verdict: the harness or a scenario is at fault";
    if (report->counts[VERDICT_PASS] == 0)
        return "no verdict: nothing was tested";
    if (!report->green || skipped > 0)
        return "no verdict: not everything was tested";
    return report->counts[VERDICT_EXPECTED_FAIL] > 0 ? "not conformant, as expected" : "conformant";
}

int report_end(struct report *report, size_t skipped, double seconds) {
    static const char *const names[VERDICT_STATUSES] = {
        "passed", "failed", "failed as expected", "unsupported", "untestable", "harness errors"};
    bool good = report->green && skipped == 0 && report->counts[VERDICT_PASS] > 0;
    clear_progress(report);
    for (int i = 0; i < VERDICT_STATUSES; i++)
        if (i < 2 || report->counts[i] > 0)
            fprintf(report->out, "%u %s, ", report->counts[i], names[i]);
    if (skipped > 0)
        fprintf(report->out, "%zu not run, ", skipped);
    fprintf(report->out, "%u checks in %.2f s: %s%s%s\n", report->checks, seconds,
            paint(report, good ? GREEN : RED), verdict_of_run(report, skipped),
            paint(report, PLAIN));
    int status = good ? 0 : report->counts[VERDICT_FAIL] > 0 ? 1 : 3;
    result_end(report->run, skipped, seconds, verdict_of_run(report, skipped), status);
    bool written = result_write(report->run, report->options);
    cJSON_Delete(report->run);
    return written ? status : 3;
}
