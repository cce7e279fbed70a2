/* Endurance: does the server stay as it was, however long it runs? */
#ifndef BENCH_SOAK_H
#define BENCH_SOAK_H

#include <stdbool.h>

struct bench;

/* Keeps the server busy for so long, over TLS or not, and prints what it takes meanwhile. Fails
 * when a change is lost, doubled or out of order, when memory grows beside the store's caches, when
 * a descriptor is left over, or when `athena-syncd check` finds damage. Latency is reported, never
 * judged. */
void soak_run(struct bench *bench, double seconds, bool is_tls);

#endif
