#include "scripts/bench/series.h"

#include "scripts/bench/bench.h"

#include <assert.h>
#include <stdlib.h>

void series_add(struct series *series, double value) {
    if (series->len == series->capacity) {
        series->capacity = series->capacity ? series->capacity * 2 : 16;
        series->values = realloc(series->values, series->capacity * sizeof *series->values);
        bench_require_memory(series->values);
    }
    series->values[series->len++] = value;
}

void series_fini(struct series *series) {
    free(series->values);
    *series = (struct series){0};
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double series_quantile(struct series *series, double part) {
    assert(series->len > 0 && part >= 0 && part <= 1);
    qsort(series->values, series->len, sizeof *series->values, compare);
    double at = part * (double)(series->len - 1);
    size_t below = (size_t)at;
    size_t above = below + 1 < series->len ? below + 1 : below;
    double step = at - (double)below;
    return series->values[below] * (1 - step) + series->values[above] * step;
}

double series_median(struct series *series) {
    return series_quantile(series, 0.5);
}
