/* The figures of a run: a table on the terminal, line by line as they are reached, and JSON. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "scripts/bench/series.h"

#include <stdbool.h>
#include <stddef.h>

enum { REPORT_FIGURES_MAX = 256, REPORT_NAME_BYTES = 64 };
#define REPORT_NO_AIM (-1.0)

struct figure {
    const char *measure;
    char name[REPORT_NAME_BYTES];
    const char *unit;
    size_t runs;
    double median, min, max, aim;
};

/* Zero-initialise. */
struct report {
    const char *measure; /* of the figures to come */
    struct figure figures[REPORT_FIGURES_MAX];
    size_t figures_len;
};

/* A heading, and the measure's name for the figures that follow. Static texts. */
void report_begin(struct report *report, const char *measure, const char *title);
/* One figure of all its runs. Takes the series over, leaves it empty and returns its median.
 * `unit` is static; `aim` is what the project aims at, or REPORT_NO_AIM. */
double report_figure(struct report *report, struct series *series, const char *unit, double aim,
                     const char *format, ...) __attribute__((format(printf, 5, 6)));
/* What part of `whole` a figure is; both of this run. */
void report_ratio(struct report *report, double part, double whole, const char *name);
/* `machine` is a JSON object. False with errno when the file cannot be written. */
bool report_write_json(const struct report *report, const char *path, const char *machine);

#endif
