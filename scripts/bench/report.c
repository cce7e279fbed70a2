#include "scripts/bench/report.h"

#include "scripts/bench/bench.h"

#include <assert.h>
#include <cjson/cJSON.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VALUE_BYTES = 32 };

/* Three digits that mean something, whole numbers in groups of three. */
static const char *format_value(char text[static VALUE_BYTES], double value) {
    if (value < 10)
        snprintf(text, VALUE_BYTES, value == (double)(int)value ? "%.0f" : "%.2f", value);
    else if (value < 100)
        snprintf(text, VALUE_BYTES, "%.1f", value);
    else
        snprintf(text, VALUE_BYTES, "%.0f", value);
    size_t len = strlen(text);
    if (value < 1000)
        return text;
    for (size_t at = len; at > 3; len++) {
        at -= 3;
        memmove(text + at + 1, text + at, len - at + 1);
        text[at] = ',';
    }
    return text;
}

void report_begin(struct report *report, const char *measure, const char *title) {
    report->measure = measure;
    printf("\n%-46s %10s %10s %10s %-10s %10s\n", title, "median", "min", "max", "", "aim");
    fflush(stdout);
}

static void print_figure(const struct figure *figure) {
    char median[VALUE_BYTES], min[VALUE_BYTES], max[VALUE_BYTES], aim[VALUE_BYTES];
    printf("  %-44s %10s %10s %10s %-10s %10s\n", figure->name,
           format_value(median, figure->median), format_value(min, figure->min),
           format_value(max, figure->max), figure->unit,
           figure->aim < 0 ? "" : format_value(aim, figure->aim));
    fflush(stdout);
}

static struct figure *add_figure(struct report *report) {
    if (report->figures_len == REPORT_FIGURES_MAX)
        bench_fail("more than %d figures", REPORT_FIGURES_MAX);
    struct figure *figure = &report->figures[report->figures_len++];
    figure->measure = report->measure;
    return figure;
}

double report_figure(struct report *report, struct series *series, const char *unit, double aim,
                     const char *format, ...) {
    struct figure *figure = add_figure(report);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(figure->name, sizeof figure->name, format, arguments);
    va_end(arguments);
    figure->unit = unit;
    figure->runs = series->len;
    figure->median = series_median(series);
    figure->min = series_quantile(series, 0);
    figure->max = series_quantile(series, 1);
    figure->aim = aim;
    series_fini(series);
    print_figure(figure);
    return figure->median;
}

void report_ratio(struct report *report, double part, double whole, const char *name) {
    struct series ratio = {0};
    series_add(&ratio, whole > 0 ? 100 * part / whole : 0);
    report_figure(report, &ratio, "%", REPORT_NO_AIM, "%s", name);
}

static cJSON *figure_json(const struct figure *figure) {
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "measure", figure->measure);
    cJSON_AddStringToObject(json, "name", figure->name);
    cJSON_AddStringToObject(json, "unit", figure->unit);
    cJSON_AddNumberToObject(json, "runs", (double)figure->runs);
    cJSON_AddNumberToObject(json, "median", figure->median);
    cJSON_AddNumberToObject(json, "min", figure->min);
    cJSON_AddNumberToObject(json, "max", figure->max);
    if (figure->aim >= 0)
        cJSON_AddNumberToObject(json, "aim", figure->aim);
    return json;
}

bool report_write_json(const struct report *report, const char *path, const char *machine) {
    cJSON *json = cJSON_CreateObject();
    cJSON_AddItemToObject(json, "machine", cJSON_Parse(machine));
    cJSON *figures = cJSON_AddArrayToObject(json, "figures");
    for (size_t i = 0; i < report->figures_len; i++)
        cJSON_AddItemToArray(figures, figure_json(&report->figures[i]));
    char *text = cJSON_Print(json);
    cJSON_Delete(json);
    bench_require_memory(text);
    FILE *file = fopen(path, "w");
    bool is_written = file && fprintf(file, "%s\n", text) > 0;
    if (file)
        is_written = fclose(file) == 0 && is_written;
    free(text);
    return is_written;
}
