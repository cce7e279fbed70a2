/* Values of one figure, and what stands for them. */
#ifndef BENCH_SERIES_H
#define BENCH_SERIES_H

#include <stddef.h>

/* Zero-initialise; series_fini frees. */
struct series {
    double *values;
    size_t len;
    size_t capacity;
};
void series_add(struct series *series, double value);
void series_fini(struct series *series);
/* Both want at least one value and may reorder them. part is 0..1; between two neighbours the value
 * is interpolated, so that the median of an even number is the middle of the two in the middle. */
double series_quantile(struct series *series, double part);
double series_median(struct series *series);

#endif
