#include "conformance/report.h"

#include "conformance/json_write.h"
#include "conformance/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of a failure; reports in files have more. */
enum { TRANSCRIPT_LINES = 24 };

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

bool report_open(struct report *report) {
    const struct options *options = report->options;
    bool ok = true;
    for (size_t i = 0; i < options->reports_len; i++) {
        report->files[i] = fopen(options->reports[i].file, "we");
        if (report->files[i] == NULL)
            fprintf(stderr, "athena-conform: %s: %s\n", options->reports[i].file, strerror(errno));
        ok = ok && report->files[i] != NULL;
    }
    return ok;
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

/* The liveness check has no file and cannot be selected: it comes before and behind whatever is. */
static void print_selector(FILE *out, const struct report *report,
                           const struct scenario *scenario) {
    if (strcmp(scenario->name, scenario->path) != 0)
        print_quoted(out, is_in_catalog(report, scenario) ? scenario->name : scenario->path);
}

/* A report may be shown to others: what admits is to be filled in again. */
static void print_admission(FILE *out, const struct options *options) {
    if (options->has_token)
        print_option(out, "--token", "TOKEN");
    for (size_t i = 0; i < options->header_lines_len; i++) {
        const char *line = options->header_lines[i];
        char *text = memory_format("%.*s: VALUE", (int)strcspn(line, ":"), line);
        print_option(out, "--header", text);
        free(text);
    }
}

/* free() it. */
static char *replay_text(const struct report *report, const struct scenario *scenario,
                         size_t round) {
    const struct options *options = report->options;
    const struct target_options *target = &options->target;
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    if (out == NULL)
        return memory_copy_text("");
    fprintf(out, "%s %s", report->program, options->role);
    print_option(out, "--driver", options->driver);
    print_option(out, "--url", target->url);
    print_option(out, "--exec", target->command);
    print_option(out, "--unix", target->unix_path);
    print_option(out, "--authority", target->authority);
    print_option(out, "--ca", target->tls.ca_file);
    if (target->tls.insecure)
        fputs(" --insecure", out);
    print_admission(out, options);
    print_option(out, "--scenarios", options->scenarios);
    print_option(out, "--spec", options->spec);
    if (options->timeout_ms != OPTIONS_TIMEOUT_MS)
        fprintf(out, " --timeout %g", options->timeout_ms / 1000.0);
    fprintf(out, " --seed %llu", (unsigned long long)options->seed + round);
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
    int lines = cJSON_GetArraySize(verdict->transcript);
    int first = lines > TRANSCRIPT_LINES ? lines - TRANSCRIPT_LINES : 0;
    unsigned omitted = verdict->omitted + (unsigned)first;
    if (lines > 0)
        fprintf(report->out, "    what happened (> sent, < received):\n%s", paint(report, DIM));
    if (omitted > 0)
        fprintf(report->out, "      (%u lines before)\n", omitted);
    for (const cJSON *line = cJSON_GetArrayItem(verdict->transcript, first); line != NULL;
         line = line->next)
        fprintf(report->out, "      %s\n", line->valuestring);
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

void report_lack(struct report *report, const char *need) {
    char *name =
        strcmp(need, "exec") == 0 ? memory_copy_text("--exec") : memory_format("{%s}", need);
    if (report->lacks == NULL || strstr(report->lacks, name) == NULL) {
        char *longer = report->lacks != NULL ? memory_format("%s, %s", report->lacks, name)
                                             : memory_copy_text(name);
        free(report->lacks);
        report->lacks = longer;
    }
    free(name);
}

/* Those that the run is without. free() it. */
static char *list_left_out(const struct options *options) {
    char *list = memory_copy_text("");
    for (size_t i = 0; i < options->without_len; i++) {
        char *longer = memory_format("%s%s%s", list, i > 0 ? ", " : "", options->without[i]);
        free(list);
        list = longer;
    }
    return list;
}

static char *verdict_of_conformant(const struct report *report) {
    if (report->left_out == 0)
        return memory_copy_text(
            options_select_all(report->options) ? "conformant" : "conformant in what was selected");
    char *list = list_left_out(report->options);
    char *text = memory_format("conformant in what was tested; left out: %s (%zu scenario%s)", list,
                               report->left_out, report->left_out == 1 ? "" : "s");
    free(list);
    return text;
}

/* free() it. */
static char *verdict_of_run(const struct report *report, size_t skipped) {
    if (report->counts[VERDICT_FAIL] > 0)
        return memory_copy_text("not conformant");
    if (report->counts[VERDICT_HARNESS_ERROR] > 0)
        return memory_copy_text("no verdict: the harness, a scenario or the set-up is at fault");
    if (report->counts[VERDICT_PASS] == 0)
        return memory_copy_text("no verdict: nothing was tested");
    if (skipped == 0 && report->lacks != NULL)
        return memory_format("no verdict: not everything was tested, for want of %s. Give it, or "
                             "leave out by --without what needs it",
                             report->lacks);
    if (!report->green || skipped > 0)
        return memory_copy_text("no verdict: not everything was tested");
    return report->counts[VERDICT_EXPECTED_FAIL] > 0
               ? memory_copy_text("not conformant, as expected")
               : verdict_of_conformant(report);
}

int report_end(struct report *report, size_t skipped, double seconds) {
    static const char *const names[VERDICT_STATUSES] = {
        "passed", "failed", "failed as expected", "unsupported", "untestable", "harness errors"};
    bool good = report->green && skipped == 0 && report->counts[VERDICT_PASS] > 0;
    int status = good ? 0 : report->counts[VERDICT_FAIL] > 0 ? 1 : 3;
    char *verdict = verdict_of_run(report, skipped);
    result_end(report->run, skipped, report->left_out, seconds, verdict, status);
    bool written = result_write(report->run, report->options, report->files);
    clear_progress(report);
    for (int i = 0; i < VERDICT_STATUSES; i++)
        if (i < 2 || report->counts[i] > 0)
            fprintf(report->out, "%u %s, ", report->counts[i], names[i]);
    if (skipped > 0)
        fprintf(report->out, "%zu not run, ", skipped);
    fprintf(report->out, "%u checks in %.2f s: %s%s%s\n", report->checks, seconds,
            paint(report, good && written ? GREEN : RED),
            written ? verdict : "no verdict: a report could not be written", paint(report, PLAIN));
    cJSON_Delete(report->run);
    free(report->lacks);
    free(verdict);
    return written ? status : 3;
}
